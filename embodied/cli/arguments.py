"""Command-line arguments that several verbs share."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from embodied.envs.own_tasks import typed_task
from embodied.errors import EmbodiedError
from embodied.rollout.cluster_address import cluster_address
from embodied.rollout.executor import Executor
from embodied.rollout.on_ray import RayExecutor
from embodied.rollout.shards import Workers, default_workers
from embodied.seeding import SEED_LIMIT
from embodied.torchrun import this_launch

TASK_HELP = (
    "a task's name, e.g. ToteTransfer (see `embodied list tasks`), or one of your own: "
    "FILE.py:TASK or MODULE:TASK"
)

# The help of the flag --robot, which many verbs have.
ROBOT_HELP = (
    "a robot's name, or the path of its description, such as six.toml (default: the "
    "task's first)"
)


def add_scene(parser: argparse.ArgumentParser, optional: bool = False) -> None:
    """Adds TASK, --split and --robot; with `optional`, TASK may be left out."""
    parser.add_argument(
        "task",
        metavar="TASK",
        nargs="?" if optional else None,
        type=typed_task,
        help=TASK_HELP,
    )

    parser.add_argument(
        "--split",
        default="train",
        help="train; or a factor's name, for its held-out values; or all, for those of "
        "every factor (default: train)",
    )
    parser.add_argument("--robot", help=ROBOT_HELP)


def add_stage(parser: argparse.ArgumentParser) -> None:
    """Adds --stage."""
    parser.add_argument(
        "--stage",
        help="what counts as success: this stage of the task, e.g. reach; '' for the "
        "whole task (default: a run's own)",
    )


def add_pairs(parser: argparse.ArgumentParser, verb: str) -> None:
    """Adds --task and --robot, which take several names each.

    Args:
        parser: the parser of the verb.
        verb: what is done with tasks and robots, for the help, e.g. "compare".
    """
    parser.add_argument(
        "--task",
        nargs="+",
        metavar="TASK",
        type=typed_task,
        help=f"tasks to {verb}, by name or as FILE.py:TASK (default: all)",
    )

    parser.add_argument(
        "--robot",
        nargs="+",
        metavar="ROBOT",
        help=f"robots to {verb} (default: all that each task knows)",
    )


def add_cell_episodes(parser: argparse.ArgumentParser, default: int) -> None:
    """Adds --episodes and --seed: the episodes of each cell of a table."""
    parser.add_argument(
        "--episodes",
        type=int,
        default=default,
        help=f"episodes in each cell (default: {default})",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=10_000,
        help="seed of each cell's first episode (default: 10000)",
    )


def add_episodes(
    parser: argparse.ArgumentParser, default: int, purpose: str, noun: str = "episode"
) -> None:
    """Adds --episodes, --seed and --level, for episodes with consecutive seeds.

    Args:
        parser: the parser of the verb.
        default: the default number of episodes.
        purpose: the end of the help "how many ...", e.g. "to record".
        noun: the word for an episode in the help, e.g. "take".
    """
    parser.add_argument(
        "--episodes",
        type=int,
        default=default,
        help=f"how many {purpose} (default: {default})",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help=f"seed of the first {noun} (default: 0)"
    )
    add_level(parser)


def add_level(parser: argparse.ArgumentParser) -> None:
    """Adds --level, for a single level."""
    parser.add_argument(
        "--level", default="L2", help="how much varies: L1, L2, L3 or L4 (default: L2)"
    )


def add_own_robot_and_task(parser: argparse.ArgumentParser) -> None:
    """Adds --robot and --task, for a dataset whose robot or task is not registered.

    The user must type the paths of their files, because code is never loaded from a path
    that only a dataset names.
    """
    parser.add_argument(
        "--robot",
        help="the robot's description, e.g. six.toml, where it is not known by a name",
    )
    parser.add_argument(
        "--task",
        type=typed_task,
        metavar="FILE.py:TASK",
        help="where a task of your own is",
    )


def add_dataset(parser: argparse.ArgumentParser, what: str = "the dataset") -> None:
    """Adds FILE, the dataset that a verb reads; `what` is the help text of FILE."""
    parser.add_argument("file", type=Path, metavar="FILE", help=what)


def add_output(
    parser: argparse.ArgumentParser,
    what: str,
    metavar: str = "FILE",
    required: bool = True,
    default: str = "",
) -> None:
    """Adds -o, the output of a verb.

    Args:
        parser: the parser of the verb.
        what: what is written to the output, for the help.
        metavar: the word for the output in the help: FILE, FOLDER or PATH.
        required: whether the user must give -o; a default makes it optional.
        default: the default path; "" for none.
    """
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=required and not default,
        default=Path(default) if default else None,
        metavar=metavar,
        help=f"{what} (default: {default})" if default else what,
    )


def add_overwrite(
    parser: argparse.ArgumentParser, what: str = "an output that exists"
) -> None:
    """Adds --overwrite, for verbs without --resume; `what` is what the flag replaces."""
    parser.add_argument("--overwrite", action="store_true", help=f"replace {what}")


def add_parallelism(parser: argparse.ArgumentParser) -> None:
    """Adds --num-envs and --workers, which distribute work and do not affect results."""
    parser.add_argument(
        "--num-envs",
        type=int,
        default=16,
        help="worlds at once in each process (default: 16)",
    )
    parser.add_argument(
        "--workers",
        type=int,
        help="processes (default: one per core, fewer for few episodes; on a cluster all "
        "cores)",
    )


def add_cluster(parser: argparse.ArgumentParser) -> None:
    """Adds --on, the machines that run the work."""
    parser.add_argument(
        "--on",
        metavar="WHERE",
        help="ray:HOST:PORT: the machines of a Ray cluster share the work; ray: the "
        "cluster that RAY_ADDRESS names, else Ray on this machine (docs/cluster.md)",
    )


def add_resume_or_overwrite(parser: argparse.ArgumentParser) -> None:
    """Adds --resume and --overwrite, for an existing output."""
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--resume", action="store_true", help="continue an unfinished output"
    )
    choice.add_argument(
        "--overwrite", action="store_true", help="replace an output that exists"
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Adds --json: output for programs."""
    parser.add_argument(
        "--json", action="store_true", help="print JSON, and no progress"
    )


def workers(args: argparse.Namespace, episodes: int) -> int:
    """Returns the number of processes that share the episodes."""
    return default_workers(episodes) if args.workers is None else args.workers


def executor(args: argparse.Namespace, episodes: int) -> Executor:
    """Returns the executor of the episodes: processes of this machine, or a cluster.

    Raises:
        EmbodiedError: --on or --workers is invalid, or the cluster does not answer.
    """
    if args.on is None:
        return Workers(workers(args, episodes))
    return RayExecutor(cluster_address(args.on), args.workers)


def seeds(args: argparse.Namespace) -> range:
    """Returns the seeds that --episodes and --seed select.

    Raises:
        EmbodiedError: the number of episodes is below 1, or a seed is out of range.
    """
    if args.episodes < 1:
        raise EmbodiedError(f"--episodes must be at least 1, not {args.episodes}")
    check_seed(args.seed, args.episodes)
    return range(args.seed, args.seed + args.episodes)


def check_seed(first: int, count: int = 1) -> None:
    """Raises EmbodiedError unless `first` and the `count` - 1 seeds after it are valid."""
    if count == 1 and not 0 <= first < SEED_LIMIT:
        raise EmbodiedError(
            f"--seed must be at least 0 and at most 2**63 - 1, not {first}"
        )
    if not 0 <= first <= SEED_LIMIT - count:
        raise EmbodiedError(
            f"--seed must be at least 0, and the last episode's seed below 2**63: {first} "
            f"and {count - 1} more were asked for"
        )


def resume_hint(words: Sequence[str], stop: KeyboardInterrupt) -> str:
    """Returns a hint on how to continue an interrupted command.

    Args:
        words: the words of the command, after `embodied`.
        stop: the interruption; its message may say what was kept.
    """
    kept_words = [word for word in words if word not in ("--overwrite", "--resume")]
    command = this_launch().command([*kept_words, "--resume"])
    result = str(stop) or "What was finished is kept"
    return f"{result}. Continue with: {command}"


def reject_flags(args: argparse.Namespace, names: Sequence[str], reason: str) -> None:
    """Raises EmbodiedError if the user gave any of these flags.

    Args:
        args: the parsed arguments; a flag that was not given is None or False.
        names: the names of the flags, as attributes of `args`.
        reason: why the flags are rejected, with which the error message ends.
    """
    # compared by identity, because a given 0 is equal to False
    given = [
        name
        for name in names
        if getattr(args, name) is not None and getattr(args, name) is not False
    ]
    if given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise EmbodiedError(f"{flags}: {reason}")
