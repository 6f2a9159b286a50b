"""`embodied data replay`: replays recorded episodes, and compares the states."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict

from embodied.cli import arguments
from embodied.cli.progress import CountProgress
from embodied.cli.text_table import text_table
from embodied.datasets.reader import Dataset
from embodied.datasets.replay import ReplayReport, changes, replay, replay_config
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.wording import counted

HELP = """Play recorded episodes again, from their recorded starts with their recorded actions, and say of each whether
the same states came out bit for bit; else how far they are apart, from when on, and which of model, versions or seed
has changed since. It needs no pictures and no policy."""
EXAMPLE = "embodied data replay totes.hdf5 --verify"

# With more episodes than this, identical episodes are only counted, not listed.
MAX_LISTED = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    arguments.add_dataset(parser)

    # which episodes, and whether a difference is an error
    parser.add_argument(
        "--verify",
        action="store_true",
        help="end with status 1 if any episode is not identical",
    )
    parser.add_argument(
        "--episode",
        type=int,
        nargs="+",
        metavar="N",
        help="numbers of the episodes to replay (default: all)",
    )

    arguments.add_own_robot_and_task(parser)
    parser.add_argument(
        "--num-envs", type=int, default=16, help="episodes at once (default: 16)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print JSON, and no progress"
    )


def run(args: argparse.Namespace) -> int:
    """Replays the episodes, and prints the result of each."""
    if args.num_envs < 1:
        raise EmbodiedError(f"--num-envs must be at least 1, not {args.num_envs}")
    with Dataset(args.file) as dataset:
        numbers = episode_numbers(dataset, args.episode)
        recorded = dataset.header.metadata

    config = replay_config(recorded, args.robot)
    num_worlds = min(args.num_envs, max(len(numbers), 1))
    worlds = Worlds(config, num_worlds)
    # read the metadata first, because `replay` closes the worlds
    causes = changes(recorded, worlds.metadata())
    with CountProgress("replay", len(numbers), "episode", args.json) as progress:
        reports = replay(args.file, lambda _: worlds, numbers, progress)

    if args.json:
        print(json.dumps(as_json(reports, causes)))
    else:
        print(as_text(reports, causes))
    all_identical = all(report.identical for report in reports)
    return int(args.verify and not all_identical)


def episode_numbers(dataset: Dataset, asked: Sequence[int] | None) -> list[int]:
    """Returns the numbers that the user asked for; for None the numbers of all episodes.

    Raises:
        EmbodiedError: there is no such episode.
    """
    numbers = list(range(len(dataset))) if asked is None else list(asked)
    for number in numbers:
        if not 0 <= number < len(dataset):
            raise EmbodiedError(
                f"there is no episode {number} in {dataset.path}, whose episodes are "
                f"numbered 0 to {len(dataset) - 1}"
            )
    return numbers


def as_json(
    reports: Sequence[ReplayReport], causes: Sequence[str]
) -> dict[str, object]:
    """Returns the reports as JSON values."""
    episodes = [
        {
            **asdict(report),
            "identical": report.identical,
            "first_mismatch_s": report.first_mismatch_s,
        }
        for report in reports
    ]
    return {"changed": list(causes), "episodes": episodes}


def as_text(reports: Sequence[ReplayReport], causes: Sequence[str]) -> str:
    """Returns a table of the episodes, their count, and possible causes of differences.

    If there are many episodes, only the episodes that differ are listed.
    """
    # the table, and the count of identical episodes
    listed = list(reports)
    if len(reports) > MAX_LISTED:
        listed = [report for report in reports if not report.identical]
    lines = []
    if listed:
        head = ("episode", "seed", "steps", "result")
        lines.append(text_table([head, *map(_row, listed)]))
    identical = sum(report.identical for report in reports)
    lines.append(f"{identical} of {len(reports)} identical, bit for bit")

    # what could explain the differences
    lines += [f"changed since the recording: {cause}" for cause in causes]
    other_starts = sum(not report.seed_gives_start for report in reports)
    if other_starts:
        lines.append(
            f"changed since the recording: {counted(other_starts, 'seed')} now with another start; "
            "the recorded ones were played"
        )
    if identical < len(reports) and not causes:
        lines.append(
            "model and versions are those of the recording, so another kind of CPU or a "
            "change of the file must be the cause"
        )
    return "\n".join(lines)


def _row(report: ReplayReport) -> tuple[str, str, str, str]:
    """Returns the cells of a replayed episode's row in the printed table."""
    result = "identical"
    if not report.identical:
        result = (
            f"differs from {report.first_mismatch_s:.3f} s on, at most "
            f"{report.largest_m:.2g} m and {report.largest_rad:.2g} rad at the frames"
        )
    return (str(report.number), str(report.seed), str(report.steps), result)
