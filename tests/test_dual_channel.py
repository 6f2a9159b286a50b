"""Freezes of the planner, losses, and messages on their way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.errors import EmbodiedError
from embodied.policies.channel import Channel, Freeze
from embodied.policies.latency import Constant, PlanLatency
from embodied.policies.transit import NEVER, Transit

unhurried = settings(deadline=None)  # machines may be busy


def channel(freeze: Freeze, compute_ms: float = 0, seed: int = 0) -> Channel:
    made = Channel(1, PlanLatency(Constant(compute_ms)), 0, freeze)
    made.reset(np.array([0]), [seed])
    return made


def frozen_ticks(made: Channel, until: int) -> np.ndarray:
    """By the definition of awake_at: a tick is frozen when the first tick awake is a
    later one.
    """
    # the one world's freezes against many ticks
    return made.awake_at(np.arange(until)) != np.arange(until)


def test_one_freeze_at_its_time() -> None:
    frozen = frozen_ticks(channel(Freeze(duration_s=0.5, start_s=1.0)), 1000)
    np.testing.assert_array_equal(frozen.nonzero()[0], np.arange(400, 600))


@pytest.mark.parametrize(
    "freeze", [Freeze(), Freeze(duration_s=0.5), Freeze(start_s=1), Freeze(rate_hz=1)]
)
def test_no_freeze_without_a_duration_and_a_time(freeze: Freeze) -> None:
    assert not frozen_ticks(channel(freeze), 2000).any()


def test_random_freezes_come_at_their_rate_of_the_time_awake() -> None:
    freeze = Freeze(duration_s=0.1, rate_hz=2)
    begun = 0
    awake = 0
    for seed in range(30):
        frozen = frozen_ticks(channel(freeze, seed=seed), 2000)
        begun += int((np.diff(frozen.astype(int)) == 1).sum())
        awake += int((~frozen).sum())
        # each 40 ticks long
        assert set(np.diff(np.flatnonzero(np.diff(frozen.astype(int)) != 0))[::2]) <= {
            40
        }
    assert begun / (awake / 400) == pytest.approx(2, rel=0.2)


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
    freeze = Freeze(0.1, rate_hz=rate_hz) if rate_hz else Freeze(0.5, start_s=0.7)
    made = channel(freeze, compute * 2.5, seed)
    start = int(made.awake_at(np.array([start]))[0])
    done = int(made.computed_at(np.array([0]), np.array([start]), np.array([0]))[0])
    frozen = frozen_ticks(made, done + 1)
    assert not frozen[start]
    assert (~frozen[start:done]).sum() == compute  # ticks of work
    assert done == start or not frozen[done - 1]  # and done as soon as they are over


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: Freeze(duration_s=-1), "duration_s"),
        (lambda: Freeze(rate_hz=float("nan")), "rate_hz"),
        (lambda: Freeze(1, start_s=1, rate_hz=1), "not both"),
    ],
)
def test_impossible_freezes_are_refused(build, match: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(EmbodiedError, match=match):
        build()


def test_losses_have_their_probability_and_their_own_seed() -> None:
    lossy = Channel(2, PlanLatency(), 0.3, Freeze())
    lossy.reset(np.arange(2), [5, 6])
    seq = np.arange(1000)
    lost = [
        lossy.arrived_at(np.full(1000, world), seq, seq) == -1 for world in range(2)
    ]
    assert np.mean(lost) == pytest.approx(0.3, abs=0.05)
    assert not np.array_equal(*lost)


messages = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 60), st.integers(0, 30)), max_size=40
)


@unhurried
@given(messages)
def test_transit_gives_the_newest_that_arrived_and_forgets_older_ones(
    sent: list[tuple[int, int, int]],
) -> None:
    """Against lists: each message of (world, delay, ticks until the next look) is sent,
    then the world is looked at.
    """
    transit = Transit(2, slots=1)
    waiting = [[], []]
    numbers = [0, 0]
    now = 0
    for world, delay, pause in sent:
        ids = np.array([world])
        number = numbers[world]
        transit.put(
            ids,
            np.array([now + delay]),
            np.array([number]),
            {"twice": np.array([[2 * number, now]])},
        )
        waiting[world].append((number, now + delay, now))
        numbers[world] += 1
        now += pause
        assert transit.next_arrival[world] == min(
            (m[1] for m in waiting[world]), default=NEVER
        )
        arrived = [m for m in waiting[world] if m[1] <= now]
        if arrived:
            newest = max(arrived)
            got, rows = transit.take_newest(ids, np.array([now]))
            assert got[0] == newest[0]
            np.testing.assert_array_equal(rows["twice"], [[2 * newest[0], newest[2]]])
            waiting[world] = [m for m in waiting[world] if m[0] > newest[0]]
    transit.clear(np.array([0]))
    assert transit.next_arrival[0] == NEVER
    assert transit.next_arrival[1] == min((m[1] for m in waiting[1]), default=NEVER)


def test_transit_gives_all_in_order_of_arrival() -> None:
    transit = Transit(1, slots=2)
    arrivals = [30, 10, 20, 10, 40]
    for number, tick in enumerate(arrivals):
        transit.put(np.array([0]), np.array([tick]), np.array([number]), {})
    order = [int(transit.take_first(np.array([0]))[0][0]) for _ in arrivals]
    assert order == [1, 3, 2, 0, 4]
    assert transit.next_arrival[0] == NEVER
