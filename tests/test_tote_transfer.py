"""What the task says and does: names, events, success."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_robot
from embodied.envs.tasks.tote_transfer.episode import tote_name
from embodied.envs.tasks.tote_transfer.expert import HOVER_M, ToteTransferExpert
from embodied.envs.tasks.tote_transfer.scene import FIXED, station_of
from embodied.envs.tasks.tote_transfer.task import ToteTransfer, staged_progress
from embodied.envs.worlds import Worlds
from embodied.policies.registry import find_policy
from embodied.rollout.rollout import EpisodeResult, Step, rollout
from tests.ground import expert_worlds, started_worlds

N = 24


@pytest.fixture(scope="module")
def changing() -> Worlds:
    return Worlds(EnvConfig("ToteTransfer", level="L4", num_threads=1), N)


def test_colours_name_one_tote() -> None:
    assert tote_name(["red", "blue"], 1) == "blue"
    assert tote_name(["red", "red", "blue"], 1) == "second red"
    assert tote_name(["red", "blue", "red"], 0) == "first red"


@pytest.mark.slow
def test_at_l4_one_thing_happens_in_each_episode(changing: Worlds) -> None:
    changing.reset(np.arange(N), list(range(N)))
    sampled = [changing.variation_of(world) for world in range(N)]
    slots = changing.state_layout.slices()
    rest = np.zeros((N, 8))
    state = changing.observe().environment_state
    # How far each named tote goes across the belt, until after the latest event.
    moved = np.zeros(N)
    start = state[:, slots["tote_pos_w"]][:, 0]
    for _ in range(int(4.2 * 20)):
        changing.step(rest)
        state = changing.observe().environment_state
        moved = np.maximum(moved, np.abs(state[:, slots["tote_pos_w"]][:, 0] - start))
    speed = state[:, slots["belt_speed"]][:, 0]

    pushed = np.array([max(map(abs, row["push_n"])) > 0 for row in sampled])
    changed = np.array(
        [row["belt_speed_after"] != row["belt_speed"] for row in sampled]
    )
    assert (pushed ^ changed).all()
    assert 4 < pushed.sum() < N - 4
    assert np.allclose(speed, [row["belt_speed_after"] for row in sampled])

    # The rails let a tote move only where it is pushed across the belt.
    across = np.array(
        [abs(row["push_n"][0]) > 0.7 * max(map(abs, row["push_n"])) for row in sampled]
    )
    assert (moved[across & pushed] > 0.01).all()
    assert (moved[~pushed] < 0.005).all()


@pytest.mark.parametrize("level", ["L1", "L2", "L3"])
def test_below_l4_nothing_happens(level: str) -> None:
    worlds = Worlds(EnvConfig("ToteTransfer", level=level, num_threads=1), 4)
    worlds.reset(np.arange(4), [1, 2, 3, 4])
    for world in range(4):
        sampled = worlds.variation_of(world)
        assert sampled["belt_speed_after"] == sampled["belt_speed"]
        assert sampled["push_n"] == (0.0, 0.0)


def test_a_tote_put_into_its_slot_is_a_success_once_it_has_stood_there() -> None:
    worlds = Worlds(EnvConfig("ToteTransfer", level="L1", num_threads=1), 2)
    worlds.reset(np.arange(2), [5, 6])
    state = worlds.observe().environment_state
    slots = worlds.state_layout.slices()

    task = worlds.task
    assert isinstance(task, ToteTransfer)
    target = int(task.memory()["tote"][0])
    task._props.totes.place(
        0, target, state[0, slots["slot_pos_w"]] + [0, 0, 0.001], yaw=0.0
    )
    worlds.engine.refresh(np.array([0]))

    results = [worlds.step(np.zeros((2, 8))) for _ in range(20)]
    held = [bool(result.success[0]) for result in results]
    assert not held[5]
    assert held[-1]
    # 0.5 s at 20 Hz.
    assert held.index(True) in range(9, 13)
    assert results[-1].progress[0] == 1
    assert not any(result.success[1] for result in results)


def test_a_fixed_robot_reaches_all_and_a_driving_one_finds_the_rack_3_m_away() -> None:
    near = station_of(get_robot("arm"))
    far = station_of(get_robot("wheeled_arm"))
    assert near == FIXED

    # The belt stays where it is for both robots.
    belt = np.array([far.belt.x, 0.0])
    for name in ("x", "top_z", "y_end"):
        assert getattr(far.belt, name) == getattr(near.belt, name)

    # The middle of the far rack's slots, seen from the belt.
    slots = far.rack.slot_centres()[:, :2].mean(axis=0)
    slots_w = slots + np.array([far.rack.x, far.rack.y_near])
    assert 2.8 < np.linalg.norm(belt - slots_w) < 3.3
    from_rack_m = np.array([far.rack.x, far.rack.y_near]) - far.rack_stand_w
    np.testing.assert_allclose(from_rack_m, [near.rack.x, near.rack.y_near], atol=1e-12)


class Driven:
    """A hook that notes where the base of one robot was."""

    def __init__(self) -> None:
        self.y: list[float] = []

    def on_start(self, worlds: Worlds, *_: Any) -> None: ...

    def on_step(self, worlds: Worlds, step: Step) -> None:
        self.y.append(float(step.before.agent_pos[0, 1]))

    def on_end(self, worlds: Worlds, world: int, result: EpisodeResult) -> None: ...


@pytest.mark.parametrize("seed", [10042, pytest.param(10043, marks=pytest.mark.slow)])
@pytest.mark.slow
def test_the_wheeled_expert_brings_the_tote_to_the_far_rack(seed: int) -> None:
    worlds = expert_worlds(1, robot="wheeled_arm", level="L4")
    driven = Driven()
    (result,) = rollout(worlds, find_policy("expert").make(worlds), [seed], [driven])
    assert result.success_once
    assert result.collisions == 0
    assert max(driven.y) > 2.0

    # With seed 10042 the belt stops before the tote is in reach: the robot drives to it.
    out_of_reach = seed == 10042
    assert (min(driven.y[600:]) < -0.1) == out_of_reach


def test_an_empty_hand_around_a_wrong_totes_wall_rises_before_it_travels() -> None:
    robot = get_robot("arm")
    grip_z = 0.798  # of the pads' middle at a tote that stands on the belt
    hands = np.array([[0.5, 0.1, 0.81], [0.5, 0.1, 0.95], [0.5, -0.38, 0.81]])
    state = {
        "tote_pos_w": np.tile([0.5, -0.3, 0.7], (3, 1)),
        "tote_rot6d": np.tile([1.0, 0, 0, 0, 1, 0], (3, 1)),
        "tote_vel_w": np.zeros((3, 3)),
        "slot_pos_w": np.tile([-0.2, 0.5, 0.8], (3, 1)),
    }
    agent = {"tcp_pos_w": hands, "gripper_width": np.full((3, 1), 0.08)}

    goal = ToteTransferExpert(robot).decide(np, agent, state).goal_pos_w[:, 0]

    # low and far away: straight up; high, or low but nearly there: to above the grip
    above_grip = [0.5, -0.4, grip_z + HOVER_M]
    assert goal[0] == pytest.approx([0.5, 0.1, grip_z + HOVER_M])
    assert goal[1] == pytest.approx(above_grip)
    assert goal[2, :2] == pytest.approx(above_grip[:2])


def test_only_what_rides_to_the_belts_end_is_lost_and_what_fell_is_counted() -> None:
    worlds = started_worlds(3, 7, robot="wheeled_arm", level="L2")
    task = worlds.task
    assert isinstance(task, ToteTransfer)
    named = task.memory()["tote"]
    other = 1 - int(named[2]) % 2
    belt = station_of(worlds.robot).belt
    near_the_end = np.array([belt.x, 0.85, belt.top_z])
    in_the_hand = near_the_end + np.array([0, 0, 0.2])
    on_the_floor = np.array([1.5, 0.0, 0.0])

    # The named tote twice, and one that is not named.
    totes = task._props.totes
    totes.place(0, int(named[0]), near_the_end, 0.0)
    totes.place(1, int(named[1]), in_the_hand, 0.0)
    totes.place(2, other, on_the_floor, 0.0)
    worlds.engine.refresh(np.arange(3))

    outcome = task.judge()
    assert outcome.lost.tolist() == [True, False, False]
    assert outcome.dropped.tolist() == [0, 0, 1]


def test_a_robot_that_drives_is_rewarded_from_afar() -> None:
    worlds = started_worlds(1, 11, robot="wheeled_arm", level="L2")
    assert worlds.task.judge().progress[0] > 0.01

    def progress_at(distance_m: float) -> float:
        facts: Any = SimpleNamespace(
            grasp_error_m=np.ones(1),
            is_in_hand=np.ones(1, bool),
            height_m=np.zeros(1),
            slot_distance_m=np.array([distance_m]),
            is_done=np.zeros(1, bool),
        )
        progress = staged_progress(np, facts, station_of(worlds.robot))
        return float(progress[0])

    # A metre nearer to the slot counts, however far away it is.
    assert progress_at(0.5) > progress_at(1.5) + 0.05
    assert progress_at(1.5) > progress_at(2.5) + 0.05
