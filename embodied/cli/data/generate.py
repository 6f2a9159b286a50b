"""`embodied data generate`: many demonstrations from few."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, replace
from pathlib import Path

from embodied.benchmark.statistics import wilson
from embodied.benchmark.wording import interval, percent
from embodied.cli import arguments
from embodied.cli.collect import (
    add_pictures,
    chosen_record_hz,
    with_pictures,
    writing_mode,
)
from embodied.cli.output import require_writable
from embodied.cli.progress import CountProgress, stages
from embodied.datasets.reader import Dataset
from embodied.envs.config import EnvConfig
from embodied.errors import EmbodiedError
from embodied.policies.generation.generating import (
    PLANNER_HZ,
    Generated,
    Generation,
    generate,
    generation_header,
)
from embodied.policies.generation.source import (
    FINDINGS,
    check_finding,
    read_library,
    source_config,
)
from embodied.wording import counted

HELP = """Make many demonstrations from few. Each demonstration is cut into segments that are about one object; in
another episode the hand does what it did relative to the object, wherever that now stands, and what succeeds in
simulation is kept, with the episode that it was made from. The same arguments give the same file."""
EXAMPLE = "embodied data generate totes.hdf5 -o many.hdf5 --episodes 200"
# The default number of seeds to try, as a multiple of --episodes, because not every seed
# gives a successful demonstration.
TRIES = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    arguments.add_dataset(parser, "the demonstrations")
    arguments.add_output(parser, "the new dataset, e.g. many.hdf5")

    # how many, and from which seeds on
    parser.add_argument(
        "--episodes",
        type=int,
        default=200,
        help="how many demonstrations to keep (default: 200)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        help="seed of the first try (default: the one after the source's)",
    )
    parser.add_argument(
        "--tries",
        type=int,
        metavar="N",
        help=f"how many seeds to try at most (default: {TRIES} times --episodes)",
    )

    # level and split of the new episodes, by default the source's
    parser.add_argument(
        "--level", help="how much varies: L1, L2, L3 or L4 (default: the source's)"
    )
    parser.add_argument(
        "--split",
        help="train; or a factor's name, for its held-out values; or all (default: the "
        "source's)",
    )

    # how they are made
    parser.add_argument(
        "--segments",
        metavar="HOW",
        help=f"how segments are found: {' or '.join(FINDINGS)} (default: plans where all "
        "demonstrations have them)",
    )
    parser.add_argument(
        "--noise",
        type=float,
        default=0.0,
        metavar="S",
        help="standard deviation of noise on the actions, as `embodied collect` has it "
        "(default: 0)",
    )

    arguments.add_own_robot_and_task(parser)
    add_pictures(parser)
    arguments.add_parallelism(parser)
    arguments.add_cluster(parser)
    arguments.add_resume_or_overwrite(parser)
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Generates the episodes, and prints how many tries succeeded.

    Returns 1 if fewer were kept than --episodes, else 0.
    """
    check_finding(args.segments)
    require_writable(args.output)
    if args.output.exists() and args.output.samefile(args.file):
        raise EmbodiedError(
            f"{args.file} is the file to generate from: give -o another name"
        )
    recorded_config = source_config(args.file, args.robot)
    seeds = tried_seeds(args)

    # an interrupted generation can be continued: the message says how
    begun_s = time.monotonic()
    work = generation_work(args, recorded_config)
    try:
        with arguments.executor(args, len(seeds)) as workers:
            generated = generate(
                work,
                args.episodes,
                seeds,
                mode=writing_mode(args),
                workers=workers,
                stage=stages(args.json),
            )
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(arguments.resume_hint(args.words, stop)) from None
    wall_s = time.monotonic() - begun_s

    summary = json_summary if args.json else text_summary
    print(summary(args.output, generated, args.episodes, wall_s))
    return int(generated.kept < args.episodes)


def tried_seeds(args: argparse.Namespace) -> range:
    """Returns the seeds to try.

    Raises:
        EmbodiedError: the number of tries is too small, or a seed is out of range.
    """
    if args.episodes < 1:
        raise EmbodiedError(f"--episodes must be at least 1, not {args.episodes}")
    tries = TRIES * args.episodes if args.tries is None else args.tries
    if tries < args.episodes:
        raise EmbodiedError(
            f"--tries must be at least --episodes, which is {args.episodes}, not {tries}"
        )
    # by default, take seeds after those of the source: its starts are demonstrated already
    first = args.seed
    if first is None:
        with Dataset(args.file) as dataset:
            first = max(meta.seed for meta in dataset.episodes) + 1
    arguments.check_seed(first, tries)
    return range(first, first + tries)


def generation_work(args: argparse.Namespace, recorded_config: EnvConfig) -> Generation:
    """Returns the generation that the arguments describe.

    Args:
        args: the parsed arguments.
        recorded_config: the config of the worlds in which the source was recorded.

    Raises:
        EmbodiedError: an argument is out of range, or the source cannot be used.
    """
    if args.num_envs < 1:
        raise EmbodiedError(f"--num-envs must be at least 1, not {args.num_envs}")
    if not 0 <= args.noise <= 1:
        raise EmbodiedError(f"--noise must be from 0 to 1, not {args.noise}")
    record_hz = chosen_record_hz(args, recorded_config.control_hz)
    # the control mode of the hand's motion, because generation transfers this motion
    config = replace(
        recorded_config,
        control_mode="ee_delta",
        level=args.level or recorded_config.level,
        split=args.split or recorded_config.split,
        num_threads=1,
    )
    config = with_pictures(config, args, record_hz)

    with Dataset(args.file) as dataset:
        planner_hz = dataset.header.planner_hz or PLANNER_HZ
        num_demonstrations = sum(meta.success for meta in dataset.episodes)
    header = generation_header(
        config, args.file, record_hz, planner_hz=planner_hz, noise=args.noise
    )
    with CountProgress("read", num_demonstrations, "episode", args.json) as progress:
        library = read_library(args.file, recorded_config, args.segments, progress)
    return Generation(
        library=library,
        config=config,
        source=args.file.name,
        path=args.output,
        header=header,
        num_envs=args.num_envs,
        noise=args.noise,
    )


def json_summary(path: Path, generated: Generated, wanted: int, wall_s: float) -> str:
    """Returns the result of the generation as JSON.

    Args:
        path: the path of the new dataset.
        generated: the numbers of tries and of kept episodes.
        wanted: the number of episodes that were asked for.
        wall_s: the wall time of the generation.
    """
    share = wilson(generated.kept, generated.tried)
    content = {
        "path": str(path),
        **asdict(generated),
        "wanted": wanted,
        "yield": {**asdict(share), "rate": share.value},
        "wall_s": wall_s,
    }
    return json.dumps(content)


def text_summary(path: Path, generated: Generated, wanted: int, wall_s: float) -> str:
    """Returns the result of the generation in words; see `json_summary` for arguments."""
    share = wilson(generated.kept, generated.tried)
    lines = [
        f"{path}: {counted(generated.kept, 'demonstration')} of "
        f"{counted(generated.tried, 'try')}, "
        f"{percent(share.value, share.episodes)} (95% interval {interval(share)})"
    ]

    if generated.kept < wanted:
        lines.append(
            f"{wanted} were asked for: --resume with a larger --tries goes on, and more "
            "demonstrations in the source raise the share"
        )

    # resuming a finished file simulates nothing
    if generated.simulated_s:
        speed = generated.simulated_s / wall_s
        lines.append(f"{wall_s:.0f} s, {speed:.0f} x real time")
    else:
        lines.append("it was complete: nothing to do")

    return "\n".join(lines)
