"""`embodied data stats`: normalisation statistics of a dataset's arrays."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from embodied.cli import arguments
from embodied.cli.output import require_writable
from embodied.cli.progress import CountProgress
from embodied.datasets.reader import Dataset
from embodied.datasets.statistics import measured_keys, statistics
from embodied.errors import EmbodiedError
from embodied.files import replace_text
from embodied.wording import counted

HELP = """Measure the arrays of a dataset for normalisation: mean, std, min, max, the quantiles 0.01 and 0.99, and the
rows counted, as JSON. By default over the episodes of the mask `train`, from which a policy learns. Pictures are
measured per colour, in 0 to 255."""
EXAMPLE = "embodied data stats totes.hdf5 -o totes_stats.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    arguments.add_dataset(parser)
    arguments.add_output(
        parser, "write the JSON there (default: print it)", required=False
    )

    # which episodes and arrays
    parser.add_argument(
        "--mask",
        default="train",
        help="measure the episodes of this mask; 'all' for every episode (default: train)",
    )
    parser.add_argument(
        "--key",
        nargs="+",
        metavar="NAME",
        help="arrays to measure, e.g. actions obs/agent_pos (default: all that hold "
        "measurements)",
    )


def run(args: argparse.Namespace) -> int:
    """Measures the arrays, and writes or prints the JSON."""
    if args.output is not None:
        require_writable(args.output)

    with Dataset(args.file) as dataset:
        # the episodes to measure: all, or those of a mask such as "train"
        numbers = list(range(len(dataset)))
        if args.mask != "all":
            numbers = dataset.mask(args.mask)
        if not numbers:
            sizes = {name: len(dataset.mask(name)) for name in dataset.masks}
            raise EmbodiedError(
                f"the mask {args.mask!r} of {args.file} is empty: choose another with "
                f"--mask, of {sizes}, or 'all'"
            )

        total = len(args.key or measured_keys(dataset, numbers[0]))
        with CountProgress("stats", total, "array") as progress:
            measured = statistics(dataset, numbers, args.key, progress)
        seeds = [dataset.episodes[number].seed for number in numbers]

    content = {
        "dataset": args.file.name,
        "mask": args.mask,
        "episodes": len(numbers),
        "seeds": seeds,
        "arrays": {
            array_statistics.key: _without_key(asdict(array_statistics))
            for array_statistics in measured
        },
    }
    text = json.dumps(content, indent=2, allow_nan=False)
    if args.output is None:
        print(text)
    else:
        replace_text(args.output, f"{text}\n")
        print(
            f"{args.output}: {counted(len(measured), 'array')} of {counted(len(numbers), 'episode')}"
        )
    return 0


def _without_key(content: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in content.items() if name != "key"}
