"""`embodied robot check`: shows how a robot's description was understood."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from embodied.cli import arguments
from embodied.cli.output import require_writable
from embodied.cli.text_table import text_table
from embodied.envs.home_overlaps import overlaps_at_home
from embodied.envs.registry import get_task, loadable_tasks
from embodied.robots.described.account import Account, account_of
from embodied.robots.described.portrait import write_portrait
from embodied.robots.described.robot import read_robot

HELP = """Say what was understood of a robot's description: joints with their ranges, strength and measured lag, the
hand, what is held and left out, which tasks fit and what the others lack, and what of a task's scene the robot
overlaps with at home. With --picture, draw it: at home with
the tool point's frame (x red, y green, z blue), the hand open and closed. The exit status is 1 if something is
doubtful."""
EXAMPLE = "embodied robot check six.toml --picture six.png"
COLUMNS = ("joint", "from", "to", "home", "speed", "limit", "lag", "rest error")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument(
        "description", type=Path, metavar="FILE.toml", help="the description"
    )
    parser.add_argument(
        "--picture", type=Path, metavar="FILE.png", help="draw the robot into this file"
    )
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the robot as it was understood; returns 1 if something is doubtful."""
    if args.picture is not None:
        require_writable(args.picture)
    reading = read_robot(args.description)
    account = account_of(reading)
    tasks = {}
    doubts = [*account.doubts]
    for name in loadable_tasks():
        tasks[name] = get_task(name).needs.missing(reading.robot)
        if not tasks[name]:
            doubts += overlaps_at_home(name, reading.bare)
    if all(tasks.values()):
        doubts.append("no task fits")
    if args.picture is not None:
        write_portrait(reading, args.picture)

    if args.json:
        facts = {**account.as_json(), "tasks": tasks, "doubts": doubts}
        print(json.dumps(facts, indent=2))
    else:
        print(as_text(account, tasks, doubts))
    return 1 if doubts else 0


def as_text(account: Account, tasks: dict[str, list[str]], doubts: list[str]) -> str:
    """Returns joints, facts, fitting tasks and doubts as text."""
    rows: list[tuple[str, ...]] = [COLUMNS]
    for joint in account.joints:
        limit = "none" if joint.limit_n_m is None else f"{joint.limit_n_m:.3g} N m"
        rows.append(
            (
                joint.name,
                f"{joint.low_rad:.3f}",
                f"{joint.high_rad:.3f}",
                f"{joint.home_rad:.3f}",
                f"{joint.speed_rad_s:.3g} rad/s",
                limit,
                f"{1000 * joint.lag_s:.0f} ms",
                f"{1000 * joint.rest_error_rad:.1f} mrad",
            )
        )
    lines = [text_table(rows), ""]
    lines += [f"{name}: {value}" for name, value in account.facts]

    # tasks, then doubts
    lines.append("")
    for name, missing in tasks.items():
        verdict = f"lacks {'; '.join(missing)}" if missing else "fits"
        lines.append(f"{name}: {verdict}")
    lines.append("")
    lines += [f"doubtful: {doubt}" for doubt in doubts] or ["nothing is doubtful"]
    return "\n".join(lines)
