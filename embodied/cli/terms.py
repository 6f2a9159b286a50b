"""The stage and level at which policies are shown or measured.

Where the command names none, they are those that a run of reinforcement learning was
trained for, else the whole task at L2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from embodied.errors import EmbodiedError
from embodied.policies.registry import find_policy

LEVEL = "L2"


@dataclass(frozen=True)
class Terms:
    """What counts as success, and how much varies."""

    stage: str  # of the task; "" is the whole task
    levels: tuple[str, ...]
    note: str  # says which of these were taken from a run; "" where none were


def terms_of(
    policies: Sequence[str], stage: str | None, levels: Sequence[str] | None
) -> Terms:
    """Returns the stage and levels asked for, else those that the runs learned.

    Args:
        policies: names of policies, some of which may be runs of reinforcement
            learning.
        stage: the stage asked for; None where none was.
        levels: the levels asked for; None where none were.

    Raises:
        EmbodiedError: a policy does not exist, or the runs learned different things.
    """
    stages_learned = {}
    levels_learned = {}
    for name in policies:
        goal = find_policy(name).trained_for
        if goal is not None:
            stages_learned[name] = goal.stage
            levels_learned[name] = goal.level

    taken = []
    if stage is None:
        stage = _common("stage", stages_learned)
        if stage:
            taken.append(f"stage {stage}")
    if levels is None:
        level = _common("level", levels_learned)
        if level:
            taken.append(f"level {level}")
        levels = [level or LEVEL]

    note = ""
    if taken:
        note = f"at {' and '.join(taken)}, as {' and '.join(stages_learned)} learned it"
    # each level once, in the order in which they were given
    return Terms(stage or "", tuple(dict.fromkeys(levels)), note)


def _common(what: str, by_run: Mapping[str, str]) -> str:
    """Returns the one value that all runs share; "" where there are no runs."""
    values = set(by_run.values())
    if len(values) > 1:
        each = ", ".join(
            f"{run}: {value or 'the whole task'}" for run, value in by_run.items()
        )
        raise EmbodiedError(
            f"these runs learned different {what}s ({each}): choose one with --{what}"
        )
    return next(iter(values), "")
