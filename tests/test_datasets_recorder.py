"""Recording: no step lost, no worlds mixed up, whatever their lengths and however they
interleave.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.core import PHYSICS_HZ, Observation
from embodied.datasets.buffer import StepBuffer
from embodied.datasets.recorder import Recorder
from embodied.datasets.schema import STEP_STREAMS, STREAMS_BEFORE, DatasetError, Episode
from embodied.rollout.rollout import Step, rollout
from tests.datasets_fake_worlds import FakePolicy, fake_worlds
from tests.datasets_fakes import same


class Sink:
    """Keeps episodes in memory."""

    def __init__(self) -> None:
        self.episodes: list[Episode] = []

    def write(self, episode: Episode) -> None:
        self.episodes.append(episode)


def record(
    lengths: dict[int, int],
    num_worlds: int,
    control_hz: int = 50,
    record_hz: int = 10,
    plan_every: int = 6,
) -> list[Episode]:
    """The episodes of these seeds (seed -> number of steps), in the order in which they
    ended.
    """
    sink = Sink()
    policy = FakePolicy(plan_every)
    policy.spec = replace(policy.spec, control_hz=control_hz, privileged=True)
    worlds = fake_worlds(lengths, num_worlds=num_worlds, control_hz=control_hz)
    rollout(worlds, policy, list(lengths), [Recorder(sink, record_hz)])
    return sink.episodes


def check_whose_it_is(episode: Episode, steps: int) -> None:
    """All that the fake worlds name is of this episode's seed and tick."""
    seed = episode.meta.seed
    streams = episode.streams
    before = np.arange(steps) * 8
    for name, stream in streams.items():
        assert (
            stream.tick.tolist() == (before + 8 * (name not in STREAMS_BEFORE)).tolist()
        )
        assert stream.value.dtype == STEP_STREAMS[name]
    assert streams["agent_pos"].value[:, 0].tolist() == [seed] * steps
    assert streams["agent_pos"].value[:, 1].tolist() == before.tolist()
    assert np.array_equal(streams["reward"].value, seed + (before + 8) / 1e4)
    assert np.array_equal(
        episode.obs["environment_state"][:, 0] / 2,
        np.full(episode.meta.num_samples, seed),
    )
    assert np.array_equal(
        episode.obs["environment_state"][:, 1] / 2, episode.frame_tick
    )
    assert np.array_equal(
        episode.obs["front_image"][:, 3, 4, 1], (seed * 7 + episode.frame_tick) % 256
    )
    assert np.array_equal(episode.states[:, 0], episode.frame_tick / PHYSICS_HZ)
    assert np.array_equal(
        episode.states[:, 1:].astype(np.float32), episode.obs["agent_pos"][:, 2:]
    )
    assert episode.image_tick is not None
    assert np.array_equal(
        episode.image_tick, episode.frame_tick - episode.frame_tick % 16
    )
    assert episode.plans["goal_pos_w"][:, 0].tolist() == [seed] * len(
        range(0, steps, 6)
    )
    assert episode.plans["seq"].tolist() == list(range(len(range(0, steps, 6))))
    assert episode.plans["tick_frame"].tolist() == list(range(0, steps * 8, 48))
    assert (episode.meta.instruction, episode.meta.duration_s) == (
        f"seed {seed}",
        steps / 50,
    )
    assert episode.meta.variation == {"drag": float(episode.start_fields["task/drag"])}


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.dictionaries(
        st.integers(0, 1000), st.integers(1, 40), min_size=1, max_size=9
    ),
    num_worlds=st.integers(1, 5),
)
def test_every_episode_is_as_if_it_had_been_alone(
    lengths: dict[int, int], num_worlds: int
) -> None:
    together = record(lengths, num_worlds)
    assert sorted(e.meta.seed for e in together) == sorted(lengths)
    for episode in together:
        seed = episode.meta.seed
        check_whose_it_is(episode, lengths[seed])
        assert same(episode, record({seed: lengths[seed]}, 1)[0])


@settings(max_examples=40, deadline=None)
@given(
    control_hz=st.sampled_from([20, 50, 200]),
    record_hz=st.integers(1, 20),
    steps=st.integers(1, 90),
)
def test_frames_are_at_the_first_step_at_or_after_their_time(
    control_hz: int, record_hz: int, steps: int
) -> None:
    episode = record({5: steps}, 1, control_hz, record_hz, plan_every=0)[0]
    period = PHYSICS_HZ // control_hz
    ticks = np.arange(steps) * period
    due = [
        t
        for f in range(steps * record_hz)
        for t in ticks[ticks * record_hz >= f * PHYSICS_HZ][:1]
    ]
    assert episode.frame_tick.tolist() == sorted(set(due))
    # where each frame's period ends
    ends = np.append(episode.frame_tick[1:], steps * period)
    target = episode.streams["joint_target"]
    rows = np.searchsorted(target.tick, ends)
    assert np.array_equal(episode.actions, target.value[rows] / 2)
    assert np.array_equal(
        episode.rewards, episode.streams["reward"].value[rows].astype(np.float32)
    )
    assert episode.plans == {}


def test_a_record_rate_above_the_control_rate_is_refused() -> None:
    with pytest.raises(
        DatasetError, match="record_hz 51 is above the control rate of 50 Hz"
    ):
        record({1: 3}, 1, record_hz=51)


def test_without_cameras_and_privilege_nothing_is_made_up() -> None:
    sink = Sink()
    policy = FakePolicy()
    rollout(fake_worlds({1: 5}, pixels=False), policy, [1], [Recorder(sink)])
    # the policy is not privileged, so its state was not observed
    assert list(sink.episodes[0].obs) == ["agent_pos"]
    assert sink.episodes[0].image_tick is None


class Disturbed(FakePolicy):
    """Is pushed aside from what it wants."""

    intended = np.zeros((0, 0), np.float32)

    def act(self, observation: Observation) -> np.ndarray:
        self.intended = super().act(observation).astype(np.float32)
        return self.intended / 2


def test_what_was_wanted_is_kept_beside_what_was_done() -> None:
    for policy, share in ((Disturbed(), 0.5), (FakePolicy(), 1.0)):
        sink = Sink()
        rollout(fake_worlds({1: 5}), policy, [1], [Recorder(sink)])
        streams = sink.episodes[0].streams
        assert np.abs(streams["intended"].value).min() > 0
        assert np.array_equal(
            streams["action"].value, streams["intended"].value * np.float32(share)
        )


@pytest.mark.parametrize("fault", ["step left out", "other seed"])
def test_a_rollout_that_mixes_things_up_is_found_out(fault: str) -> None:
    class Careless(Recorder):
        """Hears only part of what happens."""

        def on_step(self, worlds, step: Step) -> None:  # type: ignore[no-untyped-def]
            if fault != "step left out" or step.before.tick[0] != 16:
                super().on_step(worlds, step)

        def on_end(self, worlds, world, result) -> None:  # type: ignore[no-untyped-def]
            super().on_end(
                worlds,
                world,
                replace(result, seed=8) if fault == "other seed" else result,
            )

    reason = (
        "not all recorded"
        if fault == "step left out"
        else "began with seed 7 but ended with seed 8"
    )
    with pytest.raises(DatasetError, match=reason):
        rollout(fake_worlds({7: 9}), FakePolicy(), [7], [Careless(Sink())])


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_buffer_keeps_what_is_needed_while_it_forgets_and_grows(
    data: st.DataObject,
) -> None:
    buffer = StepBuffer({"x": np.int64}, capacity=4)
    oldest = 0
    for step in range(60):
        if buffer.full:
            oldest = data.draw(st.integers(oldest, step), label="oldest step needed")
            buffer.make_room(oldest)
        buffer.append({"x": np.array([step, -step])})
        assert buffer.cut("x", 1, oldest, step + 1).tolist() == [
            -k for k in range(oldest, step + 1)
        ]


def test_a_cut_is_a_copy() -> None:
    buffer = StepBuffer({"x": np.float64}, capacity=2)
    buffer.append({"x": np.ones(1)})
    cut = buffer.cut("x", 0, 0, 1)
    buffer.make_room(1)
    buffer.append({"x": np.zeros(1)})
    assert cut.tolist() == [1]


def test_on_step_is_cheap() -> None:
    num = 16
    worlds = fake_worlds({}, num_worlds=num, control_hz=200, pixels=False)
    recorder = Recorder(Sink())
    worlds.reset(np.arange(num), list(range(num)))
    before = worlds.observe()
    result = worlds.step(np.zeros((num, 3)))
    recorder.on_start(worlds, np.arange(num), np.arange(num), before)
    cost_s = []
    for first in range(0, 2000, 100):
        steps = [
            Step(
                replace(before, tick=np.full(num, 2 * k)),
                np.zeros((num, 3), np.float32),
                result,
                before.tick >= 0,
                [],
            )
            for k in range(first, first + 100)
        ]
        start = time.perf_counter()
        for step in steps:
            recorder.on_step(worlds, step)
        cost_s.append((time.perf_counter() - start) / 100)
    assert min(cost_s) < 60e-6
