"""Arguments that say when plans are made and how they travel, for several verbs."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import product
from pathlib import Path

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
# attribute -> the attributes of what it sets itself
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
# jitter -> the delay that it spreads
SPREADS = {"jitter": "delay_ms", "compute_jitter": "compute_ms"}


def add_timing(
    parser: argparse.ArgumentParser, sweep: bool, mailbox: str = "latest"
) -> None:
    """Adds the arguments.

    Args:
        parser: of the verb.
        sweep: whether several delays and losses may be given.
        mailbox: the verb's default.
    """
    group = parser.add_argument_group(
        "timing of plans",
        "only for policies that plan; by default all plans arrive at once "
        "(docs/dual_system.md)",
    )

    # what happens to plans on their way
    _add_delays(group, "+" if sweep else None)
    _add_losses(group, "+" if sweep else None)
    for name, what in (("freeze", "the planner"), ("outage", "all transport")):
        _add_interruption(group, name, what)

    # what is done about it
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


def _add_delays(group: argparse._ArgumentGroup, nargs: str | None) -> None:
    # how often plans are made, and a machine and a network by name
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

    # or its delays one by one: the transport
    group.add_argument(
        "--delay-ms",
        type=float,
        nargs=nargs,
        metavar="MS",
        help="how long a plan travels, while others may follow it (default: 0)",
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

    # and the computing, which blocks the planner
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


def _add_losses(group: argparse._ArgumentGroup, nargs: str | None) -> None:
    group.add_argument(
        "--drop",
        type=float,
        nargs=nargs,
        metavar="SHARE",
        help="share of the plans that get lost, from 0 to 1 (default: 0)",
    )


def _add_interruption(group: argparse._ArgumentGroup, name: str, what: str) -> None:
    """Adds the three arguments of a freeze or an outage; `what` says what stops."""
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
    freeze = _interruption_of(args, given, "freeze", "the planner stops")
    outage = _interruption_of(args, given, "outage", "nothing gets through")

    timings = []
    for drop, delay_ms in product(_values(args.drop), _values(args.delay_ms)):
        timings.append(
            Timing(
                planner_hz=args.planner_hz,
                transport_ms=delay_ms,
                compute_ms=args.compute_ms or 0.0,
                jitter=args.jitter or 0.0,
                compute_jitter=args.compute_jitter or 0.0,
                channel=args.channel or "",
                trace=_trace_of(args.latency_trace),
                compute_trace=_trace_of(args.compute_trace),
                drop=drop,
                freeze=freeze,
                outage=outage,
                mailbox=args.mailbox or "latest",
                bridge=args.bridge or "hold",
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
    for name, excluded in EXCLUDES.items():
        also = [FLAGS[other] for other in excluded if other in given]
        if name in given and also:
            raise EmbodiedError(
                f"{FLAGS[name]} sets these delays itself: leave out {', '.join(also)}"
            )
    for jitter, delay in SPREADS.items():
        if jitter in given and not any(_values(getattr(args, delay))):
            raise EmbodiedError(
                f"{FLAGS[jitter]} spreads {FLAGS[delay]}: give a delay above 0"
            )


def _interruption_of(
    args: argparse.Namespace, given: Sequence[str], name: str, effect: str
) -> Interruption:
    """Returns the freezes or outages asked for.

    Args:
        args: the parsed arguments.
        given: the arguments that were typed.
        name: "freeze" or "outage".
        effect: what happens in one.
    """
    duration = f"{name}_s"
    times = (f"{name}_at_s", f"{name}_hz")

    # nothing asked for, or a time without a duration
    when = [one for one in times if one in given]
    if duration not in given:
        if when:
            raise EmbodiedError(
                f"{FLAGS[when[0]]} needs {FLAGS[duration]}: how long {effect}"
            )

        return Interruption()

    # exactly one of the two ways to say when
    if len(when) != 1:
        once, at_random = (FLAGS[one] for one in times)
        raise EmbodiedError(
            f"{FLAGS[duration]} needs either {once} (once) or {at_random} (at random)"
        )

    for one in (duration, times[1]):
        if getattr(args, one) == 0:
            raise EmbodiedError(f"{FLAGS[one]} must be above 0: 0 would stop nothing")
    return Interruption(
        duration_s=getattr(args, duration),
        start_s=getattr(args, times[0]),
        rate_hz=getattr(args, times[1]) or 0.0,
    )


def _trace_of(path: Path | None) -> Trace | None:
    return None if path is None else read_trace(path)


def _values(argument: float | Sequence[float] | None) -> list[float]:
    """Returns what was given for an argument, each value once; [0.0] for nothing."""
    if argument is None:
        return [0.0]
    if isinstance(argument, int | float):
        return [float(argument)]
    return list(dict.fromkeys(argument))
