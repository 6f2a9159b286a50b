"""Arguments of `embodied train` on datasets: which system is trained."""

from __future__ import annotations

import argparse

from embodied.cli import arguments
from embodied.policies.training.config import MAX_AGE_S
from embodied.policies.vla.head_config import HEADS

SYSTEMS = ("dual", "single")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds --system, --head and --plan-age-ms."""
    parser.add_argument(
        "--system",
        choices=SYSTEMS,
        help="dual: a planner and a controller that follows its plans; single: one network "
        "that predicts chunks of actions, for comparison (default: dual)",
    )
    parser.add_argument(
        "--head",
        choices=HEADS,
        help="how a single system predicts actions: mlp and transformer directly, flow by "
        f"flow matching (default: {HEADS[0]})",
    )

    parser.add_argument(
        "--plan-age-ms",
        nargs=2,
        type=float,
        metavar=("MIN", "MAX"),
        help="how old the plans are that the controller learns to follow: 0 125 for one "
        f"that gets 8 per second without delay (default: 0 {1000 * MAX_AGE_S:g})",
    )


def head_of_system(args: argparse.Namespace) -> str | None:
    """Returns the action head of the system to train; None for the dual system."""
    if args.system == "single":
        arguments.reject_flags(
            args,
            ("plan_age_ms",),
            "only with --system dual, whose controller learns to follow plans of these "
            "ages: leave it out",
        )
        return args.head or HEADS[0]
    arguments.reject_flags(args, ("head",), "only with --system single: add that")
    return None
