"""Sources of latency, their tables, and the profiles of channels."""

import re
from collections.abc import Callable

import numpy as np
import pytest

from embodied.errors import EmbodiedError
from embodied.policies.channel_profiles import (
    PROFILES,
    ChannelProfile,
    channel_profile,
)
from embodied.policies.latency import (
    SAMPLES_PER_EPISODE,
    Constant,
    DelayTable,
    Latency,
    LogNormal,
    Trace,
)
from embodied.seeding import episode_generator


def delay_ticks(
    source: Latency, seed: int = 0, count: int = SAMPLES_PER_EPISODE
) -> np.ndarray:
    """The delays of an episode's first messages, (count,) ticks."""
    table = DelayTable(source, stream=1, num_worlds=2)
    table.reset(np.array([1]), [seed])
    ticks = table.ticks(np.full(count, 1), np.arange(count))
    return np.broadcast_to(ticks, count)


@pytest.mark.parametrize(
    ("ms", "ticks"), [(0, 0), (2.5, 1), (2.6, 2), (100, 40), (31.06, 13), (0.001, 1)]
)
def test_a_delay_is_rounded_up_to_whole_ticks(ms: float, ticks: int) -> None:
    assert set(delay_ticks(Constant(ms))) == {ticks}
    assert set(delay_ticks(Trace([ms, ms]))) == {ticks}  # from a table: the same


def test_lognormal_has_its_median_and_spread() -> None:
    ms = LogNormal(80, 0.4).sample(np.random.default_rng(1), 20_000)

    assert np.median(ms) == pytest.approx(80, rel=0.02)
    assert np.log(ms).std() == pytest.approx(0.4, rel=0.03)


def test_a_trace_is_cycled_in_its_order_from_a_random_place() -> None:
    recorded_ms = np.array([10.0, 20, 30, 40, 50])
    recorded_ticks = recorded_ms * 0.4

    starts = set()
    for seed in range(40):
        ticks = delay_ticks(Trace(recorded_ms), seed, count=12)
        # All values differ, so the first one tells where in the trace the episode
        # began.
        start = int(np.argmax(recorded_ticks == ticks[0]))
        starts.add(start)

        expected = np.roll(recorded_ticks, -start)[np.arange(12) % 5]
        np.testing.assert_array_equal(ticks, expected)

    assert starts == set(range(5))


def test_delays_depend_on_the_seed_alone_and_streams_differ() -> None:
    source = LogNormal(100, 0.5)
    three_worlds = DelayTable(source, stream=2, num_worlds=3)
    one_world = DelayTable(source, stream=2, num_worlds=1)
    # Seed 7 is in world 2 of three, and alone.
    three_worlds.reset(np.array([2, 0]), [7, 8])
    one_world.reset(np.array([0]), [7])

    number = np.arange(50)
    alone = one_world.ticks(np.zeros(50, int), number)  # seed 7
    among_others = three_worlds.ticks(np.full(50, 2), number)  # seed 7
    other_seed = three_worlds.ticks(np.zeros(50, int), number)  # seed 8

    np.testing.assert_array_equal(among_others, alone)
    assert not np.array_equal(among_others, other_seed)
    assert episode_generator(7, 1).random() != episode_generator(7, 2).random()


@pytest.mark.parametrize(
    ("build", "match"),
    [
        (lambda: Constant(-1), "constant latency"),
        (lambda: Constant(float("nan")), "constant latency"),
        (lambda: LogNormal(100, -0.1), "sigma"),
        (lambda: LogNormal(float("inf"), 0.1), "median"),
        (lambda: Trace([]), "at least one"),
        (lambda: Trace([10, -3]), "trace"),
    ],
)
def test_impossible_latencies_are_refused_by_name(
    build: Callable[[], Latency], match: str
) -> None:
    with pytest.raises(EmbodiedError, match=match):
        build()


@pytest.mark.parametrize(
    ("name", "total_ms"),
    [
        ("none", 0),
        ("workstation", 31),
        ("embedded", 53),
        ("edge-4g", 73),
        ("cloud-4g", 273),
        ("edge-5g", 28),
        ("edge-5g-congested", 103),
    ],
)
def test_profiles_add_up_to_the_published_totals(name: str, total_ms: int) -> None:
    latency = channel_profile(name).latency
    parts = (latency.compute, latency.uplink, latency.downlink)
    assert round(sum(part.median_ms for part in parts)) == total_ms


@pytest.mark.parametrize("name", PROFILES)
def test_every_profile_names_its_source_and_its_parts(name: str) -> None:
    profile = PROFILES[name]
    assert bool(profile.latency.source) == (name != "none")
    assert {"compute", "up", "down"} <= set(re.findall(r"\w+", profile.description))
    assert f"{profile.latency.uplink.median_ms:g} ms" in profile.description


def test_an_unknown_channel_is_answered_with_the_names_there_are() -> None:
    with pytest.raises(EmbodiedError, match=r"'cloud'.*cloud-4g.*workstation"):
        channel_profile("cloud")


def test_profiles_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        PROFILES["mine"] = ChannelProfile("mine")  # type: ignore[index]
