"""What every registered task keeps to: the contracts of `embodied.contract`, which
`embodied check-task` tries with tasks from outside, and what worlds keep to with each.
"""

from __future__ import annotations

from contextlib import closing

import gymnasium
import numpy as np
import pytest
from stable_baselines3.common.env_checker import check_env as check_env_sb3

from embodied.contract import tables
from embodied.contract.case import Case
from embodied.contract.starts import (
    LEVELS_AND_SPLITS,
    starts_are_clear_and_unsolved,
)
from embodied.contract.suite import CONTRACTS, Contract, Trial, trials_of
from embodied.envs.registry import get_task, task_names
from embodied.envs.variation import LEVELS
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from tests.ground import (
    CASES,
    EXHAUSTIVE,
    SLOW_TASKS,
    env_config,
    every_case,
    started_worlds,
)

# What needs no step of the worlds.
OF_TABLES = [
    contract for contract in CONTRACTS if contract.check.__module__ == tables.__name__
]
every_task = pytest.mark.parametrize("task", task_names())


# Of other robots than a task's default, each keeps to every SHARE-th contract with a task,
# and to the others with other tasks; to these with all tasks.
SHARE = 4
# `make test` tries one of so many contracts that step worlds, but all with the first task.
FAST_SHARE = 3
WITH_EVERY_ROBOT = (starts_are_clear_and_unsolved,)


def is_tried(contract: Contract, task: str, case: Case) -> bool:
    """Returns whether a contract is tried with a task and a robot.

    All are tried with the task's default robot. Of the others each (contract, robot) is
    tried with some tasks, and each (task, robot) with some contracts, in turns.
    """
    if case.robot == get_task(task).default_robot:
        return True
    if contract.check in WITH_EVERY_ROBOT:
        return True
    turn = CONTRACTS.index(contract) + task_names().index(task)
    return turn % SHARE == 0


def trials() -> list[object]:
    """Each contract with each task.

    Slow are those that take long, but for the first task, those that step the worlds of a
    slow task, and all but every FAST_SHARE-th of those that step others, in turns.
    Exhaustive are those with other robots than the task's default, except with the first
    task. Of levels, other robots are tried at the last one only, which varies most.
    """
    found = []
    for contract in CONTRACTS:
        last_variant = contract.variants[-1]
        for task in task_names():
            cases = [Case(*case) for case in CASES if case[0] == task]
            for trial in trials_of(contract, cases):
                if not is_tried(contract, task, trial.case):
                    continue
                is_default = trial.case.robot == get_task(task).default_robot
                has_levels = contract.variants in (LEVELS, LEVELS_AND_SPLITS)
                if has_levels and not is_default and trial.variant != last_variant:
                    continue
                is_first = task == task_names()[0]
                turn = CONTRACTS.index(contract) + task_names().index(task)
                is_costly = contract not in OF_TABLES
                is_slow = (
                    not is_default
                    or (contract.is_long and not is_first)
                    or (task in SLOW_TASKS and is_costly)
                    or (turn % FAST_SHARE != 0 and is_costly and not is_first)
                )
                marks = [pytest.mark.slow] if is_slow else []
                if not is_default and not is_first:
                    marks = EXHAUSTIVE
                words = (contract.check.__name__, task, trial.where)
                found.append(
                    pytest.param(
                        trial,
                        id="-".join(words),
                        marks=marks,
                    )
                )
    return found


def test_every_contract_is_tried_with_every_robot() -> None:
    tried = {
        (contract.check, case[1])
        for contract in CONTRACTS
        for case in CASES
        if is_tried(contract, case[0], Case(*case))
    }
    robots = {case[1] for case in CASES}
    assert tried == {(c.check, robot) for c in CONTRACTS for robot in robots}


@pytest.mark.parametrize("trial", trials())
def test_contract(trial: Trial) -> None:
    trial.run()


def test_stable_baselines_checker_finds_nothing_but_that_pixels_are_nested() -> None:
    env = gymnasium.make(
        f"embodied/{task_names()[0]}-v0", obs="both", image_size=40, num_threads=1
    )
    # another one would be an error
    with pytest.warns(UserWarning, match="Nested observation spaces"):
        check_env_sb3(env.unwrapped, skip_render_check=True)
    env.close()


@every_case
def test_actions_of_another_shape_are_refused_by_name(
    task: str, robot: str, mode: str
) -> None:
    worlds = Case(task, robot, mode).worlds(2)
    before = worlds.checksum()
    size = len(worlds.interface.low)

    # No batch, a batch of the wrong size, one element too many, one axis too many.
    for shape in ((size,), (1, size), (2, size + 1), (2, size, 1)):
        with pytest.raises(EmbodiedError) as caught:
            worlds.step(np.zeros(shape))
        message = str(caught.value)
        for text in (str(shape), str((2, size)), *worlds.interface.labels):
            assert text in message

    assert (worlds.checksum() == before).all()


@every_task
def test_a_start_of_another_model_is_refused(task: str) -> None:
    worlds = started_worlds(1, task=task)
    start = worlds.episode_start(0)
    short = type(start)(start.seed, start.state[:-1], start.fields)
    with pytest.raises(
        EmbodiedError, match="recorded state has .* numbers, this model"
    ):
        worlds.begin_recorded(0, short)


def test_a_config_is_the_key_to_its_worlds() -> None:
    """Metadata say enough to build the same worlds again."""
    config = env_config(
        level="L3", split="light", control_mode="ee_delta", factors={"mass": 0.5}
    )
    with closing(Worlds(config)) as worlds:
        saved = worlds.metadata()["config"]
        again = Worlds(env_config(**{**saved, "cameras": None}), 1)
        assert again.metadata() == worlds.metadata()
