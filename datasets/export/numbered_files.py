"""The numbered files of a LeRobot dataset: `chunk-000/file-000`, `chunk-000/file-001`."""

from __future__ import annotations

from dataclasses import dataclass

FILES_PER_CHUNK = 1000


@dataclass(frozen=True)
class FileNumber:
    """The number of a file: the chunk (folder) that it is in, and its number there."""

    chunk: int = 0
    file: int = 0

    def next(self) -> FileNumber:
        """Returns the number of the next file."""
        if self.file == FILES_PER_CHUNK - 1:
            return FileNumber(self.chunk + 1, 0)
        return FileNumber(self.chunk, self.file + 1)

    def path(self, ending: str) -> str:
        """Returns the file's path below the folder with all chunks.

        Args:
            ending: the ending of the file's name, without a dot.
        """
        return f"chunk-{self.chunk:03d}/file-{self.file:03d}.{ending}"
