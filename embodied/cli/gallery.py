"""`embodied gallery`: films every task with every robot."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from embodied.cli import arguments
from embodied.cli.output import require_writable
from embodied.envs.registry import loadable_tasks
from embodied.envs.variation import LEVELS
from embodied.errors import unknown
from embodied.pages.contact_sheet import write_sheets
from embodied.pages.gallery import CANDIDATES, FilmPlan, FilmWork, Take
from embodied.pages.stored_films import store_film, stored_films
from embodied.pages.subject import choose_pairs
from embodied.rollout.shards import Workers

HELP = """Film the expert in every task with each robot. Writes clips/TASK_ROBOT.mp4 (whole episodes at twice their
speed), gallery.png (a moment of each film), gallery.webp (a loop of all tasks) and gallery.json (a list of the films).
Films in the folder that are not asked for stay, and are in the pictures too."""
EXAMPLE = """embodied gallery
  embodied gallery --task ToteTransfer --level L3 -o runs/gallery"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    arguments.add_pairs(parser, "film")
    arguments.add_level(parser)
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="seed from which on a successful episode is looked for (default: 0)",
    )
    parser.add_argument("--workers", type=int, help="processes (default: one per core)")
    arguments.add_output(
        parser, "folder for all files", metavar="FOLDER", default="docs/images"
    )


def run(args: argparse.Namespace) -> int:
    """Films, then draws the pictures of all films in the folder."""
    require_writable(args.output)
    if args.level not in LEVELS:
        raise unknown("level", args.level, LEVELS)
    pairs = choose_pairs(args.task or loadable_tasks(), args.robot)

    # Each film gets CANDIDATES seeds that no other film uses, so no two start alike. The
    # seeds do not depend on which films are asked for.
    all_pairs = choose_pairs(loadable_tasks(), None)
    all_pairs += [pair for pair in pairs if pair not in all_pairs]
    arguments.check_seed(args.seed, len(all_pairs) * CANDIDATES)
    plans = []
    for task, robot in pairs:
        first_seed = args.seed + all_pairs.index((task, robot)) * CANDIDATES
        plans.append(FilmPlan(task, robot, args.level, first_seed))

    paths = _film(plans, args)
    paths += write_sheets(args.output, stored_films(args.output, all_pairs))
    for path in paths:
        print(f"{path}  {path.stat().st_size / 1e6:.2f} MB")
    return 0


def _film(plans: list[FilmPlan], args: argparse.Namespace) -> list[Path]:
    """Films in several processes, with a progress bar; returns the clips' paths.

    Each film is stored as soon as it is made.
    """
    bar = tqdm(
        total=len(plans),
        desc="films",
        unit="film",
        disable=None,
        file=sys.stderr,
        dynamic_ncols=True,
    )
    paths = []

    def store(take: Take) -> None:
        paths.append(store_film(args.output, take))
        bar.set_postfix_str(take.plan.name, refresh=False)
        bar.update()

    # Use one process per film, up to the number of cores. `arguments.workers` gives a
    # process to every four episodes, so each film is counted as four.
    with Workers(arguments.workers(args, 4 * len(plans))) as workers, bar:
        workers.run(FilmWork(tuple(plans)), range(len(plans)), store)
    return paths
