"""`embodied collect`: demonstrations of a policy into a dataset."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, replace
from pathlib import Path

from embodied.benchmark.dataset_facts import dataset_facts
from embodied.benchmark.statistics import wilson
from embodied.benchmark.wording import interval, percent
from embodied.cli import arguments
from embodied.cli.output import require_writable
from embodied.cli.progress import stages
from embodied.datasets.writer import Mode
from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_robot, get_task
from embodied.errors import EmbodiedError
from embodied.policies.collection import Recording, collect, collection_header
from embodied.policies.dual_system import DualSystemConfig
from embodied.policies.episodes import EpisodeRunner, env_config_for
from embodied.policies.registry import find_policy
from embodied.rollout.shards import Workers

HELP = """Record demonstrations, of the scripted expert or of any other policy: what the robot felt and saw, what it
did, and at the planner's rate what it was about to do. Failures are kept and labelled. The same seeds give the same
file, however many processes and worlds share the work."""
EXAMPLE = "embodied collect ToteTransfer -o totes.hdf5 --episodes 200 --level L2"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    arguments.add_scene(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help="the dataset, e.g. totes.hdf5",
    )
    parser.add_argument(
        "--policy",
        default="expert",
        help="expert, random, hold, a run folder, or MODULE:NAME (default: expert)",
    )
    parser.add_argument("--episodes", type=int, default=200, help="default: 200")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the first episode (default: 0)"
    )
    parser.add_argument(
        "--level", default="L2", help="how much varies: L1, L2, L3 or L4 (default: L2)"
    )
    parser.add_argument(
        "--planner-hz",
        type=float,
        help="plans per second (default: the policy's own, 8 of the expert)",
    )
    parser.add_argument(
        "--record-hz",
        type=int,
        default=10,
        help="frames a second, pictures too (default: 10)",
    )
    cameras = parser.add_mutually_exclusive_group()
    cameras.add_argument(
        "--camera",
        nargs="+",
        metavar="NAME",
        help="cameras to record (default: the task's)",
    )
    cameras.add_argument(
        "--no-cameras", action="store_true", help="record no pictures: twice as fast"
    )
    parser.add_argument(
        "--image-size",
        type=int,
        help="height and width of pictures (default: what the policy sees, or 96)",
    )
    parser.add_argument(
        "--noise",
        type=float,
        default=0.0,
        metavar="S",
        help="disturb the actions by so much, so that data show recovery",
    )
    arguments.add_speed(parser)
    arguments.add_existing(parser)
    arguments.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Collect, and say what is there now."""
    seeds = arguments.seeds(args)
    require_writable(args.output)
    recording = recording_of(args)
    mode: Mode = "resume" if args.resume else "overwrite" if args.overwrite else "new"
    begun = time.monotonic()
    try:
        with Workers(arguments.workers(args, len(seeds))) as workers:
            results = collect(recording, seeds, mode, workers, stages(args.json))
    except KeyboardInterrupt:
        raise KeyboardInterrupt(arguments.resume_hint(args.words)) from None
    wall_s = time.monotonic() - begun
    print_summary(
        args.output,
        sum(result.duration_s for result in results) / wall_s,
        wall_s,
        args.json,
    )
    return 0


def recording_of(args: argparse.Namespace) -> Recording:
    """What is to be recorded. Raises EmbodiedError for what does not exist."""
    source = find_policy(args.policy)
    spec = source.spec(args.task, args.robot)
    if not 1 <= args.record_hz <= spec.control_hz:
        raise EmbodiedError(
            f"--record-hz must be from 1 to the control rate of {spec.control_hz}, not {args.record_hz}"
        )
    config = with_pictures(
        env_config_for(spec, args.task, args.level, args.split, args.robot), args
    )

    planner_hz = source.planner_hz
    if args.planner_hz is not None:
        if planner_hz is None:
            raise EmbodiedError(
                f"--planner-hz would have no effect, since {args.policy} makes no plans: leave it out"
            )
        planner_hz = args.planner_hz
    dual = None
    if planner_hz is not None:
        dual = DualSystemConfig(planner_hz=planner_hz, mailbox="predictive")

    runner = EpisodeRunner(args.policy, config, dual, args.num_envs, args.noise)
    return Recording(runner, args.output, collection_header(runner, args.record_hz))


def with_pictures(config: EnvConfig, args: argparse.Namespace) -> EnvConfig:
    """The worlds of a policy with the cameras that are to be recorded.

    Raises EmbodiedError where they are not those that the policy needs.
    """
    task = get_task(args.task)
    known = task.cameras_for(get_robot(args.robot or task.default_robot))
    cameras = () if args.no_cameras else tuple(args.camera or known)

    needed = config.cameras or ()
    if not needed:
        image_size = config.image_size if args.image_size is None else args.image_size
        return replace(
            config,
            obs="both" if cameras else "state",
            cameras=cameras,
            camera_hz=args.record_hz if cameras else None,
            image_size=image_size,
        )

    # What the policy sees stays as it is; cameras that it does not use may join.
    missing = [name for name in needed if name not in cameras]
    if args.no_cameras or (args.camera and missing):
        raise EmbodiedError(
            f"{args.policy} sees by the cameras {', '.join(needed)}: they are recorded too"
        )
    if args.image_size not in (None, config.image_size):
        raise EmbodiedError(
            f"{args.policy} sees pictures of --image-size {config.image_size}, not {args.image_size}"
        )
    return replace(config, obs="both", cameras=(*cameras, *missing))


def print_summary(path: Path, speed: float, wall_s: float, as_json: bool) -> None:
    """What the dataset holds, and how fast it came."""
    facts = dataset_facts([path])
    found = wilson(facts.successes, facts.episodes)
    if as_json:
        rate = {**asdict(found), "rate": found.value}
        print(
            json.dumps(
                {
                    "path": str(path),
                    **asdict(facts),
                    "success": rate,
                    "wall_s": wall_s,
                    "speed": speed,
                }
            )
        )
        return
    print(
        f"{path}: {facts.episodes} episodes, {facts.hours:.2f} h, {facts.frames} frames, "
        f"{facts.size_bytes / 1e6:.1f} MB\n"
        f"success {percent(found.value, found.episodes)} (95% interval {interval(found)})\n"
        + (
            f"{wall_s:.0f} s, {speed:.0f} x real time"
            if speed
            else "it was complete: nothing to do"
        )
    )
