"""When plans are made and how they travel, for policies that plan."""

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

CONSTANT = "constant"  # the description of delays that never change


@dataclass(frozen=True)
class Timing:
    """How often plans are made, how late they arrive, and which of them get lost.

    Compute keeps the planner busy, transport does not: plans on their way may be many.

    Attributes:
        planner_hz: plans per second; None for as many as the policy makes by itself.
        transport_ms: how long a plan travels; the median where there is jitter.
        compute_ms: how long the planner is busy with a plan; the median likewise.
        jitter: sigma of the transport's lognormal distribution; 0 for no jitter, and
            of no effect where the transport takes no time.
        compute_jitter: the same of the time to compute.
        channel: a profile of `policies.channel_profiles` in place of all the delays
            above; "" for none.
        trace: measured delays in place of `transport_ms` and `jitter`.
        compute_trace: measured times in place of `compute_ms` and `compute_jitter`.
        drop: the share of the plans that never arrive.
        freeze: when the planner stops for a while.
        outage: when no message gets through.
        mailbox: which plan the controller reads.
        bridge: what is done about stale plans.

    Raises:
        EmbodiedError: no such channel or bridge, or delays that exclude each other.
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
        transport = (self.transport_ms, self.jitter)
        compute = (self.compute_ms, self.compute_jitter)
        traces = (self.trace, self.compute_trace)
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
        # a wrong name or number is refused at once
        self.latency()
        find_bridge(self.bridge)

    def latency(self) -> PlanLatency:
        """Returns the delays of each plan."""
        if self.channel:
            return channel_profile(self.channel).latency
        # all transport counts as the plan's way down: the observation arrives at once
        return PlanLatency(
            compute=_delay(self.compute_ms, self.compute_jitter, self.compute_trace),
            downlink=_delay(self.transport_ms, self.jitter, self.trace),
        )

    def dual(self, own_hz: float) -> DualSystemConfig:
        """Returns the dual system's config; `own_hz` is the planner's default rate."""
        drop = self.drop
        # only one of the two may be above 0, as `__post_init__` demands
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
        """How long the planner is usually busy with a plan."""
        return self.latency().compute.median_ms

    @property
    def median_transport_ms(self) -> float:
        """How long a plan and its observation usually travel, together."""
        latency = self.latency()
        return latency.uplink.median_ms + latency.downlink.median_ms

    @property
    def latency_words(self) -> str:
        """How the delays are distributed, e.g. "lognormal, sigma 0.4"."""
        if self.channel:
            return f"channel {self.channel}"
        transport = _spread(self.transport_ms, self.jitter, self.trace)
        compute = _spread(self.compute_ms, self.compute_jitter, self.compute_trace)
        if compute == CONSTANT:
            return transport
        return f"{transport}; compute {compute}"


def _delay(median_ms: float, sigma: float, trace: Trace | None) -> Latency:
    """Returns a delay that is constant, lognormal or measured."""
    if trace is not None:
        return trace
    if sigma:
        return LogNormal(median_ms, sigma)
    return Constant(median_ms)


def _spread(median_ms: float, sigma: float, trace: Trace | None) -> str:
    """Returns how such a delay is distributed, in words."""
    if trace is not None:
        # the digest tells apart traces of the same length
        text = json.dumps(list(trace.ms))
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        whole = f"trace of {len(trace.ms)} delays, {digest}"
        return f"{whole}, from its start" if trace.from_start else whole
    if sigma and median_ms:
        return f"lognormal, sigma {sigma:g}"
    return CONSTANT
