"""Errors that a user can fix: the command line shows them without a traceback."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterable
from pathlib import Path


class EmbodiedError(Exception):
    """An expected error; its text says what was wrong and what was expected."""


def unknown(kind: str, name: str, available: Iterable[str]) -> EmbodiedError:
    """Returns the error for a `name` that is not among `available`.

    Args:
        kind: the kind of thing that has the name, such as "task".
        name: the requested name.
        available: all valid names; the most similar one is suggested.
    """
    names = sorted(available)
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    listing = ", ".join(names) or "none"
    return EmbodiedError(f"unknown {kind} {name!r}.{hint} Available: {listing}")


def one_line(error: BaseException) -> str:
    """Returns the text of an error without line breaks; its type if it has no text.

    Some libraries' messages about damaged files have several lines.
    """
    return " ".join(str(error).split()) or type(error).__name__


def in_one_line(error: BaseException) -> str:
    """Returns type, text, file and line of an error in a user's code, as one line."""
    text = (str(error).splitlines() or [""])[0]
    frames = traceback.extract_tb(error.__traceback__)

    # The traceback of a syntax error ends at the import; the error has file and line.
    if isinstance(error, SyntaxError):
        file = Path(error.filename or "").name
        return f"SyntaxError: {error.msg} ({file}, line {error.lineno})"
    if not frames:
        return f"{type(error).__name__}: {text}"
    last = frames[-1]
    return f"{type(error).__name__}: {text} ({Path(last.filename).name}, line {last.lineno})"
