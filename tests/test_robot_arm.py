"""The arm's published figures, its servos, its gripper and its shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

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
    LAG_S,
    TORQUE_LIMITS,
)
from embodied.robots.franka.hand import GRIPPER_FORCE_N
from embodied.robots.shells import Loft
from embodied.sim.physics import apply_defaults

HZ = 400
INERTIAS = {**franka_arm.INERTIAS, **franka_hand.INERTIAS}


def _spec() -> mujoco.MjSpec:
    spec = ARM.build()
    spec.body("stand").pos = [0, 0, 0]
    apply_defaults(spec)
    return spec


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return _spec().compile()


@pytest.fixture
def data(model: mujoco.MjModel) -> mujoco.MjData:
    return _at_home(model)


def _at_home(model: mujoco.MjModel) -> mujoco.MjData:
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, model.key("home").id)
    mujoco.mj_forward(model, data)
    return data


def _published_tcp(joints: np.ndarray) -> np.ndarray:
    """Forward kinematics (4, 4) of the datasheet: modified DH rows (a, d, alpha),
    flange, hand at -45 degrees, tcp.
    """
    half = np.pi / 2
    rows = [(0, 0.333, 0), (0, 0, -half), (0, 0.316, half), (0.0825, 0, half)]
    rows += [
        (-0.0825, 0.384, -half),
        (0, 0, half),
        (0.088, 0, half),
        (0, 0.107, 0),
        (0, 0.1034, 0),
    ]
    pose = np.eye(4)
    for (a, d, alpha), theta in zip(rows, [*joints, -np.pi / 4, 0], strict=True):
        ct = np.cos(theta)
        st = np.sin(theta)
        ca = np.cos(alpha)
        sa = np.sin(alpha)
        pose = pose @ [
            [ct, -st, 0, a],
            [st * ca, ct * ca, -sa, -d * sa],
            [st * sa, ct * sa, ca, d * ca],
            [0, 0, 0, 1],
        ]
    return pose


def _contact_pairs(model: mujoco.MjModel, data: mujoco.MjData) -> set[tuple[str, str]]:
    names = [
        [model.body(model.geom_bodyid[geom]).name for geom in pair]
        for pair in data.contact.geom
    ]
    return {(min(pair), max(pair)) for pair in names}


def _forces_on(model: mujoco.MjModel, data: mujoco.MjData, body: str) -> np.ndarray:
    """(2,) normal force in N that the left and the right pad exert on a body."""
    result = np.zeros(2)
    force = np.zeros(6)
    for i, pair in enumerate(data.contact.geom):
        bodies = [model.body(model.geom_bodyid[geom]).name for geom in pair]
        if body in bodies:
            mujoco.mj_contactForce(model, data, i, force)
            result[int("finger_right" in bodies)] += force[0]
    return result


def test_every_name_that_the_interface_promises_exists(model: mujoco.MjModel) -> None:
    for joint in (*ARM.joint_names, "finger_left", "finger_right"):
        assert model.joint(joint).id >= 0
    assert [model.actuator(i).name for i in range(model.nu)] == [
        *ARM.joint_names,
        "gripper",
    ]
    assert model.key(0).name == "home"
    assert model.site(ARM.effectors[0].site).id >= 0
    assert [model.cam(i).name for i in range(model.ncam)] == list(ARM.cameras)
    assert model.body_parentid[model.body("stand").id] == 0
    sensors = {
        model.sensor(i).name: int(model.sensor(i).dim[0]) for i in range(model.nsensor)
    }
    assert sensors == {
        "tcp_pos_w": 3,
        "tcp_quat_w": 4,
        "tcp_linvel_w": 3,
        "tcp_angvel_w": 3,
        "gripper_force": 1,
    }


def test_limits_are_the_published_ones(model: mujoco.MjModel) -> None:
    degrees = np.degrees(model.jnt_range[:7])
    np.testing.assert_allclose(
        degrees[[0, 3, 5]], [[-157.2, 157.2], [-174.3, -8.7], [31.2, 258.8]], atol=0.05
    )
    np.testing.assert_array_equal(model.jnt_range[:7], JOINT_RANGES)
    np.testing.assert_array_equal(model.actuator_ctrlrange[:7], JOINT_RANGES)
    np.testing.assert_array_equal(
        model.actuator_forcerange[:7, 1], [87, 87, 87, 87, 12, 12, 12]
    )
    np.testing.assert_array_equal(-model.actuator_forcerange[:7, 0], TORQUE_LIMITS)
    np.testing.assert_array_equal(
        JOINT_SPEED_LIMITS, [2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26]
    )
    np.testing.assert_array_equal(model.actuator_ctrlrange[7], [0, 0.08])
    np.testing.assert_array_equal(ARM.arms[0].joints.ranges, JOINT_RANGES)


def test_masses_come_from_the_published_inertias_alone(model: mujoco.MjModel) -> None:
    arm = model.body_subtreemass[model.body("link1").id]
    assert arm == pytest.approx(
        sum(mass for name, (mass, *_) in INERTIAS.items() if name != "link0")
    )
    for name, (_, center, (xx, yy, zz, *_)) in INERTIAS.items():
        body = model.body(name)
        np.testing.assert_allclose(body.ipos, center, atol=1e-12)
        # the trace does not depend on the axes
        assert body.inertia.sum() == pytest.approx(xx + yy + zz, rel=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_kinematics_equal_the_datasheets(
    model: mujoco.MjModel, data: mujoco.MjData, seed: int
) -> None:
    data.qpos[:7] = np.random.default_rng(seed).uniform(*JOINT_RANGES.T)
    mujoco.mj_forward(model, data)
    expected = _published_tcp(data.qpos[:7])
    tcp = data.site("tcp")
    np.testing.assert_allclose(tcp.xpos, expected[:3, 3], atol=1e-9)
    np.testing.assert_allclose(tcp.xmat.reshape(3, 3), expected[:3, :3], atol=1e-9)


def test_home_is_ready_above_the_table(data: mujoco.MjData) -> None:
    np.testing.assert_allclose(data.site("tcp").xpos, [0.45, 0, 0.25], atol=1e-4)
    np.testing.assert_allclose(
        data.site("tcp").xmat.reshape(3, 3)[:, 2], [0, 0, -1], atol=1e-4
    )
    assert data.body("link4").xpos[2] > 0.5  # elbow up
    margin = np.minimum(HOME - JOINT_RANGES[:, 0], JOINT_RANGES[:, 1] - HOME)
    assert (margin > 0.3).all()
    np.testing.assert_array_equal(data.qpos[:7], HOME)


def test_tcp_frame_and_sensors_agree_with_the_fingers(
    model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    pads = [data.geom(f"finger_{side}_pad").xpos for side in ("left", "right")]
    tcp = data.site("tcp")
    np.testing.assert_allclose((pads[0] + pads[1]) / 2, tcp.xpos, atol=1e-9)
    opening = (pads[0] - pads[1]) / np.linalg.norm(pads[0] - pads[1])
    np.testing.assert_allclose(tcp.xmat.reshape(3, 3)[:, 1], opening, atol=1e-9)
    np.testing.assert_allclose(data.sensor("tcp_pos_w").data, tcp.xpos, atol=1e-12)
    data.qvel[0] = 1.0  # about the vertical axis of the base
    mujoco.mj_forward(model, data)
    np.testing.assert_allclose(
        data.sensor("tcp_linvel_w").data, np.cross([0, 0, 1], tcp.xpos), atol=1e-9
    )
    np.testing.assert_allclose(data.sensor("tcp_angvel_w").data, [0, 0, 1], atol=1e-9)


@pytest.mark.parametrize("opening_m", [0.0, 0.04])
def test_wrist_camera_sees_the_finger_tips_and_what_is_below(
    model: mujoco.MjModel, data: mujoco.MjData, opening_m: float
) -> None:
    data.qpos[7:] = opening_m
    mujoco.mj_forward(model, data)
    camera = data.cam("wrist")
    tan = np.tan(np.radians(model.cam("wrist").fovy[0]) / 2)
    axes = camera.xmat.reshape(3, 3)
    tips = [data.geom(f"finger_{side}_pad") for side in ("left", "right")]
    points = [tip.xpos + tip.xmat.reshape(3, 3) @ [0, 0, 0.02] for tip in tips]
    points += [
        data.site("tcp").xpos + np.array([x, y, -0.2])
        for x in (-0.05, 0.12)
        for y in (-0.12, 0.12)
    ]
    for x, y, z in (np.array(points) - camera.xpos) @ axes:
        assert z < 0
        assert max(abs(x), abs(y)) < -z * tan
    grid = np.linspace(-tan, tan, 25)
    geom = np.zeros(1, np.int32)
    own = {
        model.body(name).id for name in ("link7", "hand", "finger_left", "finger_right")
    }
    hits = 0
    for x in grid:
        for y in grid:
            ray = axes @ [x, y, -1]
            mujoco.mj_ray(
                model,
                data,
                camera.xpos,
                ray,
                np.array([0, 0, 1, 0, 0, 0], np.uint8),
                1,
                -1,
                geom,
            )
            hits += geom[0] >= 0 and model.geom_bodyid[geom[0]] in own
    assert 0.03 < hits / 25**2 < 0.2, "the fingers are seen, and hide little"


def test_holds_home_without_droop(model: mujoco.MjModel, data: mujoco.MjData) -> None:
    start = data.site("tcp").xpos.copy()
    mujoco.mj_step(model, data, 2 * HZ)
    assert np.linalg.norm(data.site("tcp").xpos - start) < 1e-6
    data.xfrc_applied[model.body("hand").id, 2] = -50
    mujoco.mj_step(model, data, HZ)
    # gives way under 50 N, a little
    assert 5e-4 < np.linalg.norm(data.site("tcp").xpos - start) < 3e-3
    data.xfrc_applied[:] = 0
    mujoco.mj_step(model, data, HZ)
    assert np.linalg.norm(data.site("tcp").xpos - start) < 1e-4


@pytest.mark.parametrize("joint", range(7))
@pytest.mark.parametrize("lead_s", [0.0, LAG_S])
def test_follows_a_ramp_of_half_the_speed_limit(
    model: mujoco.MjModel, data: mujoco.MjData, joint: int, lead_s: float
) -> None:
    """A plain target is followed LAG_S late; one that leads by LAG_S is followed to 1.3
    physics steps.
    """
    speed = 0.5 * JOINT_SPEED_LIMITS[joint] * (-1 if joint == 5 else 1)
    errors = []
    for tick in range(1, int(0.6 * HZ) + 1):
        data.ctrl[joint] = HOME[joint] + speed * (tick / HZ + lead_s)
        mujoco.mj_step(model, data)
        errors.append((HOME[joint] + speed * tick / HZ - data.qpos[joint]) / speed)
    late_s = errors[-int(0.2 * HZ) :]
    np.testing.assert_allclose(late_s, LAG_S - lead_s, atol=1.3 / HZ)
    data.ctrl[joint] = stop = HOME[joint] + speed * 0.6
    overshoot = []
    for _ in range(HZ):
        mujoco.mj_step(model, data)
        overshoot.append((data.qpos[joint] - stop) * np.sign(speed))
    assert abs(overshoot[-1]) < 1e-3
    # the lead is taken away at once here: then it brakes late
    assert lead_s or max(overshoot) < 2e-3


def test_gripper_is_one_width_that_closes_and_opens_in_under_half_a_second(
    model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    fingers = data.qpos[7:]
    for target, sign in ((0.0, -1), (0.08, 1)):
        data.ctrl[7] = target
        for _ in range(int(0.2 * HZ)):
            mujoco.mj_step(model, data)
            assert abs(data.qvel[7:].sum()) < 0.21
            assert abs(fingers[0] - fingers[1]) < 1e-4
        assert 0.03 < fingers.sum() < 0.05, (
            "it closes at a steady speed and does not slam"
        )
        assert data.sensor("gripper_force").data[0] == sign * GRIPPER_FORCE_N
        mujoco.mj_step(model, data, int(0.3 * HZ))
        assert abs(fingers.sum() - target) < 1e-3


@pytest.mark.parametrize("width_m", [0.004, 0.03, 0.06])
def test_closing_force_saturates_at_70_n_without_chatter(width_m: float) -> None:
    spec = _spec()
    block = spec.worldbody.add_body(name="block", pos=(0.45, 0, 0.25))
    block.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=(0.02, width_m / 2, 0.01))
    model = spec.compile()
    data = _at_home(model)
    data.ctrl[7] = 0
    forces = []
    for _ in range(HZ):
        mujoco.mj_step(model, data)
        forces.append(_forces_on(model, data, "block"))
    settled = np.array(forces[HZ // 2 :])
    np.testing.assert_allclose(settled, 70, rtol=0.1)
    assert np.max(forces) < 2 * GRIPPER_FORCE_N
    assert data.sensor("gripper_force").data[0] == pytest.approx(-70)


def test_a_thin_wall_is_held_without_slip() -> None:
    """A 0.6 kg plate, 4 mm thick and gripped 5 cm off its centre of mass, is lifted and
    held for a second each.
    """
    spec = _spec()
    plate = spec.worldbody.add_body(name="plate", pos=(0.48, 0, 0.21))
    plate.add_freejoint()
    plate.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, size=(0.12, 0.002, 0.06), mass=0.6)
    spec.delete(spec.key("home"))  # it has no entry for the plate
    model = spec.compile()
    data = mujoco.MjData(model)
    data.qpos[:9] = (*HOME, 0.003, 0.003)
    data.ctrl[:] = (*HOME, 0)
    data.qpos[9:12] = plate.pos
    model.opt.gravity[:] = 0  # until it is held
    mujoco.mj_step(model, data, HZ // 4)
    model.opt.gravity[2] = -9.81
    held = _in_tcp(data, "plate")
    goal = HOME + np.array([0, -0.1, 0, 0.1, 0, 0.2, 0])
    for tick in range(2 * HZ):
        data.ctrl[:7] = HOME + min(tick / HZ, 1) * (goal - HOME)
        mujoco.mj_step(model, data)
    assert data.body("plate").xpos[2] > 0.24, "it was lifted"
    np.testing.assert_allclose(_in_tcp(data, "plate"), held, atol=1.5e-3)
    assert _contact_pairs(model, data) >= {
        ("finger_left", "plate"),
        ("finger_right", "plate"),
    }


def _in_tcp(data: mujoco.MjData, body: str) -> np.ndarray:
    tcp = data.site("tcp")
    return tcp.xmat.reshape(3, 3).T @ (data.body(body).xpos - tcp.xpos)


def test_does_not_touch_itself_in_its_workspace(
    model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    """Joints within +-(1.2, .6, .6, .5, .6, .6, 1.2) rad of home, the tcp at least 0.3
    m from the axis of the base.
    """
    assert data.ncon == 0, "at home"
    rng = np.random.default_rng(0)
    box = np.array([1.2, 0.6, 0.6, 0.5, 0.6, 0.6, 1.2])
    checked = 0
    while checked < 200:
        data.qpos[:7] = np.clip(HOME + rng.uniform(-box, box), *JOINT_RANGES.T)
        data.qpos[7:] = rng.uniform(0, 0.04)
        mujoco.mj_forward(model, data)
        if np.hypot(*data.site("tcp").xpos[:2]) > 0.3:
            checked += 1
            assert not _contact_pairs(model, data), data.qpos


def test_still_collides_with_its_stand_where_it_really_would(
    model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    data.qpos[:7] = (0, 1.2, 0, -2.9, 0, 2.6, 0.785)  # folded down onto the pedestal
    mujoco.mj_forward(model, data)
    assert any(
        {"stand", "link0", "link1"} & set(pair) for pair in _contact_pairs(model, data)
    )


def test_random_targets_keep_everything_finite_and_within_limits(
    model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    rng = np.random.default_rng(3)
    for step in range(2000):
        if step % 20 == 0:  # a 20 Hz policy that wants anything at all
            data.ctrl[:] = rng.uniform(*model.actuator_ctrlrange.T)
        mujoco.mj_step(model, data)
        assert np.isfinite(data.qpos).all()
        assert np.isfinite(data.sensordata).all()
    assert not any(warning.number for warning in data.warning)
    assert (data.qpos[:7] > JOINT_RANGES[:, 0] - 0.05).all()
    assert (data.qpos[:7] < JOINT_RANGES[:, 1] + 0.05).all()


def test_geoms_are_few_and_looks_do_not_touch_physics(model: mujoco.MjModel) -> None:
    collides = (model.geom_contype | model.geom_conaffinity) != 0
    assert collides.sum() <= 16
    assert (model.geom_group == 2).sum() <= 45
    pads = [model.geom(f"finger_{side}_pad").id for side in ("left", "right")]
    assert set(np.flatnonzero(collides & (model.geom_group == 2))) == set(pads), (
        "only the pads are both"
    )
    assert set(np.unique(model.geom_group)) == {2, 3}
    for pad in pads:
        np.testing.assert_allclose(model.geom_size[pad], [0.011, 0.004, 0.020])
        np.testing.assert_allclose(model.geom_solref[pad], [0.005, 1])
        assert (
            model.geom_priority[pad],
            model.geom_condim[pad],
            model.geom_friction[pad, 0],
        ) == (1, 3, 1.2)
    assert model.nmeshface < 10_000, "software rendering pays per triangle"


def _tangent_lofts() -> Iterator[Callable[[], Loft]]:
    for axis in "xyz":
        for sign in (1, -1):
            yield lambda axis=axis, sign=sign: Loft(
                axis, ((0, 0, 0, 0.05), (sign * 0.2, 0.03, -0.02, 0.04, 0.06)), 3.0
            )


@pytest.mark.parametrize("make", list(_tangent_lofts()))
def test_lofts_are_closed_and_face_outwards(make: Callable[[], Loft]) -> None:
    vertices, faces = make().mesh()
    _, index = np.unique(vertices.round(9), axis=0, return_inverse=True)
    directed = [
        (face[i], face[(i + 1) % 3])
        for face in index.reshape(-1)[faces]
        for i in range(3)
    ]
    assert len(set(directed)) == len(directed)
    assert {(b, a) for a, b in directed} == set(directed), (
        "each edge has a face on both sides"
    )
    corners = vertices[faces]
    volume = (
        np.einsum("ij,ij->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
    )
    assert volume > 0.8 * np.pi * 0.04 * 0.04 * 0.2
