"""The control modes of the arm keep their limits and do what their units say."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from embodied.envs.registry import get_robot
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.robots.modelling import JOINT_LEAD_RAD
from embodied.robots.parts.end_effector import EE_LEAD_M
from embodied.robots.parts.part import CONTROL_MODES
from tests.ground import idle_action, random_actions, started_worlds

ROBOT = get_robot("arm")
ARM = ROBOT.arms[0]
JOINTS = ARM.joints
SPEEDS = np.array(JOINTS.speeds)  # (7,) rad/s
GRIPPER = ROBOT.grippers[0]
TOOL_SITE = ROBOT.effectors[0].site

HALF = 0.5
RATES = pytest.mark.parametrize("hz", [20, 200])


def at_home(mode: str, hz: int = 20, num: int = 1) -> Worlds:
    """Worlds whose arms stand at their nominal home."""
    return started_worlds(
        num, level="L1", control_mode=mode, control_hz=hz, factors={"joint_start": 0.0}
    )


def step_for(worlds: Worlds, action: np.ndarray, seconds: float) -> None:
    """Repeats an action."""
    for _ in range(int(seconds * worlds.config.control_hz)):
        worlds.step(action)


# The arm of world 0
# --------------------------------------------------------------------------------------


def joints_of(worlds: Worlds) -> np.ndarray:  # (7,) rad
    return worlds.control.joints()[0].copy()


def joint_target_of(worlds: Worlds) -> np.ndarray:  # (7,) rad
    return worlds.control.joint_target[0, :-1].copy()


def tcp_pos_w(worlds: Worlds) -> np.ndarray:  # (3,)
    site = worlds.model.site(TOOL_SITE).id
    return worlds.engine.view("site_xpos")[0, site].copy()


def tcp_rotation(worlds: Worlds) -> np.ndarray:  # (3, 3)
    site = worlds.model.site(TOOL_SITE).id
    return worlds.engine.view("site_xmat")[0, site].reshape(3, 3).copy()


def forward_kinematics(worlds: Worlds, joints: np.ndarray) -> np.ndarray:  # (3,)
    """Where the TCP would be at joint angles (7,)."""
    data = mujoco.MjData(worlds.model)
    for name, angle in zip(JOINTS.names, joints, strict=True):
        data.joint(name).qpos = angle
    mujoco.mj_kinematics(worlds.model, data)
    return data.site(TOOL_SITE).xpos


# The interface
# --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", CONTROL_MODES)
def test_the_interface_says_what_numbers_mean(mode: str) -> None:
    interface = ROBOT.interface(mode)
    size = len(interface.low)
    assert interface.mode == mode
    assert len(interface.labels) == size

    actions = np.random.default_rng(0).uniform(-1, 1, (5, size))
    there_and_back = interface.to_normalized(interface.to_physical(actions))
    np.testing.assert_allclose(there_and_back, actions, atol=1e-12)

    # An action of 1 is the upper limit of each element, -1 the lower.
    ones = np.ones(size)
    np.testing.assert_allclose(interface.to_physical(ones), interface.high)
    np.testing.assert_allclose(interface.to_physical(-ones), interface.low)


def test_the_leads_are_those_of_the_design() -> None:
    assert JOINT_LEAD_RAD == 0.1
    assert EE_LEAD_M == 0.03


def test_an_unknown_mode_names_those_there_are() -> None:
    with pytest.raises(EmbodiedError, match=r"control mode 'torque'.*joint_delta"):
        ROBOT.interface("torque")


# Joint modes
# --------------------------------------------------------------------------------------


@RATES
@pytest.mark.parametrize("mode", CONTROL_MODES)
def test_targets_stay_in_range_and_within_the_joints_speed(mode: str, hz: int) -> None:
    """Whatever is asked, even beyond [-1, 1]."""
    worlds = at_home(mode, hz, num=4)
    low, high = np.array(JOINTS.ranges).T

    last_target = worlds.control.joint_target[:, :-1].copy()
    for action in random_actions(worlds, 40) * 3:
        measured = worlds.control.joints().copy()
        target = worlds.step(action).joint_target[:, :-1]

        assert (target >= low).all()
        assert (target <= high).all()
        if mode == "joint_delta":
            # The lead limit may pull a target back faster than the joint's speed.
            assert (np.abs(target - measured) <= JOINT_LEAD_RAD + 1e-12).all()
        else:
            assert (np.abs(target - last_target) <= SPEEDS / hz + 1e-12).all()
        last_target = target


@RATES
def test_joint_mode_goes_to_the_angle_at_the_speed_limit(hz: int) -> None:
    worlds = at_home("joint", hz)
    goal = JOINTS.home + np.array([0.4, 0.2, -0.3, 0.3, 0.5, 0.3, 0.5])
    action = worlds.interface.to_normalized(np.array([*goal, 0.08]))[None]

    # The target arrives as early as the slowest joint allows, and no earlier.
    duration_s = np.max(np.abs(goal - JOINTS.home) / SPEEDS)
    num_steps = int(np.ceil(duration_s * hz))
    targets = [worlds.step(action).joint_target[0, :-1] for _ in range(num_steps)]
    np.testing.assert_allclose(targets[-1], goal, atol=1e-12)
    assert np.abs(targets[-2] - goal).max() > 1e-3

    # The arm follows.
    step_for(worlds, action, seconds=0.3)
    np.testing.assert_allclose(joints_of(worlds), goal, atol=2e-3)


@RATES
def test_joint_delta_is_a_speed(hz: int) -> None:
    worlds = at_home("joint_delta", hz)
    action = idle_action(worlds)
    action[0, :7] = [0.3, -0.2, 0.3, 0.2, 0.2, 0.2, 0.2]
    speeds = action[0, :7] * SPEEDS

    start = joints_of(worlds)
    step_for(worlds, action, seconds=0.4)

    # The target moves at once; the joints follow it with a short lag.
    moved = speeds * 0.4
    np.testing.assert_allclose(joint_target_of(worlds) - start, moved, rtol=1e-6)
    lag_s = (start + moved - joints_of(worlds)) / speeds
    assert (np.abs(lag_s) < 0.05).all()


@RATES
@pytest.mark.parametrize(
    ("mode", "axis", "down"), [("ee_delta", 2, -1), ("joint_delta", 1, 0.3)]
)
def test_a_blocked_arm_is_not_wound_up(
    mode: str, axis: int, down: float, hz: int
) -> None:
    """Pressed down on the belt, it lets go at once when told to go up."""
    worlds = at_home(mode, hz)
    press = idle_action(worlds)
    press[0, axis] = down
    step_for(worlds, press, seconds=1.5)

    # Its targets stay near.
    pressed_pos_w = tcp_pos_w(worlds)
    lead = np.abs(joint_target_of(worlds) - joints_of(worlds))
    assert (lead < JOINT_LEAD_RAD + 0.03).all()

    lift = idle_action(worlds)
    lift[0, axis] = -down
    step_for(worlds, lift, seconds=0.2)
    assert tcp_pos_w(worlds)[2] - pressed_pos_w[2] > 0.005


# The end-effector mode
# --------------------------------------------------------------------------------------


@RATES
def test_the_virtual_target_stays_within_three_centimetres(hz: int) -> None:
    """Seen in the joint targets, by forward kinematics of their own.

    The arm is given wild commands, and a wall to run into.
    """
    worlds = at_home("ee_delta", hz)
    rng = np.random.default_rng(1)
    wild = rng.choice([-1.0, 1.0], (12, 1, 7)) * [1, 1, 1, 0, 0, 0, 1]

    farthest_m = 0.0
    for action in np.repeat(wild, hz // 4, axis=0):
        pos_w = tcp_pos_w(worlds)
        target = worlds.step(action).joint_target[0, :-1]
        lead_m = np.linalg.norm(forward_kinematics(worlds, target) - pos_w)
        farthest_m = max(farthest_m, float(lead_m))

    # Damped least squares and the posture add a little.
    assert EE_LEAD_M / 2 < farthest_m < EE_LEAD_M * 1.35


@RATES
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_straight_line_at_half_speed_is_followed_within_five_millimetres(
    axis: int, sign: int, hz: int
) -> None:
    worlds = at_home("ee_delta", hz)
    duration_s = 0.4
    action = idle_action(worlds)
    action[0, axis] = sign * HALF

    start = tcp_pos_w(worlds)
    path = []
    for _ in range(int(duration_s * hz)):
        worlds.step(action)
        path.append(tcp_pos_w(worlds) - start)

    # It stays on the line, and arrives 30 ms late.
    beside_m = np.delete(path, axis, axis=1)
    assert np.abs(beside_m).max() < 0.005
    length_m = HALF * ARM.ee_speed_m_s * duration_s
    assert sign * path[-1][axis] == pytest.approx(length_m, abs=0.012)

    # The hand points down still.
    assert tcp_rotation(worlds)[2, 2] < -np.cos(0.02)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_turning_leaves_the_tool_in_its_place(axis: int) -> None:
    worlds = at_home("ee_delta", 200)
    duration_s = 0.25
    action = idle_action(worlds)
    action[0, 3 + axis] = HALF

    start = tcp_pos_w(worlds)
    start_rotation = tcp_rotation(worlds)
    for _ in range(int(duration_s * 200)):
        worlds.step(action)
        assert np.linalg.norm(tcp_pos_w(worlds) - start) < 0.006

    # The axis of the turn, times the sine of its angle.
    turn = tcp_rotation(worlds) @ start_rotation.T
    skew = (turn - turn.T) / 2
    axis_sine = np.array([skew[2, 1], skew[0, 2], skew[1, 0]])
    expected = np.zeros(3)
    expected[axis] = np.sin(HALF * ARM.ee_speed_rad_s * duration_s)
    np.testing.assert_allclose(axis_sine, expected, atol=0.05)


@pytest.mark.parametrize("mode", ["joint_delta", "ee_delta"])
def test_delta_modes_hold_still_without_a_command(mode: str) -> None:
    worlds = at_home(mode, 200)
    start = tcp_pos_w(worlds)

    step_for(worlds, idle_action(worlds), seconds=1)

    assert np.linalg.norm(tcp_pos_w(worlds) - start) < 0.002


# The gripper
# --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", CONTROL_MODES)
def test_the_gripper_is_a_width_with_a_limited_force(mode: str) -> None:
    worlds = at_home(mode)
    action = idle_action(worlds)
    if mode == "joint":
        # Joint targets are absolute: keep the arm at home.
        home = np.array([*JOINTS.home, 0.0])
        action[0, :-1] = worlds.interface.to_normalized(home)[:-1]

    width_m, forces_n = command_gripper(worlds, action, -1)
    assert width_m == pytest.approx(0, abs=5e-4)
    assert forces_n.max() <= 70.001
    # It saturates on the way.
    assert forces_n.max() > 60

    width_m, _ = command_gripper(worlds, action, 1)
    assert width_m == pytest.approx(GRIPPER.width_m, abs=5e-4)

    width_m, _ = command_gripper(worlds, action, 0)
    half_m = GRIPPER.width_m / 2
    assert width_m == pytest.approx(half_m, abs=5e-4)
    assert worlds.control.joint_target[0, -1] == pytest.approx(half_m)


def command_gripper(
    worlds: Worlds, action: np.ndarray, command: float
) -> tuple[float, np.ndarray]:
    """Commands the gripper for a second; returns its width, and its forces by step."""
    force = worlds.model.sensor("gripper_force").adr[0]
    action[0, -1] = command

    forces_n = []
    for _ in range(20):
        worlds.step(action)
        forces_n.append(worlds.engine.view("sensordata")[0, force])

    width = worlds.agent_layout.slices()["gripper_width"]
    width_m = worlds.observe().agent_pos[0, width]
    return float(width_m[0]), np.abs(forces_n)
