"""What goes wrong by a user's hand: the command line shows it as one line, without a
traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EmbodiedError(Exception):
    """An expected error. Its text names the thing, what was expected, and what there
    is.
    """


def unknown(kind: str, name: str, available: Iterable[str]) -> EmbodiedError:
    """The error for a `name` that is not among `available`, with the nearest ones
    first.
    """
    names = sorted(available)
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    listing = ", ".join(names) or "none"
    return EmbodiedError(f"unknown {kind} {name!r}.{hint} Available: {listing}")
