"""A disk that is as full as a test wants it."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZE_BYTES = 32 * 2**20
FILLER = ".filler"


class SmallDisk:
    """A folder with little room: a disk of its own where tests may mount one.

    Elsewhere the system refuses files that are larger than the room.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "tmpfs", folder]
        try:
            subprocess.run(command, check=True, capture_output=True)
            self.is_mounted = True
        except (OSError, subprocess.CalledProcessError):
            self.is_mounted = False

    @contextmanager
    def with_room(self, room_bytes: int) -> Iterator[None]:
        """Leaves this much room within the block."""
        if not self.is_mounted:
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (room_bytes, hard))
            try:
                yield
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            return

        facts = os.statvfs(self.folder)
        free_bytes = facts.f_bavail * facts.f_bsize
        filler = self.folder / FILLER
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, free_bytes - room_bytes)
        try:
            yield
        finally:
            filler.unlink()

    def close(self) -> None:
        """Gives the disk back."""
        if self.is_mounted:
            subprocess.run(["umount", self.folder], check=True)


def contents(folder: Path) -> dict[str, bytes]:
    """Returns the content of every file below a folder, but for the filler."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(files)
        if path.name != FILLER
    }
