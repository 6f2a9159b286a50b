"""What the tests of worlds share: worlds of few threads, and random actions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from embodied.contract.case import begun, random_actions
from embodied.envs import worlds as worlds_module
from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_task, robots_for, task_names
from embodied.envs.worlds import Worlds
from embodied.robots.parts.part import CONTROL_MODES

__all__ = ["random_actions"]  # tests take it from here

TOTE_TRANSFER = "ToteTransfer"
TASKS_AND_ROBOTS = [
    (task, robot) for task in task_names() for robot in robots_for(get_task(task))
]
# Their share of what every pair keeps to is slow, to keep `make test` short.
SLOW_ROBOTS = ("dual_arm",)
# So is the share of tasks whose physics costs several times as much as the others'.
SLOW_TASKS = ("PourWater",)
# Of robots that are not a task's default, one of so many tasks is tried with each.
SHARE = 5
# The marks of what is left to `make test-exhaustive`: it is slow, too.
EXHAUSTIVE = [pytest.mark.slow, pytest.mark.exhaustive]


def _cases() -> list[tuple[str, str, str]]:
    """Every registered task with each of its robots, in some control mode.

    One task is there in all control modes, the others take turns in them.
    """
    cases: list[tuple[str, str, str]] = []
    # those of slow robots come late, and those of slow tasks last, so that the others'
    # modes stay what they were
    pairs = sorted(
        TASKS_AND_ROBOTS,
        key=lambda pair: (pair[0] in SLOW_TASKS, pair[1] in SLOW_ROBOTS),
    )
    for number, (task, robot) in enumerate(pairs):
        modes: tuple[str, ...] = CONTROL_MODES
        if task != TOTE_TRANSFER:
            modes = (CONTROL_MODES[number % len(CONTROL_MODES)],)
        cases += [(task, robot, mode) for mode in modes]
    return cases


CASES = _cases()  # (task, robot, control mode)


def _is_tried(task: str, robot: str) -> bool:
    """Returns whether a task's share of such tests is tried with a robot.

    It is with the task's default robot, and with all robots of one task. Of the others,
    each robot is tried with one task of SHARE, in turns, so that new tasks do not
    multiply the tests.
    """
    spec = get_task(task)
    if task == TOTE_TRANSFER or robot == spec.default_robot:
        return True
    turn = task_names().index(task) + robots_for(spec).index(robot)
    return turn % SHARE == 0


def slowly(cases: Sequence[tuple[str, ...]]) -> list[Any]:
    """Parameters of tests: task, robot and more.

    Slow are those of slow tasks and robots, and of every second task. With another robot
    than a task's default, they are exhaustive.
    """
    found = []
    for case in cases:
        task, robot = case[:2]
        if not _is_tried(task, robot):
            continue
        is_other = robot != get_task(task).default_robot and task != TOTE_TRANSFER
        is_second = task_names().index(task) % 2 == 1 and task != TOTE_TRANSFER
        is_slow = is_second or task in SLOW_TASKS or robot in SLOW_ROBOTS
        marks = EXHAUSTIVE if is_other else [pytest.mark.slow] if is_slow else []
        found.append(pytest.param(*case, marks=marks))
    return found


def some_of(cases: Sequence[Any], every: int, mark: pytest.MarkDecorator) -> list[Any]:
    """Parameters of tests: every so-manieth as it is, and the others with a mark."""
    found = []
    for number, case in enumerate(cases):
        values = case if isinstance(case, tuple) else (case,)
        found.append(pytest.param(*values, marks=[mark] if number % every else []))
    return found


every_pair = pytest.mark.parametrize(("task", "robot"), slowly(TASKS_AND_ROBOTS))
every_warp_pair = pytest.mark.parametrize(
    ("task", "robot"),
    slowly([pair for pair in TASKS_AND_ROBOTS if not get_task(pair[0]).cpu_only]),
)
every_case = pytest.mark.parametrize(("task", "robot", "mode"), slowly(CASES))


def env_config(**settings: Any) -> EnvConfig:
    """A config of one thread; of ToteTransfer unless another task is given."""
    return EnvConfig(**{"task": TOTE_TRANSFER, "num_threads": 1, **settings})


def started_worlds(num: int = 1, first_seed: int = 0, **settings: Any) -> Worlds:
    """Worlds whose episodes have begun, with consecutive seeds."""
    return begun(env_config(**settings), num, first_seed)


def expert_worlds(num: int, **settings: Any) -> Worlds:
    """Worlds with the control mode and rate of the expert, without episodes yet."""
    config = env_config(control_mode="ee_delta", control_hz=200, **settings)
    return Worlds(config, num)


def idle_action(worlds: Worlds) -> np.ndarray:  # (N, A)
    """The action that holds the arm still, in the delta modes, and the gripper open."""
    action = np.zeros((worlds.num_worlds, len(worlds.interface.low)))
    action[:, -1] = 1
    return action


def shorten_horizon(monkeypatch: pytest.MonkeyPatch, horizon_s: float) -> None:
    """Lets the tasks of worlds that are made from now on end after `horizon_s`."""
    monkeypatch.setattr(
        worlds_module,
        "get_task",
        lambda name: replace(get_task(name), horizon_s=horizon_s),
    )


def image_distance(a: np.ndarray, b: np.ndarray) -> float:
    """The mean absolute difference of two images, in grey levels."""
    return float(np.abs(a.astype(float) - b).mean())
