"""`embodied train`: a policy from demonstrations, or from reinforcement learning."""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from embodied.cli import (
    arguments,
    train_datasets,
    train_log,
    train_rl,
    train_summary,
    train_system,
)
from embodied.cli.robot_argument import robot_of_dataset
from embodied.errors import EmbodiedError
from embodied.policies.training.budget import Budget
from embodied.policies.training.config import BATCH_SIZE
from embodied.policies.training.resume import stored_budget
from embodied.torchrun import this_launch

HELP = """Train the reference dual system on datasets that `embodied collect` wrote: a planner that sees pictures and
reads the instruction, together with a controller that follows its plans. Datasets of several tasks of a robot train
one policy for all of them. With --system single, train one network instead, to compare the two. Or, with --algo, train
a network that sees the privileged state by reinforcement learning. Writes a run folder that `embodied eval` takes as a
policy. On several GPUs, type
`torchrun --nproc-per-node GPUS -m embodied train DATASET...` (docs/cluster.md)."""
EXAMPLE = """embodied train totes.hdf5 -o runs/totes --minutes 5
  embodied train totes.hdf5 --system single --head flow -o runs/one --minutes 5
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
    "batch_size",
    "camera",
    "workers",
    "takeover_weight",
    "shadow_weight",
    "plan_age_ms",
    "system",
    "head",
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

    # the system to train, where the work is done, and the seed
    train_system.add_arguments(parser)
    _add_computing(parser)
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the training (default: 0)"
    )

    train_log.add_arguments(parser)

    # arguments of reinforcement learning alone, then arguments of every training
    train_rl.add_arguments(parser)
    arguments.add_resume_or_overwrite(parser)
    arguments.add_json(parser)


def _add_computing(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that say where networks are trained, and on how much at once."""
    parser.add_argument(
        "--device",
        default="auto",
        metavar="DEVICE",
        help="where networks are trained: cuda, cuda:1, cpu, or auto, which is cuda "
        "where there is a GPU; with --engine warp also where worlds are simulated, "
        "and auto is cuda; under torchrun, cuda and auto are a GPU for each process "
        "(default: auto)",
    )

    parser.add_argument(
        "--batch-size",
        type=int,
        metavar="N",
        help="plans in a batch, which the processes of torchrun share equally (default: "
        f"{BATCH_SIZE})",
    )

    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="processes that read the datasets' pictures and control steps from disk "
        "while training; 0 keeps them in memory (default: 0 where they take a quarter of "
        "it at most, else one per core); under torchrun of each process",
    )


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
        this_launch().require_single("`embodied train --algo`")
        arguments.reject_flags(
            args, ONLY_WITH_DATASETS, "only with datasets, not with --algo"
        )
        if args.start is not None:
            message = "--from: only with datasets; with --algo there is --base"
            raise EmbodiedError(message)
        train_rl.train(args, budget)
    else:
        train_datasets.reject_tasks(args.source)
        arguments.reject_flags(
            args,
            ONLY_WITH_ALGO,
            "only with --algo (datasets say by themselves what was recorded)",
        )
        train_datasets.train(args, budget)

    # of several processes, rank 0 tells the result
    if this_launch().rank > 0:
        return 0
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
