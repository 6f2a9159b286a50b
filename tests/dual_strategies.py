"""Configurations of the dual system, for Hypothesis to choose from."""

from hypothesis import strategies as st

from embodied.policies.channel import Interruption
from embodied.policies.dual_system import DualSystemConfig
from embodied.policies.latency import Constant, Latency, LogNormal, PlanLatency, Trace

MILLISECONDS = st.sampled_from([0.0, 2.5, 20.0, 61.0, 125.0, 300.0, 700.0])

LATENCIES: st.SearchStrategy[Latency] = st.one_of(
    MILLISECONDS.map(Constant),
    st.lists(MILLISECONDS, min_size=1, max_size=6).map(Trace),
    st.builds(
        LogNormal, st.sampled_from([10.0, 100.0, 300.0]), st.sampled_from([0.2, 0.8])
    ),
)

INTERRUPTIONS = st.one_of(
    st.just(Interruption()),
    st.builds(
        Interruption,
        duration_s=st.sampled_from([0.1, 0.6]),
        start_s=st.sampled_from([0.0, 0.4, 0.71]),
    ),
    st.builds(
        Interruption,
        duration_s=st.sampled_from([0.0025, 0.1]),
        rate_hz=st.sampled_from([1.0, 5.0]),
    ),
)

CONFIGS = st.builds(
    DualSystemConfig,
    planner_hz=st.sampled_from([2.5, 7, 8, 9, 30, 150]),
    latency=st.builds(PlanLatency, LATENCIES, LATENCIES, LATENCIES),
    drop=st.sampled_from([0.0, 0.3]),
    freeze=INTERRUPTIONS,
    outage=INTERRUPTIONS,
    mailbox=st.sampled_from(["latest", "fifo", "predictive"]),
    stale_after_s=st.sampled_from([0.2, 1.5]),
)
