"""Output folders: made, gone on with, or replaced only when asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from embodied.errors import EmbodiedError


def claim_folder(folder: Path, own: Sequence[str], resume: bool, overwrite: bool) -> None:
    """Makes sure that there is a folder to write to; `own` names the files that `overwrite` removes from it.

    Raises:
        EmbodiedError: it is a file, or it holds something and neither `resume` nor `overwrite` was said.
    """
    if folder.exists() and not folder.is_dir():
        raise EmbodiedError(f"{folder} is a file; the output is a folder")
    if folder.is_dir() and any(folder.iterdir()) and not resume:
        if not overwrite:
            raise EmbodiedError(f"{folder} exists: --resume to go on with it, --overwrite, or another name after -o")
        for name in own:
            (folder / name).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
