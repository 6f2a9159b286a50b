"""Arguments of `eval` and `view` that say when plans are made and how they travel."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from embodied.benchmark.timing import Timing
from embodied.errors import EmbodiedError
from embodied.policies.channel import Freeze
from embodied.policies.latency import PRESETS, read_trace
from embodied.policies.mailbox import MAILBOX_MODES
from embodied.policies.registry import find_policy

# attribute of the parsed arguments -> the flag that sets it
FLAGS = {
    "planner_hz": "--planner-hz",
    "delay_ms": "--delay-ms",
    "compute_ms": "--compute-ms",
    "jitter": "--jitter",
    "latency": "--latency",
    "latency_trace": "--latency-trace",
    "drop": "--drop",
    "freeze_s": "--freeze-s",
    "freeze_at_s": "--freeze-at-s",
    "freeze_hz": "--freeze-hz",
    "mailbox": "--mailbox",
}
EXCLUDED_BY_LATENCY = ("delay_ms", "compute_ms", "jitter", "latency_trace")
EXCLUDED_BY_TRACE = ("delay_ms", "jitter")


def add_timing(parser: argparse.ArgumentParser, sweep: bool) -> None:
    """Adds the arguments; with `sweep`, several delays and losses may be given."""
    group = parser.add_argument_group(
        "timing of plans",
        "only for policies that plan; by default all plans arrive at once",
    )
    _add_delays(group, "+" if sweep else None)
    _add_losses(group, "+" if sweep else None)


def _add_delays(group: argparse._ArgumentGroup, nargs: str | None) -> None:
    group.add_argument(
        "--planner-hz",
        type=float,
        metavar="HZ",
        help="plans per second (default: the policy's own rate)",
    )
    group.add_argument(
        "--delay-ms",
        type=float,
        nargs=nargs,
        metavar="MS",
        help="how long a plan travels, while others may follow it (default: 0)",
    )
    group.add_argument(
        "--compute-ms",
        type=float,
        metavar="MS",
        help="how long the planner is busy with a plan (default: 0)",
    )
    group.add_argument(
        "--jitter",
        type=float,
        metavar="SIGMA",
        help="spread the delays: lognormal with this sigma and --delay-ms as median",
    )
    group.add_argument(
        "--latency",
        metavar="PROFILE",
        help="all delays at once, those of a machine and its network: "
        f"{', '.join(PRESETS)}",
    )
    group.add_argument(
        "--latency-trace",
        type=Path,
        metavar="FILE",
        help="measured delays instead of --delay-ms: a text file with one per line, in ms",
    )


def _add_losses(group: argparse._ArgumentGroup, nargs: str | None) -> None:
    group.add_argument(
        "--drop",
        type=float,
        nargs=nargs,
        metavar="SHARE",
        help="share of the plans that get lost, from 0 to 1 (default: 0)",
    )
    group.add_argument(
        "--freeze-s",
        type=float,
        metavar="S",
        help="stop the planner for this long; needs --freeze-at-s or --freeze-hz",
    )
    group.add_argument(
        "--freeze-at-s",
        type=float,
        metavar="S",
        help="with --freeze-s: stop once, at this time of each episode",
    )
    group.add_argument(
        "--freeze-hz",
        type=float,
        metavar="HZ",
        help="with --freeze-s: stop at random, on average this many times per second",
    )
    group.add_argument(
        "--mailbox",
        choices=MAILBOX_MODES,
        help="which plan the controller reads (default: latest)",
    )


def timings_of(args: argparse.Namespace, policies: Sequence[str]) -> list[Timing]:
    """Returns the timings that were asked for: each loss with each delay.

    Args:
        args: the parsed arguments.
        policies: names of the policies that are to be measured.

    Raises:
        EmbodiedError: an argument would have no effect, arguments exclude each other,
            or a value makes no sense.
    """
    given = [name for name in FLAGS if getattr(args, name) is not None]
    _check_effect(given, policies)
    _check_delays(args, given)
    freeze = _freeze_of(args, given)
    trace = None if args.latency_trace is None else read_trace(args.latency_trace)

    timings = []
    for drop, delay_ms in product(_values(args.drop), _values(args.delay_ms)):
        timings.append(
            Timing(
                planner_hz=args.planner_hz,
                transport_ms=delay_ms,
                compute_ms=args.compute_ms or 0.0,
                jitter=args.jitter or 0.0,
                profile=args.latency or "",
                trace=trace,
                drop=drop,
                freeze=freeze,
                mailbox=args.mailbox or "latest",
            )
        )
    return timings


def idle_note(args: argparse.Namespace, policies: Sequence[str]) -> str:
    """Returns for which policies the timing changes nothing; "" where there are none."""
    given = [flag for name, flag in FLAGS.items() if getattr(args, name) is not None]
    idle = [name for name in policies if find_policy(name).planner_hz is None]
    if not given or not idle:
        return ""
    return f"{', '.join(given)}: no effect on {', '.join(idle)}, which makes no plans"


def _check_effect(given: Sequence[str], policies: Sequence[str]) -> None:
    """Raises EmbodiedError if arguments were given, and none of the policies plans."""
    if not given or any(find_policy(name).planner_hz is not None for name in policies):
        return
    flags = ", ".join(FLAGS[name] for name in given)
    raise EmbodiedError(
        f"{flags} would have no effect, since no plans are made by "
        f"{', '.join(policies)}: leave it out, or choose a policy that plans, such as expert"
    )


def _check_delays(args: argparse.Namespace, given: Sequence[str]) -> None:
    """Raises EmbodiedError if delays were given in two ways, or jitter of no delay."""
    for name, excluded in (
        ("latency", EXCLUDED_BY_LATENCY),
        ("latency_trace", EXCLUDED_BY_TRACE),
    ):
        also = [FLAGS[other] for other in excluded if other in given]
        if name in given and also:
            raise EmbodiedError(
                f"{FLAGS[name]} sets these delays itself: leave out {', '.join(also)}"
            )
    if "jitter" in given and not any(_values(args.delay_ms)):
        raise EmbodiedError("--jitter spreads --delay-ms: give a delay above 0")


def _freeze_of(args: argparse.Namespace, given: Sequence[str]) -> Freeze:
    """Returns the freezes asked for; `given` names the arguments that were typed."""
    when = [name for name in ("freeze_at_s", "freeze_hz") if name in given]
    if "freeze_s" not in given:
        if when:
            raise EmbodiedError(
                f"{FLAGS[when[0]]} needs --freeze-s: how long the planner stops"
            )
        return Freeze()
    if len(when) != 1:
        raise EmbodiedError(
            "--freeze-s needs either --freeze-at-s (once) or --freeze-hz (at random)"
        )
    for name in ("freeze_s", "freeze_hz"):
        if getattr(args, name) == 0:
            raise EmbodiedError(f"{FLAGS[name]} must be above 0: 0 would stop nothing")
    return Freeze(
        duration_s=args.freeze_s,
        start_s=args.freeze_at_s,
        rate_hz=args.freeze_hz or 0.0,
    )


def _values(argument: float | Sequence[float] | None) -> list[float]:
    """Returns what was given for an argument, each value once; [0.0] for nothing."""
    if argument is None:
        return [0.0]
    if isinstance(argument, int | float):
        return [float(argument)]
    return list(dict.fromkeys(argument))
