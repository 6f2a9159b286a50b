"""Where output goes: whether it can be written, and what happens to what is there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from embodied.errors import EmbodiedError


def hindrance(path: Path) -> str:
    """Returns why a file or folder `path` cannot be made or written to; "" if it can.

    A file is really written, because permissions do not tell what root may write to.
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
    """Returns the path itself, or the nearest of its parents that exists."""
    return next(place for place in (path, *path.parents) if place.exists())


def require_writable(path: Path) -> None:
    """Raises EmbodiedError if nothing can be made at `path`.

    Call it before the work, which may take long.
    """
    reason = hindrance(path)
    if reason:
        raise EmbodiedError(
            f"nothing can be written to {path} ({reason}): choose another place with -o"
        )


@contextmanager
def no_empty_folders(path: Path | None) -> Iterator[None]:
    """Removes the empty folders that a failed block has made for an output.

    Args:
        path: the output, a file or a folder; None for none.
    """
    made: list[Path] = []
    if path is not None:
        wanted = path.absolute()
        with suppress(OSError):  # a name that is too long cannot even be looked for
            made = [place for place in (wanted, *wanted.parents) if not place.exists()]

    try:
        yield
    except BaseException:
        for place in made:
            with suppress(OSError):  # it holds something, or is not there
                place.rmdir()
        raise


def claim_folder(
    folder: Path, own: Sequence[str], resume: bool, overwrite: bool
) -> None:
    """Makes the folder, or takes one that exists where that was asked for.

    Args:
        folder: the folder.
        own: names of the files in it that `overwrite` removes.
        resume: continue what is in it.
        overwrite: replace what is in it.

    Raises:
        EmbodiedError: it is a file, it cannot be written to, or it holds something and
            neither `resume` nor `overwrite` is set.
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
