"""Sends the figures of a training to TensorBoard, Weights & Biases or Trackio."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from embodied.cli.progress import TrainingProgress
from embodied.closing import ClosedOnExit
from embodied.errors import EmbodiedError

# Packages with a common interface (init, log, finish) -> their argument of `pip install`.
# Trackio is no extra of this package, because it needs an older Pillow than
# constraints.txt has.
TRACKERS = {"wandb": "'embodied-ground[wandb]'", "trackio": "trackio"}
PROJECT = "embodied-ground"
EVENTS = "events.out.tfevents.*"  # TensorBoard's files in a run folder
# column of a row that is its position on the axis, and not a figure
STEP = "steps"
Log = Callable[[Mapping[str, Any]], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds --log."""
    parser.add_argument(
        "--log",
        metavar="WHERE",
        help=f"send the figures to {' or '.join(TRACKERS)}, through its own package; "
        "events for TensorBoard are written where it is installed",
    )


def require_tracker(name: str | None) -> None:
    """Raises EmbodiedError unless the tracker is known and installed; None is valid."""
    if name is None:
        return
    if name not in TRACKERS:
        raise EmbodiedError(f"--log must be {' or '.join(TRACKERS)}, not {name!r}")
    if importlib.util.find_spec(name) is None:
        raise EmbodiedError(
            f"--log {name} needs the package {name}, which is not installed: pip install "
            f"{TRACKERS[name]}"
        )


@contextmanager
def training_log(
    folder: Path, tracker: str | None, resume: bool, quiet: bool
) -> Iterator[Log]:
    """Yields a function that shows each row of figures, and sends it to all loggers.

    Args:
        folder: the folder of the run.
        tracker: one of TRACKERS; None for none.
        resume: whether the run is resumed.
        quiet: whether to show nothing.
    """
    with ExitStack() as stack:
        # the progress bar, TensorBoard if it is installed, and the tracker
        logs: list[Log] = [stack.enter_context(TrainingProgress(quiet))]
        if importlib.util.find_spec("tensorboard") is not None:
            events = TensorBoardEvents(folder, resume)
            logs.append(stack.enter_context(events))
        if tracker is not None:
            logs.append(stack.enter_context(_tracked(tracker, folder.name)))

        def log(row: Mapping[str, Any]) -> None:
            for write in logs:
                write(row)

        yield log


class TensorBoardEvents(ClosedOnExit):
    """Writes rows as events for TensorBoard, from the first row on."""

    def __init__(self, folder: Path, resume: bool) -> None:
        """Prepares to write to a run folder; removes old events unless `resume` is set."""
        self._folder = folder
        self._writer: Any = None
        if not resume:
            for file in folder.glob(EVENTS):
                file.unlink()

    def __call__(self, row: Mapping[str, Any]) -> None:
        """Writes a row of the training's figures to the tracker."""
        step = int(row[STEP])
        if self._writer is None:
            # imported here, because it takes a second
            from torch.utils.tensorboard import SummaryWriter

            # a resumed run repeats the steps after its checkpoint: drop their events
            self._writer = SummaryWriter(str(self._folder), purge_step=step)
        for name, value in _figures(row).items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        """Writes buffered events, and closes the file."""
        if self._writer is not None:
            self._writer.close()


@contextmanager
def _tracked(name: str, run: str) -> Iterator[Log]:
    """Yields a function that sends rows of figures to a tracker.

    Each invocation of the command, also with --resume, is a new run in the tracker.

    Args:
        name: the name of the tracker, one of TRACKERS.
        run: the name of the run.
    """
    tracker = import_module(name)
    tracker.init(project=PROJECT, name=run)
    try:
        yield lambda row: tracker.log(_figures(row), step=int(row[STEP]))
    finally:
        tracker.finish()


def _figures(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != STEP}
