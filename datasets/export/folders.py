"""Folders that are written under another name and renamed once they are whole.

While an export is written, a journal in its folder says which episodes are finished, so
that one that was killed can go on.
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
        path: where it is written.
        finished: what was noted of each episode that an earlier call has finished; its
            files are there, and no others.
    """

    def __init__(
        self, path: Path, identity: Any, resume: bool, kept: Sequence[str]
    ) -> None:
        self.path = path
        self.finished: list[Any] = []
        self._journal = path / JOURNAL

        text = json.dumps(identity).encode()
        begin = {"identity": hashlib.blake2b(text, digest_size=16).hexdigest()}
        lines = self._lines() if resume else []
        if not lines:
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
        elif lines[0] != begin:
            raise DatasetError(
                f"{path} was begun with other sources or other flags: remove it to "
                "begin anew"
            )

        # Written anew without the line that a kill may have cut.
        self._write([lines[0] if lines else begin, *lines[1:]])
        files = {self._journal, *(path / name for name in kept)}
        for line in lines[1:]:
            self.finished += line["notes"]
            files |= {path / name for name in line["files"]}
        for file in [each for each in path.rglob("*") if each.is_file()]:
            if file not in files:
                file.unlink()

    def finish(self, notes: Sequence[Any], files: Sequence[Path]) -> None:
        """Notes that some more episodes are finished, durably.

        Args:
            notes: a JSON value for each of them.
            files: what was written for them, closed.
        """
        for file in files:
            sync(file)
        names = [str(file.relative_to(self.path)) for file in files]
        with self._journal.open("a") as journal:
            journal.write(json.dumps({"notes": list(notes), "files": names}) + "\n")
            journal.flush()
            os.fsync(journal.fileno())

    def put(self, target: Path) -> None:
        """Gives the folder its name; all of it is on the disk before."""
        self._journal.unlink()
        for file in self.path.rglob("*"):
            sync(file)
        os.rename(self.path, target)
        sync(target.parent)

    def _lines(self) -> list[Any]:
        """Returns the whole lines of the journal; none where there is no journal."""
        if not self._journal.exists():
            return []
        *whole, _ = self._journal.read_text().split("\n")
        return [json.loads(line) for line in whole]

    def _write(self, lines: Sequence[Any]) -> None:
        text = "".join(f"{json.dumps(line)}\n" for line in lines)
        replace_text(self._journal, text)


@contextmanager
def new_folder(
    path: Path, identity: Any, resume: bool, kept: Sequence[str] = ()
) -> Iterator[NewFolder]:
    """Yields a folder to write to, which becomes `path` if the block succeeds.

    After a kill or Ctrl-C what is written stays, for a call that resumes it; after any
    other end nothing is left.

    Args:
        path: of the folder to be.
        identity: JSON that tells whether two calls give the same folder.
        resume: whether to go on with what an earlier call has left.
        kept: names of files in it that an earlier call may have left, beside those that
            are finished.

    Raises:
        DatasetError: there is something at `path` already; or what is to be resumed is
            of another identity.
        WriteError: the disk is full, or refuses a file for another reason.
    """
    if path.exists():
        raise DatasetError(f"{path} exists; choose another name after -o")

    # One name for all attempts, so that a kill leaves one folder at most.
    temporary = path.with_name(f".{path.name}.writing")
    try:
        folder = NewFolder(temporary, identity, resume, kept)
    except OSError as error:
        raise WriteError(path, error) from error
    try:
        yield folder
        folder.put(path)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError):
            raise WriteError(path, error) from error
        raise
