"""`embodied train TASK --algo ...`: a policy that finds out by trial what a task
rewards.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from embodied.benchmark.evaluation import Place, plan_trials
from embodied.benchmark.timing import Timing
from embodied.cli import arguments
from embodied.cli.output import claim_folder
from embodied.cli.progress import TrainingProgress
from embodied.cli.view import record
from embodied.envs.config import ENGINES
from embodied.envs.registry import get_task
from embodied.errors import EmbodiedError
from embodied.policies.training.budget import Budget
from embodied.rollout.film import Shot

if TYPE_CHECKING:
    from collections.abc import Callable

    from embodied.policies.rl.config import LearnConfig
    from embodied.policies.rl.learn import Progress

    Learner = Callable[[LearnConfig, Path, Progress, bool], None]

ALGORITHMS = ("sac", "td3", "ppo")
LEVEL = "L1"
NUM_ENVS = {"cpu": 16, "warp": 4096}
DEMONSTRATIONS = 64
# episodes
VIDEO = "policy.mp4"
FILMED = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what only reinforcement learning needs."""
    trial = parser.add_argument_group("reinforcement learning")
    trial.add_argument(
        "--algo",
        choices=ALGORITHMS,
        help="of Stable-Baselines3; with --engine warp of rsl_rl",
    )
    trial.add_argument(
        "--stage", default="", help="of the task, e.g. reach (default: the whole task)"
    )
    trial.add_argument("--robot", help="default: the task's first")
    trial.add_argument("--level", help=f"how much varies: L1 to L4 (default: {LEVEL})")
    trial.add_argument(
        "--engine",
        choices=ENGINES,
        default="cpu",
        help="warp: on a GPU, by ppo (default: cpu)",
    )
    trial.add_argument(
        "--num-envs",
        type=int,
        help="worlds at once (default: 16, or 4096 on the engine warp)",
    )
    trial.add_argument(
        "--demos",
        type=int,
        metavar="N",
        help="half of what sac and td3 learn from are so many episodes of the expert's, or of the base's alone "
        f"(default: {DEMONSTRATIONS}; 0: from trial alone)",
    )
    trial.add_argument(
        "--base", metavar="POLICY", help="correct this policy: expert, or a run folder"
    )
    trial.add_argument(
        "--residual",
        type=float,
        default=0.2,
        metavar="S",
        help="largest correction (default: 0.2)",
    )
    trial.add_argument(
        "--delay-ms",
        type=float,
        default=0.0,
        metavar="MS",
        help="the base's plans are late by so much (default: 0)",
    )
    trial.add_argument(
        "--video",
        action="store_true",
        help=f"film what was learned: {VIDEO} in the folder",
    )


def train(args: argparse.Namespace, budget: Budget) -> None:
    """Learns into the run folder until the time is up or the task is learned."""
    config = config_of(args)
    config.check_names()  # before anything is made
    train_into(args.output, config, args)
    if args.video:
        film(args.output, config)


def config_of(args: argparse.Namespace) -> LearnConfig:
    """What was asked for. Raises EmbodiedError for what does not go together."""
    from embodied.policies.rl.config import FROM_MEMORY, LearnConfig

    if len(args.source) != 1:
        raise EmbodiedError(
            f"--algo learns one task: give one task's name, not {' '.join(args.source)}"
        )
    demonstrated = args.algo in FROM_MEMORY and args.engine == "cpu"
    return LearnConfig(
        args.source[0],
        args.robot,
        args.algo,
        args.stage,
        args.level or LEVEL,
        args.minutes,
        args.steps,
        num_envs=NUM_ENVS[args.engine] if args.num_envs is None else args.num_envs,
        seed=args.seed,
        engine=args.engine,
        device="cuda" if args.device == "auto" else args.device,
        demonstrations=(DEMONSTRATIONS if demonstrated else 0)
        if args.demos is None
        else args.demos,
        base=args.base or "",
        residual=args.residual,
        delay_ms=args.delay_ms,
    )


def train_into(run: Path, config: LearnConfig, args: argparse.Namespace) -> None:
    """Ctrl-C leaves what can be gone on with."""
    from embodied.policies.rl.run_folder import FILES, check_same

    if args.resume:
        check_same(config, run)
    claim_folder(run, FILES, args.resume, args.overwrite)
    learn = learner(config)
    try:
        with TrainingProgress(args.json) as progress:
            learn(config, run, progress, args.resume)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(arguments.resume_hint(args.words)) from None


def learner(config: LearnConfig) -> Learner:
    """The one of the engine. Each needs libraries that the other can do without."""
    if config.engine == "warp":
        from embodied.policies.rl.learn_on_device import learn_on_device

        return learn_on_device
    from embodied.policies.rl.learn import learn

    return learn


def film(run: Path, config: LearnConfig) -> None:
    """A short video of episodes that it was not trained in."""
    place = Place(config.task, "train", config.robot, config.stage)
    trial = plan_trials(
        {str(run): str(run)},
        place,
        [config.level],
        [Timing()],
        range(10_000, 10_000 + FILMED),
    )[0]
    (run / VIDEO).unlink(missing_ok=True)
    shot = Shot(get_task(config.task).beauty_camera, run.name, (480, 640))
    record(run / VIDEO, trial.runner, shot, range(10_000, 10_000 + FILMED))
