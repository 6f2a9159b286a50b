"""Checks and prepares the files and folders of outputs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from embodied.errors import EmbodiedError


def unwritable_reason(path: Path) -> str:
    """Returns why a file or folder cannot be created or written; "" if it can.

    It writes a temporary file, because permissions do not show what root may write.
    """
    try:
        wanted = path.absolute()
        existing = nearest_existing(wanted)
        if existing == wanted and not wanted.is_dir():
            existing = wanted.parent
        with tempfile.TemporaryFile(dir=existing) as probe:
            probe.write(b"x")
    except (OSError, ValueError) as error:
        return f"{getattr(error, 'strerror', None) or error}"
    return ""


def nearest_existing(path: Path) -> Path:
    """Returns the path if it exists, else its nearest existing parent."""
    return next(parent for parent in (path, *path.parents) if parent.exists())


def require_writable(path: Path) -> None:
    """Raises EmbodiedError if nothing can be written to `path`.

    Commands call it before their work, so that no long work is lost.
    """
    reason = unwritable_reason(path)
    if reason:
        raise EmbodiedError(
            f"nothing can be written to {path} ({reason}): choose another place with -o"
        )


@contextmanager
def no_empty_folders(path: Path | None) -> Iterator[None]:
    """If the block fails, removes the empty folders that it created for an output.

    Args:
        path: the output, a file or a folder; None if there is none.
    """
    # the path and those of its parents that do not exist yet
    made: list[Path] = []
    if path is not None:
        wanted = path.absolute()
        with suppress(OSError):  # `exists` fails for a name that is too long
            made = [path for path in (wanted, *wanted.parents) if not path.exists()]

    try:
        yield
    except BaseException:
        for made_folder in made:
            with suppress(OSError):  # it is not empty, or was never created
                made_folder.rmdir()
        raise


def claim_folder(
    folder: Path, own: Sequence[str], resume: bool, overwrite: bool
) -> None:
    """Creates an output folder, or prepares an existing one.

    Args:
        folder: the folder.
        own: names of the files in it that `overwrite` removes.
        resume: whether to continue with its content.
        overwrite: whether to replace its content.

    Raises:
        EmbodiedError: it is a file, cannot be written, or is not empty and neither
            `resume` nor `overwrite` is set.
    """
    require_writable(folder)
    if folder.exists() and not folder.is_dir():
        raise EmbodiedError(
            f"{folder} is a file, but the output is a folder: choose another -o"
        )

    if folder.is_dir() and any(folder.iterdir()) and not resume:
        if not overwrite:
            raise EmbodiedError(
                f"{folder} exists: --resume to continue it, --overwrite to replace it, "
                "or another name after -o"
            )
        for name in own:
            (folder / name).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
