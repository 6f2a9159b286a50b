"""Results files of earlier schema versions, brought to the present one as they are read.

What is damaged stays as it is, and is found when it is decoded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from embodied.benchmark.results import place_name
from embodied.benchmark.results_schema import SCHEMA_VERSION
from embodied.rollout.endings import FAULT, SUCCESS

READABLE = (3, 4, 5, 6, 7, SCHEMA_VERSION)
Upgrade = Callable[[dict[str, Any]], dict[str, Any]]


def upgraded(content: dict[str, Any]) -> dict[str, Any]:
    """Returns what a file of any version in READABLE holds, in the present form."""
    if content["schema_version"] == SCHEMA_VERSION:
        return content

    provenance = content.get("provenance")
    task = ""
    robot = ""
    if isinstance(provenance, dict):
        # conditions name the task alone, the provenance an environment's id, such as
        # "embodied/ToteTransfer-v0"
        name = str(provenance.get("task", ""))
        task = name.removeprefix("embodied/").removesuffix("-v0")
        robot = str(provenance.get("robot", ""))
        model = (provenance.get("metadata") or {}).get("model_hash")
        models = {place_name(task, robot): model} if model else {}
        added = {"suite": {}, "models": models, "code": {}, "shard": ""}
        provenance = {**added, **provenance}

    def cell_of(cell: dict[str, Any]) -> dict[str, Any]:
        return _cell(cell, task, robot)

    def unfinished_of(cell: dict[str, Any]) -> dict[str, Any]:
        return _with_newer_parts(cell, task, robot)

    newer = {**content}
    if "provenance" in content:
        newer["provenance"] = provenance
    for name, upgrade in (("cells", cell_of), ("unfinished", unfinished_of)):
        if name in content:
            newer[name] = _each(content[name], upgrade)
    return newer


def _each(items: Any, upgrade: Upgrade) -> Any:
    """Returns a list whose objects are upgraded; anything else as it is."""
    if not isinstance(items, list):
        return items
    return [upgrade(item) if isinstance(item, dict) else item for item in items]


def _cell(cell: dict[str, Any], task: str, robot: str) -> dict[str, Any]:
    # version 3 has no command that shows an episode
    added = {"view": [], "abilities": [], "rule": ""}
    return {**added, **_with_newer_parts(cell, task, robot)}


def _with_newer_parts(cell: dict[str, Any], task: str, robot: str) -> dict[str, Any]:
    """Returns a cell, whole or unfinished, with a newer condition and newer episodes."""
    newer = {**cell}
    if isinstance(cell.get("condition"), dict):
        # earlier versions lack these fields: their cells were all measured like this
        added = {"task": task, "robot": robot, "outage": "", "bridge": "hold"}
        newer["condition"] = {**added, **cell["condition"]}
    if "episodes" in cell:
        newer["episodes"] = _each(cell["episodes"], _episode)
    return newer


def _episode(episode: dict[str, Any]) -> dict[str, Any]:
    """Returns an episode with what versions 4 to 8 added."""
    # version 3 lacks `ended`: a time-out cannot be told from a loss, so "" is for both
    ended = ""
    if episode.get("success_at_end") is True:
        ended = SUCCESS
    elif episode.get("fault"):
        ended = FAULT
    words = {"ended": ended, "subtask": "", "stage": "", "error": ""}
    plans = {"plan_faults": 0, "stale_share": None, "plan_jump": None}
    motion = {"energy_j": None, "smoothness": None}
    return {**words, **plans, **motion, **episode}
