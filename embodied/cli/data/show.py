"""`embodied data show`: one recorded episode as a web page or a video."""

from __future__ import annotations

import argparse
from pathlib import Path

from embodied.benchmark.episode_page import write_episode_page, write_episode_video
from embodied.cli import arguments
from embodied.cli.output import require_writable
from embodied.datasets.reader import Dataset
from embodied.errors import EmbodiedError
from embodied.wording import counted

HELP = """Show one episode as a web page that needs nothing else: instruction, outcome, the recorded pictures as a
video, subtasks, plans and all streams over one time, with a cursor that follows the video and the pointer. With
--video, write the pictures as an MP4."""
EXAMPLE = "embodied data show totes.hdf5 3 -o episode.html"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    arguments.add_dataset(parser)

    # which episode, by its number or its seed
    parser.add_argument(
        "episode",
        type=int,
        nargs="?",
        metavar="N",
        help="number of the episode (default: 0)",
    )
    parser.add_argument("--seed", type=int, help="the episode of this seed, instead")

    # what is written
    arguments.add_output(
        parser,
        "the page (default: FILE_episode_N.html in this folder; none with --video)",
        required=False,
    )
    parser.add_argument(
        "--video", type=Path, metavar="FILE", help="write the pictures as an MP4"
    )


def run(args: argparse.Namespace) -> int:
    """Writes the page or the video, and prints its path."""
    with Dataset(args.file) as dataset:
        number = chosen_episode(args, dataset)
        # without -o and --video, write a page with a default name
        page = args.output
        if page is None and args.video is None:
            page = Path(f"{args.file.stem}_episode_{number}.html")

        # check both paths before anything is written
        for target in (page, args.video):
            if target is not None:
                require_writable(target)
                if target.exists() and target.samefile(args.file):
                    raise EmbodiedError(f"{target} is the dataset: choose another name")

        if args.video is not None:
            count = write_episode_video(args.video, dataset, number)
            print(f"{args.video}: {counted(count, 'frame')} of episode {number}")
        if page is not None:
            write_episode_page(page, dataset, number)
            print(f"{page}: episode {number}, seed {dataset.episodes[number].seed}")
    return 0


def chosen_episode(args: argparse.Namespace, dataset: Dataset) -> int:
    """Returns the number of the episode that the arguments select.

    Raises:
        EmbodiedError: there is no such episode.
    """
    if args.seed is not None:
        if args.episode is not None:
            raise EmbodiedError(
                f"{args.episode} --seed {args.seed}: give an episode's number or its seed, "
                "not both"
            )
        seeds = [meta.seed for meta in dataset.episodes]
        if args.seed not in seeds:
            raise EmbodiedError(
                f"there is no episode of seed {args.seed} in {args.file}; it has "
                f"{counted(len(seeds), 'seed')}, from {min(seeds, default=0)} to "
                f"{max(seeds, default=0)}"
            )
        return seeds.index(args.seed)

    if not len(dataset):
        raise EmbodiedError(f"{args.file} has no episodes")
    number = args.episode or 0
    if not 0 <= number < len(dataset):
        raise EmbodiedError(
            f"there is no episode {number} in {args.file}, whose episodes are numbered "
            f"0 to {len(dataset) - 1}"
        )
    return int(number)
