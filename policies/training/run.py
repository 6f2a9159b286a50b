"""A training run of any learner, with its folder, budget, history and checkpoints."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from safetensors.torch import load_file
from torch import Tensor

from embodied.errors import EmbodiedError
from embodied.machine import command_line
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
from embodied.policies.training.distributed import ALONE, Ranks
from embodied.torchrun import this_launch

# The figures at one point of a training, by name.
Row = dict[str, float]
# A function that is called with each new row of figures.
OnRow = Callable[[Row], object]


class Learner(Protocol):
    """A training method, such as imitation, with the policy that it trains."""

    packages: tuple[str, ...]  # names of packages whose versions the run's info records

    @property
    def steps(self) -> int:
        """The steps so far, in the unit of the budget."""

    def train(self, run: TrainingRun) -> None:
        """Trains until the run's budget is spent, or until the training has converged.

        It must call `run.add_row` and `run.save_checkpoint` regularly, and save a
        checkpoint at the end, from which a longer training can continue. If several ranks
        train together, all of them call these methods and `run.share` at the same steps.
        """

    def weights(self) -> Mapping[str, Tensor]:
        """Returns the current weights of the policy."""

    def info(self) -> dict[str, Any]:
        """Returns the information that is needed to use the policy, as JSON values."""

    def checkpoint(self) -> Mapping[str, Tensor]:
        """Returns the whole state of the training, as named tensors."""

    def restore(self, stored: Mapping[str, Tensor]) -> None:
        """Sets the state of the training to the state that a checkpoint stored."""


class TrainingRun:
    """Trains a learner into a folder, in one session or in several.

    The info in the folder tells whether the run is finished. A finished run keeps its
    checkpoint, so that it can be continued with a larger budget. Each file is written
    under a temporary name, then renamed, so that a kill never leaves half a file.
    """

    def __init__(
        self,
        folder: Path,
        learner: Learner,
        budget: Budget,
        identity: Mapping[str, Any],
        on_row: OnRow | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        """Prepares a run; nothing is written yet.

        Args:
            folder: the folder of the run.
            learner: the learner to train.
            budget: the budget of all sessions together.
            identity: the settings that a resumed training must share, see `check_same`.
            on_row: a function that is called with each row of figures.
            ranks: the processes that train the learner together. Rank 0 alone reads and
                writes the folder, and calls `on_row`.
        """
        self.folder = folder
        self.ranks = ranks
        self.history: list[Row] = []
        self._learner = learner
        self._budget = budget
        self._shared_settings = dict(identity)
        self._on_row = on_row
        self._session_start = time.monotonic()
        self._session_start_processor_s = time.process_time()
        # time spent in earlier sessions
        self._earlier_s = 0.0
        self._earlier_processor_s = 0.0

    @property
    def seconds(self) -> float:
        """The time spent on this run, in all sessions together."""
        return self._earlier_s + time.monotonic() - self._session_start

    @property
    def processor_s(self) -> float:
        """The processor time of this process for this run, in all sessions together."""
        session_s = time.process_time() - self._session_start_processor_s
        return self._earlier_processor_s + session_s

    def share(self) -> float:
        """Returns the share of the budget that is spent, in [0, 1]; the same on all ranks."""
        share = self._budget.share(self.seconds, self._learner.steps)
        return self.ranks.agreed(share)

    def train(self, resume: bool = False) -> None:
        """Trains until the budget is spent.

        Args:
            resume: whether to continue from the last checkpoint, if there is one.

        Raises:
            EmbodiedError: the learner cannot restore the checkpoint.
        """
        if self.ranks.is_first:
            self._open(resume)
        self._follow_first_rank()

        self._session_start = time.monotonic()
        self._session_start_processor_s = time.process_time()
        with self.ranks.ctrl_c_agreed():
            self._learner.train(self)
        if self.ranks.is_first:
            self._write_policy(finished=True)
        # no rank returns before the run is written
        self.ranks.total(0.0)

    def add_row(self, share: float, figures: Mapping[str, float]) -> None:
        """Adds a row of figures to the history, and reports it.

        Args:
            share: the share of the budget that is spent, in [0, 1].
            figures: the figures of the learner, by name.
        """
        processor_s = self.ranks.total(self.processor_s)
        if not self.ranks.is_first:
            return

        row = {
            "share": share,
            "seconds": round(self.seconds, 3),
            "processor_s": round(processor_s, 3),
            "steps": float(self._learner.steps),
            **figures,
        }
        self.history.append(row)
        if self._on_row is not None:
            self._on_row(row)

    def save_checkpoint(self) -> None:
        """Writes a checkpoint, and the current policy."""
        if not self.ranks.is_first:
            return
        # The checkpoint is written first: if a kill leaves a history that is newer or older
        # than the checkpoint, only a newer one can be cut to fit.
        write_tensors(self.folder / CHECKPOINT, self._learner.checkpoint())
        self._write_policy(finished=False)

    def _write_policy(self, finished: bool) -> None:
        """Writes all files of a run except its checkpoint: weights, history and info."""
        write_tensors(self.folder / WEIGHTS, self._learner.weights())
        write_json(self.folder / HISTORY, self.history)
        info = {
            **self._learner.info(),
            # a training that resumes this one compares its settings with these
            "training": self._shared_settings,
            "budget": asdict(self._budget),
            "command": _command(sys.argv),
            "finished": finished,
        }
        write_info(self.folder, info, self._learner.packages)

    def _open(self, resume: bool) -> None:
        """Makes the folder, and restores the last checkpoint if the run is resumed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not resume:
            # the checkpoint of an earlier run must not be resumed as if it were this run's
            (self.folder / CHECKPOINT).unlink(missing_ok=True)
        elif (self.folder / CHECKPOINT).exists():
            self._restore()

    def _follow_first_rank(self) -> None:
        """Gives the learners of the other ranks the state of rank 0's."""
        if self.ranks.size == 1:
            return
        state = self.ranks.first_ones(self._learner.checkpoint())
        if not self.ranks.is_first:
            self._learner.restore(state)

    def _restore(self) -> None:
        """Restores learner, history and time spent from the checkpoint."""
        path = self.folder / CHECKPOINT
        try:
            self._learner.restore(load_file(path))
        except Exception as error:  # torch and safetensors raise errors of many types
            reason = str(error).splitlines()[0]
            raise EmbodiedError(
                f"the checkpoint {path} does not fit: {reason}"
            ) from error

        # after a kill the history may be missing, or newer than the checkpoint
        rows = read_history(self.folder) if (self.folder / HISTORY).exists() else []
        steps = self._learner.steps
        self.history = [row for row in rows if row["steps"] <= steps]
        if self.history:
            last = self.history[-1]
            self._earlier_s = last["seconds"]
            # runs of version 0.1 did not store it
            self._earlier_processor_s = last.get("processor_s", 0.0)


def _command(argv: Sequence[str]) -> str:
    """Returns the command that trains, with torchrun if it started several processes."""
    launch = this_launch()
    return command_line(argv) if launch.ranks == 1 else launch.command(argv[1:])
