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
        description: its paths are absolute.
        path: of the file.
        notes: key -> comment to write beside it.
    """
    replace_text(path, as_toml(description, path.parent, notes or {}))


def as_toml(description: Description, folder: Path, notes: Mapping[str, str]) -> str:
    """Returns the text of a description for a file in `folder`."""
    return "\n".join(_table(description, folder, "", notes)) + "\n"


def _table(table: Any, folder: Path, where: str, notes: Mapping[str, str]) -> list[str]:
    """Returns the TOML lines of a dataclass, with nested dataclasses last as tables.

    Args:
        table: an instance of the dataclass.
        folder: paths are written relative to it.
        where: goes before the fields' names in `notes`, e.g. "gripper.".
        notes: key -> comment to write beside it.
    """
    lines = []
    tables: list[str] = []
    # a table begins with its name, if it has one
    for f in sorted(fields(table), key=lambda f: f.name != "name"):
        value = getattr(table, f.name)
        default = f.default
        if f.default_factory is not MISSING:
            default = f.default_factory()
        if value == default:
            continue
        key = f"{where}{f.name}"
        if is_dataclass(value):
            tables += ["", f"[{key}]", *_table(value, folder, f"{key}.", notes)]
            continue
        if isinstance(value, tuple) and is_dataclass(value[0]):  # such as [[arm]]
            for one in value:
                tables += ["", f"[[{key}]]", *_table(one, folder, f"{key}.", notes)]
            continue

        if f.name in PATHS:
            value = os.path.relpath(str(value), folder.resolve())
        noted = key.removeprefix("arm.")
        note = f"  # {notes[noted]}" if noted in notes else ""
        lines.append(f"{f.name} = {_literal(value)}{note}")
    return lines + tables


def _literal(value: Any) -> str:
    """Returns a value as TOML; strings and numbers look the same in JSON."""
    if isinstance(value, tuple):
        return f"[{', '.join(_literal(one) for one in value)}]"
    return json.dumps(value, ensure_ascii=False)
