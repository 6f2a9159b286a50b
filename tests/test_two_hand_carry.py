"""Two hands with one object: they wait for each other, and keep their relative pose."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from embodied.core import SKILLS
from embodied.envs.registry import get_robot
from embodied.envs.skills.two_hand_carry import HeldObject, carried_hand, grip_w
from embodied.envs.skills.two_hands import HandPlan
from embodied.envs.tasks.tote_transfer.scene import (
    FIXED,
    ROAMING,
    TWO_HANDED,
    sides_of,
    station_of,
)
from embodied.envs.tasks.tote_transfer.two_handed_expert import (
    HOVER_M,
    TwoHandedExpert,
)
from embodied.rotations import quat_from_yaw, quat_rotate, quat_to_rot6d
from tests.ground import expert_worlds

SIDES = (1.0, -1.0)
DOWN = np.array([[1.0, 0.0, 0.0, 0.0, -1.0, 0.0]])  # a hand's x and y axes
OPEN_M = 0.08
CLOSED_M = 0.005
TOTE_W = np.array([[0.5, 0.1, 0.7]])


@pytest.fixture(scope="module")
def expert() -> TwoHandedExpert:
    return TwoHandedExpert(get_robot("dual_arm"))


def readings(hands_w: list[np.ndarray], width_m: tuple[float, float]) -> list[Any]:
    return [
        {"tcp_pos_w": pos, "tcp_rot6d": DOWN, "gripper_width": np.array([[width]])}
        for pos, width in zip(hands_w, width_m, strict=True)
    ]


def state() -> dict[str, np.ndarray]:
    return {
        "tote_pos_w": TOTE_W,
        "tote_rot6d": quat_to_rot6d(np.array([[1.0, 0.0, 0.0, 0.0]])),
        "tote_vel_w": np.zeros((1, 3)),
        "tote_size": np.array([[0.3, 0.5]]),
        "slot_pos_w": np.array([[-0.9, 2.7, 0.66]]),
    }


def grips(expert: TwoHandedExpert) -> list[np.ndarray]:
    return list(expert._facts(np, readings([TOTE_W] * 2, (OPEN_M,) * 2), state()).grips)


def plans(
    expert: TwoHandedExpert, hands_w: list[np.ndarray], width_m: tuple[float, float]
) -> list[HandPlan]:
    chosen, _ = expert.decide(np, readings(hands_w, width_m), state())
    return list(chosen)


def test_only_a_robot_that_brings_two_hands_to_it_gets_a_wide_tote() -> None:
    assert station_of(get_robot("dual_arm")) == TWO_HANDED
    assert station_of(get_robot("wheeled_arm")) == ROAMING
    assert station_of(get_robot("arm")) == station_of(get_robot("arm+arm")) == FIXED
    assert sides_of(get_robot("dual_arm")) == SIDES
    assert sides_of(get_robot("arm")) == (-1.0,)


def test_hands_that_carry_keep_their_relative_pose() -> None:
    rng = np.random.default_rng(0)
    num = 20
    yaw = rng.uniform(-1, 1, num)
    held = HeldObject(
        rng.uniform(-1, 1, (num, 3)), quat_from_yaw(yaw), np.full(num, 0.25)
    )
    goal_w = rng.uniform(-1, 1, (num, 3))
    turn = rng.uniform(-1, 1, num)
    hands = []
    goals = []
    for side in SIDES:
        # hands that hold a little beside the middle, and lower than meant
        slip = np.array([0.01 * side, 0.0, -0.004])
        hand_w = grip_w(np, held, side, 0.1) + quat_rotate(
            held.quat_wxyz, np.tile(slip, (num, 1))
        )
        hands.append(hand_w)
        goals.append(carried_hand(np, held, hand_w, side, goal_w, yaw + turn)[0])
    between = quat_rotate(quat_from_yaw(turn), hands[0] - hands[1])
    np.testing.assert_allclose(goals[0] - goals[1], between, atol=1e-9)


def test_a_hand_waits_above_its_wall_for_the_other(expert: TwoHandedExpert) -> None:
    first_w, second_w = grips(expert)
    above = np.array([0.0, 0.0, HOVER_M])
    away = np.array([0.0, 0.1, 0.0])
    waiting, coming = plans(expert, [first_w + above, second_w + away], (OPEN_M,) * 2)
    np.testing.assert_allclose(waiting.pos_w, first_w + above)
    np.testing.assert_allclose(coming.pos_w, second_w + above)
    for plan, grip in zip(
        plans(expert, [first_w + above, second_w + above], (OPEN_M,) * 2),
        (first_w, second_w),
        strict=True,
    ):
        np.testing.assert_allclose(plan.pos_w, grip)


def test_fingers_close_together_and_nothing_is_lifted_by_one_hand(
    expert: TwoHandedExpert,
) -> None:
    first_w, second_w = grips(expert)
    high = np.array([0.0, 0.0, 0.03])
    # one hand is down, the other nearly: neither closes
    for plan in plans(expert, [first_w, second_w + high], (OPEN_M,) * 2):
        assert plan.gripper[0] == 1.0
    # one has closed: the tote stays until the other has, too
    for plan in plans(expert, [first_w, second_w], (CLOSED_M, OPEN_M)):
        assert plan.gripper[0] == -1.0
        assert SKILLS[int(plan.skill[0])] == "grasp"
    for plan in plans(expert, [first_w, second_w], (CLOSED_M, CLOSED_M)):
        assert SKILLS[int(plan.skill[0])] == "lift"


@pytest.mark.slow
def test_a_wide_tote_stays_level_between_the_hands() -> None:
    worlds = expert_worlds(1, robot="dual_arm", level="L3")
    planner, controller = worlds.spec.expert(
        worlds.agent_layout, worlds.state_layout, worlds.robot
    )
    worlds.reset([0], [3])
    parts = worlds.state_layout.slices()
    lowest = 1.0
    # until it has been lifted and carried for a while, off the belt
    for step in range(4 * 200):
        observation = worlds.observe()
        if step % 25 == 0:
            plan = planner.plan(observation, np.array([0]))
        worlds.step(controller.act(observation, plan, np.zeros(1)))
        axes = observation.environment_state[0, parts["tote_rot6d"]]
        lowest = min(lowest, float(np.cross(axes[:3], axes[3:])[2]))
    assert observation.environment_state[0, parts["tote_pos_w"]][2] > 0.85
    assert lowest > np.cos(np.deg2rad(3))
