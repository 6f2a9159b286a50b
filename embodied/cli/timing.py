"""The arguments for the timing of plans, which several verbs share."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from embodied.benchmark.timing import Timing
from embodied.errors import EmbodiedError
from embodied.policies.bridges.registry import BRIDGES
from embodied.policies.channel import Interruption
from embodied.policies.channel_profiles import PROFILES
from embodied.policies.latency import Trace, read_trace
from embodied.policies.mailbox import MAILBOX_MODES
from embodied.policies.registry import find_policy

# attribute of the parsed arguments -> the flag that sets it
FLAGS = {
    "planner_hz": "--planner-hz",
    "delay_ms": "--delay-ms",
    "jitter": "--jitter",
    "latency_trace": "--latency-trace",
    "compute_ms": "--compute-ms",
    "compute_jitter": "--compute-jitter",
    "compute_trace": "--compute-trace",
    "channel": "--channel",
    "drop": "--drop",
    "freeze_s": "--freeze-s",
    "freeze_at_s": "--freeze-at-s",
    "freeze_hz": "--freeze-hz",
    "outage_s": "--outage-s",
    "outage_at_s": "--outage-at-s",
    "outage_hz": "--outage-hz",
    "mailbox": "--mailbox",
    "bridge": "--bridge",
}
# attribute -> the attributes that cannot be given together with it, because it sets them
EXCLUDES = {
    "channel": (
        "delay_ms",
        "jitter",
        "latency_trace",
        "compute_ms",
        "compute_jitter",
        "compute_trace",
    ),
    "latency_trace": ("delay_ms", "jitter"),
    "compute_trace": ("compute_ms", "compute_jitter"),
}
# the attributes that may have several values in `embodied sweep`, outermost loop first
AXES = (
    "mailbox",
    "bridge",
    "freeze_s",
    "outage_s",
    "drop",
    "channel",
    "compute_ms",
    "jitter",
    "planner_hz",
    "delay_ms",
)
# the attributes that may have several values in `embodied eval`
EVAL_AXES = ("drop", "delay_ms")
# attribute of a jitter -> attribute of the delay that it spreads
SPREADS = {"jitter": "delay_ms", "compute_jitter": "compute_ms"}


def add_timing(
    parser: argparse.ArgumentParser,
    several: Collection[str] = (),
    mailbox: str = "latest",
) -> None:
    """Adds the arguments for the timing of plans.

    Args:
        parser: the parser of the verb.
        several: the attributes of AXES that take several values.
        mailbox: the verb's default mailbox, for the help.
    """
    group = parser.add_argument_group(
        "timing of plans",
        "only for policies that plan; by default all plans arrive at once "
        "(docs/dual_system.md)",
    )

    # delays, losses and interruptions
    _add_delays(group)
    _add_losses(group)
    for name, what in (("freeze", "the planner"), ("outage", "all transport")):
        _add_interruption(group, name, what)

    # remedies
    group.add_argument(
        "--mailbox",
        choices=MAILBOX_MODES,
        help=f"which plan the controller reads (default: {mailbox})",
    )
    group.add_argument(
        "--bridge",
        metavar="NAME",
        help="what is done about stale action chunks: "
        f"{', '.join(BRIDGES)}, or MODULE:NAME (default: hold)",
    )
    # `nargs` is set afterwards, so that the functions above need not know it
    for action in group._group_actions:
        if action.dest in several:
            action.nargs = "+"


def _add_delays(group: argparse._ArgumentGroup) -> None:
    """Adds the arguments on the rate of plans and on how late they arrive."""
    group.add_argument(
        "--planner-hz",
        type=float,
        metavar="HZ",
        help="plans per second (default: the policy's own rate)",
    )
    group.add_argument(
        "--channel",
        metavar="NAME",
        help="all delays and losses at once, those of a machine and the network to it: "
        f"{', '.join(PROFILES)}",
    )

    # instead of a channel, the delays one by one: transport
    group.add_argument(
        "--delay-ms",
        type=float,
        metavar="MS",
        help="how long a plan travels; other plans may travel at the same time (default: 0)",
    )
    group.add_argument(
        "--jitter",
        type=float,
        metavar="SIGMA",
        help="spread the delays: lognormal with this sigma and --delay-ms as median",
    )
    group.add_argument(
        "--latency-trace",
        type=Path,
        metavar="FILE",
        help="measured delays instead of --delay-ms: a text file with one per line, in ms",
    )

    # and compute, which blocks the planner
    group.add_argument(
        "--compute-ms",
        type=float,
        metavar="MS",
        help="how long the planner is busy with a plan (default: 0)",
    )
    group.add_argument(
        "--compute-jitter",
        type=float,
        metavar="SIGMA",
        help="spread the times to compute, as --jitter does the delays",
    )
    group.add_argument(
        "--compute-trace",
        type=Path,
        metavar="FILE",
        help="measured times instead of --compute-ms, as --latency-trace has delays",
    )


def _add_losses(group: argparse._ArgumentGroup) -> None:
    """Adds the argument on plans that get lost."""
    group.add_argument(
        "--drop",
        type=float,
        metavar="SHARE",
        help="share of the plans that get lost, from 0 to 1 (default: 0)",
    )


def _add_interruption(group: argparse._ArgumentGroup, name: str, what: str) -> None:
    """Adds the three arguments of a freeze or an outage.

    Args:
        group: the group of the arguments.
        name: the name of the interruption, "freeze" or "outage".
        what: what the interruption stops, for the help.
    """
    group.add_argument(
        f"--{name}-s",
        type=float,
        metavar="S",
        help=f"stop {what} for this long; needs --{name}-at-s or --{name}-hz",
    )

    # when: once, or at random
    group.add_argument(
        f"--{name}-at-s",
        type=float,
        metavar="S",
        help=f"with --{name}-s: stop once, at this time of each episode",
    )
    group.add_argument(
        f"--{name}-hz",
        type=float,
        metavar="HZ",
        help=f"with --{name}-s: stop at random, on average this many times per second",
    )


def chosen_timings(args: argparse.Namespace, policies: Sequence[str]) -> list[Timing]:
    """Returns the timings that the arguments select: every combination of their values.

    Args:
        args: the parsed arguments.
        policies: names of the policies to be measured.

    Raises:
        EmbodiedError: an argument would have no effect, arguments exclude each other,
            or a value is invalid.
    """
    given = [name for name in FLAGS if getattr(args, name) is not None]
    _check_effect(given, policies)
    _check_delays(args, given)
    # attribute -> its values; durations of freezes and outages become `Interruption`s
    axes = {name: _values(getattr(args, name)) for name in AXES}
    axes["freeze_s"] = _chosen_interruptions(args, given, "freeze", "the planner stops")
    axes["outage_s"] = _chosen_interruptions(
        args, given, "outage", "nothing gets through"
    )
    trace = _read_trace(args.latency_trace)
    compute_trace = _read_trace(args.compute_trace)

    # a value is None if the argument was not given, and the default is used
    timings = []
    for combination in product(*axes.values()):
        value_of = dict(zip(axes, combination, strict=True))
        timings.append(
            Timing(
                planner_hz=value_of["planner_hz"],
                transport_ms=value_of["delay_ms"] or 0.0,
                compute_ms=value_of["compute_ms"] or 0.0,
                jitter=value_of["jitter"] or 0.0,
                compute_jitter=args.compute_jitter or 0.0,
                channel=value_of["channel"] or "",
                trace=trace,
                compute_trace=compute_trace,
                drop=value_of["drop"] or 0.0,
                freeze=value_of["freeze_s"],
                outage=value_of["outage_s"],
                mailbox=value_of["mailbox"] or "latest",
                bridge=value_of["bridge"] or "hold",
            )
        )
    return timings


def idle_note(args: argparse.Namespace, policies: Sequence[str]) -> str:
    """Returns a note on policies that the timing does not affect; "" if there are none."""
    given = [flag for name, flag in FLAGS.items() if getattr(args, name) is not None]
    idle = [name for name in policies if find_policy(name).planner_hz is None]
    if not given or not idle:
        return ""
    return f"{', '.join(given)}: no effect on {', '.join(idle)}, which makes no plans"


def _check_effect(given: Sequence[str], policies: Sequence[str]) -> None:
    """Raises EmbodiedError if arguments were given, but no policy makes plans."""
    if not given or any(find_policy(name).planner_hz is not None for name in policies):
        return
    flags = ", ".join(FLAGS[name] for name in given)
    raise EmbodiedError(
        f"{flags} would have no effect, since no plans are made by "
        f"{', '.join(policies)}: leave it out, or choose a policy that plans, such as expert"
    )


def _check_delays(args: argparse.Namespace, given: Sequence[str]) -> None:
    """Raises EmbodiedError if a delay was given twice, or jitter without a delay."""
    for name, excluded in EXCLUDES.items():
        given_twice = [FLAGS[other] for other in excluded if other in given]
        if name in given and given_twice:
            raise EmbodiedError(
                f"{FLAGS[name]} sets these delays itself: leave out "
                f"{', '.join(given_twice)}"
            )
    for jitter, delay in SPREADS.items():
        if jitter in given and not any(_values(getattr(args, delay))):
            raise EmbodiedError(
                f"{FLAGS[jitter]} spreads {FLAGS[delay]}: give a delay above 0"
            )


def _chosen_interruptions(
    args: argparse.Namespace, given: Sequence[str], name: str, effect: str
) -> list[Interruption]:
    """Returns the freezes or outages that the arguments select, one per duration.

    Args:
        args: the parsed arguments.
        given: the names of the arguments that were given.
        name: the name of the interruption, "freeze" or "outage".
        effect: what happens during the interruption, for error messages.

    Raises:
        EmbodiedError: the arguments are incomplete, or would interrupt nothing.
    """
    duration = f"{name}_s"
    start = f"{name}_at_s"
    rate = f"{name}_hz"

    # without a duration there is no interruption, and start or rate have no effect
    given_times = [argument for argument in (start, rate) if argument in given]
    if duration not in given:
        if given_times:
            raise EmbodiedError(
                f"{FLAGS[given_times[0]]} needs {FLAGS[duration]}: how long {effect}"
            )
        return [Interruption()]
    if len(given_times) != 1:
        raise EmbodiedError(
            f"{FLAGS[duration]} needs either {FLAGS[start]} (once) or {FLAGS[rate]} (at"
            " random)"
        )

    # A single 0 would interrupt nothing. If there are several durations, 0 is the cell
    # without an interruption, with which the other cells are compared.
    durations_s = _values(getattr(args, duration))
    for argument, values in ((duration, durations_s), (rate, [getattr(args, rate)])):
        if values == [0]:
            raise EmbodiedError(
                f"{FLAGS[argument]} must be above 0: 0 would stop nothing"
            )

    start_s = getattr(args, start)
    rate_hz = getattr(args, rate) or 0.0
    return [
        Interruption(duration_s, start_s, rate_hz) if duration_s else Interruption()
        for duration_s in durations_s
    ]


def _read_trace(path: Path | None) -> Trace | None:
    return None if path is None else read_trace(path)


def _values(argument: Any) -> list[Any]:
    """Returns the distinct values of an argument; [None] if it was not given."""
    if isinstance(argument, list):
        return list(dict.fromkeys(argument))
    return [argument]
