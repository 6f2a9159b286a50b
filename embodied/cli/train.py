"""`embodied train`: a policy from demonstrations, or from reinforcement learning."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from embodied.cli import arguments, train_log, train_rl, train_summary
from embodied.cli.output import claim_folder
from embodied.cli.robot_argument import robot_of_dataset
from embodied.cli.train_cameras import cameras_of_run, chosen_cameras
from embodied.datasets.reader import Dataset, require_distinct
from embodied.envs.own_tasks import is_place
from embodied.envs.registry import task_names
from embodied.errors import EmbodiedError
from embodied.policies.pretrained import pretrained_folder
from embodied.policies.run_folder import FILES, read_info
from embodied.policies.training.budget import Budget
from embodied.policies.training.config import MAX_AGE_S
from embodied.policies.training.resume import has_work_left, stored_budget
from embodied.wording import counted

if TYPE_CHECKING:
    from embodied.policies.training.config import ImitationConfig

HELP = """Train the reference dual system on datasets that `embodied collect` wrote: a planner that sees pictures and
reads the instruction, together with a controller that follows its plans. Datasets of several tasks of a robot train
one policy for all of them. Or, with --algo, train a network that sees the privileged state by reinforcement learning.
Writes a run folder that `embodied eval` takes as a policy."""
EXAMPLE = """embodied train totes.hdf5 -o runs/totes --minutes 5
  embodied train ToteTransfer --algo sac --stage reach -o runs/reach --minutes 5
  embodied train ToteTransfer --algo ppo --engine warp --stage lift -o runs/lift --minutes 5
  embodied train ToteTransfer --algo sac --base runs/totes --residual 0.2 -o runs/better --minutes 20"""
MINUTES = 5.0  # default budget
# The arguments of reinforcement learning, which training on datasets rejects.
ONLY_WITH_ALGO = (
    "base",
    "delay_ms",
    "demos",
    "engine",
    "level",
    "num_envs",
    "residual",
    "robot",
    "stage",
    "video",
)
# The arguments of training on datasets, which reinforcement learning rejects.
ONLY_WITH_DATASETS = (
    "camera",
    "workers",
    "takeover_weight",
    "shadow_weight",
    "plan_age_ms",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of this verb."""
    parser.add_argument(
        "source",
        nargs="+",
        metavar="DATASET",
        help="files to learn from, or with --algo the name of a task, or FILE.py:TASK",
    )
    arguments.add_output(parser, "run folder for the policy", metavar="FOLDER")

    _add_budget(parser)
    _add_rounds(parser)

    parser.add_argument(
        "--camera",
        nargs="+",
        metavar="NAME",
        help="cameras to learn from (default: all recorded)",
    )

    # ages of plans, where the work is done, and the seed
    parser.add_argument(
        "--plan-age-ms",
        nargs=2,
        type=float,
        metavar=("MIN", "MAX"),
        help="how old the plans are that the controller learns to follow: 0 125 for one "
        f"that gets 8 per second without delay (default: 0 {1000 * MAX_AGE_S:g})",
    )
    parser.add_argument(
        "--device",
        default="auto",
        metavar="DEVICE",
        help="where networks are trained: cuda, cuda:1, cpu, or auto, which is cuda "
        "where there is a GPU; with --engine warp also where worlds are simulated, "
        "and auto is cuda (default: auto)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes that read the datasets' pictures and control steps from disk "
        "while training; 0 keeps them in memory (default: 0 where they take a quarter of "
        "it at most, else one per core)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the training (default: 0)"
    )

    train_log.add_arguments(parser)

    # arguments of reinforcement learning alone, then arguments of every training
    train_rl.add_arguments(parser)
    arguments.add_resume_or_overwrite(parser)
    arguments.add_json(parser)


def _add_rounds(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments for rounds of correction (docs/corrections.md)."""
    parser.add_argument(
        "--from",
        dest="start",
        metavar="RUN",
        help="go on from a run, or from `pretrained`, at a lower learning rate (default: "
        "networks that know nothing yet)",
    )

    # weights of the two kinds of corrections
    parser.add_argument(
        "--takeover-weight",
        type=float,
        metavar="W",
        help="of datasets of `collect --correct`: how often take-overs are sampled, where "
        "demonstrations have a weight of 1 (default: 1)",
    )
    parser.add_argument(
        "--shadow-weight",
        type=float,
        metavar="W",
        help="the same for what the expert wanted while the policy drove; 0 leaves it out "
        "(default: 1)",
    )


def _add_budget(parser: argparse.ArgumentParser) -> None:
    """Adds --minutes and --steps, which exclude each other."""
    budget = parser.add_mutually_exclusive_group()

    budget.add_argument(
        "--minutes",
        type=float,
        help=f"how long to train, in all sittings together (default: {MINUTES:g}; with "
        "--resume what the run was given before). More than before lengthens a "
        "finished run",
    )

    budget.add_argument(
        "--steps",
        type=int,
        help="how many steps to train, in place of --minutes: the result then does not "
        "depend on the machine's speed",
    )


def run(args: argparse.Namespace) -> int:
    """Trains, then prints the last figures and their interpretation."""
    budget = training_budget(args)
    arguments.check_seed(args.seed)
    train_log.require_tracker(args.log)
    if args.algo:
        arguments.reject_flags(
            args, ONLY_WITH_DATASETS, "only with datasets, not with --algo"
        )
        if args.start is not None:
            message = "--from: only with datasets; with --algo there is --base"
            raise EmbodiedError(message)
        train_rl.train(args, budget)
    else:
        train_on_datasets(args, budget)

    if args.json:
        print(json.dumps(train_summary.as_json(args.output, budget)))
    else:
        robot = args.robot if args.algo else robot_of_dataset(Path(args.source[0]))
        print(train_summary.as_text(args.output, budget, robot))
    return 0


def training_budget(args: argparse.Namespace) -> Budget:
    """Returns the budget: that of --steps or --minutes, of a resumed run, or MINUTES."""
    for flag, value in (("--minutes", args.minutes), ("--steps", args.steps)):
        if value is not None and not 0 < value < math.inf:
            raise EmbodiedError(f"{flag} must be above 0 and finite, not {value:g}")

    if args.steps is not None:
        return Budget(max_steps=args.steps)
    if args.minutes is not None:
        return Budget(minutes=args.minutes)
    before = stored_budget(args.output) if args.resume else None
    return before or Budget(minutes=MINUTES)


def train_on_datasets(args: argparse.Namespace, budget: Budget) -> None:
    """Trains by imitation learning. Ctrl-C leaves a run that can be resumed."""
    _reject_tasks(args.source)
    arguments.reject_flags(
        args,
        ONLY_WITH_ALGO,
        "only with --algo (datasets say by themselves what was recorded)",
    )
    from embodied.policies.device import training_device  # loads torch
    from embodied.policies.training.common_metadata import (
        common_metadata,
        require_start_fits,
    )
    from embodied.policies.training.config import ImitationConfig

    # check everything before the run folder is written
    datasets = [Path(name) for name in args.source]
    start = starting_run(args)
    cameras = chosen_cameras(datasets, args.camera or cameras_of_run(start))
    youngest_s, oldest_s = plan_ages_s(args.plan_age_ms)
    require_distinct(datasets)
    require_takeovers(args, datasets)
    config = ImitationConfig(
        datasets=tuple(datasets),
        cameras=cameras,
        budget=budget,
        seed=args.seed,
        device=args.device,
        workers=args.workers,
        min_age_s=youngest_s,
        max_age_s=oldest_s,
        start=start,
        takeover_weight=weight_or_default(args.takeover_weight),
        shadow_weight=weight_or_default(args.shadow_weight),
    )
    training_device(config.device)
    require_start_fits(config, *common_metadata(datasets))
    if args.resume:
        # raises an error if the run cannot be resumed
        has_work_left(args.output, config.identity(), budget)

    warn_of_unfinished(datasets)
    claim_folder(args.output, FILES, args.resume, args.overwrite)
    try:
        imitate(config, args.output, args.resume, quiet=args.json, tracker=args.log)
    except KeyboardInterrupt as stop:
        train_summary.draw(args.output)
        raise KeyboardInterrupt(arguments.resume_hint(args.words, stop)) from None


def starting_run(args: argparse.Namespace) -> Path | None:
    """Returns the run folder of --from; None without --from.

    Raises EmbodiedError if the folder is no run, or was not trained on datasets.
    """
    if args.start is None:
        return None
    folder = Path(args.start)
    if args.start == "pretrained":
        task, robot = task_and_robot_of_dataset(Path(args.source[0]))
        folder = pretrained_folder(task, robot)
    # "vla", a policy that sees pictures and reads instructions, is trained on datasets
    kind = read_info(folder).get("kind", "vla")
    if kind != "vla":
        raise EmbodiedError(
            f"{folder} is a run of the kind {kind!r}: --from takes one that was trained "
            "on datasets"
        )
    return folder


def task_and_robot_of_dataset(path: Path) -> tuple[str, str]:
    """Returns the task and the robot of a dataset."""
    with Dataset(path) as dataset:
        metadata = dataset.header.metadata
        return str(metadata["task"]), str(metadata["robot"])


def plan_ages_s(given_ms: Sequence[float] | None) -> tuple[float, float]:
    """Returns the least and the largest age of plans in training, from --plan-age-ms."""
    if given_ms is None:
        return 0.0, MAX_AGE_S
    youngest_ms, oldest_ms = given_ms
    if not 0 <= youngest_ms <= oldest_ms < math.inf:
        raise EmbodiedError(
            "--plan-age-ms needs the smallest age and the greatest, both finite and at "
            f"least 0, e.g. 0 800, not {youngest_ms:g} {oldest_ms:g}"
        )
    return youngest_ms / 1000, oldest_ms / 1000


def weight_or_default(given: float | None) -> float:
    """Returns the given weight, or the default of 1."""
    return 1.0 if given is None else given


def require_takeovers(args: argparse.Namespace, datasets: Sequence[Path]) -> None:
    """Raises EmbodiedError if weights were given, but no dataset has take-overs."""
    corrected = []
    for path in datasets:
        with Dataset(path) as dataset:
            corrected.append(dataset.header.correction is not None)
    if not any(corrected):
        arguments.reject_flags(
            args,
            ("takeover_weight", "shadow_weight"),
            "no effect, since in none of the datasets anybody corrected a policy "
            "(embodied collect --correct)",
        )


def imitate(
    config: ImitationConfig,
    folder: Path,
    resume: bool,
    quiet: bool,
    tracker: str | None = None,
) -> None:
    """Trains into a run folder, and sends the figures to a tracker of `train_log`.

    With `resume` a run is continued, unless it has spent its budget.
    """
    from embodied.policies.training.imitation import train_imitation  # loads torch

    if resume and not has_work_left(folder, config.identity(), config.budget):
        if not quiet:
            print(train_summary.finished_notice(folder, config.budget), file=sys.stderr)
        return
    with train_log.training_log(folder, tracker, resume, quiet) as log:
        train_imitation(config, folder, log, resume)


def _reject_tasks(sources: Sequence[str]) -> None:
    """Raises EmbodiedError if a task was given in place of a dataset."""
    for name in sources:
        if name in task_names() or is_place(name):
            raise EmbodiedError(
                f"{name} is a task: give --algo to learn it by reinforcement learning, "
                "or datasets, such as totes.hdf5, instead of it"
            )


def warn_of_unfinished(datasets: list[Path]) -> None:
    """Prints which datasets are unfinished, and how to continue their collection."""
    for path in datasets:
        with Dataset(path) as dataset:
            if dataset.is_unfinished:
                print(
                    f"{path}: unfinished, learning from {counted(len(dataset), 'episode')}; "
                    "the same `embodied collect` with --resume continues the collection",
                    file=sys.stderr,
                )
