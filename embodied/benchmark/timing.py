"""The timing of plans in an evaluation: rate, delays, losses and interruptions."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from embodied.errors import EmbodiedError
from embodied.policies.bridges.registry import find_bridge
from embodied.policies.channel import Interruption
from embodied.policies.channel_profiles import channel_profile
from embodied.policies.dual_system import DualSystemConfig
from embodied.policies.latency import (
    Constant,
    Latency,
    LogNormal,
    PlanLatency,
    Trace,
)
from embodied.policies.mailbox import MailboxMode

CONSTANT = "constant"  # `Timing.latency_text` of delays that never change


@dataclass(frozen=True)
class Timing:
    """Rate, delays, losses and interruptions of plans.

    Computing a plan blocks the planner. Transport does not: several plans may be in
    transport at once.

    Attributes:
        planner_hz: plans per second; None for the policy's own rate.
        transport_ms: transport time of a plan; with jitter, its median.
        compute_ms: time to compute a plan; with jitter, its median.
        jitter: sigma of the transport time's lognormal distribution; 0 for none. It has
            no effect if the transport time is 0.
        compute_jitter: sigma of the compute time's lognormal distribution; 0 for none.
        channel: a profile of `policies.channel_profiles` that replaces all delays above;
            "" for none.
        trace: measured delays that replace `transport_ms` and `jitter`.
        compute_trace: measured times that replace `compute_ms` and `compute_jitter`.
        drop: share of the plans that never arrive.
        freeze: the times at which the planner freezes.
        outage: the times at which the channel is down.
        mailbox: rule by which the controller picks a plan.
        bridge: name of the method that bridges the time without a fresh plan.

    Raises:
        EmbodiedError: the channel or the bridge does not exist, or two settings exclude
            each other.
    """

    planner_hz: float | None = None
    transport_ms: float = 0.0
    compute_ms: float = 0.0
    jitter: float = 0.0
    compute_jitter: float = 0.0
    channel: str = ""
    trace: Trace | None = None
    compute_trace: Trace | None = None
    drop: float = 0.0
    freeze: Interruption = field(default_factory=Interruption)
    outage: Interruption = field(default_factory=Interruption)
    mailbox: MailboxMode = "latest"
    bridge: str = "hold"

    def __post_init__(self) -> None:
        """Raises EmbodiedError for settings that exclude each other, and unknown names."""
        transport = (self.transport_ms, self.jitter)
        compute = (self.compute_ms, self.compute_jitter)
        traces = (self.trace, self.compute_trace)

        # a channel's profile sets delays and losses, and a trace sets one kind of delay
        if self.channel:
            if any((*transport, *compute, *traces)):
                raise EmbodiedError(
                    f"the channel {self.channel} holds all delays: give no other"
                )
            if self.drop and channel_profile(self.channel).drop:
                raise EmbodiedError(
                    f"the channel {self.channel} holds the losses: give no other"
                )
        if self.trace is not None and any(transport):
            raise EmbodiedError(
                "a latency trace holds the transport's delays: give no delay or jitter"
            )
        if self.compute_trace is not None and any(compute):
            raise EmbodiedError(
                "a trace of compute holds its times: give no other, and no jitter of it"
            )
        # these raise an error for unknown names and impossible numbers
        self.latency()
        find_bridge(self.bridge)

    def latency(self) -> PlanLatency:
        """Returns the distributions of a plan's delays."""
        if self.channel:
            return channel_profile(self.channel).latency
        # the whole transport time is on the downlink; the uplink takes no time
        return PlanLatency(
            compute=_delay(self.compute_ms, self.compute_jitter, self.compute_trace),
            downlink=_delay(self.transport_ms, self.jitter, self.trace),
        )

    def dual(self, own_hz: float) -> DualSystemConfig:
        """Returns the dual system's config; `own_hz` is the policy's own planner rate."""
        drop = self.drop
        # of the two shares at most one is above 0: `__post_init__` has checked it
        if self.channel:
            drop = max(drop, channel_profile(self.channel).drop)
        return DualSystemConfig(
            planner_hz=own_hz if self.planner_hz is None else self.planner_hz,
            latency=self.latency(),
            drop=drop,
            freeze=self.freeze,
            outage=self.outage,
            mailbox=self.mailbox,
            bridge=self.bridge,
        )

    @property
    def median_compute_ms(self) -> float:
        """The median time to compute a plan."""
        return self.latency().compute.median_ms

    @property
    def median_transport_ms(self) -> float:
        """The median transport time: observation to planner plus plan to controller."""
        latency = self.latency()
        return latency.uplink.median_ms + latency.downlink.median_ms

    @property
    def latency_text(self) -> str:
        """The distribution of the delays in words, e.g. "lognormal, sigma 0.4"."""
        if self.channel:
            return f"channel {self.channel}"
        transport = _distribution_text(self.transport_ms, self.jitter, self.trace)
        compute = _distribution_text(
            self.compute_ms, self.compute_jitter, self.compute_trace
        )
        if compute == CONSTANT:
            return transport
        return f"{transport}; compute {compute}"


def _delay(median_ms: float, sigma: float, trace: Trace | None) -> Latency:
    """Returns a trace if there is one; else a lognormal or a constant delay."""
    if trace is not None:
        return trace
    if sigma:
        return LogNormal(median_ms, sigma)
    return Constant(median_ms)


def _distribution_text(median_ms: float, sigma: float, trace: Trace | None) -> str:
    """Returns the distribution of a delay in words; the arguments are as in `_delay`."""
    if trace is not None:
        # the digest distinguishes traces of equal length
        delays = json.dumps(list(trace.ms))
        digest = hashlib.sha256(delays.encode()).hexdigest()[:8]
        text = f"trace of {len(trace.ms)} delays, {digest}"
        return f"{text}, from its start" if trace.from_start else text
    if sigma and median_ms:
        return f"lognormal, sigma {sigma:g}"
    return CONSTANT
