"""The control modes keep their limits and do what their units say."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from embodied.arrays import columns, dot
from embodied.envs.registry import get_robot
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.robots.franka.arm import JOINT_LEAD_RAD
from embodied.robots.parts.end_effector import EE_LEAD_M
from embodied.robots.parts.part import CONTROL_MODES
from tests.ground import opened, random_actions, started

ARM = get_robot("arm")
HALF = 0.5
RATES = pytest.mark.parametrize("hz", [20, 200])

JOINTS = ARM.arms[0].joints
TOOL = ARM.effectors[0]


def at_home(mode: str, hz: int = 20, num: int = 1) -> Worlds:
    return started(
        num, level="L1", control_mode=mode, control_hz=hz, factors={"joint_start": 0.0}
    )


def tcp_pos_w(worlds: Worlds) -> np.ndarray:  # (3,) of world 0
    return worlds.engine.view("site_xpos")[0, worlds.model.site(TOOL.site).id].copy()


# (3,) where the arm would have its TCP
def tcp_of(worlds: Worlds, joints: np.ndarray) -> np.ndarray:
    data = mujoco.MjData(worlds.model)
    for name, angle in zip(JOINTS.names, joints, strict=True):
        data.joint(name).qpos = angle
    mujoco.mj_kinematics(worlds.model, data)
    return data.site(TOOL.site).xpos


@pytest.mark.parametrize("mode", CONTROL_MODES)
def test_the_interface_says_what_numbers_mean(mode: str) -> None:
    interface = ARM.interface(mode)
    assert interface.mode == mode
    assert len(interface.low) == len(interface.labels)
    values = np.random.default_rng(0).uniform(-1, 1, (5, len(interface.low)))
    np.testing.assert_allclose(
        interface.to_normalized(interface.to_physical(values)), values, atol=1e-12
    )
    np.testing.assert_allclose(
        interface.to_physical(np.ones(len(interface.low))), interface.high
    )
    np.testing.assert_allclose(
        interface.to_physical(-np.ones(len(interface.low))), interface.low
    )


def test_the_leads_are_those_of_the_design() -> None:
    assert (JOINT_LEAD_RAD, EE_LEAD_M) == (0.1, 0.03)


def test_an_unknown_mode_names_those_there_are() -> None:
    with pytest.raises(EmbodiedError, match=r"control mode 'torque'.*joint_delta"):
        ARM.interface("torque")


@RATES
@pytest.mark.parametrize("mode", CONTROL_MODES)
def test_targets_stay_in_range_and_within_the_joints_speed(mode: str, hz: int) -> None:
    """Whatever is asked, even beyond [-1, 1]."""
    worlds = at_home(mode, hz, 4)
    low, high = (np.array(side) for side in zip(*JOINTS.ranges, strict=True))
    step_limit = np.array(JOINTS.speeds) / hz
    before = worlds.control.joint_target[:, :-1].copy()
    for action in random_actions(worlds, 40) * 3:
        measured = worlds.control.joints().copy()
        target = worlds.step(action).joint_target[:, :-1]
        assert ((target >= low) & (target <= high)).all()
        moved = np.abs(target - before) <= step_limit + 1e-12
        # the lead limit may pull a target back faster
        led = np.abs(target - measured) <= JOINT_LEAD_RAD + 1e-12
        assert (moved if mode != "joint_delta" else led).all()
        before = target


@RATES
def test_joint_mode_goes_to_the_angle_at_the_speed_limit(hz: int) -> None:
    worlds = at_home("joint", hz)
    wanted = np.array(JOINTS.home) + np.array([0.4, 0.2, -0.3, 0.3, 0.5, 0.3, 0.5])
    action = worlds.interface.to_normalized(np.array([*wanted, 0.08]))[None]
    duration_s = np.max(np.abs(wanted - JOINTS.home) / np.array(JOINTS.speeds))
    steps = int(np.ceil(duration_s * hz))
    targets = [worlds.step(action).joint_target[0, :-1] for _ in range(steps)]
    np.testing.assert_allclose(targets[-1], wanted, atol=1e-12)
    assert np.abs(targets[-2] - wanted).max() > 1e-3  # no faster
    for _ in range(int(0.3 * hz)):
        worlds.step(action)
    np.testing.assert_allclose(worlds.control.joints()[0], wanted, atol=2e-3)


@RATES
def test_joint_delta_is_a_speed(hz: int) -> None:
    worlds = at_home("joint_delta", hz)
    action = opened(worlds)
    action[0, :7] = [0.3, -0.2, 0.3, 0.2, 0.2, 0.2, 0.2]
    start = worlds.control.joints()[0].copy()
    for _ in range(int(0.4 * hz)):
        worlds.step(action)
    expected = action[0, :7] * np.array(JOINTS.speeds) * 0.4
    np.testing.assert_allclose(
        worlds.control.joint_target[0, :7] - start, expected, rtol=1e-6
    )
    lag_s = (start + expected - worlds.control.joints()[0]) / (
        action[0, :7] * np.array(JOINTS.speeds)
    )
    assert (np.abs(lag_s) < 0.05).all()


@RATES
def test_a_blocked_arm_is_not_wound_up(hz: int) -> None:
    """Pressed down on the belt, it lets go at once when told to go up, and its targets
    stay near.
    """
    for mode in ("ee_delta", "joint_delta"):
        worlds = at_home(mode, hz)
        action = opened(worlds)
        action[0, 2 if mode == "ee_delta" else 1] = -1 if mode == "ee_delta" else 0.3
        for _ in range(int(1.5 * hz)):
            worlds.step(action)
        pressed = tcp_pos_w(worlds)
        lead = np.abs(worlds.control.joint_target[0, :-1] - worlds.control.joints()[0])
        assert (lead < JOINT_LEAD_RAD + 0.03).all()
        for _ in range(int(0.2 * hz)):
            worlds.step(-action * [*[1] * (action.shape[1] - 1), -1])
        assert tcp_pos_w(worlds)[2] - pressed[2] > 0.005, mode


@RATES
def test_the_virtual_target_stays_within_three_centimetres(hz: int) -> None:
    """Seen in the joint targets, by forward kinematics of their own; the arm is given
    wild commands and a wall.
    """
    worlds = at_home("ee_delta", hz)
    farthest = 0.0
    rng = np.random.default_rng(1)
    held = hz // 4
    wild = rng.choice([-1.0, 1.0], (12, 1, 7)) * [1, 1, 1, 0, 0, 0, 1]
    for action in np.repeat(wild, held, axis=0):
        before = tcp_pos_w(worlds)
        target = worlds.step(action).joint_target[0, :-1]
        farthest = max(farthest, float(np.linalg.norm(tcp_of(worlds, target) - before)))
    # damped least squares and posture add a little
    assert EE_LEAD_M / 2 < farthest < EE_LEAD_M * 1.35


@RATES
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_straight_line_at_half_speed_is_followed_within_five_millimetres(
    axis: int, sign: int, hz: int
) -> None:
    worlds = at_home("ee_delta", hz)
    duration_s = 0.4
    action = opened(worlds)
    start = tcp_pos_w(worlds)
    action[0, axis] = sign * HALF
    way = []
    for _ in range(int(duration_s * hz)):
        worlds.step(action)
        way.append(tcp_pos_w(worlds) - start)
    assert np.abs(np.delete(way, axis, axis=1)).max() < 0.005
    # 30 ms late
    assert sign * way[-1][axis] == pytest.approx(
        HALF * ARM.arms[0].ee_speed_m_s * duration_s, abs=0.012
    )
    upright = worlds.engine.view("site_xmat")[
        0, worlds.model.site(TOOL.site).id
    ].reshape(3, 3)
    assert upright[2, 2] < -np.cos(0.02)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_turning_leaves_the_tool_in_its_place(axis: int) -> None:
    worlds = at_home("ee_delta", 200)
    duration_s = 0.25
    action = opened(worlds)
    start = tcp_pos_w(worlds)
    frame = worlds.engine.view("site_xmat")[0, 0].reshape(3, 3).copy()
    action[0, 3 + axis] = HALF
    for _ in range(int(duration_s * 200)):
        worlds.step(action)
        assert np.linalg.norm(tcp_pos_w(worlds) - start) < 0.006
    turned = worlds.engine.view("site_xmat")[0, 0].reshape(3, 3) @ frame.T
    rotvec = (
        np.array(
            [
                turned[2, 1] - turned[1, 2],
                turned[0, 2] - turned[2, 0],
                turned[1, 0] - turned[0, 1],
            ]
        )
        / 2
    )
    expected = np.zeros(3)
    expected[axis] = np.sin(HALF * ARM.arms[0].ee_speed_rad_s * duration_s)
    np.testing.assert_allclose(rotvec, expected, atol=0.05)


@pytest.mark.parametrize("mode", CONTROL_MODES)
def test_the_gripper_is_a_width_with_a_limited_force(mode: str) -> None:
    worlds = at_home(mode)
    action = opened(worlds)
    if mode == "joint":
        action[0, :-1] = worlds.interface.to_normalized(np.array([*JOINTS.home, 0.0]))[
            :-1
        ]
    width = worlds.agent_layout.slices()["gripper_width"]
    force = worlds.model.sensor("gripper_force").adr[0]

    def settle(command: float, seconds: float) -> tuple[float, np.ndarray]:
        action[0, -1] = command
        forces = []
        for _ in range(int(seconds * 20)):
            worlds.step(action)
            forces.append(worlds.engine.view("sensordata")[0, force])
        return float(worlds.observe().agent_pos[0, width][0]), np.abs(forces)

    closed, closing = settle(-1, 1.0)
    assert closed == pytest.approx(0, abs=5e-4)
    assert closing.max() <= 70.001
    assert closing.max() > 60  # it saturates on the way
    opened_width, _ = settle(1, 1.0)
    assert opened_width == pytest.approx(ARM.grippers[0].width_m, abs=5e-4)
    half, _ = settle(0, 1.0)
    assert half == pytest.approx(ARM.grippers[0].width_m / 2, abs=5e-4)
    assert worlds.control.joint_target[0, -1] == pytest.approx(
        ARM.grippers[0].width_m / 2
    )


def test_delta_modes_hold_still_when_told_nothing() -> None:
    for mode in ("joint_delta", "ee_delta"):
        worlds = at_home(mode, 200)
        start = tcp_pos_w(worlds)
        for _ in range(200):
            worlds.step(opened(worlds))
        assert np.linalg.norm(tcp_pos_w(worlds) - start) < 0.002, mode


def test_columns_are_slices_where_they_can_be() -> None:
    values = np.arange(12).reshape(2, 6)
    for ids in ([2], [1, 2, 3], [0, 2], [3, 2], [4, 4]):
        assert (values[:, columns(ids)] == values[:, ids]).all()
    assert isinstance(columns([1, 2, 3]), slice)
    assert isinstance(columns([1, 3]), list)


def test_dot_adds_in_one_order_whatever_the_layout() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 64, 7))
    expected = dot(a, b)
    np.testing.assert_allclose(expected, np.sum(a * b, axis=-1), rtol=1e-12)
    assert (dot(np.asfortranarray(a), b) == expected).all()
    assert (
        np.array([dot(a[i : i + 1], b[i : i + 1])[0] for i in range(64)]) == expected
    ).all()
