"""Recording: no step is lost and no worlds are mixed up, in whatever order they end."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.core import PHYSICS_HZ, Observation
from embodied.datasets.array_specs import STREAMS, STREAMS_BEFORE
from embodied.datasets.buffer import StepBuffer
from embodied.datasets.recorder import Recorder, record_rates, usual_record_hz
from embodied.datasets.schema import DatasetError, Episode
from embodied.envs.worlds import Worlds
from embodied.rollout.rollout import EpisodeResult, Step, rollout
from tests.datasets_fake_worlds import CAMERA_PERIOD_TICKS, FakePolicy, fake_worlds
from tests.datasets_fakes import RECORD_HZ, same

PLAN_EVERY = 6  # control steps


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
    plan_every: int = PLAN_EVERY,
) -> list[Episode]:
    """Records the episodes of these seeds (seed -> number of steps).

    They are returned in the order in which they ended.
    """
    sink = Sink()
    policy = FakePolicy(plan_every)
    policy.spec = replace(policy.spec, control_hz=control_hz, privileged=True)
    worlds = fake_worlds(lengths, num_worlds=num_worlds, control_hz=control_hz)
    rollout(worlds, policy, list(lengths), [Recorder(sink, record_hz)])
    return sink.episodes


def check_whose_it_is(episode: Episode, steps: int) -> None:
    """Checks that all that the fake worlds name is of this episode's seed and tick."""
    seed = episode.meta.seed
    assert episode.meta.instruction == f"seed {seed}"
    assert episode.meta.duration_s == steps / 50
    assert episode.meta.variation == {"drag": float(episode.start_fields["task/drag"])}
    check_streams(episode, seed, steps)
    check_frames(episode, seed)

    # One plan each PLAN_EVERY steps; a control step takes 8 ticks.
    plans = episode.plans
    steps_planned = range(0, steps, PLAN_EVERY)
    assert plans["goal_pos_w"][:, 0, 0].tolist() == [seed] * len(steps_planned)
    assert plans["seq"].tolist() == list(range(len(steps_planned)))
    assert plans["tick_frame"].tolist() == [8 * step for step in steps_planned]


def check_streams(episode: Episode, seed: int, steps: int) -> None:
    streams = episode.streams
    before = np.arange(steps) * 8  # ticks
    after = before + 8
    assert list(streams) == [spec.name for spec in STREAMS]
    for spec in STREAMS:
        # A stream's ticks say whether its values are from before or after each step.
        stream = streams[spec.name]
        expected = before if spec in STREAMS_BEFORE else after
        np.testing.assert_array_equal(stream.tick, expected)
        assert stream.value.dtype == spec.dtype

    agent_pos = streams["agent_pos"].value
    assert agent_pos[:, 0].tolist() == [seed] * steps
    np.testing.assert_array_equal(agent_pos[:, 1], before)
    np.testing.assert_array_equal(streams["reward"].value, seed + after / 1e4)


def check_frames(episode: Episode, seed: int) -> None:
    tick = episode.frame_tick
    state = episode.obs["environment_state"] / 2
    assert state[:, 0].tolist() == [seed] * episode.meta.num_samples
    np.testing.assert_array_equal(state[:, 1], tick)

    grey = episode.obs["front_image"][:, 3, 4, 1]
    np.testing.assert_array_equal(grey, (seed * 7 + tick) % 256)
    np.testing.assert_array_equal(episode.image_tick, tick - tick % CAMERA_PERIOD_TICKS)

    # The physics state is (time, x), the proprioception (seed, tick, x).
    np.testing.assert_array_equal(episode.states[:, 0], tick / PHYSICS_HZ)
    x = episode.states[:, 1:].astype(np.float32)
    np.testing.assert_array_equal(x, episode.obs["agent_pos"][:, 2:])


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

    assert sorted(episode.meta.seed for episode in together) == sorted(lengths)
    for episode in together:
        seed = episode.meta.seed
        check_whose_it_is(episode, lengths[seed])
        (alone,) = record({seed: lengths[seed]}, num_worlds=1)
        assert same(episode, alone)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), steps=st.integers(1, 90))
def test_frames_are_whole_control_steps_apart(data: st.DataObject, steps: int) -> None:
    control_hz = data.draw(st.sampled_from([20, 50, 200, 400]))
    record_hz = data.draw(st.sampled_from(record_rates(control_hz)))

    (episode,) = record({5: steps}, 1, control_hz, record_hz, plan_every=0)

    ticks_per_step = PHYSICS_HZ // control_hz
    due = range(0, steps * ticks_per_step, PHYSICS_HZ // record_hz)
    assert episode.frame_tick.tolist() == list(due)

    # Actions and rewards are those at the end of each frame's period.
    ends = np.append(episode.frame_tick[1:], steps * ticks_per_step)
    target = episode.streams["joint_target"]
    rows = np.searchsorted(target.tick, ends)
    rewards = episode.streams["reward"].value[rows].astype(np.float32)
    np.testing.assert_array_equal(episode.actions, target.value[rows] / 2)
    np.testing.assert_array_equal(episode.rewards, rewards)
    assert episode.plans == {}


@pytest.mark.parametrize("record_hz", [0, 3, 20, 51, 100])
def test_a_record_rate_that_does_not_divide_the_control_rate_is_refused(
    record_hz: int,
) -> None:
    with pytest.raises(
        DatasetError,
        match="divide the control rate of 50 Hz.* 1, 2, 5, 10, 25, 50, not",
    ):
        record({1: 3}, 1, record_hz=record_hz)


@pytest.mark.parametrize(
    ("control_hz", "record_hz"), [(200, 20), (100, 20), (50, 25), (25, 25), (10, 10)]
)
def test_the_usual_record_rate_suits_every_control_rate(
    control_hz: int, record_hz: int
) -> None:
    assert usual_record_hz(control_hz) == record_hz


def test_without_cameras_and_privilege_nothing_is_made_up() -> None:
    sink = Sink()
    worlds = fake_worlds({1: 5}, pixels=False)

    rollout(worlds, FakePolicy(), [1], [Recorder(sink, RECORD_HZ)])

    # The policy is not privileged, so the environment's state was not observed.
    (episode,) = sink.episodes
    assert list(episode.obs) == ["agent_pos"]
    assert episode.image_tick is None


class DisturbedPolicy(FakePolicy):
    """Is pushed aside from what it wants."""

    intended = np.zeros((0, 0), np.float32)

    def act(self, observation: Observation) -> np.ndarray:
        self.intended = super().act(observation).astype(np.float32)
        return self.intended / 2


@pytest.mark.parametrize(
    ("policy", "share"), [(DisturbedPolicy(), 0.5), (FakePolicy(), 1.0)]
)
def test_what_was_wanted_is_kept_beside_what_was_done(
    policy: FakePolicy, share: float
) -> None:
    sink = Sink()

    rollout(fake_worlds({1: 5}), policy, [1], [Recorder(sink, RECORD_HZ)])

    streams = sink.episodes[0].streams
    intended = streams["intended"].value
    assert np.abs(intended).min() > 0
    np.testing.assert_array_equal(streams["action"].value, intended * np.float32(share))


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.dictionaries(
        st.integers(0, 1000), st.integers(1, 40), min_size=1, max_size=5
    ),
    num_worlds=st.integers(1, 3),
    record_hz=st.sampled_from(record_rates(50)),
)
def test_the_actions_of_frames_are_those_that_were_wanted(
    lengths: dict[int, int], num_worlds: int, record_hz: int
) -> None:
    """They go on from where the disturbances before the frame have brought the robot."""
    sink = Sink()
    worlds = fake_worlds(lengths, num_worlds=num_worlds)
    recorder = Recorder(sink, record_hz)

    rollout(worlds, DisturbedPolicy(), list(lengths), [recorder])

    steps_per_frame = 50 // record_hz
    for episode in sink.episodes:
        streams = episode.streams
        reached = np.vstack([episode.start_state, streams["joint_target"].value])
        intended = streams["intended"].value.astype(np.float64)
        for frame, action in enumerate(episode.actions):
            first = frame * steps_per_frame
            target = reached[first]
            for wanted in intended[first : first + steps_per_frame]:
                target = np.clip(target + 0.1 * wanted, -2, 2)
            np.testing.assert_allclose(action, target / 2, atol=1e-12)


class SkippingRecorder(Recorder):
    """Misses one step."""

    def on_step(self, worlds: Worlds, step: Step) -> None:
        if step.before.tick[0] != 16:
            super().on_step(worlds, step)


class ConfusedRecorder(Recorder):
    """Is told of another seed at the end."""

    def on_end(self, worlds: Worlds, world: int, result: EpisodeResult) -> None:
        super().on_end(worlds, world, replace(result, seed=8))


@pytest.mark.parametrize(
    ("recorder", "reason"),
    [
        (SkippingRecorder, "not all recorded"),
        (ConfusedRecorder, "began with seed 7 but ended with seed 8"),
    ],
)
def test_a_rollout_that_mixes_things_up_is_found_out(
    recorder: type[Recorder], reason: str
) -> None:
    with pytest.raises(DatasetError, match=reason):
        rollout(fake_worlds({7: 9}), FakePolicy(), [7], [recorder(Sink(), RECORD_HZ)])


# The step buffer
# --------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_the_buffer_keeps_what_is_needed_while_it_forgets_and_grows(
    data: st.DataObject,
) -> None:
    # Growth from four steps on, while the oldest step that is needed moves up at
    # random.
    buffer = StepBuffer({"x": np.int64}, capacity=4)
    oldest = 0

    for step in range(60):
        if buffer.full:
            oldest = data.draw(st.integers(oldest, step), label="oldest step needed")
            buffer.make_room(oldest)
        buffer.append({"x": np.array([step, -step])})

        cut = buffer.cut("x", world=1, start=oldest, stop=step + 1)
        np.testing.assert_array_equal(cut, -np.arange(oldest, step + 1))


def test_a_cut_is_a_copy() -> None:
    buffer = StepBuffer({"x": np.float64}, capacity=2)
    buffer.append({"x": np.ones(1)})

    cut = buffer.cut("x", world=0, start=0, stop=1)
    buffer.make_room(1)
    buffer.append({"x": np.zeros(1)})

    assert cut.tolist() == [1]


def test_on_step_is_cheap() -> None:
    num = 16
    worlds = fake_worlds({}, num_worlds=num, control_hz=200, pixels=False)
    recorder = Recorder(Sink(), RECORD_HZ)
    worlds.reset(np.arange(num), list(range(num)))
    before = worlds.observe()
    result = worlds.step(np.zeros((num, 3)))
    recorder.on_start(worlds, np.arange(num), np.arange(num), before)

    cost_s = []
    for first in range(0, 2000, 100):
        steps = [
            Step(
                before=replace(before, tick=np.full(num, 2 * number)),
                action=np.zeros((num, 3), np.float32),
                result=result,
                active=before.tick >= 0,
                plans=[],
            )
            for number in range(first, first + 100)
        ]
        start = time.perf_counter()
        for step in steps:
            recorder.on_step(worlds, step)
        cost_s.append((time.perf_counter() - start) / 100)

    # The least of many, since the machine may be busy.
    assert min(cost_s) < 60e-6
