"""The flags of `embodied collect` that let an expert correct a policy."""

from __future__ import annotations

import argparse
from dataclasses import replace

from embodied.cli import arguments
from embodied.core import PolicySpec
from embodied.errors import EmbodiedError
from embodied.policies.corrected import CORRECTORS, Correction, corrected_spec
from embodied.policies.registry import find_policy
from embodied.policies.takeover import TakeoverRule

# flags that need --correct, and flags that a fixed time of the take-over makes useless
ONLY_WITH_CORRECT = ("stray", "stall_s", "takeover_after_s")
ONLY_WITHOUT_SCHEDULE = ("stray", "stall_s")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds --correct, and the flags that say when the expert takes over."""
    rule = TakeoverRule()

    parser.add_argument(
        "--correct",
        choices=CORRECTORS,
        help="who takes over when the policy strays, and says at each step what to learn "
        "(docs/corrections.md); only with a policy that learned from it",
    )

    # when the expert takes over: when the policy strays or stalls, or at a fixed time
    parser.add_argument(
        "--stray",
        type=float,
        metavar="X",
        help="take over when what the policy does and what the expert would do differ by "
        f"more than this share of the top speed, over {rule.mean_s:g} s (default: "
        f"{rule.stray:g})",
    )
    parser.add_argument(
        "--stall-s",
        type=float,
        metavar="S",
        help="take over when a subtask lasts longer than this (default: "
        f"{rule.stall_s:g})",
    )
    parser.add_argument(
        "--takeover-after-s",
        type=float,
        metavar="S",
        help="a schedule in place of that: take over at this time of each episode, for good",
    )


def chosen_correction(args: argparse.Namespace) -> Correction | None:
    """Returns the correction that the flags describe; None without --correct.

    Raises:
        EmbodiedError: flags exclude each other, or a number is out of its range.
    """
    if args.correct is None:
        arguments.reject_flags(args, ONLY_WITH_CORRECT, "only with --correct expert")
        return None

    if args.policy == args.correct:
        raise EmbodiedError(
            f"the {args.correct} has nothing to correct in itself: give --policy a run "
            "that `embodied train` wrote, or leave out --correct"
        )
    if args.noise:
        raise EmbodiedError(
            "--noise: not with --correct, since the policy's own errors are what there is "
            "to correct"
        )
    rule = TakeoverRule()
    if args.takeover_after_s is not None:
        arguments.reject_flags(
            args, ONLY_WITHOUT_SCHEDULE, "no effect with --takeover-after-s"
        )
        rule = TakeoverRule(after_s=args.takeover_after_s)
    if args.stray is not None:
        # the expert hands back at half the threshold, as it does by default
        rule = replace(rule, stray=args.stray, back=args.stray / 2)
    if args.stall_s is not None:
        rule = replace(rule, stall_s=args.stall_s)
    return Correction(args.correct, rule)


def spec_with(
    correction: Correction | None, spec: PolicySpec, args: argparse.Namespace
) -> PolicySpec:
    """Returns the spec of a policy together with the expert that corrects it.

    Args:
        correction: the correction of the policy; None for none.
        spec: the spec of the policy alone, which is returned without a correction.
        args: the parsed arguments, with task and robot.

    Raises:
        EmbodiedError: policy and expert differ in control mode or rate.
    """
    if correction is None:
        return spec
    expert = find_policy(correction.by).spec(args.task, args.robot)
    return corrected_spec(spec, expert, args.policy)


def planner_hz_with(
    correction: Correction | None, planner_hz: float | None
) -> float | None:
    """Returns the rate of the recorded plans in Hz; None if no plans are recorded.

    If the policy makes no plans, the plans of the expert that corrects it are recorded.

    Args:
        correction: the correction of the policy; None for none.
        planner_hz: the rate of the policy's own planner; None if the policy makes no
            plans.
    """
    if planner_hz is None and correction is not None:
        return find_policy(correction.by).planner_hz
    return planner_hz
