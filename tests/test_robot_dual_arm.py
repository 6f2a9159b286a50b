"""The robot with two arms: where its hands are, its torso and head, its shapes, its use."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from embodied.envs.registry import get_task
from embodied.robots.arm import ARM
from embodied.robots.dual_arm import DUAL_ARM
from embodied.robots.dual_arm_body import (
    LIFT_HOME_M,
    TILT_RANGE,
    WAIST_LOW_M,
    WAIST_RANGE,
)
from embodied.robots.mount import MountPose
from embodied.robots.parts.part import CONTROL_MODES
from embodied.robots.wheeled_base import LIFT_STROKE_M
from embodied.rotations import quat_rotate
from embodied.sim.physics import apply_defaults
from tests.ground import TASKS_AND_ROBOTS, expert_worlds, started_worlds
from tests.robot_models import (
    at_home,
    bodies_in_picture,
    check_in_view,
    follow_random_targets,
    touching_bodies,
)

HANDS = DUAL_ARM.effectors
GROUPS = [
    "base",
    "torso",
    "waist",
    "head",
    "left_arm",
    "left_gripper",
    "right_arm",
    "right_gripper",
]


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    spec = DUAL_ARM.build()
    apply_defaults(spec)
    return spec.compile()


@pytest.fixture
def data(model: mujoco.MjModel) -> mujoco.MjData:
    return at_home(model)


def put(model: mujoco.MjModel, data: mujoco.MjData, **joints: float) -> None:
    """Puts joints at places, m and rad."""
    for name, value in joints.items():
        data.qpos[model.joint(name).qposadr[0]] = value
    mujoco.mj_forward(model, data)


def test_every_name_that_the_robot_promises_exists(model: mujoco.MjModel) -> None:
    servos = {model.actuator(k).name for k in range(model.nu)}
    assert servos == {*DUAL_ARM.joint_names, "left_gripper", "right_gripper"}
    cameras = {model.camera(k).name for k in range(model.ncam)}
    assert cameras == set(DUAL_ARM.cameras) == {"head", "left_wrist", "right_wrist"}
    for part in DUAL_ARM.parts:
        for name, limits in zip(part.joints.names, part.joints.ranges, strict=True):
            np.testing.assert_allclose(model.joint(name).range, limits)
            np.testing.assert_allclose(model.actuator(name).ctrlrange, limits)


@pytest.mark.parametrize("mode", CONTROL_MODES)
def test_actions_come_in_a_group_for_each_part(mode: str) -> None:
    interface = DUAL_ARM.interface(mode)
    assert [group.name for group in interface.groups] == GROUPS
    assert len(interface.labels) == (21 if mode == "ee_delta" else 23)
    units = {group.name: group.unit for group in interface.groups}
    speeds = mode != "joint"
    assert units["torso"] == ("m/s" if speeds else "m")
    assert units["waist"] == units["head"] == ("rad/s" if speeds else "rad")


def test_the_hands_begin_where_those_of_upright_arms_do(
    model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    """Each shoulder is as high as that of `arm` on its stand, and the hand before it."""
    upright = at_home(ARM.build().compile()).site("tcp").xpos
    for arm, hand in zip(DUAL_ARM.arms, HANDS, strict=True):
        waist = data.body("waist").xpos
        beside = np.array([*(waist + arm.as_if_at)[:2], 0.0])
        np.testing.assert_allclose(
            data.site(hand.site).xpos, upright + beside, atol=2e-4
        )
        down = data.site(hand.site).xmat.reshape(3, 3)
        np.testing.assert_allclose(down, np.diag([1, -1, -1]), atol=1e-3)
    left, right = (data.site(hand.site).xpos for hand in HANDS)
    np.testing.assert_allclose(left * (1, -1, 1), right, atol=1e-9)


def test_its_own_parts_keep_clear_of_each_other(
    model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    for lift in (0.0, LIFT_HOME_M, LIFT_STROKE_M):
        for waist in (WAIST_RANGE[0], 0.0, 0.6):
            for tilt in TILT_RANGE:
                put(model, data, lift=lift, waist=waist, head_tilt=tilt)
                assert not touching_bodies(model, data)


def test_random_targets_leave_everything_finite(
    model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    follow_random_targets(model, data)


def test_arms_that_swing_neither_bow_the_waist_nor_push_the_base(
    model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    joint = model.joint("left_joint2").qposadr[0]
    servo = model.actuator("left_joint2").id
    start = data.ctrl[servo]
    away = []
    for step in range(800):
        data.ctrl[servo] = start + 0.4 * np.sin(2 * np.pi * step / 400)
        mujoco.mj_step(model, data)
        waist = data.qpos[model.joint("waist").qposadr[0]]
        away.append([np.abs(data.qpos[:3]).max(), abs(waist)])
    assert abs(data.qpos[joint] - start) < 0.1
    assert (np.max(away, axis=0) < [1e-3, 4e-3]).all()


def test_the_head_sees_both_hands_and_each_wrist_its_fingers(
    model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    tools = np.array([data.site(hand.site).xpos for hand in HANDS])
    check_in_view(model, data, "head", tools)
    for tool, side in zip(tools, ("left", "right"), strict=True):
        check_in_view(model, data, f"{side}_wrist", tool[None])
        seen = set(bodies_in_picture(model, data, f"{side}_wrist", 24))
        assert {f"{side}_finger_left", f"{side}_finger_right"} <= seen
    # no picture of the head shows the head itself
    seen = set(bodies_in_picture(model, data, "head", 24))
    assert not seen & {"head", "neck", "waist"}


def test_the_mount_knows_how_the_chest_is_turned(model: mujoco.MjModel) -> None:
    worlds = started_worlds(2, task="ValveTurn", robot="dual_arm", control_mode="joint")
    action = worlds.control.joints() * 0
    labels = list(worlds.interface.labels)
    for name, value in (("base.yaw", 0.2), ("waist.waist", 0.5), ("torso.lift", 0.3)):
        action[:, labels.index(name)] = value
    for _ in range(60):
        worlds.step(np.concatenate([action, np.ones((2, 2))], axis=1)[:, : len(labels)])

    agent_pos = worlds.observe().agent_pos
    mount = MountPose(worlds.robot, worlds.agent_layout)
    body = worlds.model.body("waist").id
    place = worlds.engine.view("xpos")[:, body]
    np.testing.assert_allclose(mount.read(agent_pos)[:, :3], place, atol=1e-6)
    turned = mount.quat_wxyz(agent_pos)
    for axis in np.eye(3):
        own = quat_rotate(turned, np.tile(axis, (2, 1)))
        matrix = worlds.engine.view("xmat")[:, body].reshape(2, 3, 3)
        np.testing.assert_allclose(own, matrix @ axis, atol=1e-5)
    assert WAIST_LOW_M < place[0, 2] < WAIST_LOW_M + LIFT_STROKE_M


def test_it_fits_every_task() -> None:
    tasks = {task for task, _ in TASKS_AND_ROBOTS}
    assert {task for task, robot in TASKS_AND_ROBOTS if robot == "dual_arm"} == tasks
    # of its cameras, policies look through the head's or the working hand's
    cameras = {task: get_task(task).cameras_for(DUAL_ARM)[1:] for task in tasks}
    assert cameras["ToteTransfer"] == ("head",)
    assert cameras["PanelReset"] == cameras["ValveTurn"] == ("left_wrist",)


def test_its_expert_stands_beside_the_work_and_straightens_up() -> None:
    """The left hand works; the chest, bowed at first, goes upright again."""
    worlds = expert_worlds(1, task="PanelReset", robot="dual_arm", level="L1")
    planner, controller = worlds.spec.expert(
        worlds.agent_layout, worlds.state_layout, worlds.robot
    )
    worlds.reset([0], [0])
    waist = worlds.model.joint("waist").qposadr[0]
    worlds.engine.view("qpos")[0, waist] = 0.3
    worlds.engine.refresh(np.array([0]))
    worlds.control.reset(np.array([True]))

    for _ in range(int(worlds.horizon_s * 200)):
        observation = worlds.observe()
        plan = planner.plan(observation, np.array([0]))
        result = worlds.step(controller.act(observation, plan, np.zeros(1)))
        if result.success[0]:
            break
    assert result.success[0]
    assert plan.shape == worlds.robot.plan_shape
    qpos = worlds.engine.view("qpos")[0]
    assert abs(qpos[waist]) < 2e-3
    x, y, _ = DUAL_ARM.arms[0].as_if_at
    np.testing.assert_allclose(qpos[:2], [-x, -y], atol=0.02)
