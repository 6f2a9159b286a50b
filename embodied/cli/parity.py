"""`embodied parity`: both engines compared, task by task, as a page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from embodied.cli import arguments
from embodied.cli.book import add_output, measure_missing
from embodied.envs.config import DEVICES
from embodied.envs.registry import task_names
from embodied.envs.variation import LEVELS
from embodied.errors import EmbodiedError, unknown
from embodied.pages.parity import (
    ParityQuestion,
    ParityRow,
    PolicyVersion,
    measure_motion,
    measure_outcomes,
    plan_parity,
)
from embodied.pages.parity_page import parity_book
from embodied.pages.subject import choose_pairs

HELP = """Compare the engines `cpu` and `warp` for every task and robot: how far they drift apart in a second of motion
without a touch, and how often the expert, or with --policy a trained policy, succeeds over the same starts on each.
Writes a page of tables, and beside it a JSON file that has the seeds whose outcomes differ.

Each figure is kept as soon as it is measured. --resume measures what is missing, or was measured with other code or
versions; --overwrite measures what is asked for anew, and keeps the rest."""
EXAMPLE = """embodied parity
  embodied parity --device cpu --task ToteTransfer --robot arm --starts 16 -o runs/parity.md
  embodied parity --task ToteTransfer --robot arm --policy runs/lift --stage lift --level L1 -o runs/parity.md"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument("--task", nargs="+", metavar="TASK", help="default: all")
    parser.add_argument(
        "--robot", nargs="+", metavar="ROBOT", help="default: all that each task knows"
    )
    parser.add_argument(
        "--policy",
        default="expert",
        help="one that runs on both: a run folder, ... (default: expert)",
    )
    parser.add_argument(
        "--stage", default="", help="of the task, e.g. reach (default: the whole task)"
    )
    parser.add_argument(
        "--level", default="L2", help="of the policy's starts (default: L2)"
    )
    parser.add_argument(
        "--starts",
        type=int,
        default=64,
        help="of the policy; 0: motion only (default: 64)",
    )
    parser.add_argument(
        "--seed", type=int, default=20_000, help="of the first start (default: 20000)"
    )
    parser.add_argument(
        "--device",
        default="cuda",
        help="cuda, or cpu to try it without a GPU, slowly (default: cuda)",
    )
    add_output(parser, "docs/parity.md")
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Measures what is missing, and writes the page after each figure."""
    _check(args)
    book = parity_book(args.output)
    pairs = choose_pairs(args.task or task_names(), args.robot)

    # what cannot run shows before anything is measured
    policy = PolicyVersion.now(str(Path(args.policy)), args.stage)
    for pair in pairs:
        policy.env_config(pair, args.level)

    seeds = range(args.seed, args.seed + args.starts)
    questions = plan_parity(pairs, args.level, seeds, policy)

    def measure(question: ParityQuestion, number: str) -> ParityRow:
        return _measure(question, number, args)

    measure_missing(book, questions, measure, args)
    return 0


def _check(args: argparse.Namespace) -> None:
    if args.level not in LEVELS:
        raise unknown("level", args.level, LEVELS)
    if args.device not in DEVICES:
        raise unknown("device", args.device, DEVICES)
    if args.starts < 0 or args.seed < 0:
        raise EmbodiedError(
            f"--starts and --seed must be at least 0, not {args.starts} and {args.seed}"
        )


def _measure(
    question: ParityQuestion, number: str, args: argparse.Namespace
) -> ParityRow:
    if not args.json:
        task, robot = question.subject.pair
        part = question.level or "motion"
        print(f"{number} {task} {robot} {part}", file=sys.stderr)

    if question.level is None:
        return measure_motion(question, args.device)

    with tqdm(
        total=len(question.seeds),
        desc="ended",
        unit="episode",
        disable=args.json or None,
    ) as bar:

        def show(num_ended: int) -> None:
            bar.update(num_ended - bar.n)

        return measure_outcomes(question, args.device, show)
