"""`embodied robot check`: shows how a robot's description was understood."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from embodied.cli import arguments
from embodied.cli.output import require_writable
from embodied.cli.text_table import text_table
from embodied.envs.home_overlaps import overlaps_at_home
from embodied.envs.registry import get_task, loadable_tasks
from embodied.robots.described.account import Account, account_of
from embodied.robots.described.portrait import write_portrait
from embodied.robots.described.reached import PlaceFinder
from embodied.robots.described.robot import Reading, read_robot

HELP = """Say what was understood of a robot's description: joints with their ranges, strength and measured lag, the
hand, what is held and left out, which tasks fit and what the others lack, how many of a task's farthest places the
hand reaches and which it does not, and what of a task's scene the robot overlaps with at home. With --picture, draw
it: at home with the tool point's frame (x red, y green, z blue), the hand open and closed. The exit status is 1 if
something is doubtful."""
EXAMPLE = "embodied robot check six.toml --picture six.png"
COLUMNS = ("joint", "from", "to", "home", "speed", "limit", "lag", "rest error")


@dataclass(frozen=True)
class TaskAccount:
    """Whether a robot can do a task.

    Attributes:
        lacks: what the task needs and the robot lacks, in words.
        places: the number of places that the hand must reach; 0 if the task names none,
            or if a driving base brings the hand there.
        missed: the names of the places that the hand does not reach.
        overloads: sentences about joints that are too weak for the task's payload.
    """

    lacks: tuple[str, ...]
    places: int = 0
    missed: tuple[str, ...] = ()
    overloads: tuple[str, ...] = ()

    def verdict(self) -> str:
        """Returns a phrase for the table of tasks."""
        if self.lacks:
            return f"lacks {'; '.join(self.lacks)}"
        if not self.places:
            return "fits"
        if not self.missed:
            return f"fits, and reaches all of its {self.places} farthest places"
        reached = self.places - len(self.missed)
        return f"fits, but reaches only {reached} of its {self.places} farthest places"


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

    # try the robot in every task; all that may go wrong is a doubt
    tasks = {name: _task_account(reading, name) for name in loadable_tasks()}
    doubts = [*account.doubts]
    for name, task in tasks.items():
        if not task.lacks:
            doubts += overlaps_at_home(name, reading.bare)
        if task.missed:
            doubts.append(
                f"in {name}, the hand does not reach {', '.join(task.missed)}: the expert "
                "fails where it needs that; another mount (mount.pos_w, mount.yaw_deg) or "
                "home may help"
            )
        doubts += [f"in {name}, {overload}" for overload in task.overloads]
    if all(task.lacks for task in tasks.values()):
        doubts.append("no task fits")
    if args.picture is not None:
        write_portrait(reading, args.picture)

    if args.json:
        verdicts = {name: asdict(task) for name, task in tasks.items()}
        facts = {**account.as_json(), "tasks": verdicts, "doubts": doubts}
        print(json.dumps(facts, indent=2))
    else:
        print(as_text(account, tasks, doubts))
        if (to_try := _task_to_try(tasks)) is not None:
            name = reading.description.name
            print(
                f"see an expert work with it: embodied eval {to_try} --robot "
                f"{args.description} --policy expert --episodes 4 -o runs/{name}"
            )
    return 1 if doubts else 0


def _task_account(reading: Reading, name: str) -> TaskAccount:
    """Returns what a robot lacks for a task, or which of its places it does not reach."""
    needs = get_task(name).needs
    lacks = tuple(needs.missing(reading.robot))
    # a driving base brings the hand to its work, so its reach is not tested
    if lacks or not needs.places or reading.robot.travels:
        return TaskAccount(lacks)
    finder = PlaceFinder(reading)
    return TaskAccount(
        lacks,
        places=len(needs.places),
        missed=tuple(finder.missed(needs.places)),
        overloads=tuple(finder.overloads(needs.places, needs.payload_kg)),
    )


def _task_to_try(tasks: Mapping[str, TaskAccount]) -> str | None:
    """Returns the first task that fits without doubts; None if there is none."""
    for name, task in tasks.items():
        if not (task.lacks or task.missed or task.overloads):
            return name
    return None


def as_text(
    account: Account, tasks: Mapping[str, TaskAccount], doubts: Sequence[str]
) -> str:
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
    lines += [f"{name}: {task.verdict()}" for name, task in tasks.items()]
    lines.append("")
    lines += [f"doubtful: {doubt}" for doubt in doubts] or ["nothing is doubtful"]
    return "\n".join(lines)
