"""Folders that are written under a temporary name, and renamed when they are complete.

A journal in the folder lists the finished episodes, so that a killed export can be
resumed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from embodied.datasets.schema import DatasetError
from embodied.files import WriteError, replace_text, sync

JOURNAL = "finished.jsonl"


class NewFolder:
    """A folder that is being written.

    Attributes:
        path: the temporary path of the folder.
        finished: one JSON value for each episode that a killed call has finished, as it
            was given to `add_finished`. The files of these episodes are kept; all other
            files were deleted.

    Args:
        path: the temporary path of the folder.
        identity: a JSON value of everything that determines the folder's content.
        resume: whether to continue a killed call of the same identity.
        kept: the names of further files that are not deleted.

    Raises:
        DatasetError: the folder to resume has another identity.
    """

    def __init__(
        self, path: Path, identity: Any, resume: bool, kept: Sequence[str]
    ) -> None:
        """Begins the folder, or finds what a killed call has finished in it."""
        self.path = path
        self.finished: list[Any] = []
        self._journal = path / JOURNAL

        text = json.dumps(identity).encode()
        first_line = {"identity": hashlib.blake2b(text, digest_size=16).hexdigest()}
        lines = self._journal_lines() if resume else []
        if not lines:
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
        elif lines[0] != first_line:
            raise DatasetError(
                f"{path} was begun with other sources or other flags: remove it to "
                "begin anew"
            )

        # rewrite the journal, because a kill may have cut its last line
        self._write_journal([first_line, *lines[1:]])

        # delete the files of unfinished episodes
        kept_files = {self._journal, *(path / name for name in kept)}
        for line in lines[1:]:
            self.finished += line["notes"]  # the values that `add_finished` was given
            kept_files |= {path / name for name in line["files"]}
        existing_files = [item for item in path.rglob("*") if item.is_file()]
        for file in existing_files:
            if file not in kept_files:
                file.unlink()

    def add_finished(self, notes: Sequence[Any], files: Sequence[Path]) -> None:
        """Adds finished episodes to the journal, after flushing their files to the disk.

        Args:
            notes: one JSON value per episode. If this call is killed, the call that
                resumes it finds these values in `finished`.
            files: the files of these episodes, which must be closed.
        """
        for file in files:
            sync(file)
        names = [str(file.relative_to(self.path)) for file in files]
        with self._journal.open("a") as journal:
            journal.write(json.dumps({"notes": list(notes), "files": names}) + "\n")
            journal.flush()
            os.fsync(journal.fileno())

    def put(self, target: Path) -> None:
        """Flushes the folder to the disk, and renames it to `target`."""
        self._journal.unlink()
        for file in self.path.rglob("*"):
            sync(file)
        os.rename(self.path, target)
        sync(target.parent)

    def _journal_lines(self) -> list[Any]:
        """Returns the complete lines of the journal; [] if there is no journal."""
        if not self._journal.exists():
            return []
        # the text after the last newline is empty, or a line that a kill has cut
        *complete, _ = self._journal.read_text().split("\n")
        return [json.loads(line) for line in complete]

    def _write_journal(self, lines: Sequence[Any]) -> None:
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        replace_text(self._journal, text)


@contextmanager
def new_folder(
    path: Path, identity: Any, resume: bool, kept: Sequence[str] = ()
) -> Iterator[NewFolder]:
    """Yields a folder to write to, which is renamed to `path` if the block succeeds.

    After a kill or Ctrl-C the unfinished folder is kept, so that it can be resumed. After
    any other error it is deleted.

    Args:
        path: the path of the finished folder.
        identity: a JSON value of everything that determines the folder's content.
        resume: whether to continue a killed call of the same identity.
        kept: the names of unfinished files that resuming needs in addition to the files
            of finished episodes.

    Raises:
        DatasetError: `path` exists, or the folder to resume has another identity.
        WriteError: the disk is full, or cannot be written for another reason.
    """
    if path.exists():
        raise DatasetError(f"{path} exists; choose another name after -o")

    # all calls use the same temporary name, so killed calls leave at most one folder
    temporary = path.with_name(f".{path.name}.writing")
    try:
        folder = NewFolder(temporary, identity, resume, kept)
    except OSError as error:
        raise WriteError(path, error) from error
    try:
        yield folder
        folder.put(path)
    except KeyboardInterrupt:
        # keep the unfinished folder, because it can be resumed
        raise
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError):
            raise WriteError(path, error) from error
        raise
