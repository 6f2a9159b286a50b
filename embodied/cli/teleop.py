"""`embodied teleop`: a person demonstrates a task with an input device."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from embodied.benchmark.dataset_facts import dataset_facts
from embodied.cli import arguments
from embodied.cli.collect import chosen_record_hz, with_pictures, writing_mode
from embodied.cli.output import require_writable
from embodied.core import PolicySpec
from embodied.datasets.schema import RECORD_HZ, Header
from embodied.datasets.storage import part_files, parts_folder
from embodied.datasets.writer import EpisodeWriter
from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_robot, get_task
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.policies.corrected import corrected_spec
from embodied.policies.dual_system import DualSystemConfig
from embodied.policies.episodes import env_config_for
from embodied.policies.expert import EXPERT
from embodied.policies.registry import find_policy
from embodied.policies.teleop.device import Device
from embodied.policies.teleop.operator import AIDS, Operator
from embodied.policies.teleop.registry import BUILT_IN, SCRIPT_PREFIX, find_device
from embodied.policies.teleop.shared import SharedOperator
from embodied.policies.teleop.takes import Labels, Screen, Takes
from embodied.rollout.endings import describe_ending
from embodied.wording import counted

if TYPE_CHECKING:
    from embodied.rollout.rollout import EpisodeResult

HELP = """Demonstrate a task yourself: a window shows the world and what is to be done, a device moves the robot's hand.
At the end of each take you keep it, keep it with a mark, or throw it away and do it again. Takes are recorded as
`embodied collect` does, with your name and the device, and survive a crash."""
EXAMPLE = """embodied teleop ToteTransfer -o by_hand.hdf5 --episodes 10
  embodied teleop DrawerTidy -o by_hand.hdf5 --device spacemouse --aid level"""
# The default horizon of a take, as a multiple of the task's horizon for policies, because
# a person is slower.
PATIENCE = 3.0
PERSON = "person"  # the name of the policy in the dataset's header
# The spec of a person as a policy. It is privileged, because the expert's planner runs
# along to record plans, and sees the privileged state.
SPEC = PolicySpec(control_mode="ee_delta", control_hz=200, privileged=True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    arguments.add_scene(parser)
    arguments.add_output(parser, "the dataset, e.g. by_hand.hdf5")
    _add_person(parser)
    arguments.add_episodes(parser, 10, "takes", noun="take")
    parser.add_argument(
        "--horizon-s",
        type=float,
        metavar="S",
        help="how long a take may last (default: three times what a policy is given)",
    )
    _add_pictures(parser)
    arguments.add_resume_or_overwrite(parser)


def _add_person(parser: argparse.ArgumentParser) -> None:
    """Adds who moves the robot, by which device, and whether there is a window."""
    # what moves the robot: a device, an aid that turns the hand, a policy
    parser.add_argument(
        "--device",
        default="keyboard",
        help=f"{', '.join(BUILT_IN)}, {SCRIPT_PREFIX}FILE for commands from a file, or "
        "MODULE:NAME for one of your own (default: keyboard)",
    )
    parser.add_argument(
        "--aid",
        choices=AIDS,
        default="goal",
        help="what turns the hand: goal, an aid turns it as the task needs; level, an aid "
        "keeps its tilt; free, you alone (default: goal)",
    )
    parser.add_argument(
        "--policy",
        help="a policy that drives until you take over by moving the device; its key "
        "take_over hands back (docs/corrections.md; default: you alone)",
    )

    # the person's name, and whether there is a window
    parser.add_argument(
        "--operator",
        metavar="NAME",
        help="who demonstrates, written into each take (default: the user's login)",
    )
    parser.add_argument(
        "--headless",
        action="store_true",
        help="no window, as fast as it goes: for scripts",
    )


def _add_pictures(parser: argparse.ArgumentParser) -> None:
    """Adds the rate of the frames, the cameras and the size of their pictures."""
    parser.add_argument(
        "--record-hz",
        type=int,
        metavar="HZ",
        help=f"recorded frames per second (default: {RECORD_HZ})",
    )

    # one of the two: with --no-cameras there is no camera to name
    cameras = parser.add_mutually_exclusive_group()
    cameras.add_argument(
        "--camera",
        nargs="+",
        metavar="NAME",
        help="cameras to record (default: the task's)",
    )
    cameras.add_argument("--no-cameras", action="store_true", help="record no pictures")

    parser.add_argument(
        "--image-size",
        type=int,
        metavar="PX",
        help="height and width of the recorded pictures (default: 96)",
    )


def run(args: argparse.Namespace) -> int:
    """Records the takes, then prints what the dataset holds."""
    seeds = arguments.seeds(args)
    require_writable(args.output)
    device = find_device(args.device)
    config, record_hz = worlds_config(args)
    labels = Labels(args.operator or getpass.getuser(), device.name)

    with contextlib.closing(Worlds(config)) as worlds:
        operator = driving_policy(args, worlds, device)
        header = takes_header(args, worlds, record_hz)
        with opened_screen(args, worlds, device) as screen, opened(device):
            writer = EpisodeWriter(args.output, header, writing_mode(args))
            takes = Takes(worlds, operator, device, writer, labels, screen)
            with kept_on_interrupt(args):
                results = takes.record(seeds)
    return finish(writer, results, worlds.horizon_s)


def worlds_config(args: argparse.Namespace) -> tuple[EnvConfig, int]:
    """Returns the config of the world, and the rate of the recorded frames.

    Raises:
        EmbodiedError: a name does not exist, or a number is out of its range.
    """
    task = get_task(args.task)
    robot = get_robot(args.robot or task.default_robot)
    spec = SPEC
    if args.policy is not None:
        # one spec for both the policy and the person who corrects it
        policy_spec = find_policy(args.policy).spec(args.task, args.robot)
        spec = corrected_spec(policy_spec, SPEC, args.policy, by=PERSON)
    record_hz = chosen_record_hz(args, spec.control_hz)
    config = env_config_for(
        spec, args.task, args.level, split=args.split, robot=args.robot
    )
    config = with_pictures(config, args, record_hz)

    horizon_s = args.horizon_s
    if horizon_s is None:
        horizon_s = PATIENCE * task.horizon_for(robot)
    return replace(config, horizon_s=horizon_s), record_hz


def driving_policy(
    args: argparse.Namespace, worlds: Worlds, device: Device
) -> Operator | SharedOperator:
    """Returns the policy that drives: the person, with --policy also the given policy."""
    operator = Operator(worlds, device, args.aid)
    if args.policy is None:
        return operator
    # a policy with a planner reads plans that extrapolate moving goals
    source = find_policy(args.policy)
    dual = None
    if source.planner_hz is not None:
        dual = DualSystemConfig(planner_hz=source.planner_hz, mailbox="predictive")
    return SharedOperator(source.make(worlds, dual), operator, args.policy)


def takes_header(args: argparse.Namespace, worlds: Worlds, record_hz: int) -> Header:
    """Returns the header of the dataset, which says who drove.

    Args:
        args: the parsed arguments.
        worlds: the worlds that are recorded.
        record_hz: the rate of the recorded frames.
    """
    policy = PERSON
    correction = None
    if args.policy is not None:
        policy = f"{args.policy}, corrected by {PERSON}"
        correction = {"by": PERSON}
    return Header(
        worlds.metadata(),
        policy,
        record_hz,
        # the recorded plans are made by the expert's planner, which runs along
        planner_hz=EXPERT.planner_hz,
        correction=correction,
    )


@contextlib.contextmanager
def opened_screen(
    args: argparse.Namespace, worlds: Worlds, device: Device
) -> Iterator[Screen | None]:
    """Opens the window in which the person watches the robot; yields None for --headless.

    Raises:
        EmbodiedError: there is no display, pygame is not installed, or --headless leaves
            the keyboard without a window.
    """
    if args.headless:
        # key presses reach this process only through a window
        if args.device == "keyboard":
            raise EmbodiedError(
                "--headless: the keyboard belongs to a window; give --device "
                f"{SCRIPT_PREFIX}FILE or one of your own"
            )
        yield None
        return

    # imported here, because it needs pygame
    from embodied.cli.teleop_window import TeleopWindow

    has_policy = args.policy is not None
    window = TeleopWindow(worlds, device, is_shared=has_policy)
    with contextlib.closing(window):
        yield window


@contextlib.contextmanager
def opened(device: Device) -> Iterator[None]:
    """Connects to a device, and disconnects at the end."""
    device.open()
    try:
        yield
    finally:
        device.close()


@contextlib.contextmanager
def kept_on_interrupt(args: argparse.Namespace) -> Iterator[None]:
    """After Ctrl-C, raises a message with the number of kept takes and how to resume."""
    try:
        yield
    except KeyboardInterrupt:
        num_kept = len(part_files(args.output))
        # `rmdir` removes only an empty folder: it fails if there are takes in it
        with contextlib.suppress(OSError):
            parts_folder(args.output).rmdir()
        stop = KeyboardInterrupt(f"Kept: {counted(num_kept, 'take')}")
        raise KeyboardInterrupt(arguments.resume_hint(args.words, stop)) from None


def finish(
    writer: EpisodeWriter, results: list[EpisodeResult], horizon_s: float
) -> int:
    """Merges the takes into one file, and prints a summary of the file.

    Args:
        writer: the writer of the takes.
        results: the results of the takes that were kept in this session.
        horizon_s: how long a take may last.

    Returns:
        The exit status: 1 if there is no take at all.
    """
    writer.close()  # merges the takes
    for result in results:
        print(f"seed {result.seed}: {describe_ending(result)}, '{result.instruction}'")

    if not writer.path.exists():
        print(
            "no take was kept: keep or mark count once a take is over, which is when "
            f"the task is done or lost, or after {horizon_s:g} s (--horizon-s)",
            file=sys.stderr,
        )
        return 1
    facts = dataset_facts([writer.path])
    print(
        f"{writer.path}: {counted(facts.episodes, 'take')}, of which {facts.successes} "
        f"succeeded, {60 * facts.hours:.1f} min"
    )
    return 0
