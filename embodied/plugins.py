"""What installed packages offer through entry points.

A package that is broken breaks nothing else: it is named in a warning, with the reason,
and left out.
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
    """Returns what installed packages offer, by name, without loading it.

    Warns of entry points whose name is malformed or taken.

    Args:
        group: of entry points, such as `embodied.tasks`.
        taken: name -> its owner, of the names that are no longer free.
    """
    found: dict[str, EntryPoint] = {}
    for entry in _entries(group):
        owner = taken.get(entry.name)
        if entry.name in found:
            owner = package_of(found[entry.name])

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
            found[entry.name] = entry
    return found


def load(kind: str, entry: EntryPoint) -> Any:
    """Returns what an entry point stands for.

    Args:
        kind: what that is, for the error: "task".
        entry: the entry point.

    Raises:
        EmbodiedError: it cannot be loaded; names the package and the reason.
    """
    try:
        return resolve_name(entry.value)
    # a module may even end the program when it is imported
    except (Exception, SystemExit) as error:
        raise EmbodiedError(
            f"the {kind} {entry.name!r} of {package_of(entry)} cannot be loaded: "
            f"{in_one_line(error)}"
        ) from error


def package_of(entry: EntryPoint) -> str:
    """Returns the package that has an entry point, as messages name it."""
    name = _name_of(entry.dist) if entry.dist else ""
    return f"the package {name or entry.value.partition(':')[0]}"


def warn(message: str) -> None:
    """Warns of a package, also where warnings are made errors: nothing may break."""
    try:
        warnings.warn(message, stacklevel=2)
    except UserWarning:  # a filter made an error of it
        sys.stderr.write(f"warning: {message}\n")


def _entries(group: str) -> list[EntryPoint]:
    """Returns the entry points of a group, of all packages whose files can be read."""
    try:
        return list(entry_points(group=group))
    except Exception:
        # One file that cannot be read hides those of all packages.
        return list(_entries_one_by_one(group))


def _entries_one_by_one(group: str) -> Iterator[EntryPoint]:
    """Yields the entry points of a group, package by package; warns of unreadable ones."""
    seen = set()
    for distribution in distributions():
        # names that differ in these signs or in case are one package's (PEP 503)
        name = _name_of(distribution)
        normalized = re.sub(r"[-_.]+", "-", name).lower()
        if normalized in seen:  # a second copy, later on the path, is never imported
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
    """Returns a package's name, or the name of its folder where it says none."""
    try:
        name = distribution.metadata["Name"]
    except Exception:  # the metadata is missing or damaged
        name = None
    folder = Path(str(getattr(distribution, "_path", "")))
    return name or folder.stem.partition("-")[0]
