"""Files that are replaced whole: no reader, and no kill, ever leaves half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def replace_text(path: Path, text: str) -> None:
    """Writes a text file as UTF-8, in one step and durably."""
    replace_bytes(path, text.encode())


def replace_bytes(path: Path, content: bytes) -> None:
    """Writes a file in one step and durably."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


@contextmanager
def replacing(path: Path, temporary: Path | None = None) -> Iterator[Path]:
    """Yields the path to write to; it becomes `path` when the block succeeds.

    When the block fails, `path` stays as it was and the temporary file is removed.

    Args:
        path: The file to replace; its folder exists.
        temporary: The file to write first, on the same file system. By default it
            lies beside `path` and always has the same name, so that a kill leaves one
            at most.
    """
    temporary = temporary or path.with_name(f".{path.name}.tmp")
    try:
        yield temporary

        # The content must be on the disk before its name is, or a power cut could
        # leave an empty file under it.
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Waits until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
