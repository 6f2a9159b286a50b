"""HDF5 files that are written in steps, so that writing can be resumed after a kill.

HDF5 has no journal, so this module keeps one: each step opens the file, and before it
overwrites bytes of earlier steps, it saves them to `<temporary>.undo`. Resuming undoes
the step that was killed, then continues. Every step starts from a properly closed file,
so the final bytes are the same whether or not the writing was interrupted.
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

ITEMS_PER_STEP = 100  # such as episodes; a killed step is repeated from its beginning
# The header of a record in the undo file: the position (uint64), number (uint32) and
# CRC-32 of the saved bytes, which follow the header.
RECORD = struct.Struct("<QII")
PAGE_BYTES = 4096  # bytes are saved in blocks of this size


class GrowingFile:
    """A file that is written step by step.

    Attributes:
        done: the number of items that the finished steps have written.

    Args:
        path: the path of the finished file, which errors name.
        temporary: the path at which the file is written.
        identity: a hash of everything that determines the file's content.
        ctrl_c: tells whether Ctrl-C was pressed.
    """

    def __init__(
        self, path: Path, temporary: Path, identity: str, ctrl_c: CtrlCKept
    ) -> None:
        """Begins with no items; nothing is written yet."""
        self.done = 0
        self._path = path
        self._temporary = temporary
        self._identity = identity
        self._ctrl_c = ctrl_c
        self._undo_path = undo_path(temporary)

    def resume(self) -> None:
        """Undoes the step that was killed, so that writing continues after the step before.

        If there is no file to resume, nothing happens: writing starts from the beginning.

        Raises:
            DatasetError: the file was begun with another identity.
        """
        undo = _read_undo(self._undo_path)
        if undo is None or not self._temporary.exists():
            return
        state_before, records = undo
        if state_before["identity"] != self._identity:
            raise DatasetError(
                f"{self._temporary} was begun with other sources or other flags: "
                "--overwrite to begin anew"
            )

        # restore the overwritten bytes, and cut off the appended bytes
        descriptor = os.open(self._temporary, os.O_RDWR)
        try:
            for position, content in records:
                os.pwrite(descriptor, content, position)
            os.ftruncate(descriptor, state_before["size"])
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        self.done = state_before["done"]

    def steps(self, total: int) -> Iterator[tuple[int, int]]:
        """Yields (first, end) for each remaining step, which writes items first to end - 1.

        If there are no items at all, there is one empty step, which creates the file.

        Args:
            total: the number of items in the finished file.
        """
        for first in range(self.done, max(total, 1), ITEMS_PER_STEP):
            yield first, min(first + ITEMS_PER_STEP, total)

    @contextmanager
    def step(self, done: int) -> Iterator[NewFile]:
        """Yields the open file for one step.

        Args:
            done: the number of items in the file after the step.

        Raises:
            WriteError: something could not be written.
        """
        # from now on, `resume` would undo this step
        size = self._temporary.stat().st_size if self.done else 0
        self._begin_undo(size)
        undo_file = _UndoFile(self._undo_path, size)
        # the first step creates the file, so there is nothing to undo
        undo = undo_file if size else None
        try:
            with open_for_writing(
                self._path, self._temporary, self._ctrl_c, undo
            ) as new:
                yield new
        finally:
            undo_file.close()
        # the step is finished, so `resume` must not undo it any more
        self.done = done
        self._begin_undo(self._temporary.stat().st_size)

    def _begin_undo(self, size: int) -> None:
        """Replaces the undo file by an empty one, so that the steps so far are final.

        Args:
            size: the present size of the growing file in bytes; undoing the next step
                cuts the file to this size.
        """
        state = {"identity": self._identity, "size": size, "done": self.done}
        files.replace_bytes(self._undo_path, json.dumps(state).encode() + b"\n")


@contextmanager
def growing_file(
    path: Path,
    temporary: Path,
    identity: Any,
    resume: bool,
    finish: Callable[[Path], None] | None = None,
) -> Iterator[GrowingFile]:
    """Yields a file to write in steps, which is renamed to `path` if the block succeeds.

    After a kill or Ctrl-C the unfinished file stays at `temporary`, to be resumed. After
    any other error it is removed.

    Args:
        path: the file to replace.
        temporary: the path at which the file is written, on the same file system.
            Nothing else may use this name.
        identity: a JSON value of everything that determines the file's content. Only a file of
            the same identity is resumed.
        resume: whether to resume an unfinished file.
        finish: a function that is called with `temporary`, before it is renamed.

    Raises:
        DatasetError: the unfinished file has another identity.
        WriteError: something could not be written; `path` is left as it was.
    """
    undo = undo_path(temporary)
    with ctrl_c_kept() as ctrl_c:
        text = json.dumps(identity).encode()
        digest = hashlib.blake2b(text, digest_size=16).hexdigest()
        growing = GrowingFile(path, temporary, digest, ctrl_c)
        if resume:
            growing.resume()
        try:
            yield growing
            if finish is not None:
                finish(temporary)
            files.put_in_place(temporary, path)
            undo.unlink(missing_ok=True)
        except KeyboardInterrupt:
            # keep the unfinished file, because it can be resumed
            raise
        except BaseException:
            temporary.unlink(missing_ok=True)
            undo.unlink(missing_ok=True)
            raise


def undo_path(temporary: Path) -> Path:
    """Returns the path at which a step saves the bytes that it overwrites."""
    return temporary.with_name(f"{temporary.name}.undo")


class _UndoFile(Undo):
    """Saves the bytes of earlier steps that a step overwrites.

    Args:
        path: the path of the undo file.
        size: the size of the growing file before the step; bytes beyond it need no
            saving.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._file = path.open("ab")
        self._size = size
        self._saved_pages: set[int] = set()  # by number: byte position / PAGE_BYTES

    def keep(self, descriptor: int, position: int, length: int) -> None:
        """Saves the pages that are about to be overwritten, and flushes them to disk."""
        end = min(position + length, self._size)
        end_page = -(-end // PAGE_BYTES)  # rounded up; the first page that is not saved
        pages = range(position // PAGE_BYTES, end_page)
        unsaved = [page for page in pages if page not in self._saved_pages]

        # a record of each page: position, length, checksum and content
        for page in unsaved:
            start = page * PAGE_BYTES
            num_bytes = min(PAGE_BYTES, self._size - start)
            content = os.pread(descriptor, num_bytes, start)
            self._file.write(RECORD.pack(start, len(content), zlib.crc32(content)))
            self._file.write(content)
            self._saved_pages.add(page)

        if unsaved:
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def _read_undo(path: Path) -> tuple[dict[str, Any], list[tuple[int, bytes]]] | None:
    """Returns the content of an undo file; None if it is missing or damaged.

    Returns:
        The state of the growing file before the step, a dictionary with `identity`, `size`
        and `done`; and the (position, content) of the bytes that the step overwrote.
    """
    # TypeError is raised if the first line is JSON, but no dictionary
    with suppress(OSError, ValueError, KeyError, TypeError):
        content = path.read_bytes()
        first_line, _, records = content.partition(b"\n")
        state = json.loads(first_line)
        if not isinstance(state["size"], int) or not isinstance(state["done"], int):
            return None
        return state, list(_records(records))
    return None


def _records(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields (position, content) of the saved bytes, from the records of an undo file.

    A kill may leave the last record incomplete. This record is dropped, because its
    bytes were not overwritten yet.
    """
    # `offset` is a position in the undo file, `position` is a position in the growing file
    offset = 0
    while offset + RECORD.size <= len(content):
        position, length, crc = RECORD.unpack_from(content, offset)
        offset += RECORD.size
        block = content[offset : offset + length]
        if len(block) != length or zlib.crc32(block) != crc:
            return
        yield position, block
        offset += length
