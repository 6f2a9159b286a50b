"""`embodied bench`: how fast this machine simulates, renders and records."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from tqdm import tqdm

from embodied.benchmark.provenance import host_facts
from embodied.benchmark.throughput import Figure, measure_all
from embodied.cli import arguments
from embodied.errors import EmbodiedError

HELP = """Measure the speed of physics, environments, cameras, recording and policies: medians, with quartiles. Ratios
within one run can be compared between machines; times cannot."""
EXAMPLE = "embodied bench ToteTransfer"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    parser.add_argument("task", nargs="?", default="ToteTransfer", metavar="TASK", help="default: ToteTransfer")
    parser.add_argument("--robot", help="default: the task's first")
    parser.add_argument("--episodes", type=int, default=64, help="recorded in each repeat (default: 64)")
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Print each figure."""
    if args.episodes < 1:
        raise EmbodiedError(f"--episodes must be at least 1, not {args.episodes}")
    bar = tqdm(measure_all(args.task, args.robot, args.episodes), unit="figure", disable=args.json or None)
    figures = list(bar)
    if args.json:
        print(json.dumps({"host": host_facts(), "figures": [asdict(figure) for figure in figures]}, indent=2))
    else:
        print(as_text(figures))
    return 0


def as_text(figures: list[Figure]) -> str:
    """A table."""
    rows = [("", "median", "quartiles", "unit", "wanted")]
    for f in figures:
        quartiles = f"{f.lower_quartile:.4g} to {f.upper_quartile:.4g}"
        rows.append((f.name, f"{f.median:.4g}", quartiles, f.unit, f.wanted))
    widths = [max(len(row[k]) for row in rows) for k in range(5)]
    return "\n".join("  ".join(w.ljust(n) for w, n in zip(row, widths, strict=True)).rstrip() for row in rows)
