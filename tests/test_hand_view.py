"""Experts see other hands as the house's own, and the hands do what they plan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from embodied.core import skill_index
from embodied.envs.skills.hand_view import HandView
from embodied.envs.skills.scripted import make_payload
from embodied.robots import ARM, WHEELED_ARM
from embodied.robots.parts.gripper import Gripper
from embodied.rotations import quat_to_rot6d

ROWS = 5


def test_hands_of_the_house_are_seen_as_they_are() -> None:
    assert HandView.of(ARM) is None
    assert HandView.of(WHEELED_ARM) is None


@pytest.mark.parametrize(
    ("tip_m", "width_m"), [(0.05, 0.08), (-0.01, 0.14), (0.02, 0.06)]
)
def test_a_hand_at_an_experts_goal_is_seen_there(tip_m: float, width_m: float) -> None:
    gripper = ARM.grippers[0]
    assert isinstance(gripper, Gripper)
    view = HandView(replace(gripper, tip_m=tip_m, width_m=width_m))
    rng = np.random.default_rng(0)
    quat = rng.normal(size=(ROWS, 4))
    quat /= np.linalg.norm(quat, axis=1, keepdims=True)
    goal = rng.uniform(-1, 1, (ROWS, 3))
    command = np.array([-1.0, -0.5, 0.0, 0.25, 1.0])
    plan = make_payload(
        np.full(ROWS, skill_index("reach")), goal, quat, command, np.zeros(ROWS)
    )

    hand_plan = view.plan_for_hand(plan)

    # a hand at its own goal has its virtual tool centre point at the expert's goal
    virtual_tcp = view.virtual_tcp(hand_plan.goal_pos_w[:, 0], quat_to_rot6d(quat))
    np.testing.assert_allclose(virtual_tcp, goal, atol=1e-12)
    # the widths are those of the reference hand, as far as this hand opens
    widths_m = (hand_plan.gripper[:, 0] + 1) / 2 * width_m
    expected = np.minimum((command + 1) / 2 * 0.08, width_m)
    np.testing.assert_allclose(widths_m, expected, atol=1e-12)
