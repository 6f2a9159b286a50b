"""The files of a run: the folder that training writes, for any kind of policy.

Weights are safetensors and everything else is JSON, so that nothing in a run is ever
executed. What is special to one kind of run stands in `vla/run_folder.py` and
`rl/run_folder.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embodied.core import PolicySpec
from embodied.envs.registry import loadable_robots
from embodied.errors import EmbodiedError
from embodied.files import replace_text
from embodied.plain import plain

if TYPE_CHECKING:
    from embodied.envs.worlds import Worlds

SCHEMA_VERSION = 1
WEIGHTS = "policy.safetensors"
INFO = "policy.json"  # what makes a folder a run
HISTORY = "history.json"
CHECKPOINT = "checkpoint.safetensors"
CURVES = "training.html"  # the history, drawn
# what worlds must have in common with those that a policy was trained in: key of their
# metadata -> what it is called
FITTING = {
    "task": "task",
    "robot": "robot",
    "agent_layout": "proprioception",
    "action_interface": "actions",
}
FILES = (WEIGHTS, INFO, HISTORY, CHECKPOINT, CURVES)


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file, in one step.

    Raises:
        ValueError: a number is not finite.
    """
    replace_text(path, json.dumps(plain(value), indent=1, allow_nan=False))


def write_info(folder: Path, info: dict[str, Any], packages: tuple[str, ...]) -> None:
    """Writes the info of a run, with the versions of the packages that it needs."""
    versions = {name: version(name) for name in ("embodied-ground", *packages)}
    stored = {**info, "schema_version": SCHEMA_VERSION, "versions": versions}
    write_json(folder / INFO, stored)


def read_info(folder: Path) -> dict[str, Any]:
    """Returns the info of a run, as its training wrote it.

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
            f"{file} holds a {type(stored).__name__}, not the info of a run"
        )
    if stored.get("schema_version") != SCHEMA_VERSION:
        raise EmbodiedError(
            f"{file} has schema version {stored.get('schema_version')}; "
            f"this package reads {SCHEMA_VERSION}"
        )
    return stored


def read_history(folder: Path) -> list[dict[str, float]]:
    """Returns the rows of figures that training wrote, oldest first.

    docs/training.md and `training.figures` say what they mean.
    """
    rows = json.loads((folder / HISTORY).read_text(encoding="utf-8"))
    # version 0.1 counted imitation's updates as `step`
    return [
        {"steps" if name == "step" else name: value for name, value in row.items()}
        for row in rows
    ]


def policy_spec_from_json(stored: dict[str, Any]) -> PolicySpec:
    """Returns the spec of a policy as a run folder holds it."""
    return PolicySpec(**{**stored, "cameras": tuple(stored["cameras"])})


def weights_hash(folder: Path) -> str:
    """Returns the SHA-256 of all weights below a folder, also those of a run's base.

    A checkpoint is no part of the policy: it may be deleted.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")):
        if path.name != CHECKPOINT:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def check_worlds(folder: Path, metadata: dict[str, Any], worlds: Worlds) -> None:
    """Checks that a run was trained for worlds like these.

    Args:
        folder: the run's.
        metadata: of the worlds that the run was trained in.
        worlds: where it is to act.

    Raises:
        EmbodiedError: the worlds differ in what a policy depends on.
    """
    difference = difference_of(metadata, worlds)
    if difference:
        raise EmbodiedError(f"run {folder} was trained for {difference}")


def difference_of(metadata: Mapping[str, Any], worlds: Worlds) -> str:
    """Returns in which of FITTING worlds differ, as "task A, not B"; "" if in none.

    Args:
        metadata: of the worlds that a policy is for.
        worlds: where it is to act.
    """
    # Stored metadata went through JSON or the like, which turns tuples into lists.
    given = json.loads(json.dumps(worlds.metadata()))
    for key, description in FITTING.items():
        if metadata[key] != given[key]:
            difference = (
                f"{description} {_brief(metadata[key])}, not {_brief(given[key])}"
            )
            if key == "robot":
                difference += f": name that one, with {robot_flag(metadata[key])}"
            return difference
    return ""


def robot_flag(robot: str) -> str:
    """Returns what names a robot to a command; a described one by its file."""
    if robot in loadable_robots():
        return f"--robot {robot}"
    return f"--robot and the description of {robot}"


def _brief(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
