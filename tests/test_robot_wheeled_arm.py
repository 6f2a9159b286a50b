"""The wheeled arm's published figures, its drive and lift, its shapes, and what its
head sees.
"""

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

HZ = 400
BASE = WHEELED_ARM.base.joints
TORSO = WHEELED_ARM.torsos[0].joints
ARM_JOINTS = WHEELED_ARM.arms[0].joints
SERVOS = {**BASE_SERVOS, "lift": LIFT_SERVO}
BODY = (*BASE.names, *TORSO.names)
SPEED = dict(zip(BODY, (*BASE.speeds, *TORSO.speeds), strict=True))
ARM_QPOS = slice(4, 11)


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    spec = WHEELED_ARM.build()
    apply_defaults(spec)
    return spec.compile()


@pytest.fixture
def data(model: mujoco.MjModel) -> mujoco.MjData:
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, model.key("home").id)
    mujoco.mj_forward(model, data)
    return data


def _touching(model: mujoco.MjModel, data: mujoco.MjData) -> set[tuple[str, ...]]:
    return {
        tuple(model.body(model.geom_bodyid[geom]).name for geom in pair)
        for pair in data.contact.geom
    }


def test_every_name_that_the_robot_promises_exists(model: mujoco.MjModel) -> None:
    assert [model.actuator(i).name for i in range(model.nu)] == [
        *WHEELED_ARM.joint_names,
        "gripper",
    ]
    assert [model.joint(i).name for i in range(model.njnt)][:11] == list(
        WHEELED_ARM.joint_names
    )
    assert model.key(0).name == "home"
    assert sorted(model.cam(i).name for i in range(model.ncam)) == sorted(
        WHEELED_ARM.cameras
    )
    assert (
        model.body(WHEELED_ARM.arms[0].root_body).parentid[0] == model.body("lift").id
    )
    assert model.body_parentid[model.body(WHEELED_ARM.base.root_body).id] == 0
    np.testing.assert_array_equal(model.body(WHEELED_ARM.base.root_body).pos, 0)


def test_ranges_and_limits_are_those_that_the_interface_states(
    model: mujoco.MjModel,
) -> None:
    ranges = (
        *BASE.ranges,
        *TORSO.ranges,
        *ARM_JOINTS.ranges,
    )
    np.testing.assert_array_equal(model.jnt_range[:11], ranges)
    np.testing.assert_array_equal(model.actuator_ctrlrange[:11], ranges)
    assert BASE.speeds == pytest.approx((1.0, 1.0, 2.0944), abs=1e-4)
    assert TORSO.speeds == (0.1,)
    low, high = (MOUNT_LOW_M + end for end in TORSO.ranges[0])
    assert (low, high) == pytest.approx((0.55, 0.95))
    assert ARM.base.mount_pos_w[2] == pytest.approx(MOUNT_LOW_M + LIFT_HOME_M)


def test_masses_are_the_published_ones_and_an_estimate_for_the_mast(
    model: mujoco.MjModel,
) -> None:
    assert model.body("base").mass[0] == pytest.approx(88.954 + 2 * (11.5 + 0.5) + 14.0)
    assert model.body("lift").mass[0] == pytest.approx(6.932 + 1.0 + 2.5)
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
    first = fixed.body("link0").id
    own = model.body("link0").id
    for field in (
        "body_mass",
        "body_inertia",
        "body_ipos",
        "body_pos",
        "body_quat",
        "body_gravcomp",
    ):
        np.testing.assert_array_equal(
            getattr(fixed, field)[first:], getattr(model, field)[own:], err_msg=field
        )
    for field in ("dof_armature", "dof_damping", "jnt_range"):
        np.testing.assert_array_equal(
            getattr(fixed, field), getattr(model, field)[4:], err_msg=field
        )
    for field in ("actuator_gainprm", "actuator_biasprm", "actuator_forcerange"):
        np.testing.assert_array_equal(
            getattr(fixed, field), getattr(model, field)[4:], err_msg=field
        )
    np.testing.assert_allclose(
        data.site("tcp").xpos,
        np.array([0.45, 0, 0.25]) + ARM.base.mount_pos_w,
        atol=1e-4,
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_mount_is_where_base_and_lift_say(
    model: mujoco.MjModel, data: mujoco.MjData, seed: int
) -> None:
    x, y, yaw, lift = np.random.default_rng(seed).uniform(
        [-3, -3, -4, 0], [3, 3, 4, 0.4]
    )
    data.qpos[:4] = x, y, yaw, lift
    mujoco.mj_forward(model, data)
    mount = data.body("link0")
    np.testing.assert_allclose(
        mount.xpos, [x, y, WHEELED_ARM.base.mount_pos_w[2] + lift], atol=1e-12
    )
    np.testing.assert_allclose(
        mount.xmat.reshape(3, 3)[:, 0], [np.cos(yaw), np.sin(yaw), 0], atol=1e-12
    )


@pytest.mark.parametrize("joint", BODY)
def test_follows_a_ramp_of_full_speed_with_a_constant_lag(
    model: mujoco.MjModel, data: mujoco.MjData, joint: str
) -> None:
    """And stops, when the target does so from full speed, at most 3 cm too far."""
    servo = model.actuator(joint).id
    at = int(model.joint(joint).qposadr[0])
    start = float(data.qpos[at])
    late_s = []
    for tick in range(1, HZ + 1):
        data.ctrl[servo] = start + SPEED[joint] * tick / HZ
        mujoco.mj_step(model, data)
        late_s.append((data.ctrl[servo] - data.qpos[at]) / SPEED[joint])
    np.testing.assert_allclose(
        late_s[HZ // 2 :], SERVOS[joint][1], atol=0.003 if joint == "lift" else 0.025
    )
    np.testing.assert_allclose(late_s[-HZ // 10 :], SERVOS[joint][1], atol=0.004)
    beyond = []
    for _ in range(HZ):
        mujoco.mj_step(model, data)
        beyond.append(data.qpos[at] - data.ctrl[servo])
    assert max(beyond) < 0.03
    assert abs(beyond[-1]) < 1e-3


def test_stands_still_while_the_arm_swings(
    model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    """At the joints' full speeds, to and fro, far out."""
    rng = np.random.default_rng(0)
    target = HOME.copy()
    goal = HOME
    step = np.array(ARM_JOINTS.speeds) / HZ
    start = data.qpos[:4].copy()
    moved = np.zeros(4)
    for tick in range(6 * HZ):
        if tick % 200 == 0:
            goal = HOME + rng.uniform(-1, 1, 7) * (1.2, 0.6, 0.6, 0.5, 0.6, 0.6, 1.2)
        target += np.clip(goal - target, -step, step)
        data.ctrl[ARM_QPOS] = target
        mujoco.mj_step(model, data)
        moved = np.maximum(moved, np.abs(data.qpos[:4] - start))
    assert (moved < (1e-3, 1e-3, 1e-3, 1e-3)).all(), moved
    assert moved.max() > 1e-4, "it does feel it"


def test_holds_its_height_under_load(
    model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    mujoco.mj_step(model, data, HZ)
    assert abs(data.qpos[3] - LIFT_HOME_M) < 1e-6
    data.xfrc_applied[model.body("hand").id, 2] = -50
    mujoco.mj_step(model, data, HZ)
    assert 1e-5 < LIFT_HOME_M - data.qpos[3] < 5e-4


def test_footprint_leaves_room_at_a_belt(
    model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    """What is on the base itself, seen or touched, reaches 0.30 m ahead of the mount's
    axis and 0.46 m behind it.
    """
    base = model.body("base").id
    points = []
    for geom in np.flatnonzero(model.geom_bodyid == base):
        pos = data.geom_xpos[geom]
        mat = data.geom_xmat[geom].reshape(3, 3)
        if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_MESH:
            mesh = model.geom_dataid[geom]
            first = model.mesh_vertadr[mesh]
            count = model.mesh_vertnum[mesh]
            points.append(model.mesh_vert[first : first + count] @ mat.T + pos)
        else:
            corners = np.stack(np.meshgrid(*[(-1, 1)] * 3), axis=-1).reshape(-1, 3)
            points.append(corners * model.geom_size[geom] @ mat.T + pos)
    low = np.concatenate(points).min(axis=0)
    high = np.concatenate(points).max(axis=0)
    assert high[0] <= 0.30
    assert low[0] >= -0.46
    assert max(-low[1], high[1]) <= 0.27
    assert -0.001 < low[2] < 0.003, "its wheels stand on the floor"
    solid = (model.geom_bodyid == base) & (model.geom_contype != 0)
    assert (data.geom_xpos[solid, 2] - model.geom_size[solid, 2]).min() > 0.03, (
        "which nothing solid touches"
    )


@pytest.mark.parametrize("lift_m", [0.0, LIFT_HOME_M, 0.4])
def test_does_not_touch_itself_where_it_works(
    model: mujoco.MjModel, data: mujoco.MjData, lift_m: float
) -> None:
    """As the arm alone: joints within +-(1.2, .6, .3, .5, .6, .6, 1.2) rad of home, the
    hand in front, no higher than 0.75 m above the mount.
    """
    data.qpos[3] = lift_m
    mujoco.mj_forward(model, data)
    assert not _touching(model, data), "at home"
    rng = np.random.default_rng(0)
    box = np.array([1.2, 0.6, 0.3, 0.5, 0.6, 0.6, 1.2])
    checked = 0
    while checked < 200:
        data.qpos[ARM_QPOS] = np.clip(
            HOME + rng.uniform(-box, box), *np.array(ARM_JOINTS.ranges).T
        )
        mujoco.mj_forward(model, data)
        x, y, z = data.site("tcp").xpos - data.body("link0").xpos
        if np.hypot(x, y) > 0.3 and x > 0.1 and z < 0.75:
            checked += 1
            assert not _touching(model, data), data.qpos


def test_its_arm_would_collide_with_head_and_housing(
    model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    found = set()
    for turn in np.linspace(-2.7, 2.7, 40):
        for shoulder, elbow in ((0.9, -2.9), (-0.3, -1.2), (1.7, -2.0)):
            data.qpos[ARM_QPOS] = turn, shoulder, 0, elbow, 0, 1.9, 0.8
            mujoco.mj_forward(model, data)
            found |= {body for pair in _touching(model, data) for body in pair}
    assert {"base", "lift"} <= found


@pytest.mark.parametrize("lift_m", [0.0, LIFT_HOME_M, 0.4])
def test_head_sees_the_hand_and_what_lies_before_it(
    model: mujoco.MjModel, data: mujoco.MjData, lift_m: float
) -> None:
    data.qpos[3] = lift_m
    mujoco.mj_forward(model, data)
    camera = data.cam("head")
    tan = np.tan(np.radians(model.cam("head").fovy[0]) / 2)
    axes = camera.xmat.reshape(3, 3)
    mount = data.body("link0").xpos
    assert axes[2, 1] > 0.5, "upright"
    tips = [data.geom(f"finger_{side}_pad").xpos for side in ("left", "right")]
    floor = [
        mount + np.array([x, y, 0.02]) for x in (0.40, 0.65) for y in (-0.3, 0.0, 0.3)
    ]
    for x, y, z in (
        np.array([*tips, *floor, data.site("tcp").xpos]) - camera.xpos
    ) @ axes:
        assert z < 0
        assert max(abs(x), abs(y)) < -z * tan
    seen = [_is_seen(model, data, point) for point in floor]
    assert np.mean(seen) > 0.8
    grid = np.linspace(-tan, tan, 61)
    geom = np.zeros(1, np.int32)
    shown = []
    for x in grid:
        for y in grid:
            mujoco.mj_ray(
                model, data, camera.xpos, axes @ [x, y, -1], _VISUAL, 1, -1, geom
            )
            shown.append(
                model.body(model.geom_bodyid[geom[0]]).name if geom[0] >= 0 else ""
            )
    share = {
        name: np.mean([body.startswith(name) for body in shown])
        for name in ("link", "hand", "finger")
    }
    assert share["finger"] > 0.0008, share
    assert share["hand"] > 0.01, share
    assert share["link"] < 0.45, share


_VISUAL = np.array([0, 0, 1, 0, 0, 0], np.uint8)


def _is_seen(model: mujoco.MjModel, data: mujoco.MjData, point: np.ndarray) -> bool:
    way = point - data.cam("head").xpos
    far = mujoco.mj_ray(
        model, data, data.cam("head").xpos, way, _VISUAL, 1, -1, np.zeros(1, np.int32)
    )
    return bool(far < 0 or far > 1)


def test_random_targets_keep_everything_finite_and_within_limits(
    model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    rng = np.random.default_rng(3)
    for step in range(2000):
        if step % 20 == 0:
            data.ctrl[:] = rng.uniform(*model.actuator_ctrlrange.T)
        mujoco.mj_step(model, data)
        assert np.isfinite(data.qpos).all()
    assert not any(warning.number for warning in data.warning)


def test_geoms_are_few_and_looks_do_not_touch_physics(model: mujoco.MjModel) -> None:
    collides = (model.geom_contype | model.geom_conaffinity) != 0
    assert collides.sum() <= 22
    assert (model.geom_group == 2).sum() <= 45
    assert set(np.unique(model.geom_group)) == {2, 3, 4}, (
        "4 is for people's pictures only"
    )
    shown = np.flatnonzero((model.geom_group == 2) & (model.geom_dataid >= 0))
    assert model.mesh_facenum[model.geom_dataid[shown]].sum() < 14_000, (
        "software rendering pays per triangle"
    )
