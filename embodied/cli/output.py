"""Output: whether there can be any, and folders that are made, gone on with, or
replaced only when asked for.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from embodied.errors import EmbodiedError


def hindrance(path: Path) -> str:
    """Why `path`, a file or a folder, cannot be made or written to; empty where it can.

    Tried rather than guessed: what root may write to is not a matter of permissions.
    """
    try:
        wanted = path.absolute()
        existing = next(found for found in (wanted, *wanted.parents) if found.exists())
        if existing == wanted and not wanted.is_dir():
            existing = wanted.parent
        with tempfile.TemporaryFile(dir=existing) as probe:
            probe.write(b"x")
    except (OSError, ValueError) as error:
        return f"{getattr(error, 'strerror', None) or error}"
    return ""


def require_writable(path: Path) -> None:
    """Raises EmbodiedError where nothing can be made at `path`: before the work, since
    it may take long.
    """
    if reason := hindrance(path):
        raise EmbodiedError(
            f"nothing can be written to {path} ({reason}): choose another place with -o"
        )


def claim_folder(
    folder: Path, own: Sequence[str], resume: bool, overwrite: bool
) -> None:
    """Makes sure that there is a folder to write to; `own` names the files that
    `overwrite` removes from it.

    Raises:
        EmbodiedError: it is a file, it cannot be written to, or it holds something and
            neither `resume` nor `overwrite` was said.
    """
    require_writable(folder)
    if folder.exists() and not folder.is_dir():
        raise EmbodiedError(f"{folder} is a file; the output is a folder")
    if folder.is_dir() and any(folder.iterdir()) and not resume:
        if not overwrite:
            raise EmbodiedError(
                f"{folder} exists: --resume to go on with it, --overwrite, or another name after -o"
            )
        for name in own:
            (folder / name).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
