"""`embodied bench`: how fast this machine simulates, renders and records."""

from __future__ import annotations

import argparse
import importlib
import json
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from embodied.benchmark.provenance import host_facts
from embodied.benchmark.throughput import Figure, measure_all
from embodied.cli import arguments
from embodied.cli.text_table import text_table
from embodied.errors import EmbodiedError

HELP = """Measure the speed of physics, environments, cameras, recording and policies: medians, with quartiles. Ratios
within one run can be compared between machines; times cannot. `embodied bench gpu` measures a GPU instead: worlds of
every task as environments, beside the bare physics of the same worlds."""
EXAMPLE = """embodied bench ToteTransfer
  embodied bench gpu -o docs/gpu.md
  embodied bench gpu --task ToteTransfer --num-envs 8192"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument(
        "task",
        nargs="?",
        default="ToteTransfer",
        metavar="TASK",
        help="a task's name, or `gpu` to measure a GPU (default: ToteTransfer)",
    )
    parser.add_argument("--robot", help="a robot's name (default: the task's first)")
    parser.add_argument(
        "--episodes",
        type=int,
        default=64,
        help="episodes recorded in each repeat (default: 64)",
    )
    _add_gpu_arguments(parser)
    arguments.add_json(parser)


def _add_gpu_arguments(parser: argparse.ArgumentParser) -> None:
    gpu = parser.add_argument_group("only for `embodied bench gpu`")
    gpu.add_argument(
        "--task",
        nargs="+",
        metavar="TASK",
        dest="tasks",
        help="tasks to measure (default: all)",
    )
    gpu.add_argument(
        "--num-envs",
        nargs="+",
        type=int,
        help="numbers of worlds to measure (default: 1024 4096 8192)",
    )
    gpu.add_argument(
        "--device",
        default="cuda",
        help="cuda, or cpu to try it with a few worlds (default: cuda)",
    )
    gpu.add_argument(
        "--repeats",
        type=int,
        default=7,
        help="how often each speed is timed (default: 7)",
    )
    gpu.add_argument(
        "--steps",
        type=int,
        default=50,
        help="control steps each time (default: 50)",
    )
    gpu.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="write a page of tables, and JSON beside it",
    )


def run(args: argparse.Namespace) -> int:
    """Measures everything, then prints the figures."""
    if args.task == "gpu":
        return int(importlib.import_module("embodied.cli.bench_gpu").run(args))

    if args.episodes < 1:
        raise EmbodiedError(f"--episodes must be at least 1, not {args.episodes}")

    figures = list(
        tqdm(
            measure_all(args.task, args.robot, args.episodes),
            unit="figure",
            disable=args.json or None,
        )
    )
    if args.json:
        rows = [asdict(figure) for figure in figures]
        print(json.dumps({"host": host_facts(), "figures": rows}, indent=2))
    else:
        print(as_text(figures))
    return 0


def as_text(figures: list[Figure]) -> str:
    """Returns a table of the figures."""
    head = ("", "median", "quartiles", "unit", "wanted")
    return text_table([head, *(_row(figure) for figure in figures)])


def _row(figure: Figure) -> tuple[str, ...]:
    quartiles = f"{figure.lower_quartile:.4g} to {figure.upper_quartile:.4g}"
    return (
        figure.name,
        f"{figure.median:.4g}",
        quartiles,
        figure.unit,
        figure.wanted,
    )
