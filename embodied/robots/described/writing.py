"""Writes descriptions as TOML files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

from embodied.files import replace_text
from embodied.robots.described.description import Description

PATHS = ("mjcf",)  # keys of paths, written relative to the description's folder


def write_description(
    description: Description, path: Path, notes: Mapping[str, str] | None = None
) -> None:
    """Writes a description to a file; keys with default values are left out.

    Args:
        description: The description; its paths are absolute.
        path: The TOML file to write. Paths in it become relative to its folder.
        notes: Comments to write at the ends of lines, key -> comment.
    """
    replace_text(path, as_toml(description, path.parent, notes or {}))


def as_toml(description: Description, folder: Path, notes: Mapping[str, str]) -> str:
    """Returns a description as TOML text, for a file in `folder`.

    See `write_description` for `notes`.
    """
    return "\n".join(_table(description, folder, "", notes)) + "\n"


def _table(table: Any, folder: Path, where: str, notes: Mapping[str, str]) -> list[str]:
    """Returns the TOML lines of a dataclass, with nested dataclasses last as tables.

    Args:
        table: An instance of the dataclass.
        folder: The folder to which paths are written relative.
        where: The prefix of the table's keys, e.g. "gripper."; empty for the top level.
        notes: Comments to write at the ends of lines, key -> comment.
    """
    lines = []
    tables: list[str] = []
    # False sorts before True: the field `name`, if there is one, comes first
    for f in sorted(fields(table), key=lambda f: f.name != "name"):
        value = getattr(table, f.name)
        default = f.default
        if f.default_factory is not MISSING:
            default = f.default_factory()
        if value == default:
            continue

        # nested dataclasses become tables of their own, below the plain keys
        key = f"{where}{f.name}"
        if is_dataclass(value):
            tables += ["", f"[{key}]", *_table(value, folder, f"{key}.", notes)]
            continue
        if isinstance(value, tuple) and is_dataclass(value[0]):  # such as [[arm]]
            for entry in value:
                nested = _table(entry, folder, f"{key}.", notes)
                tables += ["", f"[[{key}]]", *nested]
            continue

        if f.name in PATHS:
            value = os.path.relpath(str(value), folder.resolve())
        # notes are the same for all arms, so their keys do not begin with "arm."
        noted_key = key.removeprefix("arm.")
        note = f"  # {notes[noted_key]}" if noted_key in notes else ""
        lines.append(f"{f.name} = {_literal(value)}{note}")
    return lines + tables


def _literal(value: Any) -> str:
    """Returns a value as TOML; strings and numbers look the same in JSON."""
    if isinstance(value, tuple):
        return f"[{', '.join(_literal(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False)
