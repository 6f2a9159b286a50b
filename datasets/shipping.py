"""Recording episodes on other machines.

A machine that shares the dataset's folder writes its episodes there, like a process of
this machine. Any other machine sends them back as bytes.
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

# File in the folder of parts, by whose content another machine recognises the folder.
MARK = ".shared"
T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class RecordingWork(Protocol[T_co]):
    """Work that records episodes into the collection for `path`; a dataclass."""

    @property
    def path(self) -> Path:
        """The path of the dataset."""

    def __call__(self, seeds: Sequence[int], report: Report) -> Sequence[T_co]:
        """Records one episode per seed, and reports each once its files are written."""


@dataclass(frozen=True)
class ShippedFile:
    """A file of an unfinished collection, sent from another machine."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Shipping(Generic[T]):
    """Recording work on another machine, which sends its files if it must.

    Attributes:
        work: the work that records, with an absolute path.
        mark: the content of the file `MARK` in the folder of parts.
    """

    work: RecordingWork[T]
    mark: str

    def __call__(self, seeds: Sequence[int], report: Report) -> Sequence[T]:
        """Records some seeds on a machine of the cluster; `report` goes to our process.

        If this machine sees the dataset's folder, the work writes there itself. If not, the
        files travel through `report`.
        """
        if self._shares_folder():
            return self.work(seeds, report)

        # record to a temporary folder, and send each file as soon as it is written
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / self.work.path.name
            parts = parts_folder(path)
            parts.mkdir()

            def ship(item: Any) -> None:
                """Sends the files written so far, and then passes on what the work reports."""
                # the files of the reported episode are complete, and no other is begun
                for file in sorted(parts.iterdir()):
                    report(ShippedFile(file.name, file.read_bytes()))
                    file.unlink()
                report(item)

            return _with_path(self.work, path)(seeds, ship)

    def _shares_folder(self) -> bool:
        """Returns whether this machine has access to the collection's folder.

        A folder of its own with the same path does not count, so the mark is compared.
        """
        file = parts_folder(self.work.path) / MARK
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

    The files end up in the collection's folder, even if the executor's machines do not
    share it: a marker file tells them whether they see the same folder.

    Args:
        executor: runs the work.
        work: records the episodes of some seeds.
        seeds: one for each episode.
        report: called with what is reported while the work runs.
        at_once: number of seeds that are worked on together, see `Executor.run`.
    """
    if executor.shares_files:
        return executor.run(work, seeds, report, at_once)

    # other machines have another working directory
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
        """Writes a file that was sent; passes on everything else that is reported."""
        if not isinstance(item, ShippedFile):
            report(item)
            return
        # only the name is used, so that no received path leads out of the folder
        replace_bytes(parts_folder(path) / Path(item.name).name, item.content)

    return receive


@contextmanager
def _marked(path: Path) -> Iterator[str]:
    """Marks the folder of parts while the block runs; yields the mark."""
    mark = uuid.uuid4().hex
    file = parts_folder(path) / MARK
    replace_bytes(file, mark.encode())
    try:
        yield mark
    finally:
        file.unlink(missing_ok=True)


def _with_path(work: RecordingWork[T], path: Path) -> RecordingWork[T]:
    """Returns the same work for another path."""
    moved: Any = replace(work, path=path)  # type: ignore[type-var]
    return moved
