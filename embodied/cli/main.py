"""The command `embodied`: runs one verb, and turns expected errors into one line."""

from __future__ import annotations

import argparse
import os
import select
import sys
from collections.abc import Sequence

from embodied import __version__
from embodied.cli.output import no_empty_folders
from embodied.cli.parser import LineParser
from embodied.cli.streams import never_refuse_letters
from embodied.cli.verbs import add_verbs
from embodied.errors import EmbodiedError
from embodied.machine import refusal
from embodied.mujoco_setting import explaining_mujoco_gl
from embodied.torchrun import this_launch

VERBS = {
    "doctor": "check this machine: versions, CPU, GPU, rendering, where files go",
    "list": "list the tasks, robots, control modes, policies, channels and suites",
    "robot": "bring a robot of your own: write its description, check it",
    "view": "watch a policy at work, in a window or a video",
    "collect": "record demonstrations into a dataset",
    "teleop": "demonstrate a task yourself, with a device in your hand",
    "train": "train a policy on a dataset",
    "fit-head": "let a vision-language model steer the controller of a trained policy",
    "eval": "measure a policy's success over seeds and conditions, with intervals",
    "sweep": "find the rate, delay, jitter and loss of plans at which a task breaks",
    "serve": "let others ask a policy what to do, over a network",
    "compare": "tell which of several policies is better, and how sure that is",
    "report": "write a policy's profile, or a leaderboard of several policies",
    "merge": "put results of shards, or of several policies, into one file",
    "data": "look into datasets, check them, make new ones from them",
    "survey": "measure every task: its expert's success with each robot, and its speed",
    "parity": "compare the engines cpu and warp, task by task",
    "gallery": "film every task and robot: a picture, a loop, clips",
    "check-task": "check a task, also of your own, against what all tasks keep to",
    "bench": "measure the speed of simulation, rendering and policies",
    "demo": "do everything once: collect, train, evaluate, report",
    "completion": "print a script that completes verbs and flags in a shell",
}
INTERRUPTED = 130  # exit status of shells for a process ended by Ctrl-C


def build_parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Returns the parser of the command `embodied`.

    The parser has the arguments of only one verb, the verb in `words`. The parsed
    arguments also have the entries `words`, for hints on how to resume, and `run`, the
    function of the verb.

    Args:
        words: the words of the command, after `embodied`.

    Raises:
        EmbodiedError: there is no such verb.
    """
    parser = LineParser(
        prog="embodied",
        description="A simulated training ground for robots. `embodied VERB --help` says more and shows an example.",
    )
    parser.add_argument(
        "--version", action="version", version=f"embodied {__version__}"
    )
    parser.set_defaults(words=list(words))
    add_verbs(parser, "embodied.cli", VERBS, words)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb.

    Args:
        argv: the words after `embodied`; None for those of the command line.

    Returns:
        The exit status: that of the verb; 1 if the program that reads the output has
        ended; 2 for an expected error; 130 after Ctrl-C.
    """
    words = list(sys.argv[1:] if argv is None else argv) or ["--help"]
    never_refuse_letters()

    try:
        with explaining_mujoco_gl():
            args = build_parser(words).parse_args(words)
            _refuse_torchrun(args)
            with no_empty_folders(getattr(args, "output", None)):
                status = int(args.run(args))
        # flush here, so that a closed output raises BrokenPipeError within this `try`
        sys.stdout.flush()
        return status

    except EmbodiedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2

    except BrokenPipeError:
        if not _reader_is_gone():
            raise
        # discard all further output, also what Python flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1

    except OSError as error:
        reason = refusal(error)
        if not reason:
            raise
        print(f"error: {reason}. What was finished is kept.", file=sys.stderr)
        return 2

    except KeyboardInterrupt as stop:
        hint = str(stop) or "What was finished is kept; nothing is left half-written."
        print(f"\ninterrupted. {hint}", file=sys.stderr)
        return INTERRUPTED


def _refuse_torchrun(args: argparse.Namespace) -> None:
    """Raises EmbodiedError if torchrun started several processes that write one output."""
    verb = args.words[0]
    if verb != "train" and getattr(args, "output", None) is not None:
        this_launch().require_single(f"`embodied {verb}`")


def _reader_is_gone() -> bool:
    """Returns whether the program that reads the output, such as `head`, has ended."""
    watch = select.poll()
    watch.register(sys.stdout.fileno(), 0)  # 0: wait for no event but errors
    return any(event & select.POLLERR for _, event in watch.poll(0))
