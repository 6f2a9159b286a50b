"""Recording episodes on other machines.

A machine that has access to the dataset's folder writes its episodes there, like a
process of this machine. Any other machine sends its episodes back as bytes.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from embodied.datasets.storage import parts_folder
from embodied.files import replace_bytes
from embodied.rollout.executor import Executor
from embodied.rollout.shards import Report

# Name of a file in the folder of parts. From its content, the mark, another machine knows
# that it has access to the same folder.
MARK_FILE = ".shared"
T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class RecordingWork(Protocol[T_co]):
    """A dataclass that records episodes into the collection of the dataset at `path`."""

    @property
    def path(self) -> Path:
        """The path of the dataset."""

    def __call__(self, seeds: Sequence[int], report: Report) -> Sequence[T_co]:
        """Records one episode per seed; reports each episode once its file is written."""


@dataclass(frozen=True)
class ShippedFile:
    """A file of an unfinished collection that another machine sends."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Shipping(Generic[T]):
    """Recording work for another machine, which sends its files if necessary.

    Attributes:
        work: the work that records, with an absolute path.
        mark: the content of `MARK_FILE` in the folder of parts.
    """

    work: RecordingWork[T]
    mark: str

    def __call__(self, seeds: Sequence[int], report: Report) -> Sequence[T]:
        """Records the episodes of some seeds; runs on a machine of the cluster.

        If this machine has access to the dataset's folder, the work writes there. If not,
        the files are sent through `report`.

        Args:
            seeds: the seeds of the episodes.
            report: a function that sends its argument to the process that collects.
        """
        if self._shares_folder():
            return self.work(seeds, report)

        # record to a temporary folder, and send each file as soon as it is written
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / self.work.path.name
            parts = parts_folder(path)
            parts.mkdir()

            def send_files(item: Any) -> None:
                """Sends the files written so far, and then reports an item of the work."""
                # the reported episode is written, and the next one has not begun
                for file in sorted(parts.iterdir()):
                    report(ShippedFile(file.name, file.read_bytes()))
                    file.unlink()
                report(item)

            return _with_path(self.work, path)(seeds, send_files)

    def _shares_folder(self) -> bool:
        """Returns whether this machine has access to the collection's folder.

        This machine may have another folder with the same path, so the mark is compared.
        """
        file = parts_folder(self.work.path) / MARK_FILE
        try:
            return file.read_text(encoding="utf-8") == self.mark
        except OSError:
            return False


def run_recording(
    executor: Executor,
    work: RecordingWork[T],
    seeds: Sequence[int],
    report: Report,
    at_once: int,
) -> list[T]:
    """Runs recording work on an executor, and returns its results.

    The episodes' files end up in the collection's folder, even if the executor's machines
    have no access to this folder.

    Args:
        executor: the executor that runs the work.
        work: the work that records the episodes of some seeds.
        seeds: one seed for each episode.
        report: a function that is called with what the work reports while it runs.
        at_once: the number of seeds that are worked on together, see `Executor.run`.
    """
    if executor.shares_files:
        return executor.run(work, seeds, report, at_once)

    # a relative path would mean another folder on other machines
    path = work.path.absolute()
    with _marked(path) as mark:
        shipping = Shipping(_with_path(work, path), mark)
        return executor.run(shipping, seeds, receiving(path, report), at_once)


def receiving(path: Path, report: Report) -> Callable[[Any], None]:
    """Returns a `Report` that writes received files to the collection's folder.

    Args:
        path: the path of the dataset.
        report: a function that is called with everything else that is reported.
    """

    def receive(item: Any) -> None:
        """Writes a received file; passes everything else on to `report`."""
        if not isinstance(item, ShippedFile):
            report(item)
            return
        # only the name is used, so that no received path leads out of the folder
        replace_bytes(parts_folder(path) / Path(item.name).name, item.content)

    return receive


@contextmanager
def _marked(path: Path) -> Iterator[str]:
    """Keeps a mark in the collection's folder while the block runs; yields the mark."""
    mark = uuid.uuid4().hex
    file = parts_folder(path) / MARK_FILE
    replace_bytes(file, mark.encode())
    try:
        yield mark
    finally:
        file.unlink(missing_ok=True)


def _with_path(work: RecordingWork[T], path: Path) -> RecordingWork[T]:
    """Returns the same work for another path."""
    moved: Any = replace(work, path=path)  # type: ignore[type-var]
    return moved
