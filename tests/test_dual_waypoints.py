"""Timed waypoints and latent sequences: read for the current time, however late they are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embodied.core import PHYSICS_HZ, Array, Observation
from embodied.datasets.reader import Dataset
from embodied.errors import EmbodiedError
from embodied.plan import Payload, PlanShape
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from embodied.policies.latent_sequence import LatentSequencePlayer
from embodied.policies.plans import check_payload
from embodied.policies.waypoints import WaypointFollower, goals_at
from embodied.rotations import quat_from_yaw
from tests.commands import TASK, embodied
from tests.dual_fakes import FakeController, FakeWorlds, delays

WAYPOINTS = 11
SPACING_S = 0.1
SEQUENCE_HZ = 20.0
SHAPE = PlanShape(
    waypoints=WAYPOINTS, waypoint_effectors=1, sequence_steps=20, sequence_width=2
)
SPEED_M_S = np.array([0.3, -0.2, 0.1])


class TimePlanner:
    """Plans a straight line at an even speed, and latents that tell their own time."""

    plan_shape = SHAPE

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Does nothing."""

    def plan(self, observation: Observation, ids: Array) -> Payload:
        made_s = np.asarray(observation.tick) / PHYSICS_HZ
        payload = Payload.empty(len(ids), SHAPE)

        payload.waypoint_s[:] = np.arange(WAYPOINTS) * SPACING_S
        times_s = made_s[:, None] + payload.waypoint_s
        payload.waypoint_pos_w[:, :, 0] = times_s[:, :, None] * SPEED_M_S

        payload.sequence_hz[:] = SEQUENCE_HZ
        rows_s = made_s[:, None] + np.arange(SHAPE.sequence_steps) / SEQUENCE_HZ
        payload.sequence[:] = rows_s[:, :, None]
        return payload


def shown_plans(
    wrap: type[WaypointFollower] | type[LatentSequencePlayer], delay_ms: float
) -> list[Payload]:
    """Returns what a controller was given in each of the 200 steps of a second."""
    fake = FakeController()
    config = DualSystemConfig(latency=delays(down_ms=delay_ms), mailbox="latest")
    system = DualSystem(TimePlanner(), wrap(fake), config)
    worlds = FakeWorlds(1)
    system.reset(np.arange(1), worlds.observe(), [0])
    for _ in range(200):
        worlds.advance(system.act(worlds.observe()))
    return fake.payloads


@pytest.mark.parametrize("delay_ms", [0, 60, 250])
def test_waypoints_are_followed_at_their_times_however_late_the_plan_is(
    delay_ms: float,
) -> None:
    payloads = shown_plans(WaypointFollower, delay_ms)
    times_s = np.arange(200) / 200
    begun = times_s > delay_ms / 1000 + 0.01
    goals_w = np.array([payload.goal_pos_w[0, 0] for payload in payloads])
    velocities_w = np.array([payload.goal_vel_w[0, 0] for payload in payloads])

    expected_w = times_s[:, None] * SPEED_M_S
    np.testing.assert_allclose(goals_w[begun], expected_w[begun], atol=1e-9)
    np.testing.assert_allclose(
        velocities_w[begun], SPEED_M_S[None] + 0 * goals_w[begun]
    )


@pytest.mark.parametrize("delay_ms", [0, 60, 250])
def test_a_row_of_a_latent_sequence_is_read_at_its_time(delay_ms: float) -> None:
    payloads = shown_plans(LatentSequencePlayer, delay_ms)
    times_s = np.arange(200) / 200
    begun = times_s > delay_ms / 1000 + 0.01
    latents = np.array([payload.latent[0, 0] for payload in payloads])

    assert payloads[0].latent.shape == (1, SHAPE.sequence_width)
    late_s = times_s[begun] - latents[begun]
    assert (late_s > -1e-6).all()
    assert (late_s < 1 / SEQUENCE_HZ + 1e-6).all()


def path() -> Payload:
    """Returns one plan with three waypoints: it turns by 1 rad, then grips and rests."""
    payload = Payload.empty(1, PlanShape(waypoints=3, waypoint_effectors=1))
    payload.waypoint_s[0] = [0.5, 1.0, 2.0]
    payload.waypoint_pos_w[0, :, 0, 0] = [0.0, 0.1, 0.1]
    payload.waypoint_quat_wxyz[0, :, 0] = quat_from_yaw(np.array([0.0, 1.0, 1.0]))
    payload.waypoint_gripper[0, :, 0] = [1.0, -1.0, 1.0]
    return payload


@pytest.mark.parametrize(
    ("time_s", "x_m", "yaw", "speed_m_s", "gripper"),
    [
        (0.0, 0.0, 0.0, 0.0, 1.0),  # before the first
        (0.5, 0.0, 0.0, 0.2, 1.0),
        (0.75, 0.05, 0.5, 0.2, 1.0),
        (1.0, 0.1, 1.0, 0.0, -1.0),
        (1.5, 0.1, 1.0, 0.0, -1.0),
        (9.0, 0.1, 1.0, 0.0, 1.0),  # after the last
    ],
)
def test_goals_between_waypoints(
    time_s: float, x_m: float, yaw: float, speed_m_s: float, gripper: float
) -> None:
    goals = goals_at(path(), np.array([time_s]))
    np.testing.assert_allclose(goals.goal_pos_w[0, 0], [x_m, 0, 0], atol=1e-12)
    quat = quat_from_yaw(np.array(yaw))
    np.testing.assert_allclose(goals.goal_quat_wxyz[0, 0], quat, atol=1e-12)
    np.testing.assert_allclose(goals.goal_vel_w[0, 0], [speed_m_s, 0, 0], atol=1e-12)
    assert goals.gripper[0, 0] == gripper


@given(st.lists(st.floats(-1, 3), min_size=1, max_size=6))
def test_a_world_does_not_depend_on_the_others(times_s: list[float]) -> None:
    num = len(times_s)
    together = goals_at(path().rows(np.zeros(num, int)), np.array(times_s))
    for world, time_s in enumerate(times_s):
        alone = goals_at(path(), np.array([time_s]))
        for name in ("goal_pos_w", "goal_quat_wxyz", "goal_vel_w", "gripper"):
            np.testing.assert_array_equal(
                getattr(together, name)[world], getattr(alone, name)[0]
            )


def test_wrong_times_and_arrays_are_refused_by_name() -> None:
    payload = path()
    shape = payload.shape
    payload.waypoint_s[0] = [0.5, 0.5, 2.0]
    with pytest.raises(EmbodiedError, match="waypoint_s of a plan must ascend"):
        check_payload(payload, 1, shape)

    sequence = Payload.empty(1, PlanShape(sequence_steps=2, sequence_width=3))
    sequence.sequence_hz[:] = 0
    with pytest.raises(EmbodiedError, match="sequence_hz of a plan must be above 0"):
        check_payload(sequence, 1, sequence.shape)

    undeclared = {
        "set waypoints and waypoint_effectors there": path(),
        "set sequence_steps and sequence_width there": sequence,
    }
    for message, plan in undeclared.items():
        with pytest.raises(EmbodiedError, match=message):
            check_payload(plan, 1, PlanShape())


@pytest.mark.slow
def test_waypoints_are_recorded(tmp_path: Path) -> None:
    file = tmp_path / "waypoints.hdf5"
    words = ["collect", TASK, "-o", file, "--policy", "expert_waypoints"]
    words += ["--level", "L1", "--episodes", 1, "--no-cameras", "--workers", 1]
    assert embodied(*words, "--channel", "edge-5g") == 0

    with Dataset(file) as dataset:
        assert dataset.episodes[0].success_at_end
        times_s = dataset.read(0, "plans/waypoint_s")
        pos_w = dataset.read(0, "plans/waypoint_pos_w")
    assert (np.diff(times_s, axis=1) > 0).all()
    assert pos_w.shape == (len(times_s), WAYPOINTS, 1, 3)
    # the first waypoint is where the hand was, and the hand moves
    assert (np.ptp(pos_w, axis=1) > 0.01).any()
