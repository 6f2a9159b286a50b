"""`embodied parity`: compares both engines for every task, and writes a page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from embodied.cli import arguments
from embodied.cli.book import add_output, measure_missing
from embodied.envs.config import DEVICES
from embodied.envs.registry import warp_tasks
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
that touches nothing, and how often the expert (or the policy given by --policy) succeeds on each from the same starts.
Writes a page of tables and, beside it, a JSON file with the seeds whose outcomes differ.

Each figure is kept as soon as it is measured. --resume measures what is missing or was measured with other code or
versions; --overwrite measures all that is asked for anew, and keeps the other figures."""
EXAMPLE = """embodied parity
  embodied parity --device cpu --task ToteTransfer --robot arm --starts 16 -o runs/parity.md
  embodied parity --task ToteTransfer --robot arm --policy runs/lift --stage lift --level L1 -o runs/parity.md"""

LEVEL = "L2"  # default level of the policy's starts
FIRST_SEED = 20_000  # default seed of the policy's first start


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    arguments.add_pairs(parser, "compare")

    # the policy whose success is compared
    parser.add_argument(
        "--policy",
        help="a policy that sees the state alone: expert, or a run folder (default: "
        "expert)",
    )
    parser.add_argument(
        "--stage",
        help="stage of the task that the policy does, e.g. reach (default: the whole "
        "task)",
    )
    parser.add_argument(
        "--level", help=f"how much the policy's starts vary (default: {LEVEL})"
    )

    # from which starts, and how many
    parser.add_argument(
        "--starts",
        type=int,
        default=64,
        help="starts of the policy; 0 compares motion only (default: 64)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        help=f"seed of the policy's first start (default: {FIRST_SEED})",
    )

    # where, and the page
    parser.add_argument(
        "--device",
        default="cuda",
        help="cuda, or cpu to try it without a GPU, slowly (default: cuda)",
    )
    add_output(parser, "docs/parity.md")
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Measures the missing rows of the parity page, which compares the engines.

    The page is written after each row.
    """
    _check(args)
    book = parity_book(args.output)
    pairs = choose_pairs(args.task or warp_tasks(), args.robot)

    # `env_config` raises an error for a policy that cannot run: check that first. `Path`
    # gives "runs/x/" and "runs/x" the same name.
    level = args.level or LEVEL
    policy = PolicyVersion.now(str(Path(args.policy or "expert")), args.stage or "")
    for pair in pairs:
        policy.env_config(pair, level)

    first = FIRST_SEED if args.seed is None else args.seed
    seeds = range(first, first + args.starts)
    questions = plan_parity(pairs, level, seeds, policy)

    def measure(question: ParityQuestion, position: str) -> ParityRow:
        return _measure(question, position, args)

    measure_missing(book, questions, measure, args)
    return 0


def _check(args: argparse.Namespace) -> None:
    """Raises EmbodiedError for arguments that are invalid or exclude each other."""
    if args.level is not None and args.level not in LEVELS:
        raise unknown("level", args.level, LEVELS)
    if args.device not in DEVICES:
        raise unknown("device", args.device, DEVICES)
    if args.starts < 0:
        raise EmbodiedError(f"--starts must be at least 0, not {args.starts}")
    if args.starts == 0:
        names = ("policy", "stage", "level", "seed")
        arguments.reject_flags(args, names, "no effect without starts of the policy")
    if args.seed is not None:
        arguments.check_seed(args.seed, args.starts)


def _measure(
    question: ParityQuestion, number: str, args: argparse.Namespace
) -> ParityRow:
    """Compares the engines: by outcomes if the question has a level, else by motion.

    Args:
        question: the task, the robot and what to compare.
        number: the number of the question, e.g. "3/12", for display.
        args: the verb's arguments.
    """
    if not args.json:
        task, robot = question.subject.pair
        what = question.level or "motion"
        print(f"{number} {task} {robot} {what}", file=sys.stderr)

    if question.level is None:
        return measure_motion(question, args.device)

    # outcomes take long, so show how many episodes have ended
    with tqdm(
        total=len(question.seeds),
        desc="ended",
        unit="episode",
        disable=args.json or None,
    ) as bar:

        def show(num_ended: int) -> None:
            """Shows the number of ended episodes; `update` takes the increment."""
            bar.update(num_ended - bar.n)

        return measure_outcomes(question, args.device, show)
