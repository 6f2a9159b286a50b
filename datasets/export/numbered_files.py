"""Files of a LeRobot dataset, which are numbered: `chunk-000/file-000` and so on."""

from __future__ import annotations

from dataclasses import dataclass

FILES_PER_CHUNK = 1000


@dataclass(frozen=True)
class FileNumber:
    """The place of a file among those of its kind."""

    chunk: int = 0
    file: int = 0

    def next(self) -> FileNumber:
        """Returns the place after this one."""
        if self.file == FILES_PER_CHUNK - 1:
            return FileNumber(self.chunk + 1, 0)
        return FileNumber(self.chunk, self.file + 1)

    def path(self, ending: str) -> str:
        """Returns the path below the folder of the kind; `ending` has no dot."""
        return f"chunk-{self.chunk:03d}/file-{self.file:03d}.{ending}"
