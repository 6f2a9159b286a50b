"""Whether a training goes on in a folder: the rules of `--resume`.

This module does not import torch, so that the command line can refuse at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embodied.errors import EmbodiedError
from embodied.policies.run_folder import (
    CHECKPOINT,
    HISTORY,
    INFO,
    read_history,
    read_info,
)
from embodied.policies.training.budget import Budget


def is_finished(folder: Path) -> bool:
    """Returns whether a folder holds a run that has spent its budget."""
    if not (folder / INFO).exists():
        return False
    # Runs of version 0.1 do not say whether they are finished, but a finished one has
    # lost its checkpoint.
    return bool(read_info(folder).get("finished", not (folder / CHECKPOINT).exists()))


def stored_budget(folder: Path) -> Budget | None:
    """Returns the budget that a run was given last; None where nobody knows."""
    if not (folder / INFO).exists():
        return None
    stored = read_info(folder).get("budget")
    return None if stored is None else Budget(**stored)


def goes_on(folder: Path, identity: Mapping[str, Any], budget: Budget) -> bool:
    """Returns whether a resumed training has anything left to do.

    A finished run is lengthened by a larger budget; with the budget that it has spent
    already it stays as it is.

    Args:
        folder: A run folder, or one that is not a run yet.
        identity: What tells the training from others, for `check_same`.
        budget: How long to train, in all sittings together.

    Raises:
        EmbodiedError: The folder holds a run of another training, a finished one that
            has spent more than the budget, or one that lost its checkpoint.
    """
    check_same(folder, identity)
    if not is_finished(folder):
        return True
    before = stored_budget(folder)
    if before == budget:
        return False

    last = read_history(folder)[-1] if (folder / HISTORY).exists() else {}
    seconds = last.get("seconds", 0.0)
    steps = int(last.get("steps", 0))
    if budget.share(seconds, steps) >= 1:
        # A run of which nobody knows the budget may have spent exactly this one.
        if before is None:
            return False
        raise EmbodiedError(
            f"{folder} has had {_spent(budget, seconds, steps)} already, and "
            f"{budget.flag} counts all of it: give more, e.g. "
            f"{_enlarged(budget, seconds, steps).flag}"
        )

    if not (folder / CHECKPOINT).exists():
        raise EmbodiedError(
            f"{folder} is finished and has no {CHECKPOINT}, so it cannot be trained for "
            "longer: train it anew with --overwrite in place of --resume"
        )
    return True


def check_same(folder: Path, identity: Mapping[str, Any]) -> None:
    """Checks that a training may go on in a folder.

    Args:
        folder: A run folder, or one that is not a run yet.
        identity: What tells the training from others. It has the key `method`.

    Raises:
        EmbodiedError: The folder holds a run of another training.
    """
    if not (folder / INFO).exists():
        return

    before = read_info(folder).get("training", {})
    if before.get("method") != identity["method"]:
        raise EmbodiedError(
            f"{folder} was not trained by {identity['method']}: "
            "give another folder after -o"
        )
    for name, value in identity.items():
        if before.get(name) != value:
            raise EmbodiedError(
                f"{folder} was trained with {name} {_shown(before.get(name))}, "
                f"not {_shown(value)}: leave out --resume, or give the same"
            )


def _spent(budget: Budget, seconds: float, steps: int) -> str:
    """Returns what a run has spent, in the unit of a budget."""
    return f"{steps} steps" if budget.max_steps else f"{seconds / 60:.3g} minutes"


def _enlarged(budget: Budget, seconds: float, steps: int) -> Budget:
    """Returns a budget that adds to what was spent what this one asks for."""
    if budget.max_steps:
        return Budget(max_steps=steps + budget.max_steps)
    return Budget(minutes=float(f"{seconds / 60 + budget.minutes:.3g}"))


def _shown(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else repr(value)
