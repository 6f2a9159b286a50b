"""`embodied collect`: records a policy's demonstrations into a dataset."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from embodied.benchmark.dataset_facts import dataset_facts
from embodied.benchmark.statistics import wilson
from embodied.benchmark.wording import interval, percent
from embodied.cli import arguments, correction
from embodied.cli.data.audit import audit_text, audited
from embodied.cli.output import require_writable
from embodied.cli.progress import stages
from embodied.cli.timing import add_timing, chosen_timings
from embodied.cli.view_command import timing_flags
from embodied.datasets.audit.store import write_json
from embodied.datasets.reader import Dataset
from embodied.datasets.recorder import record_rates, usual_record_hz
from embodied.datasets.schema import RECORD_HZ
from embodied.datasets.writer import Mode
from embodied.envs.config import EnvConfig
from embodied.envs.models import choose_robot
from embodied.envs.registry import get_task
from embodied.errors import EmbodiedError
from embodied.policies.collection import Recording, collect, collection_header
from embodied.policies.episodes import EpisodeRunner, env_config_for
from embodied.policies.mailbox import MailboxMode
from embodied.policies.registry import find_policy
from embodied.wording import counted

# The predictive mailbox extrapolates moving goals, as on a belt, between two plans.
MAILBOX: MailboxMode = "predictive"
HELP = """Record demonstrations of the scripted expert or of any other policy: what the robot sensed, what its cameras
saw, its actions and its plans. Failures are kept and labelled. The same seeds give the same file, however many
processes and worlds share the work."""
EXAMPLE = """embodied collect ToteTransfer -o totes.hdf5 --episodes 200 --level L2
  embodied collect ToteTransfer -o round1.hdf5 --policy runs/totes --correct expert"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    arguments.add_scene(parser)
    _add_episodes(parser)

    # who corrects the policy, what is recorded, and when plans arrive
    correction.add_arguments(parser)
    add_pictures(parser)
    add_timing(parser, mailbox=MAILBOX)

    # how the work is done, and what follows it
    arguments.add_parallelism(parser)
    arguments.add_cluster(parser)
    arguments.add_resume_or_overwrite(parser)
    parser.add_argument(
        "--audit",
        action="store_true",
        help="then replay and check each episode, as `embodied data audit --beside` does",
    )
    arguments.add_json(parser)


def _add_episodes(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that say which episodes to record, and by which policy."""
    arguments.add_output(parser, "the dataset, e.g. totes.hdf5")

    parser.add_argument(
        "--policy",
        default="expert",
        help="a name, a run folder, MODULE:NAME or remote:HOST:PORT (default: expert; see `embodied list policies`)",
    )

    arguments.add_episodes(parser, 200, "to record")
    parser.add_argument(
        "--noise",
        type=float,
        default=0.0,
        metavar="S",
        help="standard deviation of noise on the actions, so that the data show how to "
        "recover (default: 0)",
    )


def add_pictures(parser: argparse.ArgumentParser) -> None:
    """Adds the rate of the frames, the cameras and the size of the pictures."""
    parser.add_argument(
        "--record-hz",
        type=int,
        metavar="HZ",
        help="recorded frames per second, with pictures and actions; a divisor of the "
        f"control rate (default: {RECORD_HZ}, or the next higher one)",
    )

    # with --no-cameras there is no camera to name
    cameras = parser.add_mutually_exclusive_group()
    cameras.add_argument(
        "--camera",
        nargs="+",
        metavar="NAME",
        help="cameras to record (default: the task's)",
    )
    cameras.add_argument(
        "--no-cameras",
        action="store_true",
        help="record no pictures, which is twice as fast",
    )

    parser.add_argument(
        "--image-size",
        type=int,
        metavar="PX",
        help="height and width of the pictures (default: what the policy sees, or 96)",
    )


def run(args: argparse.Namespace) -> int:
    """Collects the episodes, then prints what the dataset holds."""
    seeds = arguments.seeds(args)
    require_writable(args.output)
    recording = planned_recording(args)

    begun_s = time.monotonic()
    try:
        with arguments.executor(args, len(seeds)) as workers:
            results = collect(
                recording,
                seeds,
                writing_mode(args),
                workers=workers,
                stage=stages(args.json),
            )
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(arguments.resume_hint(args.words, stop)) from None
    wall_s = time.monotonic() - begun_s

    # simulated time over wall time, over all processes
    speed = sum(result.duration_s for result in results) / wall_s
    summary = json_summary if args.json else text_summary
    print(summary(args.output, speed, wall_s))
    if args.audit:
        result = audited(args.output, replays=True, quiet=args.json)
        write_json(result)
        if not args.json:
            print(audit_text(result))
    return 0


def writing_mode(args: argparse.Namespace) -> Mode:
    """Returns the mode in which --resume or --overwrite writes a dataset; else `new`."""
    if args.resume:
        return "resume"
    return "overwrite" if args.overwrite else "new"


def planned_recording(args: argparse.Namespace) -> Recording:
    """Returns the recording that the arguments describe.

    Raises:
        EmbodiedError: a name does not exist, or arguments exclude each other.
    """
    source = find_policy(args.policy)
    corrected = correction.chosen_correction(args)
    spec = source.spec(args.task, args.robot)
    spec = correction.spec_with(corrected, spec, args)
    record_hz = chosen_record_hz(args, spec.control_hz)
    config = with_pictures(
        env_config_for(spec, args.task, args.level, split=args.split, robot=args.robot),
        args,
        record_hz,
    )

    # plans of the policy, and of the expert that corrects it, have the same timing
    planners = [args.policy] if corrected is None else [args.policy, corrected.by]
    [timing] = chosen_timings(args, planners)
    # The header names the timing flags that differ from the defaults. So they are taken
    # before the default mailbox is set, and without the planner's rate, which is an entry
    # of the header anyway.
    header_flags = timing_flags(replace(timing, planner_hz=None))
    if args.mailbox is None:
        timing = replace(timing, mailbox=MAILBOX)
    planner_hz = correction.planner_hz_with(corrected, source.planner_hz)
    dual = None if planner_hz is None else timing.dual(planner_hz)

    runner = EpisodeRunner(
        args.policy,
        config,
        dual,
        num_envs=args.num_envs,
        noise=args.noise,
        correction=corrected,
    )
    if timing.bridge != "hold":
        runner.try_out()
    header = collection_header(runner, record_hz, " ".join(header_flags))
    return Recording(runner, args.output, header)


def chosen_record_hz(args: argparse.Namespace, control_hz: int) -> int:
    """Returns the rate of the recorded frames.

    Raises:
        EmbodiedError: --record-hz does not divide the control rate.
    """
    if args.record_hz is None:
        return usual_record_hz(control_hz)
    rates = record_rates(control_hz)
    if args.record_hz not in rates:
        raise EmbodiedError(
            f"--record-hz must divide the control rate of {control_hz} Hz, so it is one of "
            f"{', '.join(map(str, rates))}, not {args.record_hz}"
        )
    return int(args.record_hz)


def with_pictures(
    config: EnvConfig, args: argparse.Namespace, record_hz: int
) -> EnvConfig:
    """Adds the cameras to be recorded to the config of a policy's worlds.

    Raises:
        EmbodiedError: the arguments exclude a camera that the policy needs, or give
            another image size than the policy needs.
    """
    task = get_task(config.task)
    known = task.cameras_for(choose_robot(task, config.robot))
    cameras = () if args.no_cameras else tuple(args.camera or known)
    if not cameras:
        arguments.reject_flags(
            args, ("image_size",), "no effect, since there are no pictures"
        )

    # for a policy without cameras, the arguments decide everything
    needed = config.cameras or ()
    if not needed:
        image_size = config.image_size if args.image_size is None else args.image_size
        return replace(
            config,
            obs="both" if cameras else "state",
            cameras=cameras,
            camera_hz=record_hz if cameras else None,
            image_size=image_size,
        )

    # the policy's own cameras must stay as they are; other cameras may be added
    missing = [name for name in needed if name not in cameras]
    if args.no_cameras or (args.camera and missing):
        raise EmbodiedError(
            f"{args.policy} needs the cameras {', '.join(needed)}: name them all after "
            "--camera, or leave out --camera and --no-cameras"
        )
    if args.image_size not in (None, config.image_size):
        raise EmbodiedError(
            f"{args.policy} needs pictures of size {config.image_size}, not "
            f"{args.image_size}: leave out --image-size"
        )
    return replace(config, obs="both", cameras=(*cameras, *missing))


def json_summary(path: Path, speed: float, wall_s: float) -> str:
    """Returns a summary of the dataset and the speed of recording, as JSON.

    Args:
        path: the path of the dataset.
        speed: simulated time over wall time.
        wall_s: wall time of this recording.
    """
    facts = dataset_facts([path])
    success = wilson(facts.successes, facts.episodes)
    content = {
        "path": str(path),
        **asdict(facts),
        "success": {**asdict(success), "rate": success.value},
        "masks": mask_sizes(path),
        "wall_s": wall_s,
        "speed": speed,
    }
    return json.dumps(content)


def text_summary(path: Path, speed: float, wall_s: float) -> str:
    """Returns a summary of the dataset and the speed of recording, in four lines.

    Args:
        path: the path of the dataset.
        speed: simulated time over wall time; 0 if nothing had to be recorded.
        wall_s: wall time of this recording.
    """
    facts = dataset_facts([path])
    success = wilson(facts.successes, facts.episodes)
    share = percent(success.value, success.episodes)
    # a resumed recording may have nothing left to record
    pace = "it was complete: nothing to do"
    if speed:
        pace = f"{wall_s:.0f} s, {speed:.0f} x real time"
    return (
        f"{path}: {counted(facts.episodes, 'episode')}, {facts.hours:.2f} h, "
        f"{counted(facts.frames, 'frame')}, "
        f"{facts.size_bytes / 1e6:.1f} MB\n"
        f"success {share} (95% interval {interval(success)})\n"
        f"{split_summary(mask_sizes(path))}\n"
        f"{pace}"
    )


def mask_sizes(path: Path) -> dict[str, int]:
    """Returns mask -> its number of episodes."""
    with Dataset(path) as dataset:
        return {name: len(dataset.mask(name)) for name in dataset.masks}


def split_summary(sizes: Mapping[str, int]) -> str:
    """Returns a line on how many successes are for training and for validation."""
    if sizes["valid"] or not sizes["train"]:
        return f"{sizes['train']} to train on, {sizes['valid']} to validate on"
    return (
        f"{sizes['train']} to train on, none to validate on: mask/valid, a tenth of the "
        "successes by their seeds, is empty in so small a dataset (embodied train then "
        "keeps a few of the others apart)"
    )
