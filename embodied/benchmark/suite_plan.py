"""From the cells of a suite to the trials that measure them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from itertools import product

from embodied.benchmark.results import place_name
from embodied.benchmark.suite import Suite, SuiteCell
from embodied.benchmark.timing import Timing
from embodied.benchmark.trials import Candidate, Place, Trial
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
    """Returns every policy in every cell.

    A policy that does not plan has no cell with late or lost plans.

    Args:
        suite: whose horizons must be those of the tasks.
        cells: of it.
        policies: their names; `{task}` and `{robot}` in them stand for a cell's own.
        seeds: of the episodes of each cell.
        num_envs: worlds at once in each process; no result depends on it.

    Raises:
        EmbodiedError: a policy does not fit a cell, or a task is no longer what the
            suite was made for.
    """
    for cell in cells:
        _check_horizon(suite, cell.task, cell.robot)

    @cache
    def candidate(label: str, task: str, robot: str) -> Candidate:
        name = label.replace("{task}", task).replace("{robot}", robot)
        return Candidate.of(label, name, task, robot)

    trials = []
    for label, cell in product(policies, cells):
        able = candidate(label, cell.task, cell.robot)
        if able.source.planner_hz is None and cell.timing:
            continue
        place = Place(cell.task, cell.split, cell.robot)
        [trial] = able.trials(place, cell.level, [_timing_of(cell)], seeds, num_envs)
        abilities = (cell.ability, *cell.dimensions)
        trials.append(replace(trial, abilities=abilities))
    return trials


def _timing_of(cell: SuiteCell) -> Timing:
    """Returns when plans are made in a cell, and how they travel."""
    values = cell.timing
    freeze = Interruption(
        duration_s=values.get("freeze_s", 0.0), rate_hz=values.get("freeze_hz", 0.0)
    )
    channel = values.get("channel", "")
    return Timing(channel=channel, drop=values.get("drop", 0.0), freeze=freeze)


def _check_horizon(suite: Suite, task: str, robot: str) -> None:
    """Raises EmbodiedError unless a task gives as much time as the protocol says."""
    spec = get_task(task)
    horizon_s = spec.horizon_for(choose_robot(spec, robot))
    expected_s = suite.protocol["horizon_s"].get(place_name(task, robot))
    if horizon_s != expected_s:
        raise EmbodiedError(
            f"the suite {suite.name} {suite.version} gives {task} with {robot} "
            f"{expected_s} s, but the task takes {horizon_s:g} s here: measure with the "
            "version of the package that the suite was made for, or make a new version "
            "of the suite"
        )
