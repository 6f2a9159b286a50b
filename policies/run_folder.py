"""The files of a run: a folder that training wrote, whatever kind of policy is in it.

Weights are safetensors and everything else is JSON, so that nothing in a run is ever
executed. The classes that describe one kind of run stand beside its networks.
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from embodied.core import PolicySpec
from embodied.errors import EmbodiedError
from embodied.files import replace_text

SCHEMA_VERSION = 1
WEIGHTS = "policy.safetensors"
INFO = "policy.json"  # what makes a folder a run
HISTORY = "history.json"
CHECKPOINT = "checkpoint.safetensors"
FILES = (WEIGHTS, INFO, HISTORY, CHECKPOINT)


def write_json(path: Path, value: Any) -> None:
    """Replaces a JSON file. Raises ValueError for numbers that are not finite."""
    replace_text(path, json.dumps(value, indent=1, allow_nan=False))


def write_info(folder: Path, info: dict[str, Any], packages: tuple[str, ...]) -> None:
    """Writes what a run says of itself, with the versions of the packages it needs."""
    versions = {name: version(name) for name in ("embodied-ground", *packages)}
    stored = {**info, "schema_version": SCHEMA_VERSION, "versions": versions}
    write_json(folder / INFO, stored)


def read_info(folder: Path) -> dict[str, Any]:
    """Returns what a run says of itself.

    Raises:
        EmbodiedError: The folder is not a run, or a run of another schema version.
    """
    file = folder / INFO
    if not file.is_file():
        raise EmbodiedError(
            f"{folder} is not a run folder: no {INFO} in it. `embodied train` makes one."
        )

    try:
        stored: Any = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:  # covers JSON and UTF-8 errors
        raise EmbodiedError(f"{file} is not JSON: {error}") from error

    if not isinstance(stored, dict):
        raise EmbodiedError(
            f"{file} holds a {type(stored).__name__}, not what a run says of itself"
        )
    if stored.get("schema_version") != SCHEMA_VERSION:
        raise EmbodiedError(
            f"{file} has schema version {stored.get('schema_version')}; "
            f"this package reads {SCHEMA_VERSION}"
        )
    return stored


def read_history(folder: Path) -> list[dict[str, float]]:
    """Returns the figures that training wrote, oldest first."""
    return json.loads((folder / HISTORY).read_text(encoding="utf-8"))


def policy_spec_from_json(stored: dict[str, Any]) -> PolicySpec:
    """Returns the spec of a policy as a run folder holds it."""
    return PolicySpec(**{**stored, "cameras": tuple(stored["cameras"])})
