"""At what policies are watched and measured where the command does not say: what a run
by trial learned, else L2.
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

    stage: str  # of the task; empty: the whole task
    levels: tuple[str, ...]
    note: str  # what of this was taken from a run; empty where nothing was


def terms_of(
    policies: Sequence[str], stage: str | None, levels: Sequence[str] | None
) -> Terms:
    """What was asked for (not None) or, of what was not, what the runs among `policies`
    learned by trial.

    Raises:
        EmbodiedError: no such policy, or runs that learned different things.
    """
    learned = {}
    for name in policies:
        trained_for = find_policy(name).trained_for
        if trained_for is not None:
            learned[name] = trained_for
    own_stage = (
        _common("stage", {name: goal.stage for name, goal in learned.items()})
        if stage is None
        else None
    )
    own_level = (
        _common("level", {name: goal.level for name, goal in learned.items()})
        if levels is None
        else None
    )
    taken = [
        *([f"stage {own_stage}"] if own_stage else []),
        *([f"level {own_level}"] if own_level else []),
    ]
    note = (
        f"at {' and '.join(taken)}, as {' and '.join(learned)} learned it"
        if taken
        else ""
    )
    chosen = dict.fromkeys([own_level or LEVEL] if levels is None else levels)
    return Terms((own_stage or "") if stage is None else stage, tuple(chosen), note)


def _common(what: str, by_run: Mapping[str, str]) -> str | None:
    """The one value of all runs; None where there is no run."""
    if len(set(by_run.values())) > 1:
        each = ", ".join(
            f"{run}: {value or 'the whole task'}" for run, value in by_run.items()
        )
        raise EmbodiedError(
            f"these runs learned different {what}s ({each}): choose one with --{what}"
        )
    return next(iter(by_run.values()), None)
