"""The arm: its published figures, its kinematics, its servos and its shapes."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from embodied.robots.arm import ARM
from embodied.robots.franka import arm as franka_arm
from embodied.robots.franka import hand as franka_hand
from embodied.robots.franka.arm import (
    HOME,
    JOINT_RANGES,
    JOINT_SPEED_LIMITS,
    TORQUE_LIMITS,
)
from embodied.robots.modelling import SERVO_LAG_S
from tests.robot_models import (
    HZ,
    arm_spec,
    at_home,
    bodies_in_picture,
    check_in_view,
    follow_random_targets,
    touching_bodies,
)

INERTIAS = {**franka_arm.INERTIAS, **franka_hand.INERTIAS}

# The datasheet's modified DH rows (a, d, alpha) up to the flange, the hand at -45
# degrees, and the tool centre point.
DH_ROWS = (
    (0, 0.333, 0),
    (0, 0, -np.pi / 2),
    (0, 0.316, np.pi / 2),
    (0.0825, 0, np.pi / 2),
    (-0.0825, 0.384, -np.pi / 2),
    (0, 0, np.pi / 2),
    (0.088, 0, np.pi / 2),
    (0, 0.107, 0),
    (0, 0.1034, 0),
)
HAND_ANGLE_RAD = -np.pi / 4


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return arm_spec().compile()


@pytest.fixture
def data(model: mujoco.MjModel) -> mujoco.MjData:
    return at_home(model)


# Names and figures
# --------------------------------------------------------------------------------------


def test_every_name_that_the_robot_promises_exists(model: mujoco.MjModel) -> None:
    for joint in (*ARM.joint_names, "finger_left", "finger_right"):
        assert model.joint(joint).id >= 0
    assert model.key(0).name == "home"
    assert model.site(ARM.effectors[0].site).id >= 0
    assert model.body_parentid[model.body("stand").id] == 0

    actuators = [model.actuator(i).name for i in range(model.nu)]
    cameras = [model.cam(i).name for i in range(model.ncam)]
    assert actuators == [*ARM.joint_names, "gripper"]
    assert cameras == list(ARM.cameras)

    # Sensors by name, with the number of values that each gives.
    sensors = {}
    for i in range(model.nsensor):
        sensor = model.sensor(i)
        sensors[sensor.name] = int(sensor.dim[0])
    assert sensors == {
        "tcp_pos_w": 3,
        "tcp_quat_w": 4,
        "tcp_linvel_w": 3,
        "tcp_angvel_w": 3,
        "gripper_force": 1,
    }


def test_limits_are_the_published_ones(model: mujoco.MjModel) -> None:
    # From the datasheet, in degrees; the rest must repeat the same numbers.
    ranges = model.jnt_range[:7]
    np.testing.assert_allclose(
        np.degrees(ranges[[0, 3, 5]]),
        [[-157.2, 157.2], [-174.3, -8.7], [31.2, 258.8]],
        atol=0.05,
    )
    np.testing.assert_array_equal(ranges, JOINT_RANGES)
    np.testing.assert_array_equal(model.actuator_ctrlrange[:7], JOINT_RANGES)
    np.testing.assert_array_equal(ARM.arms[0].joints.ranges, JOINT_RANGES)
    np.testing.assert_array_equal(model.actuator_ctrlrange[7], [0, 0.08])

    low, high = model.actuator_forcerange[:7].T
    np.testing.assert_array_equal(high, [87, 87, 87, 87, 12, 12, 12])
    np.testing.assert_array_equal(-low, TORQUE_LIMITS)

    speeds = [2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26]
    np.testing.assert_array_equal(JOINT_SPEED_LIMITS, speeds)


def test_masses_come_from_the_published_inertias_alone(model: mujoco.MjModel) -> None:
    moving_kg = sum(mass for name, (mass, *_) in INERTIAS.items() if name != "link0")
    subtree_kg = model.body_subtreemass[model.body("link1").id]
    assert subtree_kg == pytest.approx(moving_kg)

    for name, (_, center, (xx, yy, zz, *_)) in INERTIAS.items():
        body = model.body(name)
        np.testing.assert_allclose(body.ipos, center, atol=1e-12)
        # The trace does not depend on the axes.
        assert body.inertia.sum() == pytest.approx(xx + yy + zz, rel=1e-6)


# Kinematics
# --------------------------------------------------------------------------------------


def published_tcp(joints: np.ndarray) -> np.ndarray:
    """The datasheet's forward kinematics: joints (7,) to the pose of the TCP (4, 4)."""
    pose = np.eye(4)
    angles = [*joints, HAND_ANGLE_RAD, 0]

    for (a, d, alpha), theta in zip(DH_ROWS, angles, strict=True):
        ct = np.cos(theta)
        st = np.sin(theta)
        ca = np.cos(alpha)
        sa = np.sin(alpha)
        # Denavit and Hartenberg's parameters, in Craig's convention.
        pose = pose @ [
            [ct, -st, 0, a],
            [st * ca, ct * ca, -sa, -d * sa],
            [st * sa, ct * sa, ca, d * ca],
            [0, 0, 0, 1],
        ]

    return pose


@pytest.mark.parametrize("seed", range(8))
def test_kinematics_equal_the_datasheets(
    model: mujoco.MjModel, data: mujoco.MjData, seed: int
) -> None:
    joints = np.random.default_rng(seed).uniform(*JOINT_RANGES.T)
    data.qpos[:7] = joints
    mujoco.mj_forward(model, data)

    expected = published_tcp(joints)
    tcp = data.site("tcp")
    np.testing.assert_allclose(tcp.xpos, expected[:3, 3], atol=1e-9)
    np.testing.assert_allclose(tcp.xmat.reshape(3, 3), expected[:3, :3], atol=1e-9)


def test_home_is_ready_above_the_table(data: mujoco.MjData) -> None:
    tcp = data.site("tcp")
    np.testing.assert_allclose(tcp.xpos, [0.45, 0, 0.25], atol=1e-4)
    approach = tcp.xmat.reshape(3, 3)[:, 2]
    np.testing.assert_allclose(approach, [0, 0, -1], atol=1e-4)
    assert data.body("link4").xpos[2] > 0.5  # the elbow is up

    np.testing.assert_array_equal(data.qpos[:7], HOME)
    margin_rad = np.minimum(HOME - JOINT_RANGES[:, 0], JOINT_RANGES[:, 1] - HOME)
    assert (margin_rad > 0.3).all()


def test_tcp_frame_and_sensors_agree_with_the_fingers(
    model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    # The TCP lies between the pads, its y axis from one to the other.
    left = data.geom("finger_left_pad").xpos
    right = data.geom("finger_right_pad").xpos
    tcp = data.site("tcp")
    np.testing.assert_allclose((left + right) / 2, tcp.xpos, atol=1e-9)
    opening = (left - right) / np.linalg.norm(left - right)
    np.testing.assert_allclose(tcp.xmat.reshape(3, 3)[:, 1], opening, atol=1e-9)
    np.testing.assert_allclose(data.sensor("tcp_pos_w").data, tcp.xpos, atol=1e-12)

    # The base turns about the vertical.
    data.qvel[0] = 1.0
    mujoco.mj_forward(model, data)
    linvel = data.sensor("tcp_linvel_w").data
    angvel = data.sensor("tcp_angvel_w").data
    np.testing.assert_allclose(linvel, np.cross([0, 0, 1], tcp.xpos), atol=1e-9)
    np.testing.assert_allclose(angvel, [0, 0, 1], atol=1e-9)


@pytest.mark.parametrize("opening_m", [0.0, 0.04])
def test_wrist_camera_sees_the_finger_tips_and_what_is_below(
    model: mujoco.MjModel, data: mujoco.MjData, opening_m: float
) -> None:
    data.qpos[7:] = opening_m
    mujoco.mj_forward(model, data)

    # The ends of the fingers, and a rectangle 20 cm below them.
    points_w = []
    for side in ("left", "right"):
        pad = data.geom(f"finger_{side}_pad")
        points_w.append(pad.xpos + pad.xmat.reshape(3, 3) @ [0, 0, 0.02])
    for x in (-0.05, 0.12):
        for y in (-0.12, 0.12):
            points_w.append(data.site("tcp").xpos + np.array([x, y, -0.2]))
    check_in_view(model, data, "wrist", np.array(points_w))

    own = ("link7", "hand", "finger_left", "finger_right")
    bodies = bodies_in_picture(model, data, "wrist", size=25)
    share = np.mean([body in own for body in bodies])
    assert 0.03 < share < 0.2, "the fingers are seen, and hide little"


# Servos
# --------------------------------------------------------------------------------------


def test_it_holds_home_without_droop(
    model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    start = data.site("tcp").xpos.copy()
    mujoco.mj_step(model, data, 2 * HZ)
    assert np.linalg.norm(data.site("tcp").xpos - start) < 1e-6

    # It gives way under 50 N, a little, and comes back.
    data.xfrc_applied[model.body("hand").id, 2] = -50
    mujoco.mj_step(model, data, HZ)
    assert 5e-4 < np.linalg.norm(data.site("tcp").xpos - start) < 3e-3
    data.xfrc_applied[:] = 0
    mujoco.mj_step(model, data, HZ)
    assert np.linalg.norm(data.site("tcp").xpos - start) < 1e-4


@pytest.mark.parametrize("joint", range(7))
@pytest.mark.parametrize("lead_s", [0.0, SERVO_LAG_S])
def test_joints_follow_a_ramp_of_half_the_speed_limit(
    model: mujoco.MjModel, data: mujoco.MjData, joint: int, lead_s: float
) -> None:
    """A target is followed SERVO_LAG_S late; one that leads by SERVO_LAG_S to 1.3 physics steps."""
    direction = -1 if joint == 5 else 1
    speed = direction * 0.5 * JOINT_SPEED_LIMITS[joint]
    duration_s = 0.6

    late_s = []
    for tick in range(1, int(duration_s * HZ) + 1):
        time_s = tick / HZ
        data.ctrl[joint] = HOME[joint] + speed * (time_s + lead_s)
        mujoco.mj_step(model, data)
        late_s.append((HOME[joint] + speed * time_s - data.qpos[joint]) / speed)
    settled_s = late_s[-int(0.2 * HZ) :]
    np.testing.assert_allclose(settled_s, SERVO_LAG_S - lead_s, atol=1.3 / HZ)

    # The target stops.
    stop = HOME[joint] + speed * duration_s
    data.ctrl[joint] = stop
    overshoot = []
    for _ in range(HZ):
        mujoco.mj_step(model, data)
        overshoot.append((data.qpos[joint] - stop) * direction)
    assert abs(overshoot[-1]) < 1e-3
    # A lead that is taken away at once makes it brake late.
    assert lead_s or max(overshoot) < 2e-3


def test_random_targets_keep_everything_finite_and_within_limits(
    model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    follow_random_targets(model, data)
    assert (data.qpos[:7] > JOINT_RANGES[:, 0] - 0.05).all()
    assert (data.qpos[:7] < JOINT_RANGES[:, 1] + 0.05).all()


# Shapes
# --------------------------------------------------------------------------------------


def test_it_does_not_touch_itself_in_its_workspace(
    model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    """In poses about home whose TCP is at least 0.3 m from the axis of the base."""
    assert data.ncon == 0, "at home"

    rng = np.random.default_rng(0)
    # Poses are sampled until 200 of them have their TCP in the workspace.
    reach_rad = np.array([1.2, 0.6, 0.6, 0.5, 0.6, 0.6, 1.2])
    num_checked = 0
    while num_checked < 200:
        joints = HOME + rng.uniform(-reach_rad, reach_rad)
        data.qpos[:7] = np.clip(joints, *JOINT_RANGES.T)
        data.qpos[7:] = rng.uniform(0, 0.04)
        mujoco.mj_forward(model, data)
        if np.hypot(*data.site("tcp").xpos[:2]) > 0.3:
            num_checked += 1
            assert not touching_bodies(model, data), data.qpos


def test_it_still_collides_with_its_stand_where_it_really_would(
    model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    folded_onto_the_stand = (0, 1.2, 0, -2.9, 0, 2.6, 0.785)
    data.qpos[:7] = folded_onto_the_stand
    mujoco.mj_forward(model, data)

    touched = {body for pair in touching_bodies(model, data) for body in pair}
    assert {"stand", "link0", "link1"} & touched


def test_geoms_are_few_and_looks_do_not_touch_physics(model: mujoco.MjModel) -> None:
    collides = (model.geom_contype | model.geom_conaffinity) != 0
    visible = model.geom_group == 2
    assert collides.sum() <= 16
    assert visible.sum() <= 45
    assert set(np.unique(model.geom_group)) == {2, 3}
    assert model.nmeshface < 10_000, "software rendering pays per triangle"

    # Only the pads are both.
    pads = [model.geom(f"finger_{side}_pad").id for side in ("left", "right")]
    assert set(np.flatnonzero(collides & visible)) == set(pads)
    for pad in pads:
        np.testing.assert_allclose(model.geom_size[pad], [0.011, 0.004, 0.020])
        np.testing.assert_allclose(model.geom_solref[pad], [0.005, 1])
        assert model.geom_priority[pad] == 1
        assert model.geom_condim[pad] == 3
        assert model.geom_friction[pad, 0] == 1.2
