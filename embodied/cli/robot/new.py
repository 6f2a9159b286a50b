"""`embodied robot new`: writes a robot's description from its model."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from embodied.cli import arguments
from embodied.cli.output import require_writable
from embodied.cli.progress import CountProgress
from embodied.errors import EmbodiedError
from embodied.robots.described.description import Description
from embodied.robots.described.guess import DraftError, guess_description
from embodied.robots.described.standing import MOST_MOUNTS
from embodied.robots.described.writing import write_description

HELP = """Write the description of a robot by looking at its model: the arm's joints, the fingers and their sense, the
tool point, cameras, the grip force, and a home with the hand in front, pointing down. What no model tells, such as
speeds, is guessed; every guess is printed. Two arms that are alike are described both. A gripper may have a file of
its own."""
EXAMPLE = """embodied robot new arm.urdf -o arm.toml
  embodied robot new ur5e.xml --gripper 2f85.xml --on attachment_site -o ur5e.toml"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds this verb's arguments."""
    parser.add_argument(
        "model", type=Path, metavar="FILE", help="the model: MJCF (.xml) or URDF"
    )
    arguments.add_output(
        parser, "the description (default: NAME.toml in this folder)", required=False
    )
    parser.add_argument(
        "--name", default="", help="the robot's name (default: the model's)"
    )

    # for an arm without a gripper: a gripper from another file
    parser.add_argument(
        "--gripper",
        type=Path,
        nargs="+",
        default=[],
        metavar="FILE",
        help="the gripper's model, where the arm's has none; for two arms one for both, "
        "or the left one's and the right one's",
    )
    parser.add_argument(
        "--on",
        nargs="+",
        default=[],
        metavar="PLACE",
        help="the arm's body or site that such a gripper sits on (default: its end)",
    )
    parser.add_argument(
        "--cup",
        default="",
        metavar="SITE",
        help="the hand is a suction cup, and this site of its file is the middle of the "
        "lip, z out of the cup",
    )
    parser.add_argument(
        "--arms",
        type=int,
        choices=(1, 2),
        default=2,
        help="describe at most this many arms (default: 2, if two are alike)",
    )

    arguments.add_overwrite(parser, "the file")


def run(args: argparse.Namespace) -> int:
    """Writes the description, and prints which parts of it are guesses."""
    if args.on and not args.gripper:
        raise EmbodiedError("--on says where --gripper sits: give both")
    if args.output is not None:
        _require_toml(args.output, args.overwrite)

    # what can be drafted is written, even if no robot can be made of it yet
    with CountProgress("mounts", MOST_MOUNTS, "mount") as progress:

        def count_mount(most: int) -> None:
            progress.expect(most)
            progress()

        try:
            guess = guess_description(
                args.model,
                name=args.name,
                grippers=args.gripper,
                on=args.on,
                most_arms=args.arms,
                cup=args.cup,
                on_mount=count_mount,
            )
        except DraftError as unfinished:
            path = _write(unfinished.draft, unfinished.doubts, args)
            raise EmbodiedError(
                f"{unfinished}. {path} has the rest: correct it there, then look at it "
                f"with embodied robot check {path}"
            ) from None

    # write the description, and say which values are guesses
    description = guess.reading.description
    path = _write(description, guess.doubts, args)
    print(f"{path}: robot {description.name}, {guess.reading.robot.summary()}")
    for doubt in guess.doubts:
        print(f"  guessed  {doubt}")
    if description.base is None:
        print("It stays where it is: an empty table [base] puts our base below it")
    print(f"See what was understood: embodied robot check {path}")
    return 0


def _write(
    description: Description, doubts: Sequence[str], args: argparse.Namespace
) -> Path:
    """Writes a description with comments on what was guessed; returns its path."""
    path: Path = args.output or Path(f"{description.name}.toml")
    _require_toml(path, args.overwrite)

    # field -> comment in the file; a doubt begins with the name of the guessed field
    comments = {doubt.split(":")[0]: "a guess" for doubt in doubts}
    write_description(description, path, comments)
    return path


def _require_toml(path: Path, overwrite: bool) -> None:
    """Raises EmbodiedError unless a description can be written to a path.

    The path must end in .toml and be writable, and nothing may exist there without
    --overwrite.
    """
    if path.suffix != ".toml":
        raise EmbodiedError(
            f"a description's name ends in .toml, unlike {path}: choose another with -o"
        )
    require_writable(path)
    if path.exists() and not overwrite:
        raise EmbodiedError(f"{path} exists: choose another with -o, or --overwrite")
