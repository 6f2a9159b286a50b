"""`embodied list`: what there is to choose from."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from embodied.core import ActionInterface
from embodied.envs.registry import (
    DESCRIPTION_SUFFIX,
    get_robot,
    get_task,
    robot_names,
    robots_for,
    task_names,
)
from embodied.envs.variation import markdown_table
from embodied.errors import unknown
from embodied.policies.registry import policy_summaries
from embodied.policies.run_folder import read_info
from embodied.robots.parts.part import CONTROL_MODES

HELP = "List the tasks, robots, control modes and policies there are: the names that all other verbs take."
EXAMPLE = "embodied list tasks --json\nembodied list --factors ToteTransfer\nembodied list --actions arm"
MODES = {
    "joint": "joint positions to go to, at most as fast as the joints may",
    "joint_delta": "joint velocities",
    "ee_delta": "velocity and turning rate of the gripper, along the axes of the arm's mount",
}
ACTION_COLUMNS = ("mode", "element", "unit", "frame", "at -1", "at 1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    parser.add_argument(
        "kind",
        nargs="?",
        help="tasks, robots, control_modes or policies (default: all)",
    )
    parser.add_argument(
        "--factors",
        metavar="TASK",
        help="what varies in a task, by how much at each level",
    )
    parser.add_argument(
        "--actions",
        metavar="WHAT",
        help="what each number of an action means: a robot, dataset or run",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print one kind of things, or all."""
    if args.factors is not None:
        table = get_task(args.factors).table
        rows = [
            {key: str(value) for key, value in vars(variable).items()}
            for variable in table
        ]
        print(json.dumps(rows, indent=2) if args.json else markdown_table(table))
        return 0
    if args.actions is not None:
        meanings = [
            (name, *row)
            for name, interface in interfaces(args.actions).items()
            for row in interface.rows()
        ]
        rows = [_row(*meaning) for meaning in meanings]
        print(json.dumps(rows, indent=2) if args.json else actions_table(rows))
        return 0
    found = catalogue()
    if args.kind is not None:
        if args.kind not in found:
            raise unknown("kind", args.kind, found)
        found = {args.kind: found[args.kind]}
    print(json.dumps(found, indent=2) if args.json else as_text(found))
    return 0


def interfaces(what: str) -> dict[str, ActionInterface]:
    """The action interfaces of a robot (by control mode), of a dataset (by the array
    that holds such actions), or of what was trained.

    Raises EmbodiedError for what is none of these.
    """
    path = Path(what)
    if what in robot_names() or path.suffix == DESCRIPTION_SUFFIX:
        return {mode: get_robot(what).interface(mode) for mode in CONTROL_MODES}
    if path.is_dir():
        learned = ActionInterface.of(read_info(path)["metadata"]["action_interface"])
        return {learned.mode: learned}
    if path.suffix not in (".hdf5", ".h5"):
        raise unknown("robot, dataset or run folder", what, robot_names())
    from embodied.datasets.opening import open_file, read_header

    with open_file(path) as file:
        metadata = read_header(file).metadata
    frames, steps = (
        ActionInterface.of(metadata[name])
        for name in ("joint_interface", "action_interface")
    )
    return {f"actions ({frames.mode})": frames, f"streams/action ({steps.mode})": steps}


def _row(*cells: Any) -> dict[str, Any]:
    return dict(zip(ACTION_COLUMNS, cells, strict=True))


def actions_table(rows: list[dict[str, Any]]) -> str:
    """A line an element."""
    cells = [
        ACTION_COLUMNS,
        *(
            [f"{v:.4g}" if isinstance(v, float) else str(v) for v in row.values()]
            for row in rows
        ),
    ]
    widths = [max(len(row[k]) for row in cells) for k in range(len(ACTION_COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def catalogue() -> dict[str, list[dict[str, Any]]]:
    """Kind -> its members, each with a name, a summary and what else one chooses by."""
    policies = {
        **policy_summaries(),
        "FOLDER": "a run that `embodied train` wrote",
        "MODULE:NAME": "one of your own, in a module here or installed",
    }
    return {
        "tasks": [describe_task(name) for name in task_names()],
        "robots": [describe_robot(name) for name in robot_names()],
        "control_modes": [
            {"name": mode, "summary": MODES[mode]} for mode in CONTROL_MODES
        ],
        "policies": [
            {"name": name, "summary": summary} for name, summary in policies.items()
        ],
    }


def describe_task(name: str) -> dict[str, Any]:
    """One task."""
    task = get_task(name)
    return {
        "name": task.env_id,
        "summary": task.summary,
        "robots": list(robots_for(task)),
        "cameras": list(task.cameras),
        "horizon_s": task.horizon_s,
        "stages": [stage.name for stage in task.stages],
    }


def describe_robot(name: str) -> dict[str, Any]:
    """One robot, with the labels of its action elements in each control mode."""
    robot = get_robot(name)
    actions = {mode: list(robot.interface(mode).labels) for mode in CONTROL_MODES}
    return {
        "name": name,
        "summary": robot.summary(),
        "cameras": list(robot.cameras),
        "actions": actions,
    }


def as_text(found: dict[str, list[dict[str, Any]]]) -> str:
    """A paragraph per kind, a line per member."""
    width = max(len(member["name"]) for members in found.values() for member in members)
    paragraphs = []
    for kind, members in found.items():
        lines = [
            f"  {member['name']:<{width}}  {member['summary']}" for member in members
        ]
        paragraphs.append("\n".join([kind.replace("_", " "), *lines]))
    return "\n\n".join(paragraphs)
