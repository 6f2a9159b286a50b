"""Action chunks: declared, played at the right time, in each kind of control mode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embodied.core import PolicySpec
from embodied.datasets.reader import Dataset
from embodied.datasets.replay import replay
from embodied.envs.config import EnvConfig
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.plan import PAYLOAD_KINDS, Payload, PlanShape
from embodied.policies import policy_from_planner
from embodied.policies.chunks import ChunkPlayer
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from embodied.policies.expert_chunks import CHUNK_STEPS
from embodied.policies.plans import check_payload
from tests.commands import TASK, embodied
from tests.dual_chunks import (
    CHUNK_HZ,
    STEPS,
    ChunkPlanner,
    chunk_system,
    interface,
    play,
)
from tests.dual_fakes import FakeController, FakePlanner, delays

FAST = 1000.0  # an action rate that limits nothing


def ramp(times_s: np.ndarray, made_s: np.ndarray) -> np.ndarray:
    """What to do depends on the time alone."""
    return 0.2 * times_s - 0.9


@pytest.mark.parametrize("delay_ms", [0, 60, 250])
@pytest.mark.parametrize("mode", ["joint_delta", "joint"])
def test_each_row_is_played_at_its_time_however_late_the_chunk_is(
    mode: str, delay_ms: float
) -> None:
    config = DualSystemConfig(latency=delays(down_ms=delay_ms), max_action_rate=FAST)
    actions = play(chunk_system(ramp, config, mode), steps=400)

    times_s = np.arange(400) / 200
    begun = times_s > delay_ms / 1000
    expected = ramp(times_s, times_s)
    # speeds and grippers count until the next row, places are moved to evenly
    late = 1 / CHUNK_HZ * 0.2
    tolerance = 1e-6 if mode == "joint" else late + 1e-6
    np.testing.assert_allclose(actions[begun, 0, 0], expected[begun], atol=tolerance)
    assert (actions[begun, 0, 2] <= expected[begun] + 1e-6).all()
    np.testing.assert_allclose(actions[begun, 0, 2], expected[begun], atol=late + 1e-6)


@pytest.mark.parametrize(
    ("mode", "joints"), [("joint_delta", 0.0), ("ee_delta", 0.0), ("joint", 0.7)]
)
def test_after_its_end_a_chunk_holds(mode: str, joints: float) -> None:
    player = ChunkPlayer(interface(mode), PolicySpec(control_mode=mode))
    payload = Payload.empty(2, ChunkPlanner.plan_shape)
    payload.chunk[:] = 0.7
    payload.chunk_hz[:] = CHUNK_HZ
    end_s = STEPS / CHUNK_HZ

    action = player.act(None, payload, np.array([end_s / 2, end_s + 0.1]))  # type: ignore[arg-type]

    np.testing.assert_allclose(action[0], 0.7)
    np.testing.assert_allclose(action[1], [joints, joints, 0.7])


def test_a_shape_names_its_kinds() -> None:
    shape = PlanShape(
        effectors=1,
        bases=1,
        latent=2,
        chunk_steps=3,
        chunk_actions=4,
        waypoints=5,
        waypoint_effectors=2,
        sequence_steps=6,
        sequence_width=7,
        text_bytes=8,
    )
    assert shape.kinds == PAYLOAD_KINDS
    assert PlanShape().kinds == ("goals",)
    assert ChunkPlanner.plan_shape.kinds == ("chunk",)
    empty = Payload.empty(5, shape)
    assert empty.shape == shape
    check_payload(empty, 5, shape)


def test_a_controller_is_refused_what_the_planner_does_not_give() -> None:
    player = ChunkPlayer(interface(), PolicySpec())
    with pytest.raises(
        EmbodiedError,
        match="ChunkPlayer takes chunk, which the plans of FakePlanner do not hold; "
        "they hold goals and latent",
    ):
        DualSystem(FakePlanner(), player)
    # one that declares nothing takes what comes
    DualSystem(ChunkPlanner(ramp), FakeController())


def test_the_goal_servo_names_the_goals_it_misses() -> None:
    source = policy_from_planner(lambda worlds: ChunkPlanner(ramp))
    with pytest.raises(EmbodiedError, match="GoalServo takes goals, .* hold chunk"):
        source.spec(TASK)


def test_chunks_for_another_robot_are_refused_by_name() -> None:
    player = ChunkPlayer(interface(), PolicySpec())
    payload = Payload.empty(1, PlanShape(0, chunk_steps=4, chunk_actions=7))
    with pytest.raises(
        EmbodiedError, match="chunks have 7 action elements, .* has 3: arm.a, arm.b"
    ):
        player.act(None, payload, np.zeros(1))  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_chunk_with_one_bad_number_is_never_played(bad: float) -> None:
    def spoilt(times_s: np.ndarray, made_s: np.ndarray) -> np.ndarray:
        wanted = np.full(times_s.shape, 0.5)
        wanted[:, -1] = np.where(made_s[:, 0] > 0.2, bad, 0.5)
        return wanted

    system = chunk_system(spoilt, DualSystemConfig(stale_after_s=0.5))
    actions = play(system, steps=300)
    assert np.isfinite(actions).all()
    np.testing.assert_array_equal(actions[-20:, 0, :2], 0)  # stopped
    assert sum(plan.fault is not None for plan in system.take_plans()) > 5


@pytest.mark.slow
def test_chunks_are_recorded_and_their_episodes_replay(tmp_path: Path) -> None:
    path = tmp_path / "chunks.hdf5"
    words = ["collect", TASK, "-o", path, "--policy", "expert_chunks", "--level", "L1"]
    words += ["--episodes", 1, "--no-cameras", "--workers", 1, "--bridge", "rtc"]
    embodied(*words, "--channel", "edge-5g")

    with Dataset(path) as dataset:
        assert dataset.header.policy == (
            "expert_chunks with --channel edge-5g --bridge rtc"
        )
        chunk = dataset.read(0, "plans/chunk")
        assert chunk.shape[1:] == (CHUNK_STEPS, 7)
        assert chunk.dtype == np.float32
        assert np.isfinite(chunk).all()
        assert (dataset.read(0, "plans/chunk_hz") == 50).all()
        assert dataset.episodes[0].success_at_end
    [report] = replay(path, make_worlds)
    assert report.identical


def make_worlds(metadata: object) -> Worlds:
    config = EnvConfig(TASK, level="L1", control_mode="ee_delta", control_hz=200)
    return Worlds(config)
