"""Upgrades results files of earlier schema versions while they are read.

Damaged content is left as it is: decoding finds it later.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from embodied.benchmark.results import join_task_and_robot
from embodied.benchmark.results_schema import SCHEMA_VERSION
from embodied.rollout.endings import FAULT, SUCCESS

READABLE = (3, 4, 5, 6, 7, 8, 9, SCHEMA_VERSION)
Upgrade = Callable[[dict[str, Any]], dict[str, Any]]


def upgraded(content: dict[str, Any]) -> dict[str, Any]:
    """Returns the content of a file of any READABLE version, in the current form."""
    if content["schema_version"] == SCHEMA_VERSION:
        return content

    # earlier versions name task and robot only in the provenance, for all cells
    provenance = content.get("provenance")
    task = ""
    robot = ""
    if isinstance(provenance, dict):
        # the provenance has an environment's id, "embodied/ToteTransfer-v0"; a condition
        # has the task's name, "ToteTransfer"
        name = str(provenance.get("task", ""))
        task = name.removeprefix("embodied/").removesuffix("-v0")
        robot = str(provenance.get("robot", ""))
        model = (provenance.get("metadata") or {}).get("model_hash")
        models = {join_task_and_robot(task, robot): model} if model else {}
        added = {"suite": {}, "models": models, "code": {}, "shard": ""}
        provenance = {**added, **provenance}

    def upgraded_cell(cell: dict[str, Any]) -> dict[str, Any]:
        return _cell(cell, task, robot)

    def upgraded_unfinished(cell: dict[str, Any]) -> dict[str, Any]:
        return _with_newer_condition(cell, task, robot)

    newer = {**content}
    if "provenance" in content:
        newer["provenance"] = provenance
    for name, upgrade in (
        ("cells", upgraded_cell),
        ("unfinished", upgraded_unfinished),
    ):
        if name in content:
            newer[name] = _upgraded_items(content[name], upgrade)
    return newer


def _upgraded_items(items: Any, upgrade: Upgrade) -> Any:
    """Returns a list with its objects upgraded; anything but a list unchanged."""
    if not isinstance(items, list):
        return items
    return [upgrade(item) if isinstance(item, dict) else item for item in items]


def _cell(cell: dict[str, Any], task: str, robot: str) -> dict[str, Any]:
    """Returns a finished cell with the fields that earlier versions lack."""
    added = {"view": [], "abilities": [], "rule": ""}
    return {**added, **_with_newer_condition(cell, task, robot)}


def _with_newer_condition(
    cell: dict[str, Any], task: str, robot: str
) -> dict[str, Any]:
    """Returns a finished or unfinished cell with upgraded condition and episodes."""
    newer = {**cell}
    if isinstance(cell.get("condition"), dict):
        # earlier versions lack these fields, and knew only these values of them
        added = {"task": task, "robot": robot, "outage": "", "bridge": "hold"}
        newer["condition"] = {**added, **cell["condition"]}
    if "episodes" in cell:
        newer["episodes"] = _upgraded_items(cell["episodes"], _episode)
    return newer


def _episode(episode: dict[str, Any]) -> dict[str, Any]:
    """Returns an episode with the fields that versions 4 to 10 added."""
    # Version 3 lacks `ended`. Success and faults are known from other fields. Time-outs and
    # losses can't be told apart: both get "".
    ended = ""
    if episode.get("success_at_end") is True:
        ended = SUCCESS
    elif episode.get("fault"):
        ended = FAULT
    texts = {"ended": ended, "subtask": "", "stage": "", "error": ""}
    plans = {"plan_faults": 0, "stale_share": None, "plan_jump": None}
    motion = {"energy_j": None, "smoothness": None, "near_misses": None}
    return {**texts, **plans, **motion, "measures": {}, **episode}
