"""`embodied bench gpu`: how fast a GPU simulates each task. Apart from `bench`, since
it needs torch.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from embodied.benchmark.gpu import NUM_ENVS, Effort, machine_facts, measure_speeds
from embodied.benchmark.gpu_cameras import measure_all_pictures
from embodied.benchmark.gpu_page import (
    GpuBook,
    gpu_page,
    picture_line,
    read_book,
    speed_line,
    write_book,
)
from embodied.cli.output import require_writable
from embodied.envs.config import DEVICES
from embodied.envs.registry import get_task, task_names
from embodied.errors import EmbodiedError, unknown
from embodied.files import replace_text
from embodied.sim.warp.engine import usable_device


def run(args: argparse.Namespace) -> int:
    """Measure, and print each figure as soon as it is there."""
    tasks = [get_task(name).name for name in args.tasks or task_names()]
    num_envs = args.num_envs or NUM_ENVS
    _check(args)
    if args.device == "cuda":
        print(
            "the first run on a GPU compiles kernels, for some minutes", file=sys.stderr
        )
    effort = Effort(args.repeats, args.steps)
    facts = machine_facts(args.device)
    book = _known(args.output)
    speeds = []
    pictures = []
    for speed in measure_speeds(tasks, num_envs, args.device, _refused, effort):
        speeds.append(speed)
        book = book.with_speed(speed, facts)
        _tell(args, speed_line(speed), book)
    for some in measure_all_pictures(
        tasks, min(num_envs), args.device, _refused, effort
    ):
        pictures.append(some)
        book = book.with_pictures(some, facts)
        _tell(args, picture_line(some), book)
    if args.json:
        figures = {
            "speeds": [asdict(speed) for speed in speeds],
            "pictures": [asdict(some) for some in pictures],
        }
        print(json.dumps({"machine": facts, **figures}, indent=2))
    return 0 if speeds or pictures else 2


def _tell(args: argparse.Namespace, line: str, book: GpuBook) -> None:
    if not args.json:
        print(line, flush=True)
    if args.output is not None:
        write_book(args.output.with_suffix(".json"), book)
        replace_text(args.output, gpu_page(book, task_names()))


def _check(args: argparse.Namespace) -> None:
    if args.device not in DEVICES:
        raise unknown("device", args.device, DEVICES)
    for name, values in (
        ("--num-envs", args.num_envs),
        ("--repeats", [args.repeats]),
        ("--steps", [args.steps]),
    ):
        if min(values or [1]) < 1:
            raise EmbodiedError(f"{name} must be at least 1, not {min(values)}")
    if args.output is not None:
        require_writable(args.output)
    if args.output is not None and args.output.suffix == ".json":
        raise EmbodiedError(
            f"{args.output} must not end in .json: the page is for people, its figures lie beside it"
        )
    usable_device(args.device)


def _known(page: Path | None) -> GpuBook:
    """Speeds of earlier runs, also of other GPUs, which stay in the page."""
    if page is None:
        return GpuBook()
    page.parent.mkdir(parents=True, exist_ok=True)
    book = page.with_suffix(".json")
    return read_book(book) if book.exists() else GpuBook()


def _refused(reason: str) -> None:
    print(f"left out: {reason}", file=sys.stderr)
