"""Entry points of installed packages.

A broken package does no other harm: it is left out, with a warning that names it and the
reason.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, EntryPoint, distributions, entry_points
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from embodied.errors import EmbodiedError, in_one_line
from embodied.names import RULE, is_name


def offered(group: str, taken: Mapping[str, str]) -> dict[str, EntryPoint]:
    """Returns the entry points of a group in all installed packages, by their names.

    They are not loaded. Entry points with a malformed or taken name are left out, with a
    warning.

    Args:
        group: name of the group of entry points, such as `embodied.tasks`.
        taken: names that are already in use, name -> owner in words.
    """
    usable: dict[str, EntryPoint] = {}
    for entry in _entries(group):
        # the owner of the same name, if there is one
        owner = taken.get(entry.name)
        if entry.name in usable:
            owner = package_of(usable[entry.name])

        problem = ""
        if owner is not None:
            problem = f"{owner} has that name"
        elif not is_name(entry.name):
            problem = f"a name consists of {RULE}"

        if problem:
            warn(
                f"{package_of(entry)}: its entry point {entry.name!r} of {group} is "
                f"left out: {problem}"
            )
        else:
            usable[entry.name] = entry
    return usable


def load(kind: str, entry: EntryPoint) -> Any:
    """Returns the object of an entry point.

    Args:
        kind: the object's kind for the error message, such as "task".
        entry: the entry point.

    Raises:
        EmbodiedError: it cannot be loaded; the text names the package and the reason.
    """
    try:
        return resolve_name(entry.value)
    # importing a module may even raise SystemExit
    except (Exception, SystemExit) as error:
        raise EmbodiedError(
            f"the {kind} {entry.name!r} of {package_of(entry)} cannot be loaded: "
            f"{in_one_line(error)}"
        ) from error


def package_of(entry: EntryPoint) -> str:
    """Returns the package of an entry point, for messages: "the package NAME"."""
    name = _name_of(entry.dist) if entry.dist else ""
    return f"the package {name or entry.value.partition(':')[0]}"


def warn(message: str) -> None:
    """Issues a warning; it never raises, even if a filter turns warnings into errors."""
    try:
        warnings.warn(message, stacklevel=2)
    except UserWarning:  # raised by such a filter
        sys.stderr.write(f"warning: {message}\n")


def _entries(group: str) -> list[EntryPoint]:
    """Returns the entry points of a group, from all packages with readable files."""
    try:
        return list(entry_points(group=group))
    except Exception:
        # one unreadable file makes the call fail for all packages
        return list(_entries_one_by_one(group))


def _entries_one_by_one(group: str) -> Iterator[EntryPoint]:
    """Yields the entry points of a group, package by package; warns of unreadable ones."""
    seen = set()
    for distribution in distributions():
        # package names that differ only in case or in -, _ and . are equal (PEP 503)
        name = _name_of(distribution)
        normalized = re.sub(r"[-_.]+", "-", name).lower()
        # a package may be on the path twice; Python imports only the first copy
        if normalized in seen:
            continue
        seen.add(normalized)

        try:
            entries = list(distribution.entry_points.select(group=group))
        except Exception as error:
            warn(
                f"the package {name} is left out: its entry_points.txt cannot be read "
                f"({type(error).__name__}: {error})"
            )
        else:
            yield from entries


def _name_of(distribution: Distribution) -> str:
    """Returns a package's name; the name of its folder if the metadata has none."""
    try:
        name = distribution.metadata["Name"]
    except Exception:  # the metadata is missing or damaged
        name = None
    # the folder is called e.g. my_tasks-1.0.dist-info
    folder = Path(str(getattr(distribution, "_path", "")))
    return name or folder.stem.partition("-")[0]
