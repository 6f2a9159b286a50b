"""A described arm stands in every scene and obeys every control mode."""

from __future__ import annotations

import re
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import mujoco
import numpy as np
import pytest

from embodied.core import PHYSICS_HZ
from embodied.envs.registry import get_task, task_names
from embodied.errors import EmbodiedError
from embodied.robots.described.description import read_description
from embodied.robots.described.drawing import delete_visual_meshes
from embodied.robots.described.robot import load_robot
from embodied.robots.parts.part import CONTROL_MODES
from embodied.robots.robot import Robot
from tests.ground import idle_action
from tests.six_arm import (
    MJCF,
    TOML,
    started_worlds,
    tcp_pos_w,
    tcp_rotation,
    write_six,
)


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Robot:
    return load_robot(write_six(tmp_path_factory.mktemp("six")))


def test_a_model_is_compiled_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real arms have meshes of a million faces: each time takes a quarter of a second."""
    compiled = []
    compile_spec = mujoco.MjSpec.compile

    def counted(spec: mujoco.MjSpec) -> mujoco.MjModel:
        compiled.append(spec)
        return compile_spec(spec)

    monkeypatch.setattr(mujoco.MjSpec, "compile", counted)
    robot = load_robot(write_six(tmp_path))
    # read, named, measured, servos, and a robot at home
    assert len(compiled) == 6

    compiled.clear()
    robot.build()
    assert len(compiled) == 1


def test_visual_meshes_go_where_they_make_no_difference() -> None:
    spec = mujoco.MjSpec.from_string(
        """
        <mujoco>
          <asset>
            <mesh name="seen" vertex="0 0 0  1 0 0  0 1 0  0 0 1"/>
            <mesh name="weighed" vertex="0 0 0  1 0 0  0 1 0  0 0 1"/>
          </asset>
          <default><default class="seen">
            <geom type="mesh" mesh="seen" contype="0" conaffinity="0"/>
          </default></default>
          <worldbody>
            <body name="link"><inertial pos="0 0 0" mass="1" diaginertia="1 1 1"/>
              <geom name="gone" class="seen"/><geom name="solid" size="1"/>
              <geom name="pad" class="seen"/>
            </body>
            <body name="weighed">
              <geom name="weighed" class="seen" mesh="weighed"/><geom size="1"/>
            </body>
            <body name="ghost"><inertial pos="0 0 0" mass="1" diaginertia="1 1 1"/>
              <geom name="ghost" class="seen" mesh="weighed"/>
            </body>
          </worldbody>
        </mujoco>
        """
    )
    masses = spec.compile().body_mass

    delete_visual_meshes(spec, kept=["pad"])

    names = [geom.name for geom in spec.geoms]
    assert names == ["solid", "pad", "weighed", "", "ghost"]
    assert [mesh.name for mesh in spec.meshes] == ["seen", "weighed"]
    np.testing.assert_array_equal(spec.compile().body_mass, masses)

    delete_visual_meshes(spec, kept=[])
    assert [mesh.name for mesh in spec.meshes] == ["weighed"]


# Those that a robot with one arm on a pedestal can do.
TASKS_OF_ONE_ARM = [
    name
    for name in task_names()
    if not get_task(name).needs.travels and get_task(name).needs.effectors == 1
]

# The robot
# --------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS_OF_ONE_ARM)
def test_it_stands_in_every_scene_without_touching_anything(
    six: Robot, task: str
) -> None:
    worlds = started_worlds(six, task)
    model = worlds.engine.world_model(0)
    data = worlds.engine.world_data(0)
    mujoco.mj_forward(model, data)

    # Contacts among the scene's own things are none of the robot's business.
    for contact in data.contact[: data.ncon]:
        bodies = [model.body(model.geom_bodyid[geom]).name for geom in contact.geom]
        is_own = any(name.startswith("six_") for name in bodies)
        assert not is_own or contact.dist >= -1e-3, bodies
    assert len(get_task(task).cameras) > 0


def test_it_is_what_the_file_says(six: Robot) -> None:
    model = six.build().compile()
    joints = six.arms[0].joints
    assert joints.ranges[1] == pytest.approx(np.deg2rad([-110, 110]))
    assert six.grippers[0].width_m == pytest.approx(0.09)

    # Its keyframe is home; the file's floor and light are left out.
    assert model.nkey == 1
    assert model.nlight == 0
    assert mujoco.mjtGeom.mjGEOM_PLANE not in model.geom_type

    # Forces come from a motor's gear and a servo's range; the others have no limit.
    forces = {}
    for i in range(model.nu):
        forces[model.actuator(i).name] = model.actuator_forcerange[i, 1]
    assert forces == {
        "six_pan": 100,
        "six_lift": 150,
        "six_elbow": 0,
        "six_wrist1": 0,
        "six_wrist2": 0,
        "six_wrist3": 0,
        "gripper": 70,
    }


def test_its_tool_points_down_at_home(six: Robot) -> None:
    model = six.build().compile()
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_forward(model, data)

    rotation = data.site("six_tool").xmat.reshape(3, 3)

    np.testing.assert_allclose(rotation, np.diag([1, -1, -1]), atol=1e-4)


def test_it_can_be_sent_to_processes(six: Robot) -> None:
    copy = ForkingPickler.loads(ForkingPickler.dumps(six))

    assert copy.arms[0].joints.ranges == six.arms[0].joints.ranges
    assert copy.build().compile().nq == six.build().compile().nq


# Control modes
# --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", CONTROL_MODES)
def test_it_holds_still_where_it_is(six: Robot, mode: str) -> None:
    worlds = started_worlds(six, control_mode=mode)
    action = idle_action(worlds)
    if mode == "joint":
        action = worlds.interface.to_normalized(worlds.control.joint_target)

    start = tcp_pos_w(worlds)
    for _ in range(40):
        worlds.step(action)

    assert np.linalg.norm(tcp_pos_w(worlds) - start) < 0.002


def test_joint_mode_goes_to_the_angles(six: Robot) -> None:
    worlds = started_worlds(six, control_mode="joint")
    target = np.array([[0.4, 0.2, 1.2, 1.5, 0.3, -0.5, 0.05]])

    for _ in range(60):
        worlds.step(worlds.interface.to_normalized(target))

    np.testing.assert_allclose(worlds.control.joints()[0], target[0, :6], atol=0.01)
    width = worlds.agent_layout.slices()["gripper_width"]
    assert worlds.observe().agent_pos[0, width] == pytest.approx(0.05, abs=0.002)


def test_joint_delta_mode_turns_at_the_speeds(six: Robot) -> None:
    worlds = started_worlds(six, control_mode="joint_delta")
    action = idle_action(worlds)
    action[0, 0] = 0.4
    action[0, 5] = -0.4

    start = worlds.control.joints().copy()
    for _ in range(20):
        worlds.step(action)

    # In 1 s, less what the arm lags.
    turned_rad = (worlds.control.joints() - start)[0]
    assert turned_rad[[0, 5]] == pytest.approx([0.4 * 2.5, -0.4 * 4.0], abs=0.15)
    assert np.abs(turned_rad[1:5]).max() < 0.02


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_ee_delta_mode_moves_the_hand_along_the_axes(six: Robot, axis: int) -> None:
    worlds = started_worlds(six, control_mode="ee_delta", control_hz=200)
    action = idle_action(worlds)
    # A quarter of the hand's full speed, in one direction of translation.
    action[0, axis] = 0.25

    start = tcp_pos_w(worlds)
    start_rotation = tcp_rotation(worlds)
    for _ in range(100):
        worlds.step(action)

    duration_s = 100 * worlds.ticks_per_step / PHYSICS_HZ
    expected = np.zeros(3)
    expected[axis] = 0.25 * six.arms[0].ee_speed_m_s * duration_s
    np.testing.assert_allclose(tcp_pos_w(worlds) - start, expected, atol=0.012)
    np.testing.assert_allclose(tcp_rotation(worlds), start_rotation, atol=0.03)


def test_ee_delta_mode_turns_the_hand_on_the_spot(six: Robot) -> None:
    worlds = started_worlds(six, control_mode="ee_delta", control_hz=200)
    action = idle_action(worlds)
    # Element 5 turns about the vertical axis.
    action[0, 5] = 0.25

    start = tcp_pos_w(worlds)
    for _ in range(200):  # 1 s
        worlds.step(action)

    # The tool point stays, while the hand's x axis turns about it.
    assert np.linalg.norm(tcp_pos_w(worlds) - start) < 0.01
    x_axis = tcp_rotation(worlds)[:, 0]
    turned_rad = np.arctan2(x_axis[1], x_axis[0])
    assert turned_rad == pytest.approx(0.25 * six.arms[0].ee_speed_rad_s, abs=0.1)


def test_the_gripper_closes_at_its_speed(six: Robot) -> None:
    worlds = started_worlds(six)
    action = idle_action(worlds)
    action[0, -1] = -1
    width = worlds.agent_layout.slices()["gripper_width"]

    widths_m = []
    for _ in range(20):
        worlds.step(action)
        widths_m.append(worlds.observe().agent_pos[0, width][0])

    # After 5 steps of 50 ms it has closed at 0.2 m/s from its full 0.09 m.
    assert widths_m[4] == pytest.approx(0.09 - 0.2 * 0.25, abs=0.01)
    assert widths_m[-1] == pytest.approx(0, abs=0.002)


# What a description may say
# --------------------------------------------------------------------------------------


def test_a_mount_may_stand_elsewhere_and_be_turned(tmp_path: Path) -> None:
    mount = """
[mount]
body = "base"
pos_w = [0.1, -0.2, 0.5]
yaw_deg = 90
stand = false
"""
    home = {"joint_start": 0.0}
    usual = load_robot(write_six(tmp_path))
    x, y, z = tcp_pos_w(started_worlds(usual, factors=home))

    turned = load_robot(write_six(tmp_path, TOML + mount))
    pos_w = tcp_pos_w(started_worlds(turned, factors=home))

    # The mount is turned by 90 degrees and is 0.5 m high; the usual one is 0.72 m high.
    np.testing.assert_allclose(pos_w, (0.1 - y, -0.2 + x, z - 0.22), atol=1e-3)


def test_the_files_own_servos_may_stay(tmp_path: Path) -> None:
    servos = ""
    for joint in ("elbow", "wrist1", "wrist2", "wrist3", "pan"):
        servos += (
            f'<position name="{joint}_servo" joint="{joint}" kp="5000" kv="200"/>\n'
        )
    mjcf = MJCF.replace("</actuator>", f"{servos}</actuator>")
    toml = f'servos = "file"\n{TOML}'

    model = load_robot(write_six(tmp_path, toml, mjcf)).build().compile()

    assert model.nu == 7
    assert model.actuator("six_lift").gainprm[0] == 9000
    assert model.actuator("six_pan").gainprm[0] == 5000  # the motor is gone

    # Each joint needs one.
    with pytest.raises(
        EmbodiedError, match=r"position servo .* of joint 'pan'. Available: lift"
    ):
        load_robot(write_six(tmp_path, toml))


def test_the_tool_may_be_a_place_on_a_body(tmp_path: Path, six: Robot) -> None:
    place = 'body = "hand"\npos = [0, 0, 0.15]\nquat_wxyz = [0, 0, 0, 1]'
    toml = TOML.replace('site = "tool"', place)

    model = load_robot(write_six(tmp_path, toml)).build().compile()

    expected = six.build().compile().site("six_tool").pos
    np.testing.assert_allclose(model.site("six_tcp").pos, expected)


# Files
# --------------------------------------------------------------------------------------


def test_meshes_are_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shapes").mkdir()
    (tmp_path / "shapes" / "wedge.obj").write_text(
        "v 0 0 0\nv .1 0 0\nv 0 .1 0\nv 0 0 .1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"
    )

    # The mesh is given relative to the MJCF file, and the working directory is another.
    asset = '<asset><mesh name="wedge" file="wedge.obj"/></asset>'
    geom = '<geom type="mesh" mesh="wedge" contype="0"/>'
    mjcf = MJCF.replace("<compiler ", '<compiler meshdir="shapes" ')
    mjcf = mjcf.replace("<worldbody>", f"{asset}<worldbody>")
    mjcf = mjcf.replace('<body name="hand"', f'{geom}<body name="hand"')
    path = write_six(tmp_path, TOML, mjcf)
    monkeypatch.chdir("/")

    with_mesh = started_worlds(load_robot(path)).model
    without = started_worlds(load_robot(write_six(tmp_path))).model

    assert with_mesh.nmesh > without.nmesh


def test_descriptions_find_their_model_from_anywhere(tmp_path: Path) -> None:
    description = read_description(write_six(tmp_path))

    assert description.mjcf == str((tmp_path / "six.xml").resolve())


def test_other_settings_of_an_attached_file_are_no_warning(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arm = '<compiler angle="degree" autolimits="true"/>'
    # the names of what is attached get a prefix
    toml = re.sub(
        r'"(pan|lift|elbow|wrist.|eye|tool|left|right|(left|right)_tip)"',
        r'"a_\1"',
        TOML,
    )
    mjcf = MJCF.replace(arm, arm + '<option cone="elliptic"/>')
    path = write_six(tmp_path, toml, mjcf)
    (tmp_path / "six.xml").rename(tmp_path / "arm.xml")
    (tmp_path / "six.xml").write_text(
        '<mujoco><option timestep="0.001"/>'
        '<asset><model name="six" file="arm.xml"/></asset><worldbody>'
        '<attach model="six" body="base" prefix="a_"/></worldbody></mujoco>'
    )
    assert load_robot(path).arms
    assert "conflict" not in "".join(capfd.readouterr())
