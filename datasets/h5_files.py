"""Opening and writing HDF5 files. Only this module calls `h5py.File`.

Files are not locked: some network drives refuse locks, and none are needed, since a file
is renamed to its final path only once it is complete.

The HDF5 library is never told that a write has failed, because it cannot close a file
after a failed write, and may crash the process. So new files are written through a
`_Sink`, which remembers the failure until `NewFile.check` raises it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np

from embodied import files
from embodied.datasets.schema import H5
from embodied.datasets.trial import require_end
from embodied.interrupts import CtrlCKept, ctrl_c_kept

# The oldest and the newest file format that HDF5 may use to write. All current tools read
# the format of HDF5 1.10. It has checksums on all metadata, so damaged metadata give an
# error, whereas in older formats they may cause an endless loop in the library.
FILE_FORMATS = ("v110", "v110")


def open_to_read(path: Path, is_foreign: bool = False) -> H5:
    """Opens an HDF5 file for reading, also while other processes read it.

    Args:
        path: the file's path.
        is_foreign: whether another tool wrote the file.

    Raises:
        OSError: the file cannot be opened.
        DatasetError: the HDF5 library would loop or crash, see `trial.require_end`.
    """
    require_end(path, is_foreign)
    return h5py.File(path, "r", locking=False)


def references_to(positions: Sequence[int]) -> list[h5py.Reference]:
    """Returns references with which a file opens objects by their positions.

    h5py makes references to objects that it has found by name only. So references to
    nothing are written to a file in memory, and the positions put in their place.

    Args:
        positions: the positions in a file at which the headers of objects begin.
    """
    if not positions:
        return []
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        nothing = [h5py.Reference()] * len(positions)
        array = file.create_dataset("references", data=nothing, dtype=h5py.ref_dtype)
        begin = array.id.get_offset()

    content = bytearray(memory.getvalue())
    stored = np.array(positions, "<u8").tobytes()
    content[begin : begin + len(stored)] = stored
    with h5py.File(io.BytesIO(content), "r") as file:
        references: list[h5py.Reference] = list(file["references"][()])
    return references


def write_text(item: H5, name: str, text: str) -> None:
    """Writes a text attribute of a group or array, as a string of fixed length.

    HDF5 stores strings of variable length in a heap without checksums. If the heap is
    damaged, the library may search it in an endless loop.
    """
    content = text.encode()
    kind = h5py.string_dtype("utf-8", max(len(content), 1))
    item.attrs[name] = np.array(content, kind)


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
        """Raises the errors that were held back since the last call.

        Call this method regularly, because data that cannot be written stay in memory.

        Raises:
            WriteError: something could not be written.
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        self._ctrl_c.check()
        self._sink.check(self._path)

    def end_episode(self) -> None:
        """Writes all that HDF5 still holds back, as `check` raises errors.

        Tables of attributes and members get their place in the file only then. So they
        lie behind their episode, and an episode before the cut of a truncated file is
        whole.

        Raises:
            WriteError: something could not be written.
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        self.h5.flush()
        self.check()


@contextmanager
def new_file(
    path: Path, temporary: Path, finish: Callable[[Path], None] | None = None
) -> Iterator[NewFile]:
    """Yields a new HDF5 file that is renamed to `path` if the block succeeds.

    Ctrl-C takes effect at the next `check`, or at the end of the block.

    Args:
        path: the file to replace.
        temporary: the path at which the file is written, on the same file system.
        finish: a function that is called with `temporary` after the file was closed,
            before it is renamed.

    Raises:
        WriteError: something could not be written; `path` is left as it was.
    """
    with ctrl_c_kept() as ctrl_c, files.replacing(path, temporary):
        with open_for_writing(path, temporary, ctrl_c) as new:
            yield new
        if finish is not None:
            finish(temporary)


class Undo(Protocol):
    """Saves the bytes of a file before they are overwritten or cut off."""

    def keep(self, descriptor: int, position: int, length: int) -> None:
        """Saves bytes that are about to be overwritten or cut off.

        Args:
            descriptor: the descriptor of the open file.
            position: the position of the first byte in the file.
            length: the number of bytes.

        Raises:
            OSError: the bytes cannot be saved.
        """


@contextmanager
def open_for_writing(
    path: Path, actual_path: Path, ctrl_c: CtrlCKept, undo: Undo | None = None
) -> Iterator[NewFile]:
    """Yields an HDF5 file that is open for writing.

    Args:
        path: the path that errors name.
        actual_path: the path at which the file is written.
        ctrl_c: tells whether Ctrl-C was pressed.
        undo: the object that saves bytes of an existing file before they are overwritten;
            None to create a new file.

    Raises:
        WriteError: something could not be written.
    """
    try:
        sink = _Sink(actual_path, undo)
    except OSError as error:
        raise files.WriteError(path, error) from error

    mode = "w" if undo is None else "r+"
    file = h5py.File(sink, mode, locking=False, libver=FILE_FORMATS)
    new = NewFile(file, path, sink, ctrl_c)
    try:
        yield new
    finally:
        new.h5.close()  # HDF5 writes its buffers to the sink now
        sink.close()
    sink.check(path)


class _Sink(io.RawIOBase):
    """A file whose writes never fail: data that cannot be written stays in memory.

    HDF5 uses it as a Python file object, and may read back what it has written.

    Attributes:
        error: the first failure; None if there was none.
    """

    def __init__(self, path: Path, undo: Undo | None = None) -> None:
        """Opens an existing file if `undo` is given, otherwise creates a new file."""
        self.error: OSError | None = None
        self._undo = undo
        flags = os.O_RDWR if undo is not None else os.O_RDWR | os.O_CREAT | os.O_TRUNC
        # 0o666: the usual permissions of a new file, before the user's umask
        self._descriptor = os.open(path, flags, 0o666)
        self._position = 0
        self._size = os.fstat(self._descriptor).st_size
        self._unwritten: list[tuple[int, bytes]] = []  # (position, content)

    def check(self, path: Path) -> None:
        """Raises WriteError, which names `path`, if something could not be written."""
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
        """Writes at the current position; returns the number of all given bytes.

        Bytes that cannot be written stay in memory, and count as written.
        """
        block = memoryview(content).cast("B")
        if self.error is None:
            self._try_to_write(block)
        if self.error is not None:
            self._unwritten.append((self._position, bytes(block)))

        self._position += len(block)
        self._size = max(self._size, self._position)
        return len(block)

    def _try_to_write(self, block: memoryview) -> None:
        """Writes at the current position; sets `error` if that fails."""
        num_written = 0
        try:
            if self._undo is not None:
                self._undo.keep(self._descriptor, self._position, len(block))
            # one call may write only some of the bytes, above all on a nearly full disk
            while num_written < len(block):
                position = self._position + num_written
                rest = block[num_written:]
                num_written += os.pwrite(self._descriptor, rest, position)
        except OSError as error:
            self.error = error

    def readinto(self, buffer: Any) -> int:
        """Reads bytes at the current position; bytes that were never written are zeros."""
        block = memoryview(buffer).cast("B")
        num_read = 0
        try:
            num_read = os.preadv(self._descriptor, [block], self._position)
        except OSError as error:
            self.error = self.error or error
        block[num_read:] = bytes(len(block) - num_read)

        # Copy the bytes that are in memory, because they could not be written: the part
        # from `low` to `high` in the file, in which they and the requested bytes overlap.
        begin = self._position
        end = begin + len(block)
        for start, content in self._unwritten:
            low = max(begin, start)
            high = min(end, start + len(content))
            if low < high:
                block[low - begin : high - begin] = content[low - start : high - start]

        self._position = end
        return len(block)

    def truncate(self, size: int | None = None) -> int:
        """Makes the file `size` bytes long, by default up to the position; returns the size."""
        # save the bytes that are cut off, before they are lost
        old_size = self._size
        self._size = self._position if size is None else size
        try:
            if self._undo is not None and self._size < old_size:
                num_cut = old_size - self._size
                self._undo.keep(self._descriptor, self._size, num_cut)
            os.ftruncate(self._descriptor, self._size)
        except OSError as error:
            self.error = self.error or error
        return self._size

    def close(self) -> None:
        """Closes the file. A network drive may report failed writes only now."""
        if self.closed:
            return

        for finish in (os.fsync, os.close):
            try:
                finish(self._descriptor)
            except OSError as error:
                self.error = self.error or error
        super().close()
