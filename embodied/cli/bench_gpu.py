"""`embodied bench gpu`: measures how fast a GPU simulates each task.

It is a separate module from `embodied bench`, because it needs torch.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict

from embodied.benchmark.gpu_cameras import measure_camera_speeds
from embodied.benchmark.gpu_throughput import (
    NUM_ENVS,
    Effort,
    device_name,
    machine_facts,
    measure_world_speeds,
)
from embodied.cli.output import require_writable
from embodied.envs.config import DEVICES
from embodied.envs.registry import get_task, warp_tasks
from embodied.errors import EmbodiedError, unknown
from embodied.pages.gpu_page import (
    GpuRow,
    camera_speed_sentence,
    gpu_book,
    world_speed_sentence,
)
from embodied.pages.ledger import Facts, Ledger
from embodied.sim.warp.engine import usable_device


class Output:
    """Prints each row when it is measured; with -o, also stores it on the page of figures.

    The page keeps rows of earlier runs and of other GPUs.
    """

    def __init__(self, args: argparse.Namespace, facts: Facts) -> None:
        self._quiet = args.json
        self._book = None if args.output is None else gpu_book(args.output)
        # rows added from now on are signed with command, device, machine and date
        ledger: Ledger[GpuRow] = self._book.read() if self._book else Ledger()
        self._ledger = ledger.signed(args.words, device_name(args.device), facts)

    def add(self, row: GpuRow, sentence: str) -> None:
        """Prints `sentence`, and stores the row."""
        if not self._quiet:
            print(sentence, flush=True)

        self._ledger = self._ledger.with_row(row)
        if self._book is not None:
            self._book.write(self._ledger)


def run(args: argparse.Namespace) -> int:
    """Prints each speed as soon as it is measured; returns 2 if nothing was measured."""
    tasks = [get_task(name).name for name in args.task or warp_tasks()]
    num_envs = args.num_envs or NUM_ENVS
    _check(args)
    if args.device == "cuda":
        message = "the first run on a GPU compiles kernels, which takes some minutes"
        print(message, file=sys.stderr)

    effort = Effort(args.repeats, args.steps)
    facts = machine_facts(args.device)
    output = Output(args, facts)

    # print and store each row at once, because the next one may take minutes
    world_speeds = []
    for world_speed in measure_world_speeds(
        tasks, num_envs, args.device, on_refusal=_print_refusal, effort=effort
    ):
        world_speeds.append(world_speed)
        output.add(world_speed, world_speed_sentence(world_speed))

    # frames are measured with the smallest number of worlds only
    camera_speeds = []
    for camera_speed in measure_camera_speeds(
        tasks, min(num_envs), args.device, on_refusal=_print_refusal, effort=effort
    ):
        camera_speeds.append(camera_speed)
        output.add(camera_speed, camera_speed_sentence(camera_speed))

    if args.json:
        content = {
            "machine": facts,
            "worlds": [asdict(speed) for speed in world_speeds],
            "cameras": [asdict(speed) for speed in camera_speeds],
        }
        print(json.dumps(content, indent=2))
    return 0 if world_speeds or camera_speeds else 2


def _check(args: argparse.Namespace) -> None:
    """Raises EmbodiedError for arguments with which nothing could be measured."""
    if args.device not in DEVICES:
        raise unknown("device", args.device, DEVICES)

    # check numbers before worlds are built, which takes long
    counts = {
        "--num-envs": args.num_envs or NUM_ENVS,
        "--repeats": [args.repeats],
        "--steps": [args.steps],
    }
    for flag, values in counts.items():
        if min(values) < 1:
            raise EmbodiedError(f"{flag} must be at least 1, not {min(values)}")

    if args.output is not None:
        require_writable(args.output)
        gpu_book(args.output)  # raises an error for a file name that is not a page's
    usable_device(args.device)


def _print_refusal(reason: str) -> None:
    print(f"left out: {reason}", file=sys.stderr)
