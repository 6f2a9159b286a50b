"""The wheeled arm: its published figures, its drive and lift, its shapes, its head."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from embodied.robots.arm import ARM
from embodied.robots.franka.arm import HOME
from embodied.robots.wheeled_arm import WHEELED_ARM
from embodied.robots.wheeled_base import (
    BASE_SERVOS,
    LIFT_HOME_M,
    LIFT_SERVO,
    MOUNT_LOW_M,
)
from embodied.sim.physics import apply_defaults
from tests.robot_models import (
    HZ,
    VISUAL_GROUP,
    at_home,
    bodies_in_picture,
    check_in_view,
    follow_random_targets,
    touching_bodies,
)

BASE = WHEELED_ARM.base.joints
TORSO = WHEELED_ARM.torsos[0].joints
ARM_JOINTS = WHEELED_ARM.arms[0].joints

# Base and lift come before the arm in qpos and ctrl.
BODY_JOINTS = (*BASE.names, *TORSO.names)
BODY = slice(0, 4)
LIFT = 3
ARM_QPOS = slice(4, 11)
SPEEDS = dict(zip(BODY_JOINTS, (*BASE.speeds, *TORSO.speeds), strict=True))
SERVOS = {**BASE_SERVOS, "lift": LIFT_SERVO}

LIFT_HEIGHTS = pytest.mark.parametrize("lift_m", [0.0, LIFT_HOME_M, 0.4])


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    spec = WHEELED_ARM.build()
    apply_defaults(spec)
    return spec.compile()


@pytest.fixture
def data(model: mujoco.MjModel) -> mujoco.MjData:
    return at_home(model)


# Names and figures
# --------------------------------------------------------------------------------------


def test_every_name_that_the_robot_promises_exists(model: mujoco.MjModel) -> None:
    joint_names = list(WHEELED_ARM.joint_names)
    actuators = [model.actuator(i).name for i in range(model.nu)]
    joints = [model.joint(i).name for i in range(model.njnt)]
    cameras = [model.cam(i).name for i in range(model.ncam)]
    assert actuators == [*joint_names, "gripper"]
    assert joints[:11] == joint_names
    assert sorted(cameras) == sorted(WHEELED_ARM.cameras)
    assert model.key(0).name == "home"

    # The arm stands on the lift, the base on the floor of the world.
    arm = model.body(WHEELED_ARM.arms[0].root_body)
    base = model.body(WHEELED_ARM.base.root_body)
    assert arm.parentid[0] == model.body("lift").id
    assert model.body_parentid[base.id] == 0
    np.testing.assert_array_equal(base.pos, 0)


def test_ranges_and_limits_are_those_that_the_interface_states(
    model: mujoco.MjModel,
) -> None:
    # Joints of base, lift and arm, in this order; the gripper's come after them.
    ranges = (*BASE.ranges, *TORSO.ranges, *ARM_JOINTS.ranges)
    np.testing.assert_array_equal(model.jnt_range[:11], ranges)
    np.testing.assert_array_equal(model.actuator_ctrlrange[:11], ranges)
    assert BASE.speeds == pytest.approx((1.0, 1.0, 2.0944), abs=1e-4)
    assert TORSO.speeds == (0.1,)

    low, high = TORSO.ranges[0]
    assert MOUNT_LOW_M + low == pytest.approx(0.55)
    assert MOUNT_LOW_M + high == pytest.approx(0.95)
    assert ARM.base.mount_pos_w[2] == pytest.approx(MOUNT_LOW_M + LIFT_HOME_M)


def test_masses_are_the_published_ones_and_an_estimate_for_the_mast(
    model: mujoco.MjModel,
) -> None:
    base_kg = model.body("base").mass[0]
    lift_kg = model.body("lift").mass[0]
    assert base_kg == pytest.approx(88.954 + 2 * (11.5 + 0.5) + 14.0)
    assert lift_kg == pytest.approx(6.932 + 1.0 + 2.5)

    # More than the published moments of the bare base, and those of a real body.
    moments = model.body("base").inertia
    assert sorted(moments)[:2] > [3.2455, 4.1624]
    assert moments.max() > 5.8415
    assert moments.sum() - moments.max() > moments.max()


def test_it_carries_the_very_arm_that_stands_on_a_stand(
    model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    spec = ARM.build()
    apply_defaults(spec)
    fixed = spec.compile()

    first_body = fixed.body("link0").id
    own_first_body = model.body("link0").id
    # Joint for joint and body for body, the model behind the mount is that of the arm.
    for field in (
        "body_mass",
        "body_inertia",
        "body_ipos",
        "body_pos",
        "body_quat",
        "body_gravcomp",
    ):
        expected = getattr(fixed, field)[first_body:]
        own = getattr(model, field)[own_first_body:]
        np.testing.assert_array_equal(expected, own, err_msg=field)

    for field in (
        "dof_armature",
        "dof_damping",
        "jnt_range",
        "actuator_gainprm",
        "actuator_biasprm",
        "actuator_forcerange",
    ):
        expected = getattr(fixed, field)
        own = getattr(model, field)[len(BODY_JOINTS) :]
        np.testing.assert_array_equal(expected, own, err_msg=field)

    tcp_pos_w = np.array([0.45, 0, 0.25]) + ARM.base.mount_pos_w
    np.testing.assert_allclose(data.site("tcp").xpos, tcp_pos_w, atol=1e-4)


# Drive and lift
# --------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_the_mount_is_where_base_and_lift_say(
    model: mujoco.MjModel, data: mujoco.MjData, seed: int
) -> None:
    # Anywhere on the floor, at any height of the lift.
    rng = np.random.default_rng(seed)
    x, y, yaw, lift = rng.uniform([-3, -3, -4, 0], [3, 3, 4, 0.4])
    data.qpos[BODY] = x, y, yaw, lift
    mujoco.mj_forward(model, data)

    mount = data.body("link0")
    height = WHEELED_ARM.base.mount_pos_w[2] + lift
    ahead = mount.xmat.reshape(3, 3)[:, 0]
    np.testing.assert_allclose(mount.xpos, [x, y, height], atol=1e-12)
    np.testing.assert_allclose(ahead, [np.cos(yaw), np.sin(yaw), 0], atol=1e-12)


@pytest.mark.parametrize("joint", BODY_JOINTS)
def test_it_follows_a_ramp_of_full_speed_with_a_constant_lag(
    model: mujoco.MjModel, data: mujoco.MjData, joint: str
) -> None:
    """And stops, when the target does so from full speed, at most 3 cm too far."""
    servo = model.actuator(joint).id
    qpos = int(model.joint(joint).qposadr[0])
    start = float(data.qpos[qpos])
    lag_s = SERVOS[joint][1]

    # In the second half the lag must be steady, at its end exactly so.
    late_s = []
    for tick in range(1, HZ + 1):
        data.ctrl[servo] = start + SPEEDS[joint] * tick / HZ
        mujoco.mj_step(model, data)
        late_s.append((data.ctrl[servo] - data.qpos[qpos]) / SPEEDS[joint])
    tolerance_s = 0.003 if joint == "lift" else 0.025
    np.testing.assert_allclose(late_s[HZ // 2 :], lag_s, atol=tolerance_s)
    np.testing.assert_allclose(late_s[-HZ // 10 :], lag_s, atol=0.004)

    # The target stops; the joint runs on and comes back.
    overshoot = []
    for _ in range(HZ):
        mujoco.mj_step(model, data)
        overshoot.append(data.qpos[qpos] - data.ctrl[servo])
    assert max(overshoot) < 0.03
    assert abs(overshoot[-1]) < 1e-3


def test_it_stands_still_while_the_arm_swings(
    model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    """At the joints' full speeds, to and fro, far out."""
    rng = np.random.default_rng(0)
    reach_rad = (1.2, 0.6, 0.6, 0.5, 0.6, 0.6, 1.2)
    step = np.array(ARM_JOINTS.speeds) / HZ

    target = HOME.copy()
    goal = HOME
    start = data.qpos[BODY].copy()
    moved = np.zeros(4)
    for tick in range(6 * HZ):
        # A new pose of the arm twice per second, reached at its joints' full speed.
        if tick % 200 == 0:
            goal = HOME + rng.uniform(-1, 1, 7) * reach_rad
        target += np.clip(goal - target, -step, step)
        data.ctrl[ARM_QPOS] = target
        mujoco.mj_step(model, data)
        moved = np.maximum(moved, np.abs(data.qpos[BODY] - start))

    assert (moved < 1e-3).all(), moved
    assert moved.max() > 1e-4, "the swing reaches the base"


def test_it_holds_its_height_under_load(
    model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    mujoco.mj_step(model, data, HZ)
    assert abs(data.qpos[LIFT] - LIFT_HOME_M) < 1e-6

    data.xfrc_applied[model.body("hand").id, 2] = -50
    mujoco.mj_step(model, data, HZ)
    assert 1e-5 < LIFT_HOME_M - data.qpos[LIFT] < 5e-4


def test_random_targets_keep_everything_finite(
    model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    follow_random_targets(model, data)


# Shapes
# --------------------------------------------------------------------------------------


def geom_corners_w(model: mujoco.MjModel, data: mujoco.MjData, geom: int) -> np.ndarray:
    """The vertices of a mesh, or the corners of any other geom's box, (n, 3)."""
    pos = data.geom_xpos[geom]
    rotation = data.geom_xmat[geom].reshape(3, 3)
    if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_MESH:
        mesh = model.geom_dataid[geom]
        first = model.mesh_vertadr[mesh]
        count = model.mesh_vertnum[mesh]
        corners = model.mesh_vert[first : first + count]
    else:
        signs = np.stack(np.meshgrid(*[(-1, 1)] * 3), axis=-1).reshape(-1, 3)
        corners = signs * model.geom_size[geom]
    return corners @ rotation.T + pos


def test_the_footprint_leaves_room_at_a_belt(
    model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    """All of the base reaches 0.30 m ahead of the mount's axis and 0.46 m behind it."""
    on_base = model.geom_bodyid == model.body("base").id
    points_w = np.concatenate(
        [geom_corners_w(model, data, geom) for geom in np.flatnonzero(on_base)]
    )
    low = points_w.min(axis=0)
    high = points_w.max(axis=0)
    assert high[0] <= 0.30
    assert low[0] >= -0.46
    assert max(-low[1], high[1]) <= 0.27

    # Its wheels stand on the floor, which nothing solid touches.
    assert -0.001 < low[2] < 0.003
    solid = on_base & (model.geom_contype != 0)
    clearance_m = data.geom_xpos[solid, 2] - model.geom_size[solid, 2]
    assert clearance_m.min() > 0.03


@LIFT_HEIGHTS
def test_it_does_not_touch_itself_where_it_works(
    model: mujoco.MjModel, data: mujoco.MjData, lift_m: float
) -> None:
    """In poses about home, the hand in front and at most 0.75 m above the mount."""
    data.qpos[LIFT] = lift_m
    mujoco.mj_forward(model, data)
    assert not touching_bodies(model, data), "at home"

    # Poses are sampled until 200 of them have the hand where the robot works.
    rng = np.random.default_rng(0)
    reach_rad = np.array([1.2, 0.6, 0.3, 0.5, 0.6, 0.6, 1.2])
    ranges = np.array(ARM_JOINTS.ranges)
    num_checked = 0
    while num_checked < 200:
        joints = HOME + rng.uniform(-reach_rad, reach_rad)
        data.qpos[ARM_QPOS] = np.clip(joints, *ranges.T)
        mujoco.mj_forward(model, data)
        x, y, z = data.site("tcp").xpos - data.body("link0").xpos
        if np.hypot(x, y) > 0.3 and x > 0.1 and z < 0.75:
            num_checked += 1
            assert not touching_bodies(model, data), data.qpos


def test_its_arm_would_collide_with_head_and_housing(
    model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    touched = set()
    for turn in np.linspace(-2.7, 2.7, 40):
        for shoulder, elbow in ((0.9, -2.9), (-0.3, -1.2), (1.7, -2.0)):
            data.qpos[ARM_QPOS] = turn, shoulder, 0, elbow, 0, 1.9, 0.8
            mujoco.mj_forward(model, data)
            for pair in touching_bodies(model, data):
                touched.update(pair)

    assert {"base", "lift"} <= touched


def test_geoms_are_few_and_looks_do_not_touch_physics(model: mujoco.MjModel) -> None:
    collides = (model.geom_contype | model.geom_conaffinity) != 0
    visible = model.geom_group == 2
    assert collides.sum() <= 22
    assert visible.sum() <= 45
    # Group 4 is for people's pictures only.
    assert set(np.unique(model.geom_group)) == {2, 3, 4}

    meshes = model.geom_dataid[visible & (model.geom_dataid >= 0)]
    num_faces = model.mesh_facenum[meshes].sum()
    assert num_faces < 14_000, "software rendering pays per triangle"


# The head
# --------------------------------------------------------------------------------------


def is_seen(model: mujoco.MjModel, data: mujoco.MjData, point_w: np.ndarray) -> bool:
    """Whether nothing stands between the head's camera and a point."""
    camera_w = data.cam("head").xpos
    geom = np.zeros(1, np.int32)
    ray = point_w - camera_w
    # 1 is the point itself, -1 that nothing was hit.
    distance = mujoco.mj_ray(model, data, camera_w, ray, VISUAL_GROUP, 1, -1, geom)
    return bool(distance < 0 or distance > 1)


@LIFT_HEIGHTS
def test_the_head_sees_the_hand_and_what_lies_before_it(
    model: mujoco.MjModel, data: mujoco.MjData, lift_m: float
) -> None:
    data.qpos[LIFT] = lift_m
    mujoco.mj_forward(model, data)

    # The hand, and a work surface before the arm, are within the picture.
    tips = [data.geom(f"finger_{side}_pad").xpos for side in ("left", "right")]
    surface = []
    for x in (0.40, 0.65):
        for y in (-0.3, 0.0, 0.3):
            surface.append(data.body("link0").xpos + np.array([x, y, 0.02]))
    points_w = np.array([*tips, *surface, data.site("tcp").xpos])
    check_in_view(model, data, "head", points_w)

    # The picture is upright, and the arm hides little of the surface.
    up = data.cam("head").xmat.reshape(3, 3)[:, 1]
    assert up[2] > 0.5
    assert np.mean([is_seen(model, data, point_w) for point_w in surface]) > 0.8

    # Hand and fingers are seen, and the links do not fill the picture.
    bodies = bodies_in_picture(model, data, "head", size=61)
    share = {}
    for name in ("link", "hand", "finger"):
        share[name] = np.mean([body.startswith(name) for body in bodies])
    assert share["finger"] > 0.0008, share
    assert share["hand"] > 0.01, share
    assert share["link"] < 0.45, share
