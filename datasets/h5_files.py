"""HDF5 files, opened and written in the one place that calls `h5py.File`.

Files are never locked: some network drives refuse locks, and none are needed, since a
file is whole before it has its name. And the HDF5 library is never told that a write
failed: it cannot close a file whose last writes fail, and may end the process. So new
files go through a `_Sink`, which keeps the failure for later.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import h5py

from embodied import files
from embodied.datasets.schema import H5
from embodied.interrupts import CtrlCKept, ctrl_c_kept


def open_to_read(path: Path) -> H5:
    """Opens an HDF5 file for reading, also while another process holds it."""
    return h5py.File(path, "r", locking=False)


@dataclass(frozen=True)
class NewFile:
    """An HDF5 file that is being written.

    Attributes:
        h5: the open file.
    """

    h5: H5
    _path: Path
    _sink: _Sink
    _ctrl_c: CtrlCKept

    def check(self) -> None:
        """Stops the writing where it has failed, or where Ctrl-C was pressed.

        Call it now and then: until then, what cannot be written is kept in memory.

        Raises:
            WriteError: something could not be written.
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        self._ctrl_c.check()
        self._sink.check(self._path)


@contextmanager
def new_file(
    path: Path, temporary: Path, finish: Callable[[Path], None] | None = None
) -> Iterator[NewFile]:
    """Yields a new HDF5 file that is put at `path` if the block succeeds.

    Ctrl-C waits for the next `check`, or for the end of the block.

    Args:
        path: the file to replace.
        temporary: where it is written, on the same file system.
        finish: is called with its place when it is closed, before it is put at `path`.

    Raises:
        WriteError: something could not be written; `path` is as it was.
    """
    with ctrl_c_kept() as ctrl_c, files.replacing(path, temporary):
        with open_for_writing(path, temporary, ctrl_c) as new:
            yield new
        if finish is not None:
            finish(temporary)


class Undo(Protocol):
    """Keeps what is overwritten of a file."""

    def keep(self, descriptor: int, position: int, length: int) -> None:
        """Is called before bytes of the open file are overwritten or cut off.

        Raises:
            OSError: they cannot be kept.
        """


@contextmanager
def open_for_writing(
    path: Path, place: Path, ctrl_c: CtrlCKept, undo: Undo | None = None
) -> Iterator[NewFile]:
    """Yields an HDF5 file that is open for writing.

    Args:
        path: what errors name.
        place: where it lies.
        ctrl_c: tells whether Ctrl-C was pressed.
        undo: keeps what is overwritten of the file that is there; None for a new one.

    Raises:
        WriteError: something could not be written.
    """
    try:
        sink = _Sink(place, undo)
    except OSError as error:
        raise files.WriteError(path, error) from error

    mode = "w" if undo is None else "r+"
    new = NewFile(h5py.File(sink, mode, locking=False), path, sink, ctrl_c)
    try:
        yield new
    finally:
        new.h5.close()  # writes what HDF5 still holds back to the sink
        sink.close()
    sink.check(path)


class _Sink(io.RawIOBase):
    """A file in which no write fails: what cannot be written stays in memory.

    HDF5 uses it as a Python file object, and may read back what it has written.

    Attributes:
        error: the first failure; None so far.
    """

    def __init__(self, path: Path, undo: Undo | None = None) -> None:
        self.error: OSError | None = None
        self._undo = undo
        flags = os.O_RDWR if undo is not None else os.O_RDWR | os.O_CREAT | os.O_TRUNC
        self._descriptor = os.open(path, flags, 0o666)
        self._position = 0
        self._size = os.fstat(self._descriptor).st_size
        self._unwritten: list[tuple[int, bytes]] = []  # (position, content)

    def check(self, path: Path) -> None:
        """Raises WriteError if something could not be written; `path` is its place."""
        if self.error is not None:
            raise files.WriteError(path, self.error) from self.error

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves to a position; returns it."""
        origins = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}
        self._position = origins[whence] + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def write(self, content: Any) -> int:
        """Writes at the present position; returns how many bytes were given."""
        block = memoryview(content).cast("B")
        if self.error is None:
            self._try_to_write(block)
        if self.error is not None:
            self._unwritten.append((self._position, bytes(block)))

        self._position += len(block)
        self._size = max(self._size, self._position)
        return len(block)

    def _try_to_write(self, block: memoryview) -> None:
        """Writes at the present position, or sets `error`."""
        # The system may write less than it was given, above all when space runs out.
        done = 0
        try:
            if self._undo is not None:
                self._undo.keep(self._descriptor, self._position, len(block))
            while done < len(block):
                position = self._position + done
                done += os.pwrite(self._descriptor, block[done:], position)
        except OSError as error:
            self.error = error

    def readinto(self, buffer: Any) -> int:
        """Reads what HDF5 wrote; places that were never written hold zeros."""
        block = memoryview(buffer).cast("B")
        count = 0
        try:
            count = os.preadv(self._descriptor, [block], self._position)
        except OSError as error:
            self.error = self.error or error
        block[count:] = bytes(len(block) - count)

        # What could not be written to the file is in memory: copy where they overlap.
        first = self._position
        last = first + len(block)
        for start, content in self._unwritten:
            low = max(first, start)
            high = min(last, start + len(content))
            if low < high:
                block[low - first : high - first] = content[low - start : high - start]

        self._position = last
        return len(block)

    def truncate(self, size: int | None = None) -> int:
        """Makes the file `size` bytes long; returns the size."""
        before = self._size
        self._size = self._position if size is None else size
        try:
            if self._undo is not None and self._size < before:
                cut = before - self._size
                self._undo.keep(self._descriptor, self._size, cut)
            os.ftruncate(self._descriptor, self._size)
        except OSError as error:
            self.error = self.error or error
        return self._size

    def close(self) -> None:
        """Closes the file; a network drive may report only here what failed."""
        if self.closed:
            return

        for finish in (os.fsync, os.close):
            try:
                finish(self._descriptor)
            except OSError as error:
                self.error = self.error or error
        super().close()
