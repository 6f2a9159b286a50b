"""The rules of `--resume`: whether a training may continue in a folder.

This module does not import torch, so that the command line can refuse quickly.
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
from embodied.wording import counted

# Settings that older runs do not store -> the value that all of them had.
EARLIER_SETTINGS = {"system": "dual"}


def is_finished(folder: Path) -> bool:
    """Returns whether a folder contains a run that has spent its budget."""
    if not (folder / INFO).exists():
        return False
    # version 0.1 stored no such entry, but deleted the checkpoint of a finished run
    has_checkpoint = (folder / CHECKPOINT).exists()
    return bool(read_info(folder).get("finished", not has_checkpoint))


def stored_budget(folder: Path) -> Budget | None:
    """Returns the last budget of a run; None if there is no run, or no budget stored in it."""
    if not (folder / INFO).exists():
        return None
    stored = read_info(folder).get("budget")
    return None if stored is None else Budget(**stored)


def has_work_left(folder: Path, identity: Mapping[str, Any], budget: Budget) -> bool:
    """Returns whether a resumed training has anything left to do.

    An unfinished run always has. A finished run continues if the budget is larger than
    before; with the same budget there is nothing to do.

    Args:
        folder: the folder of a run; it need not exist yet.
        identity: the settings that a resumed training must share, see `check_same`.
        budget: the budget of all sessions together.

    Raises:
        EmbodiedError: the folder contains a run of another training; or a finished run
            that has spent more than the budget, or whose checkpoint is missing.
    """
    check_same(folder, identity)
    if not is_finished(folder):
        return True
    last_budget = stored_budget(folder)
    if last_budget == budget:
        return False

    last_row = read_history(folder)[-1] if (folder / HISTORY).exists() else {}
    seconds = last_row.get("seconds", 0.0)
    steps = int(last_row.get("steps", 0))
    if budget.share(seconds, steps) >= 1:
        # version 0.1 stored no budget, so the run may have had exactly this one
        if last_budget is None:
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
    """Raises EmbodiedError if a folder contains a run with other settings.

    Args:
        folder: the folder of a run; it need not exist yet.
        identity: the settings that a resumed training must share, by name; `method`, the
            name of the training method, is one of them.
    """
    if not (folder / INFO).exists():
        return

    # a run of another method shares no settings, so this error comes first
    stored = read_info(folder).get("training", {})
    if stored.get("method") != identity["method"]:
        raise EmbodiedError(
            f"{folder} was not trained by {identity['method']}: "
            "give another folder after -o"
        )
    for name, value in identity.items():
        before = stored.get(name, EARLIER_SETTINGS.get(name))
        if before != value:
            raise EmbodiedError(
                f"{folder} was trained with {name} {_as_text(before)}, "
                f"not {_as_text(value)}: leave out --resume, or give the same"
            )


def _spent(budget: Budget, seconds: float, steps: int) -> str:
    """Returns the minutes or steps that a run has spent, in words."""
    return counted(steps, "step") if budget.max_steps else f"{seconds / 60:.3g} minutes"


def _enlarged(budget: Budget, seconds: float, steps: int) -> Budget:
    """Returns the sum of a budget and what was spent already, to suggest in a message."""
    if budget.max_steps:
        return Budget(max_steps=steps + budget.max_steps)
    # rounded to three digits, since a reader is to type the number
    return Budget(minutes=float(f"{seconds / 60 + budget.minutes:.3g}"))


def _as_text(value: Any) -> str:
    """Returns the value of a setting as text, for an error message."""
    return ", ".join(map(str, value)) if isinstance(value, list) else repr(value)
