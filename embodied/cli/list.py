"""`embodied list`: lists tasks, robots, policies and all other names."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from embodied.benchmark.suite import CLASSES, DIMENSIONS, find_suite, suite_names
from embodied.cli.text_table import text_table
from embodied.core import ActionInterface
from embodied.envs.own_tasks import typed_task
from embodied.envs.registry import (
    DESCRIPTION_SUFFIX,
    get_robot,
    get_task,
    loadable_robots,
    loadable_tasks,
    robot_names,
    robots_for,
)
from embodied.envs.variation import Interval, Variable, markdown_table
from embodied.errors import EmbodiedError, unknown
from embodied.policies.bridges.registry import BRIDGES
from embodied.policies.channel_profiles import PROFILES
from embodied.policies.registry import PREFIXES, policy_summaries
from embodied.policies.run_folder import read_info
from embodied.robots.parts.part import CONTROL_MODES

HELP = """List the tasks, robots, control modes, policies, channels, bridges and suites that exist: the names that all
other verbs take."""
EXAMPLE = """embodied list tasks --json
  embodied list --factors ToteTransfer
  embodied list --actions arm"""
MODES = {
    "joint": "joint positions to go to, at most as fast as the joints may",
    "joint_delta": "joint velocities",
    "ee_delta": "velocity and turning rate of the gripper, along the axes of the arm's mount",
}
ACTION_COLUMNS = ("mode", "element", "unit", "frame", "at -1", "at 1")
Rows = list[dict[str, Any]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument(
        "kind",
        nargs="?",
        help="tasks, robots, control_modes, policies, channels, bridges or suites "
        "(default: all)",
    )

    # two other lists, instead of names
    parser.add_argument(
        "--factors",
        metavar="TASK",
        type=typed_task,
        help="what varies in a task, by how much at each level, and how to fix it",
    )
    parser.add_argument(
        "--actions",
        metavar="WHAT",
        help="what each number of an action means, for a robot, a dataset or a run",
    )

    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Prints the names, the factors of a task, or the meaning of actions."""
    given = [args.kind, args.factors, args.actions]
    if sum(value is not None for value in given) > 1:
        raise EmbodiedError("give one of a kind, --factors and --actions, not several")

    if args.factors is not None:
        print_factors(args.factors, args.json)
    elif args.actions is not None:
        print_actions(args.actions, args.json)
    else:
        print_names(args.kind, args.json)
    return 0


def print_factors(task: str, as_json: bool) -> None:
    """Prints the variables of a task."""
    table = get_task(task).table
    if not as_json:
        print(markdown_table(table))
        print(factors_note(table))
        return

    rows = []
    for variable in table:
        rows.append({key: str(value) for key, value in vars(variable).items()})
    print(json.dumps(rows, indent=2))


def factors_note(table: Sequence[Variable]) -> str:
    """Returns a note on how to fix variables in Python, with an example."""
    # the example is the first variable that is a number, with the middle of its range
    middles = {
        variable.name: (variable.train.low + variable.train.high) / 2
        for variable in table
        if isinstance(variable.train, Interval)
    }
    name, value = next(iter(middles.items()))
    return (
        f"\nTo give variables a value: gymnasium.make(..., "
        f"factors={{{name!r}: {value:g}}}).\nAny value in the variable's row will "
        "do, held-out ones included; it holds in every episode."
    )


def print_actions(what: str, as_json: bool) -> None:
    """Prints the meaning of each number of an action (see `action_interfaces`)."""
    rows = []
    for name, interface in action_interfaces(what).items():
        for row in interface.rows():
            rows.append(dict(zip(ACTION_COLUMNS, (name, *row), strict=True)))
    print(json.dumps(rows, indent=2) if as_json else actions_table(rows))


def print_names(kind: str | None, as_json: bool) -> None:
    """Prints the names of one kind; of all kinds for None."""
    names = catalogue()
    if kind is not None:
        if kind not in names:
            raise unknown("kind", kind, names)
        names = {kind: names[kind]}
    print(json.dumps(names, indent=2) if as_json else names_text(names))


def action_interfaces(what: str) -> dict[str, ActionInterface]:
    """Returns the action interfaces of a robot, a dataset or a run.

    Returns:
        For a robot or a run: control mode -> interface. For a dataset: name of an array
        of actions -> interface.

    Raises:
        EmbodiedError: `what` is none of these.
    """
    path = Path(what)
    if what in robot_names() or path.suffix == DESCRIPTION_SUFFIX:
        return {mode: get_robot(what).interface(mode) for mode in CONTROL_MODES}
    if path.is_dir():
        learned = ActionInterface.of(read_info(path)["metadata"]["action_interface"])
        return {learned.mode: learned}
    if path.suffix in (".hdf5", ".h5"):
        return _interfaces_of_dataset(path)
    raise unknown("robot, dataset or run folder", what, robot_names())


def _interfaces_of_dataset(path: Path) -> dict[str, ActionInterface]:
    """Returns "array of actions (control mode)" -> interface, for a dataset."""
    from embodied.datasets.opening import open_file, read_header

    with open_file(path) as file:
        metadata = read_header(file).metadata
    # one action per frame, which a policy learns; and one per control step, as executed
    frame_interface = ActionInterface.of(metadata["joint_interface"])
    step_interface = ActionInterface.of(metadata["action_interface"])
    return {
        f"actions ({frame_interface.mode})": frame_interface,
        f"streams/action ({step_interface.mode})": step_interface,
    }


def actions_table(rows: Rows) -> str:
    """Returns a table with one row per element of an action."""
    cells: list[list[str]] = [list(ACTION_COLUMNS)]
    for row in rows:
        cells.append([_cell(value) for value in row.values()])
    return text_table(cells)


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def catalogue() -> dict[str, Rows]:
    """Returns kind -> rows, each with at least a name and a summary."""
    policies = {
        **policy_summaries(),
        # further forms of a policy's name, beside names of policies
        "FOLDER": "a run that `embodied train` wrote",
        "MODULE:NAME": "one of your own, in a module in this folder or installed",
        **{f"{prefix}:...": source.summary for prefix, source in PREFIXES.items()},
    }

    channels = {name: profile.description for name, profile in PROFILES.items()}
    bridges = {name: built_in.summary for name, built_in in BRIDGES.items()}

    return {
        "tasks": [describe_task(name) for name in loadable_tasks()],
        "robots": [describe_robot(name) for name in loadable_robots()],
        "control_modes": _summary_rows(MODES),
        "policies": _summary_rows(policies),
        "channels": _summary_rows(channels),
        "bridges": _summary_rows(bridges),
        "suites": [describe_suite(name) for name in suite_names()],
    }


def _summary_rows(summaries: dict[str, str]) -> Rows:
    """Returns one row with `name` and `summary` per item."""
    return [{"name": name, "summary": summary} for name, summary in summaries.items()]


def describe_task(name: str) -> dict[str, Any]:
    """Returns the facts about a task for its row in the list."""
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
    """Returns the facts about a robot for its row in the list.

    The entry `actions` is: control mode -> labels of the elements of an action.
    """
    robot = get_robot(name)
    return {
        "name": name,
        "summary": robot.summary(),
        "cameras": list(robot.cameras),
        "actions": {mode: list(robot.interface(mode).labels) for mode in CONTROL_MODES},
    }


def describe_suite(name: str) -> dict[str, Any]:
    """Returns the facts about a suite for its row in the list.

    The entry `abilities` is: ability -> number of cells that measure the ability.
    """
    # a cell measures one class of ability, and possibly several dimensions
    suite = find_suite(name)
    counts: dict[str, int] = {}
    for cell in suite.cells:
        for ability in (cell.ability, *cell.dimensions):
            counts[ability] = counts.get(ability, 0) + 1

    return {
        "name": name,
        "version": suite.version,
        "summary": suite.summary,
        "tasks": list(dict.fromkeys(cell.task for cell in suite.cells)),
        "robots": list(dict.fromkeys(cell.robot for cell in suite.cells)),
        "cells": len(suite.cells),
        "abilities": counts,
        "protocol": dict(suite.protocol),
    }


def suite_lines(suite: dict[str, Any]) -> list[str]:
    """Returns two lines on a suite: its size and protocol, and the abilities."""
    protocol = suite["protocol"]
    size_and_protocol = (
        f"version {suite['version']}: {suite['cells']} cells of {protocol['episodes']} "
        f"episodes from seed {protocol['first_seed']}, success {protocol['success']}"
    )
    counts = suite["abilities"]
    classes = [f"{counts[name]} {name}" for name in CLASSES if name in counts]
    dimensions = [f"{counts[name]} {name}" for name in DIMENSIONS if name in counts]
    return [
        size_and_protocol,
        f"cells by class: {', '.join(classes)}; by dimension: {', '.join(dimensions)}",
    ]


def names_text(names: dict[str, Rows]) -> str:
    """Returns a paragraph for each kind of name, with one line per name.

    Args:
        names: the result of `catalogue`, or a part of it.
    """
    # the longest name determines where summaries begin
    width = 0
    for rows in names.values():
        width = max(width, *(len(row["name"]) for row in rows))

    paragraphs = []
    for kind, rows in names.items():
        lines = [kind.replace("_", " ")]
        for row in rows:
            line = f"  {row['name']:<{width}}  {row['summary']}"
            # only tasks have stages, only suites have abilities
            if "stages" in row:
                line += f" ({stages_text(row['stages'])})"
            if "abilities" in row:
                indent = " " * (width + 4)
                line += "".join(f"\n{indent}{text}" for text in suite_lines(row))
            lines.append(line)
        paragraphs.append("\n".join(lines))
    return "\n\n".join(paragraphs)


def stages_text(stages: list[str]) -> str:
    """Returns the stages of a task in words; `--stage` takes their names."""
    if not stages:
        return "no stages"
    return f"stages: {', '.join(stages)}"
