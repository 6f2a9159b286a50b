"""`embodied data filter`: copies the episodes that meet conditions."""

from __future__ import annotations

import argparse
from pathlib import Path

from embodied.cli.output import require_writable
from embodied.cli.progress import CountProgress
from embodied.datasets.conditions import Condition, chosen_numbers
from embodied.datasets.reader import Dataset
from embodied.datasets.subsets import require_new, write_subset
from embodied.errors import EmbodiedError

HELP = """Copy the episodes that meet all conditions to a new file. A condition is NAME OP VALUE, with one of = != < <=
> >=: on success, seed, number, duration_s, collisions, mask, task, robot, instruction, variation.NAME, or any other
attribute of an episode (a wrong name lists them all). Quote conditions, since < and > mean files to a shell."""
EXAMPLE = """embodied data filter totes.hdf5 success=true 'peak_contact_force_n<50' -o gentle.hdf5"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument("file", type=Path, metavar="FILE", help="the dataset")
    parser.add_argument(
        "conditions",
        nargs="+",
        metavar="CONDITION",
        help="NAME OP VALUE; all must be met",
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="the new file"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace an output that exists"
    )


def run(args: argparse.Namespace) -> int:
    """Writes the new dataset, then says how many episodes met the conditions."""
    conditions = [Condition.parse(text) for text in args.conditions]
    require_writable(args.output)
    require_new([args.output], args.overwrite, args.file)

    with Dataset(args.file) as dataset:
        numbers = chosen_numbers(dataset, conditions)
        if not numbers:
            raise EmbodiedError(
                f"none of the {len(dataset)} episodes of {args.file} meets "
                f"{' and '.join(args.conditions)}: nothing was written"
            )
        with CountProgress("filter", len(numbers), "episode") as progress:
            write_subset(dataset, numbers, args.output, on_copied=progress)
        print(f"{args.output}: {len(numbers)} of {len(dataset)} episodes")
    return 0
