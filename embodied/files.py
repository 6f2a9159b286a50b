"""Writes files atomically: a reader, or a killed process, never sees half a file.

All files of this package are written by this module.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embodied.errors import EmbodiedError


class WriteError(EmbodiedError):
    """The operating system refused to write a file, e.g. because the disk is full."""

    def __init__(self, path: Path, error: OSError) -> None:
        reason = error.strerror or str(error)
        super().__init__(f"cannot write {path}: {reason}. What was whole is kept.")


def replace_text(path: Path, text: str) -> None:
    """Writes a text file as UTF-8, atomically and durably (see `replacing`).

    Durable means that a power cut after the call does not lose the file.
    """
    # a path in the text may contain bytes that are not UTF-8
    replace_bytes(path, text.encode(errors="backslashreplace"))


def replace_bytes(path: Path, content: bytes) -> None:
    """Writes a file atomically and durably (see `replacing`)."""
    with replacing(path) as temporary:
        try:
            temporary.write_bytes(content)
        except OSError as error:
            raise WriteError(path, error) from error


@contextmanager
def replacing(path: Path, temporary: Path | None = None) -> Iterator[Path]:
    """Yields the path of a temporary file, which replaces `path` after the block.

    If the block raises, `path` stays unchanged and the temporary file is removed.

    Args:
        path: The file to replace; its folder exists.
        temporary: The path to write to, on the same file system. By default it is
            beside `path` with a fixed name, so that killed processes leave at most one
            such file.

    Raises:
        WriteError: The file cannot be written to the disk, or not be renamed.
    """
    temporary = temporary or path.with_name(f".{path.name}.tmp")
    try:
        yield temporary
        put_in_place(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def put_in_place(temporary: Path, path: Path) -> None:
    """Renames a finished file, durably; raises WriteError if that fails."""
    # The content must reach the disk before the new name does, else a power cut could
    # leave an empty file. The new name is part of the folder, which is synced last.
    try:
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)
    except OSError as error:
        raise WriteError(path, error) from error


def sync(path: Path) -> None:
    """Waits until a file's content, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
