"""Described robots that drive: on our base, or by planar joints of their file."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest

from embodied.errors import EmbodiedError
from embodied.policies.episodes import EpisodeRunner
from embodied.robots.described.guess import guess_description
from embodied.robots.described.robot import load_robot
from embodied.robots.mount import MountPose
from embodied.robots.robot import Robot
from tests.ground import env_config, idle_action
from tests.six_arm import MJCF, TOML, started_worlds, write_six

OURS = TOML + "\n[base]\n"
FILES = TOML + '\n[base]\njoints = ["ahead", "left_by", "turn"]\n'
# The arm on a cart that turns about an axis beside the file's origin, its own axes turned.
ARM = MJCF[MJCF.index('<body name="base">') : MJCF.index("</worldbody>")]
CART = f"""
<body name="cart" pos="0.1 0 -0.45">
  <joint name="ahead" type="slide" axis="1 0 0" range="-3 3"/>
  <inertial pos="0 0 0" mass="1" diaginertia="0.01 0.01 0.01"/>
  <body name="sledge">
    <inertial pos="0 0 0" mass="1" diaginertia="0.01 0.01 0.01"/>
    <joint name="left_by" type="slide" axis="0 1 0" range="-3 3"/>
    <body name="top" euler="0 0 90">
      <joint name="turn" axis="0 0 1" range="-200 200"/>
      <geom type="box" size="0.15 0.2 0.1"/>
      <body name="riser" euler="0 0 -90" pos="0 0.1 0.45">{ARM}</body>
    </body>
  </body>
</body>
"""
WHEELED = MJCF.replace(ARM, CART)


def six_on_wheels(folder: Path, toml: str = FILES) -> Path:
    return write_six(folder, toml.replace('name = "six"', 'name = "cart_six"'), WHEELED)


def both(folder: Path) -> list[Robot]:
    ours = load_robot(write_six(folder, OURS))
    return [ours, load_robot(six_on_wheels(folder))]


def test_a_base_is_a_part_with_actions_and_a_goal(tmp_path: Path) -> None:
    for robot in both(tmp_path):
        assert robot.travels
        assert robot.plan_shape.bases == 1
        labels = robot.interface("joint").groups[0].labels
        assert labels == ("x", "y", "yaw")
        assert robot.interface("ee_delta").groups[0].labels == ("vx", "vy", "wz")


def test_our_base_brings_its_lift_and_its_head(tmp_path: Path) -> None:
    toml = OURS.replace("[base]", "[mount]\npos_w = [0, 0, 0.8]\n[base]")
    robot = load_robot(write_six(tmp_path, toml))

    assert [part.name for part in robot.parts] == [
        "base",
        "torso",
        "head",
        "arm",
        "gripper",
    ]
    assert robot.torsos[0].joints.home == (0.25,)
    assert robot.arms[0].as_if_at == pytest.approx((0, 0, -0.08))
    assert robot.cameras == ("head", "six_eye")


def test_they_drive_along_their_own_axes_and_carry_the_hand(tmp_path: Path) -> None:
    for robot in both(tmp_path):
        worlds = started_worlds(robot, "ValveTurn", control_mode="joint_delta")
        mount = MountPose(robot, worlds.agent_layout)
        tcp = worlds.agent_layout.slices()["tcp_pos_w"]
        start = worlds.observe().agent_pos
        place = mount.read(start)[0]
        turned = start[0, tcp] - place[:3]

        # ahead, to the left and round at once, for half a second
        action = idle_action(worlds)
        action[0, :3] = (0.4, 0.2, 0.3)
        for _ in range(10):
            worlds.step(action)
        for _ in range(10):
            worlds.step(idle_action(worlds))
        end = worlds.observe().agent_pos
        moved = mount.read(end)[0] - place

        assert moved[3] == pytest.approx(0.3 * np.radians(120) / 2, abs=0.03)
        assert np.hypot(*moved[:2]) == pytest.approx(np.hypot(0.2, 0.1), abs=0.03)
        # the hand goes with the base: its way from the mount turns by the same angle
        sin = np.sin(moved[3])
        cos = np.cos(moved[3])
        turned[:2] = np.array([[cos, -sin], [sin, cos]]) @ turned[:2]
        assert end[0, tcp] - mount.read(end)[0, :3] == pytest.approx(turned, abs=0.01)


def test_the_mount_of_a_files_base_is_its_yaw_axis(tmp_path: Path) -> None:
    robot = load_robot(six_on_wheels(tmp_path))
    model = robot.build().compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)

    joint = model.joint("cart_six_turn").id
    assert data.xanchor[joint, :2] == pytest.approx([0, 0])
    axes = data.body(robot.arms[0].root_body).xmat.reshape(3, 3)
    assert axes == pytest.approx(np.eye(3), abs=1e-9)


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ('joints = ["ahead"]', "base.joints has 1 names, expected 3"),
        ("speeds = [1.0]", "base.speeds has 1 numbers, expected 3: of x, y and yaw"),
        ("speeds = [1, 1, 0]", "base.speeds is 0, expected 0.01 to 20"),
        ("kind = 1", "unknown key 'base.kind'"),
        (
            'joints = ["ahaed", "left_by", "turn"]',
            r"unknown joint \(base.joints\) 'ahaed'. Did you mean 'ahead'",
        ),
        (
            'joints = ["ahead", "ahead", "turn"]',
            "base.joints names 'ahead' twice",
        ),
        (
            'joints = ["turn", "ahead", "left_by"]',
            "'turn' is a hinge, and base.joints takes only sliding",
        ),
        (
            'joints = ["left_by", "ahead", "turn"]',
            "'left_by' is 90 degrees off, expected one that slides along x",
        ),
        (
            'joints = ["ahead", "left_by", "pan"]',
            "'pan' is among base.joints and joints",
        ),
        (
            'joints = ["ahead", "left_by", "turn"]\n[mount]\nyaw_deg = 90',
            "mount.yaw_deg is 90, and base.joints turn the robot",
        ),
        ("[mount]\npos_w = [0, 0, 1.2]", "the lift of our base goes from 0.55 to 0.95"),
    ],
)
def test_errors_name_what_is_wrong(tmp_path: Path, base: str, message: str) -> None:
    path = six_on_wheels(tmp_path, f"{TOML}\n[base]\n{base}\n")
    with pytest.raises(EmbodiedError, match=message):
        load_robot(path)


def test_slides_that_turn_with_the_yaw_are_refused(tmp_path: Path) -> None:
    # the yaw joint comes first, so that the slides are along the cart's own axes
    xml = WHEELED.replace(
        '<joint name="ahead" type="slide" axis="1 0 0" range="-3 3"/>',
        '<joint name="turn" axis="0 0 1"/>',
    ).replace(
        '<joint name="turn" axis="0 0 1" range="-200 200"/>',
        '<joint name="ahead" type="slide" axis="0 -1 0" range="-3 3"/>',
    )
    with pytest.raises(EmbodiedError, match="turns with 'turn', which comes before"):
        load_robot(write_six(tmp_path, FILES, xml))


@pytest.mark.slow
def test_new_finds_the_joints_of_a_base(tmp_path: Path) -> None:
    write_six(tmp_path, mjcf=WHEELED)
    guess = guess_description(tmp_path / "six.xml")

    description = guess.reading.description
    assert description.base is not None
    assert description.base.joints == ("ahead", "left_by", "turn")
    assert description.joints[0] == "pan"
    assert any("base.joints" in doubt for doubt in guess.doubts)


@pytest.mark.slow
def test_the_expert_drives_up_and_does_its_task(tmp_path: Path) -> None:
    for robot in both(tmp_path):
        config = env_config(
            task="DrawerTidy",
            robot=robot,
            control_mode="ee_delta",
            control_hz=200,
            level="L1",
        )
        (result,) = EpisodeRunner("expert", config, num_envs=1).run([0])
        assert result.success_at_end
