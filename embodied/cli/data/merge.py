"""`embodied data merge`: puts the episodes of several datasets into one."""

from __future__ import annotations

import argparse
from pathlib import Path

from embodied.cli import arguments
from embodied.cli.output import require_writable
from embodied.cli.progress import CountProgress
from embodied.datasets.merge import find_episodes, is_unfinished, merge
from embodied.datasets.reader import Dataset
from embodied.wording import counted

HELP = """Put the episodes of several datasets into a new one, in the order of their seeds. They must be of one
collection:
the same task, robot, policy and rates, and no seed twice."""
EXAMPLE = "embodied data merge a.hdf5 b.hdf5 -o both.hdf5"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument(
        "sources", type=Path, nargs="+", metavar="FILE", help="the datasets to merge"
    )
    arguments.add_output(parser, "the new one")
    arguments.add_resume_or_overwrite(parser)


def run(args: argparse.Namespace) -> int:
    """Writes the new dataset, and prints what it holds."""
    require_writable(args.output)
    if args.resume and args.output.exists() and not is_unfinished(args.output):
        print(f"{args.output} is there already: nothing to do")
        return 0
    total = sum(len(find_episodes(path)) for path in args.sources)
    with CountProgress("merge", total, "episode") as progress:
        try:
            merge(args.sources, args.output, args.overwrite, progress, args.resume)
        except KeyboardInterrupt as stop:
            raise KeyboardInterrupt(arguments.resume_hint(args.words, stop)) from None

    with Dataset(args.output) as dataset:
        successes = sum(meta.success for meta in dataset.episodes)
        print(
            f"{args.output}: {counted(len(dataset), 'episode')}, of which {successes} succeeded"
        )
    return 0
