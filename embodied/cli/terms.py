"""The stage and level at which policies are shown or measured.

If the command names neither, a run of reinforcement learning gives the stage and the
level that it was trained for; for other policies it is the whole task at L2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from embodied.errors import EmbodiedError
from embodied.policies.registry import find_policy

LEVEL = "L2"


@dataclass(frozen=True)
class Terms:
    """The stage and the levels at which policies are shown or measured."""

    stage: str  # "" for the whole task
    levels: tuple[str, ...]
    note: str  # what was taken from a run, in words; "" if nothing was


def evaluation_terms(
    policies: Sequence[str], stage: str | None, levels: Sequence[str] | None
) -> Terms:
    """Returns the given stage and levels; if not given, those that the runs learned.

    Args:
        policies: names of policies, some of which may be reinforcement learning runs.
        stage: value of --stage; None if it was not given.
        levels: values of --level; None if it was not given.

    Raises:
        EmbodiedError: a policy does not exist, or the runs learned different stages or
            levels.
    """
    # what each reinforcement learning run was trained for
    stages_learned = {}
    levels_learned = {}
    for name in policies:
        goal = find_policy(name).trained_for
        if goal is not None:
            stages_learned[name] = goal.stage
            levels_learned[name] = goal.level

    # take from the runs what the user did not give
    from_runs = []
    if stage is None:
        stage = _common("stage", stages_learned)
        if stage:
            from_runs.append(f"stage {stage}")
    if levels is None:
        level = _common("level", levels_learned)
        if level:
            from_runs.append(f"level {level}")
        levels = [level or LEVEL]

    note = ""
    if from_runs:
        runs = " and ".join(stages_learned)
        note = f"at {' and '.join(from_runs)}, as {runs} learned it"
    # each level once, in the given order
    return Terms(stage or "", tuple(dict.fromkeys(levels)), note)


def _common(what: str, by_run: Mapping[str, str]) -> str:
    """Returns the value that all runs share; "" if there are no runs.

    Args:
        what: "stage" or "level", for the error message.
        by_run: name of a run -> the stage or level that the run learned.

    Raises:
        EmbodiedError: the runs have different values.
    """
    values = set(by_run.values())
    if len(values) > 1:
        each = ", ".join(
            f"{run}: {value or 'the whole task'}" for run, value in by_run.items()
        )
        raise EmbodiedError(
            f"these runs learned different {what}s ({each}): choose one with --{what}"
        )
    return next(iter(values), "")
