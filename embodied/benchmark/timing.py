"""When plans are made and how they travel, for policies that plan."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field

from embodied.errors import EmbodiedError
from embodied.policies.channel import Freeze
from embodied.policies.dual_system import DualSystemConfig
from embodied.policies.latency import (
    Constant,
    Latency,
    LogNormal,
    PlanLatency,
    Trace,
    latency_preset,
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
        compute_ms: how long the planner is busy with a plan.
        jitter: sigma of the transport's lognormal distribution; 0 for no jitter, and
            of no effect where the transport takes no time.
        profile: a latency preset in place of the three delays above; "" for none.
        trace: measured delays in place of `transport_ms` and `jitter`.
        drop: the share of the plans that never arrive.
        freeze: when the planner stops for a while.
        mailbox: which plan the controller reads.

    Raises:
        EmbodiedError: no such profile, or delays that exclude each other.
    """

    planner_hz: float | None = None
    transport_ms: float = 0.0
    compute_ms: float = 0.0
    jitter: float = 0.0
    profile: str = ""
    trace: Trace | None = None
    drop: float = 0.0
    freeze: Freeze = field(default_factory=Freeze)
    mailbox: MailboxMode = "latest"

    def __post_init__(self) -> None:
        delays = (self.transport_ms, self.compute_ms, self.jitter, self.trace)
        if self.profile and any(delays):
            raise EmbodiedError(
                f"the latency profile {self.profile} holds all delays: give no other"
            )
        if self.trace is not None and (self.transport_ms or self.jitter):
            raise EmbodiedError(
                "a latency trace holds the transport's delays: give no delay or jitter"
            )
        self.latency()  # refuses a wrong name or number at once

    def latency(self) -> PlanLatency:
        """Returns the delays of each plan."""
        if self.profile:
            return latency_preset(self.profile)
        # all transport counts as the plan's way down: the observation arrives at once
        return PlanLatency(
            compute=Constant(self.compute_ms), downlink=self._transport()
        )

    def dual(self, own_hz: float) -> DualSystemConfig:
        """Returns the dual system's config; `own_hz` is the planner's default rate."""
        return DualSystemConfig(
            planner_hz=own_hz if self.planner_hz is None else self.planner_hz,
            latency=self.latency(),
            drop=self.drop,
            freeze=self.freeze,
            mailbox=self.mailbox,
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
        if self.profile:
            return f"profile {self.profile}"
        if self.trace is not None:
            # two traces of one length are two conditions
            text = json.dumps(list(self.trace.ms))
            digest = hashlib.sha256(text.encode()).hexdigest()[:8]
            return f"trace of {len(self.trace.ms)} delays, {digest}"
        if self.jitter and self.transport_ms:
            return f"lognormal, sigma {self.jitter:g}"
        return CONSTANT

    @property
    def freeze_words(self) -> str:
        """When the planner stops, e.g. "0.5 s at 2 s"; "" where it never does."""
        freeze = self.freeze
        if not freeze.max_count:
            return ""
        if freeze.rate_hz:
            return f"{freeze.duration_s:g} s, {freeze.rate_hz:g} times per second"
        return f"{freeze.duration_s:g} s at {freeze.start_s:g} s"

    def _transport(self) -> Latency:
        """Returns how long a plan travels, where no profile says it."""
        if self.trace is not None:
            return self.trace
        if self.jitter:
            return LogNormal(self.transport_ms, self.jitter)
        return Constant(self.transport_ms)
