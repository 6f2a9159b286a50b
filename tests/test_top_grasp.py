"""Grasps from above: across what fits between the fingers, clear of neighbours,
whichever way a thing lies.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embodied.envs.skills.top_grasp import (
    FINGER_TIP_M,
    WIDEST_M,
    YAW_RANGE_RAD,
    TopGrasp,
    top_grasp,
)
from embodied.robots.parts.gripper import PALM_M
from embodied.rotations import quat_from_rotvec, quat_multiply, quat_to_rot6d

TABLE_Z = 0.7
BOX = (0.09, 0.05, 0.04)
CUP = (0.06, 0.06, 0.085)
FAR = np.full((1, 1, 3), 9.0)


def grasp(
    size: tuple[float, ...],
    rotvec: tuple[float, ...] = (0, 0, 0),
    others: np.ndarray = FAR,
    is_round: bool = False,
) -> TopGrasp:
    """Of one thing over (0.3, 0.4), resting on the table."""
    rot6d = quat_to_rot6d(quat_from_rotvec(np.array([rotvec], float)))
    third = np.cross(rot6d[0, :3], rot6d[0, 3:])
    height = np.abs(np.array([rot6d[0, 2], rot6d[0, 5], third[2]])) @ np.array(size)
    pos = np.array([[0.3, 0.4, TABLE_Z + height / 2]])
    return top_grasp(
        pos, rot6d, np.array([size]), np.array([is_round]), others, TABLE_Z
    )


def opening(chosen: TopGrasp) -> np.ndarray:
    """(2,) where the fingers of a hand with this yaw open to."""
    return np.array([np.sin(chosen.yaw[0]), -np.cos(chosen.yaw[0])])


@given(yaw=st.floats(-3.1, 3.1))
def test_a_box_is_taken_across_its_short_side_whichever_way_it_points(
    yaw: float,
) -> None:
    chosen = grasp(BOX, (0, 0, yaw))
    assert chosen.span[0] == BOX[1]
    assert abs(opening(chosen) @ np.array([np.cos(yaw), np.sin(yaw)])) < 1e-9
    assert YAW_RANGE_RAD[0] <= chosen.yaw[0] <= YAW_RANGE_RAD[1]
    np.testing.assert_allclose(
        [chosen.bottom_z[0], chosen.top_z[0]], [TABLE_Z, TABLE_Z + BOX[2]]
    )
    assert chosen.bottom_z[0] + FINGER_TIP_M < chosen.pos_w[0, 2] < chosen.top_z[0]


@pytest.mark.parametrize("rotvec", [(0, np.pi / 2, 0), (np.pi / 2, 0, 0)])
def test_a_box_on_its_side_is_taken_across_what_then_fits(
    rotvec: tuple[float, ...],
) -> None:
    chosen = grasp(BOX, rotvec)
    assert chosen.span[0] <= WIDEST_M
    assert chosen.bottom_z[0] == pytest.approx(TABLE_Z)


@given(yaw=st.floats(-3.1, 3.1), roll=st.floats(-3.1, 3.1))
def test_a_lying_cylinder_is_taken_at_right_angles_to_its_axis(
    yaw: float, roll: float
) -> None:
    # Tip it over by 90 degrees, turn it to `yaw`, and roll it about its own axis.
    tipped = quat_multiply(
        quat_from_rotvec(np.array([0, 0, yaw])),
        quat_from_rotvec(np.array([0, np.pi / 2, 0])),
    )
    rot6d = quat_to_rot6d(
        quat_multiply(tipped, quat_from_rotvec(np.array([0, 0, roll])))
    )[None]

    pos = np.array([[0.3, 0.4, TABLE_Z + CUP[0] / 2]])
    chosen = top_grasp(pos, rot6d, np.array([CUP]), np.array([True]), FAR, TABLE_Z)
    # The fingers close across the axis, around the diameter.
    assert chosen.span[0] == CUP[0]
    assert abs(opening(chosen) @ np.array([np.cos(yaw), np.sin(yaw)])) < 1e-9
    np.testing.assert_allclose(
        [chosen.bottom_z[0], chosen.top_z[0]], [TABLE_Z, TABLE_Z + CUP[0]]
    )


def test_fingers_keep_from_a_neighbour_where_a_thing_may_be_taken_from_any_side() -> (
    None
):
    for angle in np.linspace(0, np.pi, 9):
        away = np.array([np.cos(angle), np.sin(angle)])
        beside = np.array(
            [[[0.3 + 0.075 * away[0], 0.4 + 0.075 * away[1], TABLE_Z + 0.04]]]
        )
        chosen = grasp(CUP, others=beside, is_round=True)
        assert abs(opening(chosen) @ away) < 0.75
    assert grasp(CUP, is_round=True).yaw[0] == 0  # without one there is no need to turn


def test_the_palm_stays_above_a_tall_neighbour_under_it() -> None:
    # under the palm of a hand that opens along y
    tall = np.array([[[0.3, 0.3, TABLE_Z + 0.045]]])
    alone = grasp(BOX)
    beside = grasp(BOX, others=tall)
    assert beside.pos_w[0, 2] > alone.pos_w[0, 2] + 0.01
    # the pads still reach it
    assert beside.pos_w[0, 2] - FINGER_TIP_M < beside.top_z[0] - 0.005
    aside = np.array([[[0.42, 0.4, TABLE_Z + 0.045]]])
    assert grasp(BOX, others=aside).pos_w[0, 2] == alone.pos_w[0, 2]


def test_a_lower_palm_grips_higher_up() -> None:
    tall = np.array([[0.04, 0.04, 0.09]])
    pos = np.array([[0.3, 0.4, TABLE_Z + 0.045]])
    rot6d = np.array([[1.0, 0, 0, 0, 1, 0]])

    def height(palm_m: float) -> float:
        is_round = np.array([False])
        chosen = top_grasp(pos, rot6d, tall, is_round, FAR, TABLE_Z, palm_m)
        return float(chosen.pos_w[0, 2])

    assert height(0.010) == pytest.approx(height(PALM_M) + PALM_M - 0.010)
