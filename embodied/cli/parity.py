"""`embodied parity`: both engines compared, task by task, as a page."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from tqdm import tqdm

from embodied.benchmark.parity import (
    Motion,
    Parity,
    Performer,
    Query,
    Work,
    measure_motion,
    measure_work,
    plan_queries,
)
from embodied.benchmark.parity_page import parity_page, read_parity, write_parity
from embodied.benchmark.provenance import host_facts
from embodied.benchmark.survey import choose_pairs
from embodied.cli import arguments
from embodied.cli.output import require_writable
from embodied.envs.config import DEVICES
from embodied.envs.registry import task_names
from embodied.envs.variation import LEVELS
from embodied.errors import EmbodiedError, unknown
from embodied.files import replace_text

HELP = """Compare the engines `cpu` and `warp` for every task and robot: how far they drift apart in a second of motion
without a touch, and how often the expert, or with --policy a trained policy, succeeds over the same starts on each.
Writes a page of tables, and beside it a JSON file that has the seeds whose outcomes differ.

Each figure is kept as soon as it is there. --resume measures what is missing, or was measured with other code or
versions; --overwrite measures what is asked anew, and keeps what is not asked."""
EXAMPLE = """embodied parity
  embodied parity --device cpu --task ToteTransfer --robot arm --starts 16 -o runs/parity.md
  embodied parity --task ToteTransfer --robot arm --policy runs/lift --stage lift --level L1 -o runs/parity.md"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    parser.add_argument("--task", nargs="+", metavar="TASK", help="default: all")
    parser.add_argument(
        "--robot", nargs="+", metavar="ROBOT", help="default: all that each task knows"
    )
    parser.add_argument(
        "--policy",
        default="expert",
        help="that works on both: a run folder, ... (default: expert)",
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
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("docs/parity.md"),
        metavar="FILE",
        help="default: docs/parity.md",
    )
    arguments.add_existing(parser)
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Measure what is missing, and write the page after each figure."""
    _check(args)
    book = args.output.with_suffix(".json")
    pairs = choose_pairs(args.task or task_names(), args.robot)
    performer = Performer.of(str(Path(args.policy)), args.stage)
    for pair in pairs:  # what cannot be played shows before anything is measured
        performer.worlds(pair, args.level)
    queries = plan_queries(
        pairs, args.level, range(args.seed, args.seed + args.starts), performer
    )
    parity = _known(book, queries, args)
    try:
        _measure(parity, queries, args)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(arguments.resume_hint(args.words)) from None
    print((book if args.json else args.output).read_text(encoding="utf-8"), end="")
    return 0


def _check(args: argparse.Namespace) -> None:
    require_writable(args.output)
    if args.output.suffix == ".json":
        raise EmbodiedError(
            f"{args.output} must not end in .json: the page is for people, its figures lie beside it"
        )
    for kind, name, available in (
        ("level", args.level, LEVELS),
        ("device", args.device, DEVICES),
    ):
        if name not in available:
            raise unknown(kind, name, available)
    if args.starts < 0 or args.seed < 0:
        raise EmbodiedError(
            f"--starts and --seed must be at least 0, not {args.starts} and {args.seed}"
        )


def _known(book: Path, queries: list[Query], args: argparse.Namespace) -> Parity:
    """What need not be measured again."""
    if not book.exists():
        return Parity()
    if not (args.resume or args.overwrite):
        raise EmbodiedError(
            f"{book} exists: --resume to go on with it, --overwrite, or another name after -o"
        )
    known = read_parity(book)
    return known.without(queries) if args.overwrite else known


def _measure(parity: Parity, queries: list[Query], args: argparse.Namespace) -> None:
    missing = parity.missing(queries)
    if missing:
        parity = _signed(parity, ["embodied", *args.words])
    for k, query in enumerate(missing, start=1):
        title = f"{k}/{len(missing)} {query.subject.task} {query.subject.robot} {query.level or 'motion'}"
        parity = parity.with_answer(query, _answer(query, title, args))
        _write(parity, args.output)
    _write(parity, args.output)


def _answer(query: Query, title: str, args: argparse.Namespace) -> Motion | Work:
    if not args.json:
        print(title, file=sys.stderr)
    if query.level is None:
        return measure_motion(query, args.device)
    with tqdm(
        total=len(query.seeds), desc="ended", unit="episode", disable=args.json or None
    ) as bar:
        return measure_work(query, args.device, lambda ended: bar.update(ended - bar.n))


def _signed(parity: Parity, words: list[str]) -> Parity:
    """With this command and its day, once."""
    command = shlex.join(
        [word for word in words if word not in ("--resume", "--overwrite", "--json")]
    )
    made = (datetime.now(UTC).date().isoformat(), command)
    commands = (*(known for known in parity.commands if known[1] != command), made)
    return replace(parity, commands=commands, host=host_facts())


def _write(parity: Parity, page: Path) -> None:
    book = page.with_suffix(".json")
    page.parent.mkdir(parents=True, exist_ok=True)
    write_parity(book, parity)
    replace_text(page, parity_page(parity, choose_pairs(task_names(), None), book.name))
