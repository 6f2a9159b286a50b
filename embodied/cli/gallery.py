"""`embodied gallery`: films every task with every robot."""

from __future__ import annotations

import argparse
import sys

from tqdm import tqdm

from embodied.cli import arguments
from embodied.cli.output import require_writable
from embodied.envs.registry import loadable_tasks
from embodied.envs.variation import LEVELS
from embodied.errors import unknown
from embodied.pages.contact_sheet import write_gallery
from embodied.pages.gallery import CANDIDATES, FilmPlan, FilmWork, Take
from embodied.pages.subject import choose_pairs
from embodied.rollout.shards import Workers

HELP = """Film the expert in every task with each robot. Writes gallery.png (a moment of each film), gallery.webp (a
loop with one film per task) and clips/TASK_ROBOT.mp4 (whole episodes at twice their speed); earlier files are
replaced."""
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
    """Films, then writes all files."""
    require_writable(args.output)
    if args.level not in LEVELS:
        raise unknown("level", args.level, LEVELS)
    pairs = choose_pairs(args.task or loadable_tasks(), args.robot)

    # each film gets CANDIDATES seeds that no other film uses, so no two start alike
    arguments.check_seed(args.seed, len(pairs) * CANDIDATES)
    plans = []
    for index, (task, robot) in enumerate(pairs):
        first_seed = args.seed + index * CANDIDATES
        plans.append(FilmPlan(task, robot, args.level, first_seed))

    takes = _film(plans, args)
    for path in write_gallery(args.output, takes):
        print(f"{path}  {path.stat().st_size / 1e6:.2f} MB")
    return 0


def _film(plans: list[FilmPlan], args: argparse.Namespace) -> list[Take]:
    """Films in several processes, with a progress bar."""
    bar = tqdm(
        total=len(plans),
        desc="films",
        unit="film",
        disable=None,
        file=sys.stderr,
        dynamic_ncols=True,
    )

    def show(plan: FilmPlan) -> None:
        bar.set_postfix_str(plan.name, refresh=False)
        bar.update()

    # Use one process per film, up to the number of cores. `arguments.workers` gives a
    # process to every four episodes, so each film is counted as four.
    with Workers(arguments.workers(args, 4 * len(plans))) as workers, bar:
        return workers.run(FilmWork(tuple(plans)), range(len(plans)), show)
