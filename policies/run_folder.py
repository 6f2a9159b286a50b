"""The files of a run, which is the folder that training writes for any kind of policy.

Weights are safetensors and everything else is JSON, so that nothing in a run is ever
executed. `vla/run_folder.py` and `rl/run_folder.py` add the parts of one kind of run.
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
from embodied.plain import to_python

if TYPE_CHECKING:
    from embodied.envs.worlds import Worlds

SCHEMA_VERSION = 1
WEIGHTS = "policy.safetensors"
INFO = "policy.json"  # a folder with this file is a run
HISTORY = "history.json"
CHECKPOINT = "checkpoint.safetensors"
CURVES = "training.html"  # the history, drawn
# The entries of the metadata in which worlds must agree with the worlds of the training ->
# their names in error messages.
FITTING = {
    "task": "task",
    "robot": "robot",
    "agent_layout": "proprioception",
    "action_interface": "actions",
}
FILES = (WEIGHTS, INFO, HISTORY, CHECKPOINT, CURVES)


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file under a temporary name, then renames it.

    Raises:
        ValueError: a number is not finite.
    """
    replace_text(path, json.dumps(to_python(value), indent=1, allow_nan=False))


def write_info(folder: Path, info: dict[str, Any], packages: tuple[str, ...]) -> None:
    """Writes the info of a run, with the versions of this and other packages.

    Args:
        folder: the folder of the run.
        info: the entries to write, as JSON values.
        packages: the names of further packages that the run needs.
    """
    versions = {name: version(name) for name in ("embodied-ground", *packages)}
    stored = {**info, "schema_version": SCHEMA_VERSION, "versions": versions}
    write_json(folder / INFO, stored)


def read_info(folder: Path) -> dict[str, Any]:
    """Returns the info of a run, which its training wrote.

    Raises:
        EmbodiedError: the folder is not a run, or its schema version cannot be read.
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

    docs/training.md and `training.figures` explain the figures.
    """
    rows = json.loads((folder / HISTORY).read_text(encoding="utf-8"))
    # version 0.1 stored the number of updates of imitation as `step`
    return [
        {"steps" if name == "step" else name: value for name, value in row.items()}
        for row in rows
    ]


def tasks_of(info: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the names of the tasks that a run was trained on, from its info."""
    # imitation learns several tasks; other kinds of run have one
    return tuple(info.get("tasks") or [info["task"]])


def policy_spec_from_json(stored: dict[str, Any]) -> PolicySpec:
    """Returns a policy's spec from the JSON values in a run folder."""
    return PolicySpec(**{**stored, "cameras": tuple(stored["cameras"])})


def weights_hash(folder: Path) -> str:
    """Returns the SHA-256 of all weights below a folder, except checkpoints.

    Weights in subfolders are included, such as a base policy's weights. A checkpoint
    is not part of the policy, and may be deleted.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.safetensors")):
        if path.name != CHECKPOINT:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def check_worlds(folder: Path, metadata: dict[str, Any], worlds: Worlds) -> None:
    """Raises EmbodiedError if a run was trained for other worlds.

    Args:
        folder: the folder of the run.
        metadata: the metadata of the worlds in which the run was trained.
        worlds: the worlds that the policy is to act in.
    """
    difference = first_difference(metadata, worlds)
    if difference:
        raise EmbodiedError(f"run {folder} was trained for {difference}")


def first_difference(metadata: Mapping[str, Any], worlds: Worlds) -> str:
    """Returns the first difference in FITTING, as "task A, not B"; "" if there is none.

    Args:
        metadata: the metadata of the worlds that a policy was made for.
        worlds: the worlds that the policy is to act in.
    """
    # as JSON, since tuples in the stored metadata have become lists
    actual = json.loads(json.dumps(worlds.metadata()))
    for key, description in FITTING.items():
        if metadata[key] != actual[key]:
            difference = (
                f"{description} {_as_text(metadata[key])}, not {_as_text(actual[key])}"
            )
            if key == "robot":
                difference += f": name that one, with {robot_flag(metadata[key])}"
            return difference
    return ""


def robot_flag(robot: str) -> str:
    """Returns the flag that chooses a robot, in words if the robot has no registered name.

    A robot without a registered name is chosen by the path of its description, a TOML file.
    """
    if robot in loadable_robots():
        return f"--robot {robot}"
    return f"--robot and the description of {robot}"


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
