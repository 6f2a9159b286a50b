"""Folders that are written under another name and renamed once they are whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embodied.datasets.schema import DatasetError
from embodied.files import WriteError, sync


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yields a folder to write to, which becomes `path` if the block succeeds.

    When the block fails, nothing is left.

    Raises:
        DatasetError: there is something at `path` already.
        WriteError: the disk is full, or refuses a file for another reason.
    """
    if path.exists():
        raise DatasetError(f"{path} exists; choose another name after -o")

    # One name for all attempts, so that a kill leaves one folder at most.
    temporary = path.with_name(f".{path.name}.writing")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir(parents=True)
        yield temporary
        for file in temporary.rglob("*"):
            sync(file)
        os.rename(temporary, path)
        sync(path.parent)
    except OSError as error:
        raise WriteError(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
