"""HDF5 files that are written in steps, so that a killed writing can go on.

HDF5 keeps no journal. So each step opens the file anew, and what it overwrites of the
steps before is kept in `<temporary>.undo` until the step is done. Whoever goes on after a
kill first takes the step back that it fell in. Each step begins with a file that was
closed, so the bytes at the end do not tell whether the writing was ever killed.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from embodied import files
from embodied.datasets.h5_files import NewFile, Undo, open_for_writing
from embodied.datasets.schema import DatasetError
from embodied.interrupts import CtrlCKept, ctrl_c_kept

ITEMS_PER_STEP = 100
# where overwritten bytes were, how many, and their checksum; they follow it
RECORD = struct.Struct("<QII")
PAGE = 4096  # bytes that are kept at once


class GrowingFile:
    """A file that is written step by step.

    Attributes:
        done: how many items the finished steps have written.
    """

    def __init__(
        self, path: Path, temporary: Path, identity: str, ctrl_c: CtrlCKept
    ) -> None:
        self.done = 0
        self._path = path
        self._temporary = temporary
        self._identity = identity
        self._ctrl_c = ctrl_c
        self._undo_path = undo_path(temporary)

    def go_on(self) -> None:
        """Takes the step back that a kill fell in; begins anew where nothing is left.

        Raises:
            DatasetError: what is there is of another writing.
        """
        kept = _read_undo(self._undo_path)
        if kept is None or not self._temporary.exists():
            return
        begin, records = kept
        if begin["identity"] != self._identity:
            raise DatasetError(
                f"{self._temporary} was begun with other sources or other flags: "
                "--overwrite to begin anew"
            )
        descriptor = os.open(self._temporary, os.O_RDWR)
        try:
            for position, content in records:
                os.pwrite(descriptor, content, position)
            os.ftruncate(descriptor, begin["size"])
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.done = begin["done"]

    def steps(self, total: int) -> Iterator[tuple[int, int]]:
        """Yields where each step begins and ends that is left of `total` items.

        Without items there is one step all the same, which makes the file.
        """
        for first in range(self.done, max(total, 1), ITEMS_PER_STEP):
            yield first, min(first + ITEMS_PER_STEP, total)

    @contextmanager
    def step(self, done: int) -> Iterator[NewFile]:
        """Yields the open file; if the block succeeds, `done` items are in it.

        Raises:
            WriteError: something could not be written.
        """
        size = self._temporary.stat().st_size if self.done else 0
        self._note(size)
        undo = _UndoFile(self._undo_path, size)
        try:
            with open_for_writing(
                self._path, self._temporary, self._ctrl_c, undo if size else None
            ) as new:
                yield new
        finally:
            undo.close()
        self.done = done
        self._note(self._temporary.stat().st_size)

    def _note(self, size: int) -> None:
        """Notes that a step has ended, so that nothing before it is taken back."""
        begin = {"identity": self._identity, "size": size, "done": self.done}
        files.replace_bytes(self._undo_path, json.dumps(begin).encode() + b"\n")


@contextmanager
def growing_file(
    path: Path,
    temporary: Path,
    identity: Any,
    resume: bool,
    finish: Callable[[Path], None] | None = None,
) -> Iterator[GrowingFile]:
    """Yields a file to write in steps, which is put at `path` if the block succeeds.

    What is written stays at `temporary` after a kill or Ctrl-C, and is removed after any
    other end.

    Args:
        path: the file to replace.
        temporary: where it is written, on the same file system, by this name alone.
        identity: JSON that tells whether two writings give the same file.
        resume: whether to go on with what is there.
        finish: is called with its place, before it is put at `path`.

    Raises:
        DatasetError: to be resumed is a writing of another identity.
        WriteError: something could not be written; `path` is as it was.
    """
    undo = undo_path(temporary)
    with ctrl_c_kept() as ctrl_c:
        text = json.dumps(identity).encode()
        digest = hashlib.blake2b(text, digest_size=16).hexdigest()
        growing = GrowingFile(path, temporary, digest, ctrl_c)
        if resume:
            growing.go_on()
        try:
            yield growing
            if finish is not None:
                finish(temporary)
            files.put_in_place(temporary, path)
            undo.unlink(missing_ok=True)
        except KeyboardInterrupt:
            raise
        except BaseException:
            temporary.unlink(missing_ok=True)
            undo.unlink(missing_ok=True)
            raise


def undo_path(temporary: Path) -> Path:
    """Returns where a step keeps what it overwrites."""
    return temporary.with_name(f"{temporary.name}.undo")


class _UndoFile(Undo):
    """Keeps what a step overwrites of what was there before it."""

    def __init__(self, path: Path, size: int) -> None:
        self._file = path.open("ab")
        self._size = size
        self._kept: set[int] = set()  # pages

    def keep(self, descriptor: int, position: int, length: int) -> None:
        """Keeps the old bytes, durably, of pages that are to be overwritten."""
        end = min(position + length, self._size)
        pages = range(position // PAGE, -(-end // PAGE))
        missing = [page for page in pages if page not in self._kept]
        for page in missing:
            start = page * PAGE
            content = os.pread(descriptor, min(PAGE, self._size - start), start)
            self._file.write(RECORD.pack(start, len(content), zlib.crc32(content)))
            self._file.write(content)
            self._kept.add(page)
        if missing:
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def _read_undo(path: Path) -> tuple[dict[str, Any], list[tuple[int, bytes]]] | None:
    """Returns how a step began, and what it overwrote; None if there is nothing."""
    with suppress(OSError, ValueError, KeyError):
        content = path.read_bytes()
        line, _, rest = content.partition(b"\n")
        begin = json.loads(line)
        if not isinstance(begin["size"], int) or not isinstance(begin["done"], int):
            return None
        return begin, list(_records(rest))
    return None


def _records(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields the records up to one that was not finished, and so not used."""
    place = 0
    while place + RECORD.size <= len(content):
        position, length, crc = RECORD.unpack_from(content, place)
        place += RECORD.size
        block = content[place : place + length]
        if len(block) != length or zlib.crc32(block) != crc:
            return
        yield position, block
        place += length
