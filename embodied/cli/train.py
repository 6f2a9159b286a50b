"""`embodied train`: a policy from demonstrations."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from embodied.cli import arguments, train_by_trial
from embodied.cli.output import claim_folder
from embodied.cli.progress import TrainingProgress, figures
from embodied.datasets.reader import Dataset, require_distinct
from embodied.envs.registry import task_names
from embodied.errors import EmbodiedError
from embodied.policies.run_folder import FILES, INFO, read_history, read_info

HELP = """Train the reference dual system on datasets that `embodied collect` wrote: a planner that sees pictures and
reads the instruction, and a controller that follows it, both at once. Or, with --algo, let a network that sees the
privileged state find out by trial what a task rewards. Writes a folder that `embodied eval` takes."""
EXAMPLE = """embodied train totes.hdf5 -o runs/totes --minutes 5
  embodied train ToteTransfer --algo sac --stage reach -o runs/reach --minutes 5
  embodied train ToteTransfer --algo ppo --engine warp --stage lift -o runs/lift --minutes 5
  embodied train ToteTransfer --algo sac --base runs/totes --residual 0.2 -o runs/better --minutes 20"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this verb's arguments."""
    parser.add_argument(
        "source",
        nargs="+",
        metavar="DATASET",
        help="files to learn from; with --algo a task's name",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="for the policy",
    )
    parser.add_argument(
        "--minutes", type=float, default=5.0, help="how long (default: 5)"
    )
    parser.add_argument(
        "--steps",
        type=int,
        help="so many steps instead, for a result that does not depend on speed",
    )
    parser.add_argument(
        "--camera",
        nargs="+",
        metavar="NAME",
        help="cameras to learn from (default: all recorded)",
    )
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    train_by_trial.add_arguments(parser)
    arguments.add_existing(parser)
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Train, and say what came out."""
    if not args.minutes > 0 or (args.steps is not None and args.steps < 1):
        raise EmbodiedError(
            f"--minutes {args.minutes:g} and --steps {args.steps} must be above 0"
        )
    arguments.check_seed(args.seed)
    (train_by_trial.learn_by_trial if args.algo else learn_from_datasets)(args)
    last = read_history(args.output)[-1]
    print(
        json.dumps({"run": str(args.output), **last})
        if args.json
        else f"{args.output}: {figures(last)}"
    )
    return 0


def learn_from_datasets(args: argparse.Namespace) -> None:
    """Imitation. Ctrl-C leaves what can be gone on with."""
    _refuse_what_goes_with_algo(args)
    datasets = [Path(name) for name in args.source]
    # what is no dataset shows before anything is made
    cameras = chosen_cameras(datasets, args.camera or ())
    require_distinct(datasets)
    tell_of_unfinished(datasets)
    lesson = Lesson(tuple(datasets), cameras, args.minutes, args.steps, args.seed)
    if args.resume:
        check_same(lesson, args.output)
    claim_folder(args.output, FILES, args.resume, args.overwrite)
    try:
        learn(lesson, args.output, args.resume, args.json)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(arguments.resume_hint(args.words)) from None


def _refuse_what_goes_with_algo(args: argparse.Namespace) -> None:
    for name in args.source:
        if name in task_names():
            raise EmbodiedError(
                f"{name} is a task: --algo learns one by trial; else name datasets, such as totes.hdf5"
            )
    told = [
        name
        for name in (
            "base",
            "delay_ms",
            "demos",
            "level",
            "num_envs",
            "robot",
            "stage",
            "video",
        )
        if getattr(args, name)
    ]
    if told or args.engine != "cpu":
        names = ", ".join(f"--{name.replace('_', '-')}" for name in told or ["engine"])
        raise EmbodiedError(
            f"only with --algo: {names} (datasets say by themselves what was recorded)"
        )


@dataclass(frozen=True)
class Lesson:
    """What is learned from, and for how long."""

    datasets: tuple[Path, ...]
    cameras: tuple[str, ...]
    minutes: float
    steps: int | None = None  # instead of the minutes
    seed: int = 0


def learn(lesson: Lesson, run: Path, resume: bool, quiet: bool) -> None:
    """Trains into a run folder; with `resume` goes on with what is unfinished, and
    leaves alone what is finished.
    """
    from embodied.policies.training.joint import TrainConfig, train
    from embodied.policies.vla.run_folder import RunFolder

    if resume and (run / INFO).exists() and not RunFolder(run).has_checkpoint():
        if not quiet:
            print(f"{run} is finished: left as it is", file=sys.stderr)
        return
    config = TrainConfig(
        minutes=lesson.minutes,
        seed=lesson.seed,
        cameras=lesson.cameras,
        max_steps=lesson.steps,
    )
    with TrainingProgress(quiet) as progress:
        train(lesson.datasets, run, config, progress, resume)


def check_same(lesson: Lesson, run: Path) -> None:
    """Raises EmbodiedError where a run folder is of another training than this lesson."""
    if not (run / INFO).exists():
        return
    stored = read_info(run)
    if "datasets" not in stored:
        raise EmbodiedError(
            f"{run} was not trained on datasets: choose another name after -o"
        )
    for what, before, now in (
        (
            "datasets",
            [Path(name).name for name in stored["datasets"]],
            [path.name for path in lesson.datasets],
        ),
        ("cameras", stored["net"]["cameras"], list(lesson.cameras)),
    ):
        if before != now:
            raise EmbodiedError(
                f"{run} was trained with {what} {', '.join(before)}, not {', '.join(now)}"
            )


def tell_of_unfinished(datasets: list[Path]) -> None:
    """Says which datasets may yet get more episodes, and how."""
    for path in datasets:
        dataset = Dataset(path)
        if dataset.is_unfinished:
            there = f"learning from the {len(dataset)} episodes that are whole"
            go_on = "the same `embodied collect` with --resume goes on with it"
            print(
                f"{path}: its collection is unfinished, {there}; {go_on}",
                file=sys.stderr,
            )


def chosen_cameras(datasets: list[Path], wanted: Sequence[str]) -> tuple[str, ...]:
    """The wanted cameras, or all of the first dataset.

    Raises EmbodiedError for a path that is no dataset, and for a dataset that has no
    pictures of theirs.
    """
    recorded = []
    for path in datasets:
        with Dataset(path) as dataset:
            recorded.append(list(dataset.header.metadata["config"]["cameras"]))
    chosen = tuple(wanted or recorded[0])
    if not chosen:
        raise EmbodiedError(
            f"{datasets[0]} has no pictures to learn from: collect it with cameras"
        )
    for path, there in zip(datasets, recorded, strict=True):
        missing = [name for name in chosen if name not in there]
        if missing:
            raise EmbodiedError(
                f"{path} has no pictures of cameras {missing}, but of {there}: collect it with them"
            )
    return chosen
