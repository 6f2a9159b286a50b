"""`embodied data import`: reads another tool's dataset into a file of ours."""

from __future__ import annotations

import argparse
from pathlib import Path

from embodied.cli import arguments
from embodied.cli.output import require_writable
from embodied.cli.progress import CountProgress
from embodied.datasets.importing.foreign import write_import
from embodied.datasets.importing.lerobot import LeRobotFolder
from embodied.datasets.importing.robomimic import RobomimicFile
from embodied.datasets.schema import DatasetError
from embodied.errors import EmbodiedError
from embodied.wording import counted

HELP = """Read a LeRobotDataset v3.0 (a folder) or a file in robomimic's layout into a dataset. What such a set does not
hold, such as the physics states at its starts, the dataset has not either: it can be looked at and learned from, not
replayed."""
EXAMPLE = "embodied data import totes_lerobot -o totes.hdf5"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument(
        "source", type=Path, metavar="PATH", help="a folder of LeRobot, or an HDF5 file"
    )

    arguments.add_output(parser, "the dataset")

    # facts that a foreign dataset may lack
    parser.add_argument(
        "--hz",
        type=int,
        help="robomimic: frames per second, if the file doesn't say it",
    )
    parser.add_argument(
        "--success",
        choices=["yes", "no"],
        help="whether the episodes succeeded, if the set doesn't say it",
    )
    arguments.add_overwrite(parser)


def run(args: argparse.Namespace) -> int:
    """Writes the dataset, and prints what it holds and what was left out."""
    require_writable(args.output)
    if args.output.exists() and not args.overwrite:
        raise DatasetError(
            f"{args.output} exists: --overwrite to replace it, or another name after -o"
        )

    # a folder is a dataset of LeRobot, a file is one of robomimic
    if args.source.is_dir():
        if args.hz is not None:
            raise EmbodiedError(
                "--hz has no effect: a LeRobot dataset stores its frame rate"
            )
        count = _write(args, LeRobotFolder(args.source))
    else:
        with RobomimicFile(args.source, args.hz) as source:
            count = _write(args, source)
    print(f"{args.output}: {counted(count, 'episode')}")
    return 0


def _write(args: argparse.Namespace, source: LeRobotFolder | RobomimicFile) -> int:
    """Writes the episodes of a foreign dataset; returns their number."""
    if source.says_success and args.success is not None:
        raise EmbodiedError("--success has no effect: the set says it of every frame")
    if not source.says_success and args.success is None:
        raise EmbodiedError(
            f"{args.source} does not say whether its episodes succeeded: give"
            " --success yes or --success no"
        )
    for name in source.omitted:
        print(f"left out: {name}")

    # None if the source stores the success of its episodes
    success = None if args.success is None else args.success == "yes"
    with CountProgress("import", len(source), "episode") as progress:
        write_import(
            source.foreign,
            source.load(success),
            source.action_range(),
            target=args.output,
            on_written=progress,
        )
    return len(source)
