"""`embodied check-task`: checks a task against the contracts of all tasks."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

from embodied.cli import arguments
from embodied.contract.suite import CONTRACTS, Finding, check_task
from embodied.envs.own_tasks import typed_task
from embodied.envs.registry import get_robot, get_task

HELP = """Check a task against the contracts that all tasks keep to: the same seed gives the same bits, starts are clear
and unsolved, judgements follow from the recorded state, the code runs on torch, the expert succeeds, and so on. Prints
each with what is wrong; the exit status is 1 if one is broken. It takes some minutes.

A task of your own is given by its place, such as my_tasks.py:CUBE_TO_PLATE (docs/your_first_task.md)."""
EXAMPLE = "embodied check-task ToteTransfer --robot arm"
SHOWN_REASONS = 3  # most reasons to print for a broken contract


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument(
        "task", metavar="TASK", type=typed_task, help=arguments.TASK_HELP
    )
    parser.add_argument(
        "--robot",
        nargs="+",
        default=(),
        metavar="ROBOT",
        help="robots to try it with (default: all that fit)",
    )
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Checks all contracts; returns 1 if one is broken."""
    spec = get_task(args.task)
    # a robot that lacks something that the task needs is refused by name
    for robot in args.robot:
        spec.check(get_robot(robot))

    # `check_task` yields a finding after each contract: print it with the time it took
    findings = []
    begun_s = time.monotonic()
    # some contracts are tried in another folder
    robots = [
        str(Path(robot).resolve()) if Path(robot).is_file() else robot
        for robot in args.robot
    ]
    for finding in check_task(spec.name, tuple(robots)):
        findings.append(finding)
        if not args.json:
            now_s = time.monotonic()
            print(as_text(finding, now_s - begun_s), flush=True)
            begun_s = now_s

    broken = [finding for finding in findings if finding.reasons]
    if args.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    elif broken:
        print(f"{spec.name} breaks {len(broken)} of {len(CONTRACTS)} contracts")
    else:
        print(f"{spec.name} keeps all {len(CONTRACTS)} contracts")
    sys.stdout.flush()
    return 1 if broken else 0


def as_text(finding: Finding, took_s: float) -> str:
    """Returns a line on a contract and, if the contract is broken, lines with reasons.

    Args:
        finding: the result of checking the contract.
        took_s: the time that the check took.
    """
    mark = "FAIL" if finding.reasons else "pass"
    lines = [f"{mark}  {took_s:6.1f} s  {finding.contract}"]
    lines += [f"      {reason}" for reason in finding.reasons[:SHOWN_REASONS]]
    left_out = len(finding.reasons) - SHOWN_REASONS
    if left_out > 0:
        lines.append(f"      and in {left_out} more of {finding.num_trials} trials")
    return "\n".join(lines)
