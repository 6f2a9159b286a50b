"""`embodied data filter`: copies the episodes that meet conditions."""

from __future__ import annotations

import argparse

from embodied.cli import arguments
from embodied.cli.output import require_writable
from embodied.cli.progress import CountProgress
from embodied.datasets.conditions import Condition, chosen_numbers
from embodied.datasets.reader import Dataset
from embodied.datasets.subsets import require_new, write_subset
from embodied.errors import EmbodiedError
from embodied.wording import counted

HELP = """Copy the episodes that meet all conditions to a new file. A condition is NAME OP VALUE, with one of = != < <=
> >=: on success, seed, number, duration_s, collisions, mask, task, robot, instruction, variation.NAME, or any other
attribute of an episode (a wrong name lists them all). Quote conditions, since < and > mean files to a shell."""
EXAMPLE = """embodied data filter totes.hdf5 success=true 'peak_contact_force_n<50' -o gentle.hdf5"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    arguments.add_dataset(parser)
    parser.add_argument(
        "conditions",
        nargs="+",
        metavar="CONDITION",
        help="NAME OP VALUE; all must be met",
    )
    arguments.add_output(parser, "the new file")
    arguments.add_overwrite(parser)


def run(args: argparse.Namespace) -> int:
    """Writes the new dataset, and prints how many episodes meet the conditions."""
    conditions = [Condition.parse(text) for text in args.conditions]
    require_writable(args.output)
    require_new([args.output], args.overwrite, args.file)

    with Dataset(args.file) as dataset:
        numbers = chosen_numbers(dataset, conditions)
        if not numbers:
            raise EmbodiedError(
                f"none of {counted(len(dataset), 'episode')} of {args.file} meets "
                f"{' and '.join(args.conditions)}: nothing was written"
            )
        with CountProgress("filter", len(numbers), "episode") as progress:
            write_subset(dataset, numbers, args.output, on_copied=progress)
        print(f"{args.output}: {len(numbers)} of {counted(len(dataset), 'episode')}")
    return 0
