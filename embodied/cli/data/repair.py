"""`embodied data repair`: saves the whole episodes of a damaged file."""

from __future__ import annotations

import argparse
from pathlib import Path

from embodied.benchmark.wording import size
from embodied.cli import arguments
from embodied.cli.output import require_writable
from embodied.datasets.repairing import RepairReport, repair
from embodied.datasets.subsets import require_new
from embodied.wording import counted

HELP = """Save what is whole of a truncated or damaged file: every episode that can be read to its last number is copied
to a new file. Of a collection that was not finished, the episodes in FILE.parts are joined. The damaged file stays as
it is."""
EXAMPLE = "embodied data repair damaged.hdf5 -o saved.hdf5"

SHOWN = 10  # most lost episodes to list


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="the damaged dataset, or one whose collection was not finished",
    )
    arguments.add_output(parser, "the new file")
    arguments.add_overwrite(parser)


def run(args: argparse.Namespace) -> int:
    """Writes the new dataset, and prints what was saved and what was lost."""
    require_writable(args.output)
    require_new([args.output], args.overwrite, args.file)
    print(as_text(args.output, repair(args.file, args.output)))
    return 0


def as_text(target: Path, report: RepairReport) -> str:
    """Returns the numbers of saved and lost episodes, and the reasons for the losses."""
    lines = [
        f"{target}: {counted(report.saved, 'episode')} saved, {len(report.lost)} lost"
    ]
    if report.cut_bytes:
        missing = size(report.cut_bytes)
        lines.append(
            f"the file's last {missing} are missing, with the episodes that lay there"
        )

    # the reasons, not too many
    lines += [
        f"lost: {lost.demo} of {lost.path}: {lost.reason}"
        for lost in report.lost[:SHOWN]
    ]
    if len(report.lost) > SHOWN:
        lines.append(f"and {len(report.lost) - SHOWN} more")
    return "\n".join(lines)
