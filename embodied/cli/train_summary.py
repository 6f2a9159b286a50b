"""What `embodied train` says when a training is over."""

from __future__ import annotations

from pathlib import Path

from embodied.policies.training.budget import Budget


def finished_notice(folder: Path, budget: Budget) -> str:
    """Returns a line on a run that has spent its budget."""
    return f"{folder} is finished: left as it is; more than {budget.flag} would lengthen it"
