"""`embodied gallery`: every task and robot in a picture, a loop and clips."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from embodied.cli import arguments
from embodied.cli.output import require_writable
from embodied.envs.registry import task_names
from embodied.pages.gallery import (
    CANDIDATES,
    FILM_FPS,
    Shooting,
    Sitting,
    Take,
    contact_sheet,
    loop_frames,
    write_loop,
    write_png,
)
from embodied.pages.subject import choose_pairs
from embodied.rollout.film import write_mp4
from embodied.rollout.shards import Workers

HELP = """Film the expert in every task with each robot. Writes gallery.png (a moment of each), gallery.webp (a loop of
one a task) and clips/TASK_ROBOT.mp4 (whole episodes at twice their speed); earlier ones are replaced."""
EXAMPLE = """embodied gallery
  embodied gallery --task ToteTransfer --level L3 -o runs/gallery"""
SHEET = "gallery.png"
LOOP = "gallery.webp"
CLIPS = "clips"
SHEET_LIMIT_BYTES = 1_400_000
LOOP_FRAMES = 72
LOOP_FPS = 10
LOOP_QUALITY = 60
CLIP_FPS = 2 * FILM_FPS
CLIP_CRF = 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    parser.add_argument("--task", nargs="+", metavar="TASK", help="default: all")
    parser.add_argument(
        "--robot", nargs="+", metavar="ROBOT", help="default: all that each task knows"
    )
    parser.add_argument(
        "--level", default="L2", help="how much varies: L1 to L4 (default: L2)"
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        help="from which on one that succeeds is shown (default: 0)",
    )
    parser.add_argument("--workers", type=int, help="processes (default: one a core)")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        default=Path("docs/images"),
        metavar="FOLDER",
        help="default: docs/images",
    )


def run(args: argparse.Namespace) -> int:
    """Film, then write all files."""
    require_writable(args.output)
    pairs = choose_pairs(args.task or task_names(), args.robot)
    # no two films of the same start
    first_seeds = range(args.seed, args.seed + CANDIDATES * len(pairs), CANDIDATES)
    sittings = tuple(
        Sitting(*pair, args.level, seed)
        for pair, seed in zip(pairs, first_seeds, strict=True)
    )
    with (
        Workers(arguments.workers(args, 4 * len(sittings))) as workers,
        _bar(len(sittings)) as bar,
    ):
        takes = workers.run(
            Shooting(sittings),
            range(len(sittings)),
            lambda sitting: _advance(bar, sitting),
        )
    for path in write_files(args.output, takes):
        print(f"{path}  {path.stat().st_size / 1e6:.2f} MB")
    return 0


def _bar(total: int) -> tqdm:
    return tqdm(
        total=total,
        desc="films",
        unit="film",
        disable=None,
        file=sys.stderr,
        dynamic_ncols=True,
    )


def _advance(bar: tqdm, sitting: Sitting) -> None:
    bar.set_postfix_str(sitting.name, refresh=False)
    bar.update()


def write_files(folder: Path, takes: list[Take]) -> list[Path]:
    """Sheet, loop and clips; returns where they are."""
    clips = folder / CLIPS
    clips.mkdir(parents=True, exist_ok=True)
    write_png(folder / SHEET, contact_sheet(takes), SHEET_LIMIT_BYTES)
    write_loop(folder / LOOP, loop_frames(takes, LOOP_FRAMES), LOOP_FPS, LOOP_QUALITY)
    paths = [folder / SHEET, folder / LOOP]
    for take in takes:
        paths.append(clips / f"{take.sitting.name}.mp4")
        frames = (take.small(k) for k in range(len(take.clip.frames)))
        write_mp4(paths[-1], frames, CLIP_FPS, CLIP_CRF)
    return paths
