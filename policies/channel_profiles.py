"""Named channels: the delays and losses of a planner's machine and its network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from embodied.errors import unknown
from embodied.policies.latency import Constant, LogNormal, PlanLatency


@dataclass(frozen=True)
class ChannelProfile:
    """The machine that a planner runs on, and the network to it.

    Attributes:
        summary: a phrase on machine and network.
        latency: the latency of computing and of transport; its `source` cites where the
            numbers come from.
        drop: the probability that a plan is lost.
    """

    summary: str
    latency: PlanLatency = field(default_factory=PlanLatency)
    drop: float = 0.0

    @property
    def description(self) -> str:
        """The profile in one line: its summary and all its figures."""
        delays = (
            ("compute", self.latency.compute),
            ("up", self.latency.uplink),
            ("down", self.latency.downlink),
        )
        parts = [f"{name} {delay.median_ms:g} ms" for name, delay in delays]
        # in all profiles the downlink has the same distribution and sigma as the uplink
        if isinstance(self.latency.uplink, LogNormal):
            parts.append(f"lognormal transport, sigma {self.latency.uplink.sigma:g}")
        if self.drop:
            parts.append(f"{self.drop:.0%} lost")
        return f"{self.summary}: {', '.join(parts)}"


_VLA_PERF = (
    "pi0 in bf16, 10 denoising steps, by the analytical model VLA-Perf"
    " (arXiv 2602.18397, table of device and server configurations; totals as quoted by"
    " arXiv 2605.08168). Modelled, without jitter."
)
_MUNICH = (
    "One-way delays of a public 5G network in Munich: up about 18 ms at 15 Mbit/s, down"
    " about 7 ms (Rohde & Schwarz, 5G NR and LTE latency analysis, 2022). Compute is"
    " that of edge-4g. The spread is assumed."
)
_ASSUMED = "Assumed, not measured: four times the delays of edge-5g, a wide spread, and losses."

PROFILES: Mapping[str, ChannelProfile] = MappingProxyType(
    {
        "none": ChannelProfile("no delay"),
        # 31 ms, all of it compute
        "workstation": ChannelProfile(
            "an RTX 4090 beside the robot",
            PlanLatency(compute=Constant(31.06), source=_VLA_PERF),
        ),
        # 53 ms, all of it compute
        "embedded": ChannelProfile(
            "a Jetson Thor on the robot",
            PlanLatency(compute=Constant(52.57), source=_VLA_PERF),
        ),
        # 73 ms, of which 3 compute; an image takes longer on its way up than an action
        # chunk on its way down
        "edge-4g": ChannelProfile(
            "a B100 nearby, over 4G",
            PlanLatency(
                compute=Constant(3.18),
                uplink=Constant(44.82),
                downlink=Constant(25.0),
                source=_VLA_PERF,
            ),
        ),
        # 273 ms, of which 3 compute and 200 the way to a distant data centre and back
        "cloud-4g": ChannelProfile(
            "a B100 in a distant data centre, over 4G",
            PlanLatency(
                compute=Constant(3.18),
                uplink=Constant(145.19),
                downlink=Constant(125.0),
                source=_VLA_PERF,
            ),
        ),
        # 28 ms, of which 3 compute
        "edge-5g": ChannelProfile(
            "a B100 nearby, over 5G that works",
            PlanLatency(
                compute=Constant(3.18),
                uplink=LogNormal(18.0, 0.2),
                downlink=LogNormal(7.0, 0.2),
                source=_MUNICH,
            ),
        ),
        # 103 ms, of which 3 compute
        "edge-5g-congested": ChannelProfile(
            "a B100 nearby, over 5G in a crowded cell",
            PlanLatency(
                compute=Constant(3.18),
                uplink=LogNormal(72.0, 0.8),
                downlink=LogNormal(28.0, 0.8),
                source=_ASSUMED,
            ),
            drop=0.02,
        ),
    }
)


def channel_profile(name: str) -> ChannelProfile:
    """Returns the profile of a name.

    Raises:
        EmbodiedError: there is no such profile; the message lists the profiles.
    """
    if name not in PROFILES:
        raise unknown("channel", name, PROFILES)
    return PROFILES[name]
