"""The rule for names of tasks, robots, policies and their elements.

One rule holds for all names: they become keys of HDF5 files and of observations, parts
of file names, ids of Gymnasium and names of torch modules.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from embodied.errors import EmbodiedError

RULE = "the letters a to z and A to Z, digits, _ and -, and begins with no -"
TEAM_SIGN = "+"  # joins the robots' names of a team, such as arm+wheeled_arm
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")


def is_name(name: object) -> bool:
    """Returns whether a value is a string that follows the rule."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def check_names(kind: str, names: Iterable[object]) -> None:
    """Checks that names of one kind follow the rule and are unique.

    Args:
        kind: the kind of names for the error message, such as "camera of robot six".
        names: the names, in any order.

    Raises:
        EmbodiedError: a name breaks the rule, or occurs twice.
    """
    seen: set[object] = set()
    for name in names:
        if not is_name(name):
            raise EmbodiedError(
                f"no {kind} can be named {name!r}: a name consists of {RULE}"
            )
        if name in seen:
            raise EmbodiedError(f"{name!r} names more than one {kind}")
        seen.add(name)


def as_name(text: str) -> str:
    """Returns a text as a valid name, with `_` in place of invalid characters."""
    name = re.sub(r"[^A-Za-z0-9_-]", "_", text)
    # the name may still be empty or begin with -, which a leading _ mends
    return name if is_name(name) else f"_{name}"
