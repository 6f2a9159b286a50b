"""Recording episodes on other machines.

Where a machine sees the folder of the dataset, it writes its episodes there, as a
process of this machine does. Where it does not, they come as bytes.
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

MARK = ".shared"
T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class RecordingWork(Protocol[T_co]):
    """Work that records episodes into the collection for `path`; a dataclass."""

    @property
    def path(self) -> Path:
        """Of the dataset."""

    def __call__(self, seeds: Sequence[int], report: Report) -> Sequence[T_co]:
        """Records an episode per seed; reports each when its files are whole."""


@dataclass(frozen=True)
class ShippedFile:
    """A file of an unfinished collection, on its way."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Shipping(Generic[T]):
    """Work on another machine: files are sent where the folder is not shared.

    Attributes:
        work: what records, with an absolute path.
        mark: what the file MARK in the folder of parts holds.
    """

    work: RecordingWork[T]
    mark: str

    def __call__(self, seeds: Sequence[int], report: Report) -> Sequence[T]:
        if self._sees_folder():
            return self.work(seeds, report)

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / self.work.path.name
            parts = parts_folder(path)
            parts.mkdir()

            def ship(item: Any) -> None:
                # What is reported has its files written, and no other is begun.
                for file in sorted(parts.iterdir()):
                    report(ShippedFile(file.name, file.read_bytes()))
                    file.unlink()
                report(item)

            return _at(self.work, path)(seeds, ship)

    def _sees_folder(self) -> bool:
        """Returns whether this machine sees the very folder of the collection.

        A folder of the same name is not enough.
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
    """Returns what `Executor.run` returns for work that records episodes."""
    if executor.shares_files:
        return executor.run(work, seeds, report, at_once)

    path = work.path.absolute()
    with _marked(path) as mark:
        shipping = Shipping(_at(work, path), mark)
        return executor.run(shipping, seeds, receiving(path, report), at_once)


def receiving(path: Path, report: Report) -> Callable[[Any], None]:
    """Returns a report that puts shipped files where they belong."""

    def receive(item: Any) -> None:
        if not isinstance(item, ShippedFile):
            report(item)
            return
        # the name alone: whatever comes from elsewhere stays in this folder
        replace_bytes(parts_folder(path) / Path(item.name).name, item.content)

    return receive


@contextmanager
def _marked(path: Path) -> Iterator[str]:
    """Yields what the folder of parts is marked with while the block runs."""
    mark = uuid.uuid4().hex
    file = parts_folder(path) / MARK
    replace_bytes(file, mark.encode())
    try:
        yield mark
    finally:
        file.unlink(missing_ok=True)


def _at(work: RecordingWork[T], path: Path) -> RecordingWork[T]:
    """Returns the work with another path."""
    moved: Any = replace(work, path=path)  # type: ignore[type-var]
    return moved
