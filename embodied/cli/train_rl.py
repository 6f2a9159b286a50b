"""`embodied train TASK --algo ...`: trains a policy by reinforcement learning."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from embodied.benchmark.timing import Timing
from embodied.benchmark.trials import TaskChoice, plan_trials
from embodied.cli import arguments, train_summary
from embodied.cli.output import claim_folder
from embodied.cli.train_log import training_log
from embodied.cli.view import VIDEO_SIZE, record
from embodied.envs.config import ENGINES
from embodied.envs.own_tasks import typed_task
from embodied.envs.registry import get_task
from embodied.errors import EmbodiedError
from embodied.policies.training.budget import Budget
from embodied.policies.training.resume import has_work_left
from embodied.rollout.film import Shot

if TYPE_CHECKING:
    from collections.abc import Callable

    from embodied.policies.rl.config import RLConfig
    from embodied.policies.training.run import OnRow

    Trainer = Callable[[RLConfig, Path, OnRow | None, bool], None]

# a copy of the names in `policies.rl.config`, because that module takes long to import
ALGORITHMS = ("sac", "td3", "ppo")
# defaults of the flags
LEVEL = "L1"
NUM_ENVS = {"cpu": 16, "warp": 4096}  # by engine
DEMONSTRATIONS = 64  # episodes
RESIDUAL = 0.2
VIDEO = "policy.mp4"  # name of the video in the run folder
FILMED_SEEDS = range(10_000, 10_004)  # seeds that training does not use


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that only reinforcement learning takes."""
    group = parser.add_argument_group("reinforcement learning")
    group.add_argument(
        "--algo",
        choices=ALGORITHMS,
        help="an algorithm of Stable-Baselines3, or with --engine warp of rsl_rl",
    )
    group.add_argument(
        "--stage",
        help="stage of the task to learn, e.g. reach (default: the whole task)",
    )

    # in which worlds
    group.add_argument("--robot", help=arguments.ROBOT_HELP)
    group.add_argument("--level", help=f"how much varies: L1 to L4 (default: {LEVEL})")
    group.add_argument(
        "--engine",
        choices=ENGINES,
        help="what simulates: cpu, or warp on a GPU, which takes ppo (default: cpu)",
    )
    group.add_argument(
        "--num-envs",
        type=int,
        help="worlds at once (default: 16, or 4096 on the engine warp)",
    )

    # aids of learning: demonstrations, and a base policy to correct
    group.add_argument(
        "--demos",
        type=int,
        metavar="N",
        help="replay this many episodes of the expert, or of --base alone, as half of "
        f"what sac and td3 learn from (default: {DEMONSTRATIONS}; 0: none)",
    )
    group.add_argument(
        "--base",
        metavar="POLICY",
        help="learn to correct this policy: expert, or a run folder",
    )
    group.add_argument(
        "--residual",
        type=float,
        metavar="S",
        help="with --base: the largest correction, in units of actions (default: "
        f"{RESIDUAL})",
    )
    group.add_argument(
        "--delay-ms",
        type=float,
        metavar="MS",
        help="how late the plans of --base arrive (default: 0)",
    )

    group.add_argument(
        "--video",
        action="store_true",
        help=f"film what was learned, as {VIDEO} in the run folder",
    )


def train(args: argparse.Namespace, budget: Budget) -> None:
    """Trains into a run folder until the budget is spent or the task is learned.

    Ctrl-C leaves a run that can be resumed.
    """
    from embodied.policies.rl.run_folder import FILES

    # check everything before the run folder is written
    config = rl_config(args, budget)
    config.check_names()
    folder: Path = args.output
    is_spent = args.resume and not has_work_left(folder, config.identity(), budget)
    claim_folder(folder, FILES, args.resume, args.overwrite)

    if is_spent:
        if not args.json:
            print(train_summary.finished_notice(folder, budget), file=sys.stderr)
    else:
        run_trainer = trainer(config)
        try:
            with training_log(folder, args.log, args.resume, args.json) as log:
                run_trainer(config, folder, log, args.resume)
        except KeyboardInterrupt as stop:
            train_summary.draw(folder)
            raise KeyboardInterrupt(arguments.resume_hint(args.words, stop)) from None

    if args.video:
        film(folder, config, args.json)


def rl_config(args: argparse.Namespace, budget: Budget) -> RLConfig:
    """Returns the config that the arguments describe.

    Raises:
        EmbodiedError: arguments exclude each other.
    """
    from embodied.policies.rl.config import OFF_POLICY, RLConfig

    if len(args.source) != 1:
        raise EmbodiedError(
            "--algo learns one task: give the name of one task, "
            f"not {' '.join(args.source)}"
        )

    if Path(args.source[0]).is_file():
        raise EmbodiedError(
            f"{args.source[0]} is a file, but --algo learns in a task's worlds: give a "
            "task's name, or leave out --algo to learn from the file"
        )
    if not args.base:
        arguments.reject_flags(args, ("residual", "delay_ms"), "only with --base")
    engine = args.engine or "cpu"
    num_envs = args.num_envs
    if num_envs is None:
        num_envs = NUM_ENVS[engine]
    demonstrations = args.demos
    if demonstrations is None:
        # only off-policy algorithms can replay demonstrations, and only on the CPU engine
        replays = args.algo in OFF_POLICY and engine == "cpu"
        demonstrations = DEMONSTRATIONS if replays else 0

    return RLConfig(
        task=typed_task(args.source[0]),
        robot=args.robot,
        algorithm=args.algo,
        stage=args.stage or "",
        level=args.level or LEVEL,
        budget=budget,
        num_envs=num_envs,
        seed=args.seed,
        engine=engine,
        device=args.device,
        demonstrations=demonstrations,
        base=args.base or "",
        residual=RESIDUAL if args.residual is None else args.residual,
        delay_ms=args.delay_ms or 0.0,
    )


def trainer(config: RLConfig) -> Trainer:
    """Returns the training function for the engine of a config."""
    # imported here, because each engine needs libraries that may not be installed
    if config.engine == "warp":
        from embodied.policies.rl.warp import train_warp

        return train_warp
    from embodied.policies.rl.sb3 import train_sb3

    return train_sb3


def film(folder: Path, config: RLConfig, quiet: bool) -> None:
    """Films episodes of a trained policy, with seeds that the training did not use.

    Args:
        folder: the run folder, in which the video is written.
        config: the config of the training.
        quiet: whether to hide the progress.
    """
    # with one policy, one level and one timing there is one trial
    task_choice = TaskChoice(config.task, robot=config.robot, stage=config.stage)
    [trial] = plan_trials(
        {str(folder): str(folder)},  # label -> policy
        task_choice,
        [config.level],
        timings=[Timing()],
        seeds=FILMED_SEEDS,
    )
    video = folder / VIDEO
    video.unlink(missing_ok=True)
    shot = Shot(get_task(config.task).beauty_camera, label=folder.name, size=VIDEO_SIZE)
    record(video, trial.runner, shot, FILMED_SEEDS, quiet)
