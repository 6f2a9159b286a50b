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
from embodied.envs.own_tasks import typed_task
from embodied.errors import EmbodiedError

HELP = """Measure the speed of physics, environments, cameras, recording and policies: medians, with quartiles. Ratios
within one run can be compared between machines; times cannot. `embodied bench gpu` measures a GPU instead: worlds of
every task as environments, beside the bare physics of the same worlds. `embodied bench data` measures how fast a
training gets windows of a dataset, beside robomimic's and LeRobot's loaders if Pythons are given that have them."""
EXAMPLE = """embodied bench ToteTransfer
  embodied bench data --dataset totes.hdf5 --lerobot lerobot-env/bin/python
  embodied bench gpu -o docs/gpu.md
  embodied bench gpu --task ToteTransfer --num-envs 8192"""

EPISODES = 64  # default number of episodes recorded in each repeat
LOADED_EPISODES = 40  # default number of episodes that `bench data` loads
GPU_REPEATS = 7  # how often `bench gpu` times each speed by default
GPU_STEPS = 50  # control steps per timing of `bench gpu` by default
# flags that apply to one kind of measurement only
ONLY_WITH_TASK = ("robot", "episodes")
ONLY_WITH_DATA = ("dataset", "robomimic", "lerobot")
ONLY_WITH_GPU = ("task", "num_envs", "device", "repeats", "steps", "output")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument(
        "what",
        nargs="?",
        default="ToteTransfer",
        metavar="TASK",
        type=typed_task,
        help="a task's name, FILE.py:TASK for one of your own, `gpu` to measure a GPU, or "
        "`data` to measure loading (default: ToteTransfer)",
    )

    # --robot applies to a task; --episodes applies to a task and to `data`
    parser.add_argument("--robot", help=arguments.ROBOT_HELP)
    parser.add_argument(
        "--episodes",
        type=int,
        help=f"episodes recorded in each repeat (default: {EPISODES}); with `data`, those "
        f"that are loaded (default: {LOADED_EPISODES})",
    )

    _add_data_arguments(parser)
    _add_gpu_arguments(parser)
    arguments.add_json(parser)


def _add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that only `embodied bench data` takes."""
    data = parser.add_argument_group("only for `embodied bench data`")
    data.add_argument(
        "--dataset",
        type=Path,
        metavar="FILE",
        help="what to load (default: episodes that are recorded now)",
    )

    # a peer needs a Python environment of its own, as its packages conflict with ours
    for name, package in (("robomimic", "robomimic"), ("lerobot", "LeRobot")):
        data.add_argument(
            f"--{name}",
            type=Path,
            metavar="PYTHON",
            help=f"the Python of an environment that has {package}, to measure it as well",
        )


def _add_gpu_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that only `embodied bench gpu` takes."""
    # Their defaults are None, so that `run` can refuse them without `gpu`. The actual
    # defaults are set in `run` and in `bench_gpu`.
    gpu = parser.add_argument_group("only for `embodied bench gpu`")

    # what is measured
    gpu.add_argument(
        "--task",
        nargs="+",
        metavar="TASK",
        type=typed_task,
        help="tasks to measure (default: all)",
    )
    gpu.add_argument(
        "--num-envs",
        nargs="+",
        type=int,
        help="numbers of worlds to measure (default: 1024 4096 8192)",
    )

    # where, and how often
    gpu.add_argument(
        "--device",
        help="cuda, or cpu to try it with a few worlds (default: cuda)",
    )
    gpu.add_argument(
        "--repeats",
        type=int,
        help=f"how often each speed is timed (default: {GPU_REPEATS})",
    )
    gpu.add_argument(
        "--steps",
        type=int,
        help=f"control steps each time (default: {GPU_STEPS})",
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
    if args.what == "data":
        arguments.reject_flags(args, ONLY_WITH_GPU, "only for `embodied bench gpu`")
        arguments.reject_flags(args, ("robot",), "not for `embodied bench data`")
        if args.dataset is not None:
            arguments.reject_flags(args, ("episodes",), "not with --dataset")
        args.episodes = _episodes(args, LOADED_EPISODES)
        # imported here, because it needs torch
        return int(importlib.import_module("embodied.cli.bench_data").run(args))

    arguments.reject_flags(args, ONLY_WITH_DATA, "only for `embodied bench data`")
    if args.what == "gpu":
        arguments.reject_flags(args, ONLY_WITH_TASK, "not for `embodied bench gpu`")
        args.device = args.device or "cuda"
        args.repeats = GPU_REPEATS if args.repeats is None else args.repeats
        args.steps = GPU_STEPS if args.steps is None else args.steps
        # imported here, because it needs torch
        return int(importlib.import_module("embodied.cli.bench_gpu").run(args))

    arguments.reject_flags(args, ONLY_WITH_GPU, "only for `embodied bench gpu`")
    episodes = _episodes(args, EPISODES)
    figures = list(
        tqdm(
            measure_all(args.what, args.robot, episodes),
            unit="figure",
            disable=args.json or None,  # None shows the bar only in a terminal
        )
    )
    if args.json:
        rows = [asdict(figure) for figure in figures]
        print(json.dumps({"host": host_facts(), "figures": rows}, indent=2))
    else:
        print(as_text(figures))
    return 0


def _episodes(args: argparse.Namespace, default: int) -> int:
    """Returns --episodes, or the default if the flag was not given."""
    episodes = default if args.episodes is None else int(args.episodes)
    if episodes < 1:
        raise EmbodiedError(f"--episodes must be at least 1, not {episodes}")
    return episodes


def as_text(figures: list[Figure]) -> str:
    """Returns a table of the figures."""
    head = ("", "median", "quartiles", "unit", "wanted")
    return text_table([head, *(_row(figure) for figure in figures)])


def _row(figure: Figure) -> tuple[str, ...]:
    """Returns the cells of a measured quantity's row in the printed table."""
    quartiles = f"{figure.lower_quartile:.4g} to {figure.upper_quartile:.4g}"
    return (
        figure.name,
        f"{figure.median:.4g}",
        quartiles,
        figure.unit,
        figure.wanted,
    )
