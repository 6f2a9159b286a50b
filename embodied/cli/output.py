"""Checks and prepares the files and folders of outputs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from embodied.errors import EmbodiedError


def unwritable_reason(path: Path) -> str:
    """Returns why a file or folder cannot be created or written; "" if it can.

    This is tried with a temporary file, because permissions do not show what root may
    write.
    """
    try:
        target = path.absolute()
        folder = nearest_existing(target)
        # for a file that exists, try its folder
        if folder == target and not target.is_dir():
            folder = target.parent
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"x")
    except (OSError, ValueError) as error:
        return f"{getattr(error, 'strerror', None) or error}"
    return ""


def nearest_existing(path: Path) -> Path:
    """Returns the path if it exists, else its nearest parent folder that exists."""
    return next(parent for parent in (path, *path.parents) if parent.exists())


def require_writable(path: Path) -> None:
    """Raises EmbodiedError if nothing can be written to `path`.

    Verbs call this function before their work, so that no long work is lost.
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
        path: the output, a file or a folder; None if there is no output.
    """
    # the output and its parent folders that do not exist yet
    new_paths: list[Path] = []
    if path is not None:
        target = path.absolute()
        with suppress(OSError):  # `exists` fails for a name that is too long
            new_paths = [
                path for path in (target, *target.parents) if not path.exists()
            ]

    try:
        yield
    except BaseException:
        for new_path in new_paths:
            # `rmdir` fails for a file, a folder with content, and a path never created
            with suppress(OSError):
                new_path.rmdir()
        raise


def claim_folder(
    folder: Path, own: Sequence[str], resume: bool, overwrite: bool
) -> None:
    """Creates an output folder, or prepares an existing one.

    Args:
        folder: the folder.
        own: the names of the verb's own files, which `overwrite` removes from the folder.
        resume: whether to continue with the folder's content.
        overwrite: whether to replace the folder's content.

    Raises:
        EmbodiedError: the folder is a file, or cannot be written; or it is not empty, and
            neither `resume` nor `overwrite` is set.
    """
    require_writable(folder)
    if folder.exists() and not folder.is_dir():
        raise EmbodiedError(
            f"{folder} is a file, but the output is a folder: choose another -o"
        )

    # `overwrite` removes only the verb's own files: others may be the user's
    if folder.is_dir() and any(folder.iterdir()) and not resume:
        if not overwrite:
            raise EmbodiedError(
                f"{folder} exists: --resume to continue it, --overwrite to replace it, "
                "or another name after -o"
            )
        for name in own:
            (folder / name).unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
