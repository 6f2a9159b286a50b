"""`embodied demo`: runs the whole workflow once, in one folder."""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from embodied.benchmark import views
from embodied.cli import arguments
from embodied.cli.demo_forecast import forecast
from embodied.cli.demo_stages import MARK, POLICY, SIZES, Demo
from embodied.cli.eval import REPORT, RESULTS
from embodied.cli.output import require_writable
from embodied.cli.progress import duration
from embodied.errors import EmbodiedError
from embodied.files import replace_text
from embodied.rollout.shards import Workers

HELP = """Do everything once, in one folder: collect demonstrations, train a policy on them, evaluate it beside the
expert, random actions and the pretrained policy that ships with this package, and write a report. First it says how
long that will take on this machine. An earlier demo in the folder is replaced."""
EXAMPLE = "embodied demo\n  embodied demo --full -o runs/demo-full"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    arguments.add_output(
        parser, "folder for everything", metavar="FOLDER", default="runs/demo"
    )

    # how much is done
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--full",
        dest="size",
        action="store_const",
        const="full",
        help="train a good policy from scratch, which is about eight times the work",
    )
    size.add_argument(
        "--quick",
        dest="size",
        action="store_const",
        const="quick",
        help="do little of everything, to see that it works: its figures mean nothing",
    )
    parser.set_defaults(size="small")

    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the training (default: 0)"
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue a demo that was interrupted"
    )

    arguments.add_parallelism(parser)


def run(args: argparse.Namespace) -> int:
    """Runs all stages, and prints the path of the report and its headline."""
    size = SIZES[args.size]
    arguments.check_seed(args.seed)
    if args.num_envs < 1:
        raise EmbodiedError(f"--num-envs must be at least 1, not {args.num_envs}")

    try:
        with Workers(arguments.workers(args, size.episodes)) as workers:
            claim(args.output, args.size, args.seed, args.resume)
            demo = Demo(args.output, size, args.num_envs, args.seed)
            if args.size != "quick" and not args.resume:
                print_forecast(demo, workers)
            report = demo.run(workers, ["embodied", *args.words])
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(arguments.resume_hint(args.words, stop)) from None

    print(f"{args.output / REPORT}: {views.headline(report.results, report.subject)}")
    return 0


def print_forecast(demo: Demo, workers: Workers) -> None:
    """Measures this machine, and prints how long the demo will take on it."""
    print("measuring this machine ...", end=" ", flush=True)
    seconds = forecast(demo, workers)
    stages = ", ".join(f"{name} {duration(s)}" for name, s in seconds.items())
    total = duration(sum(seconds.values()))
    print(f"the demo will take about {total} on it ({stages})", flush=True)


def claim(folder: Path, size: str, seed: int, resume: bool) -> None:
    """Creates the folder of the demo, or removes an earlier demo from it.

    With --resume, an earlier demo is kept.

    Args:
        folder: the folder of the demo.
        size: the name of the demo's size.
        seed: the seed of the training.
        resume: whether a demo in the folder is to be continued.

    Raises:
        EmbodiedError: the folder cannot be written, holds anything but a demo, or holds a
            demo of another size or seed that cannot be resumed.
    """
    require_writable(folder)
    mark = folder / MARK
    _check_claim(folder, {"size": size, "seed": seed}, resume)
    if resume and mark.exists():
        return

    _remove_demo(folder)
    folder.mkdir(parents=True, exist_ok=True)
    replace_text(mark, json.dumps({"size": size, "seed": seed, "stages": {}}))


def _check_claim(folder: Path, settings: Mapping[str, str | int], resume: bool) -> None:
    """Raises EmbodiedError unless the folder may be used for the demo.

    Args:
        folder: the folder of the demo.
        settings: size and seed of the demo.
        resume: whether a demo in the folder is to be continued.
    """
    # a folder with content, but without the file MARK, belongs to something else
    mark = folder / MARK
    is_new = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    if not is_new and not mark.exists():
        raise EmbodiedError(
            f"{folder} exists and is no earlier demo, so it will not be replaced: choose another -o"
        )

    # a demo can only be continued with the size and the seed it was begun with
    if resume and mark.exists():
        stored = json.loads(mark.read_text(encoding="utf-8"))
        for name, value in settings.items():
            if stored.get(name, value) != value:
                raise EmbodiedError(
                    f"{folder} holds a demo of {name} {stored[name]}, not {value}: "
                    "--resume it with the flags it was begun with"
                )


def _remove_demo(folder: Path) -> None:
    """Removes the files of an earlier demo from a folder; other files stay."""
    for path in folder.glob("demonstrations-*"):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    shutil.rmtree(folder / POLICY, ignore_errors=True)
    for name in (RESULTS, REPORT):
        (folder / name).unlink(missing_ok=True)
