"""Turns the cells of a suite into trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import product

from embodied.benchmark.results import join_task_and_robot
from embodied.benchmark.suite import Suite, SuiteCell
from embodied.benchmark.timing import Timing
from embodied.benchmark.trials import Candidate, TaskChoice, Trial
from embodied.envs.models import choose_robot
from embodied.envs.registry import get_task
from embodied.errors import EmbodiedError
from embodied.policies.channel import Interruption


def plan_suite(
    suite: Suite,
    cells: Sequence[SuiteCell],
    policies: Sequence[str],
    seeds: range,
    num_envs: int,
) -> list[Trial]:
    """Returns a trial for every combination of policy and cell.

    A policy that makes no plans skips the cells with delayed or lost plans.

    Args:
        suite: the suite, which defines the horizons.
        cells: the cells of the suite to measure.
        policies: names of policies; `{task}` and `{robot}` in a name are replaced by the
            task and the robot of the cell.
        seeds: the seeds of the episodes of each cell.
        num_envs: number of worlds that a process runs at once; it does not affect
            results.

    Raises:
        EmbodiedError: a policy does not fit a cell, or the horizon of a task differs from
            the suite's.
    """
    for cell in cells:
        _check_horizon(suite, cell.task, cell.robot)

    # cached, because loading a policy takes a while and cells share it
    @cache
    def candidate(label: str, task: str, robot: str) -> Candidate:
        name = label.replace("{task}", task).replace("{robot}", robot)
        return Candidate.of(label, name, task, robot)

    trials = []
    for label, cell in product(policies, cells):
        policy = candidate(label, cell.task, cell.robot)
        if policy.source.planner_hz is None and cell.timing:
            continue
        task_choice = TaskChoice(cell.task, cell.split, cell.robot)
        # a single timing gives a single trial
        [trial] = policy.trials(
            task_choice, cell.level, [_cell_timing(cell)], seeds, num_envs
        )
        abilities = (cell.ability, *cell.dimensions)
        trials.append(replace(trial, abilities=abilities))
    return trials


def _cell_timing(cell: SuiteCell) -> Timing:
    """Returns the timing of plans in a cell."""
    values = cell.timing
    freeze = Interruption(
        duration_s=values.get("freeze_s", 0.0), rate_hz=values.get("freeze_hz", 0.0)
    )
    channel = values.get("channel", "")
    return Timing(channel=channel, drop=values.get("drop", 0.0), freeze=freeze)


def _check_horizon(suite: Suite, task: str, robot: str) -> None:
    """Raises EmbodiedError if a task's horizon differs from the suite's protocol."""
    spec = get_task(task)
    horizon_s = spec.horizon_for(choose_robot(spec, robot))
    expected_s = suite.protocol["horizon_s"].get(join_task_and_robot(task, robot))
    if horizon_s != expected_s:
        raise EmbodiedError(
            f"the suite {suite.name} {suite.version} gives {task} with {robot} "
            f"{expected_s} s, but the task takes {horizon_s:g} s here: measure with the "
            "version of the package that the suite was made for, or make a new version "
            "of the suite"
        )
