"""Freezes of the planner, and losses of plans."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.errors import EmbodiedError
from embodied.policies.channel import Channel, Interruption
from embodied.policies.latency import Constant, PlanLatency
from embodied.policies.transit import NEVER

unhurried = settings(deadline=None)  # machines may be busy


def make_channel(freeze: Interruption, compute_ms: float = 0, seed: int = 0) -> Channel:
    """A channel of one world whose episode has begun."""
    channel = Channel(1, PlanLatency(compute=Constant(compute_ms)), 0, freeze)
    channel.reset(np.array([0]), [seed])
    return channel


def is_frozen(channel: Channel, num_ticks: int) -> np.ndarray:
    """Whether the planner is frozen at each of the first ticks, (num_ticks,) bool.

    By the definition of `awake_at`, a tick is frozen when the first tick awake at or
    after it is a later one.
    """
    ticks = np.arange(num_ticks)
    return channel.awake_at(ticks) != ticks  # one world's freezes against many ticks


def test_one_freeze_at_its_time() -> None:
    channel = make_channel(Interruption(duration_s=0.5, start_s=1.0))

    frozen_ticks = is_frozen(channel, 1000).nonzero()[0]

    np.testing.assert_array_equal(frozen_ticks, np.arange(400, 600))


@pytest.mark.parametrize(
    "freeze",
    [
        Interruption(),
        Interruption(duration_s=0.5),
        Interruption(start_s=1),
        Interruption(rate_hz=1),
    ],
)
def test_no_freeze_without_a_duration_and_a_time(freeze: Interruption) -> None:
    assert not is_frozen(make_channel(freeze), 2000).any()


def test_random_freezes_come_at_their_rate_of_the_time_awake() -> None:
    freeze = Interruption(duration_s=0.1, rate_hz=2)

    num_begun = 0
    ticks_awake = 0
    for seed in range(30):
        frozen = is_frozen(make_channel(freeze, seed=seed), 2000)
        changes = np.diff(frozen.astype(int))
        num_begun += int((changes == 1).sum())
        ticks_awake += int((~frozen).sum())

        # Each freeze lasts 0.1 s.
        lengths = np.diff(np.flatnonzero(changes != 0))[::2]
        assert set(lengths) <= {40}

    assert num_begun / (ticks_awake / 400) == pytest.approx(2, rel=0.2)


@unhurried
@given(
    start=st.integers(0, 700),
    compute=st.integers(0, 500),
    rate_hz=st.sampled_from([0.0, 1.0, 20.0, 400.0]),
    seed=st.integers(0, 5),
)
def test_computing_pauses_while_frozen(
    start: int, compute: int, rate_hz: float, seed: int
) -> None:
    freeze = (
        Interruption(0.1, rate_hz=rate_hz)
        if rate_hz
        else Interruption(0.5, start_s=0.7)
    )
    channel = make_channel(freeze, compute_ms=compute * 2.5, seed=seed)
    start = int(channel.awake_at(np.array([start]))[0])

    computed_at = channel.computed_at(np.array([0]), np.array([start]), np.array([0]))

    done_tick = int(computed_at[0])
    frozen = is_frozen(channel, done_tick + 1)
    assert not frozen[start]
    # It worked for as many ticks as it takes, and is done as soon as they are over.
    assert (~frozen[start:done_tick]).sum() == compute
    assert done_tick == start or not frozen[done_tick - 1]


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: Interruption(duration_s=-1), "duration_s"),
        (lambda: Interruption(rate_hz=float("nan")), "rate_hz"),
        (lambda: Interruption(1, start_s=1, rate_hz=1), "not both"),
    ],
)
def test_impossible_freezes_are_refused(
    build: Callable[[], Interruption], match: str
) -> None:
    with pytest.raises(EmbodiedError, match=match):
        build()


def test_losses_have_their_probability_and_their_own_seed() -> None:
    channel = Channel(2, PlanLatency(), drop=0.3, freeze=Interruption())
    channel.reset(np.arange(2), [5, 6])

    seq = np.arange(1000)
    lost = [
        channel.arrived_at(np.full(1000, world), seq, seq) == -1 for world in range(2)
    ]

    assert np.mean(lost) == pytest.approx(0.3, abs=0.05)
    assert not np.array_equal(lost[0], lost[1])


def test_no_message_gets_through_in_an_outage() -> None:
    latency = PlanLatency(uplink=Constant(50), downlink=Constant(50))  # 20 ticks
    outage = Interruption(duration_s=0.5, start_s=1)  # ticks 400 to 600
    channel = Channel(1, latency, 0, Interruption(), outage)
    channel.reset(np.array([0]), [0])

    ticks = np.arange(1000)
    world = np.zeros(1000, np.int64)
    received = channel.received_at(world, ticks, ticks)
    arrived = channel.arrived_at(world, ticks, ticks)

    # what is sent within it, and what would arrive within it
    lost = np.arange(380, 600)
    np.testing.assert_array_equal(np.flatnonzero(received == NEVER), lost)
    np.testing.assert_array_equal(np.flatnonzero(arrived == -1), lost)
    through = np.delete(ticks, lost)
    np.testing.assert_array_equal(received[through], through + 20)
