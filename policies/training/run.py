"""A training run of any learner: its folder, budget, history and checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from safetensors.torch import load_file
from torch import Tensor

from embodied.errors import EmbodiedError
from embodied.policies.checkpoint import write_tensors
from embodied.policies.run_folder import (
    CHECKPOINT,
    HISTORY,
    WEIGHTS,
    read_history,
    write_info,
    write_json,
)
from embodied.policies.training.budget import Budget

# Named figures at one moment of a training.
Row = dict[str, float]
# Called with each row as soon as it is known.
OnRow = Callable[[Row], object]


class Learner(Protocol):
    """What is trained in a run."""

    packages: tuple[str, ...]  # those whose versions the run's info records

    @property
    def steps(self) -> int:
        """Steps so far, as the budget counts them."""

    def train(self, run: TrainingRun) -> None:
        """Trains until the run's budget is spent, or there is nothing left to learn.

        It calls `run.add_row` and `run.save_checkpoint` now and then, and leaves a
        checkpoint from which a longer training can go on.
        """

    def weights(self) -> Mapping[str, Tensor]:
        """Returns the present weights of the policy."""

    def info(self) -> dict[str, Any]:
        """Returns what must be known to use the policy, as JSON values."""

    def checkpoint(self) -> Mapping[str, Tensor]:
        """Returns all that it takes to go on from here."""

    def restore(self, stored: Mapping[str, Tensor]) -> None:
        """Goes on from a checkpoint."""


class TrainingRun:
    """Trains a learner into a folder, in one sitting or in several.

    The info in the folder says whether the run is finished. A finished run keeps its
    checkpoint, so that a larger budget can lengthen it. Files are replaced in one step,
    and a checkpoint is a single file, so that a run that is killed never leaves half of
    one.
    """

    def __init__(
        self,
        folder: Path,
        learner: Learner,
        budget: Budget,
        identity: Mapping[str, Any],
        on_row: OnRow | None = None,
    ) -> None:
        """Prepares a run; nothing is written yet.

        Args:
            folder: Where the run is written.
            learner: What is trained.
            budget: How long it is trained, in all sittings together.
            identity: What tells this training from others, for `check_same`.
            on_row: Called with each row of figures.
        """
        self.folder = folder
        self.history: list[Row] = []
        self._learner = learner
        self._budget = budget
        self._identity = dict(identity)
        self._on_row = on_row
        self._begun = time.monotonic()
        self._earlier_s = 0.0  # in earlier sittings

    @property
    def seconds(self) -> float:
        """Time spent on this run, in all sittings together."""
        return self._earlier_s + time.monotonic() - self._begun

    def share(self) -> float:
        """Returns how much of the budget is spent by now, in [0, 1]."""
        return self._budget.share(self.seconds, self._learner.steps)

    def train(self, resume: bool = False) -> None:
        """Trains to the end.

        Args:
            resume: Goes on from the last checkpoint, if there is one.

        Raises:
            EmbodiedError: The checkpoint does not fit.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        if not resume:
            (self.folder / CHECKPOINT).unlink(missing_ok=True)
        elif (self.folder / CHECKPOINT).exists():
            self._restore()

        self._begun = time.monotonic()
        self._learner.train(self)

        self._write_policy(finished=True)

    def add_row(self, share: float, figures: Mapping[str, float]) -> None:
        """Adds the figures of this moment to the history, and reports them.

        Args:
            share: Of the budget that is spent, in [0, 1].
            figures: The learner's, by their names.
        """
        row = {
            "share": share,
            "seconds": round(self.seconds, 3),
            "steps": float(self._learner.steps),
            **figures,
        }
        self.history.append(row)
        if self._on_row is not None:
            self._on_row(row)

    def save_checkpoint(self) -> None:
        """Writes the present policy, and all that it takes to go on from here."""
        # The checkpoint comes first: the history is cut to it when the run goes on.
        write_tensors(self.folder / CHECKPOINT, self._learner.checkpoint())
        self._write_policy(finished=False)

    def _write_policy(self, finished: bool) -> None:
        """Writes weights, history and info: all of a run but its checkpoint."""
        write_tensors(self.folder / WEIGHTS, self._learner.weights())
        write_json(self.folder / HISTORY, self.history)
        info = {
            **self._learner.info(),
            "training": self._identity,
            "budget": asdict(self._budget),
            "finished": finished,
        }
        write_info(self.folder, info, self._learner.packages)

    def _restore(self) -> None:
        """Sets the learner, the history and the time spent back to the checkpoint."""
        path = self.folder / CHECKPOINT
        try:
            self._learner.restore(load_file(path))
        except Exception as error:
            reason = str(error).splitlines()[0]
            raise EmbodiedError(
                f"the checkpoint {path} does not fit: {reason}"
            ) from error

        # The history may be missing, or newer than the checkpoint after a kill.
        rows = read_history(self.folder) if (self.folder / HISTORY).exists() else []
        steps = self._learner.steps
        self.history = [row for row in rows if row["steps"] <= steps]
        self._earlier_s = self.history[-1]["seconds"] if self.history else 0.0
