"""Reads TOML files with settings of a policy, and checks the types of their entries."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from embodied.errors import EmbodiedError, one_line, unknown

# key of a file -> (the types that its value may have, these types in words)
Kinds = Mapping[str, tuple[tuple[type, ...], str]]


def read_text(path: Path) -> str:
    """Returns the text of a file.

    Raises:
        EmbodiedError: the file cannot be read, or is not UTF-8.
    """
    # ValueError covers errors of UTF-8
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise EmbodiedError(f"{path} cannot be read: {one_line(error)}") from error


def read_toml(path: Path) -> dict[str, Any]:
    """Returns the entries of a TOML file.

    Raises:
        EmbodiedError: the file cannot be read, or is not TOML.
    """
    text = read_text(path)
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise EmbodiedError(f"{path} cannot be read: {one_line(error)}") from error
    except RecursionError as error:
        raise EmbodiedError(
            f"{path} cannot be read: its values are nested too deeply"
        ) from error


def check_kinds(entries: Mapping[str, Any], kinds: Kinds) -> None:
    """Raises EmbodiedError if the key of an entry is unknown, or its type is wrong."""
    for name, value in entries.items():
        if name not in kinds:
            raise unknown("key", name, kinds)
        types, types_in_words = kinds[name]
        # no setting is a bool, which `isinstance` would accept as an int
        if not isinstance(value, types) or isinstance(value, bool):
            raise EmbodiedError(f"{name} must be {types_in_words}, not {value!r}")
