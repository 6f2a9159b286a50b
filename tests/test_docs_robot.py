"""docs/your_robot.md: one's own arm stands in every scene and obeys every control mode;
errors name what is wrong.
"""

from __future__ import annotations

import re
from dataclasses import fields
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import mujoco
import numpy as np
import pytest

from embodied.core import PHYSICS_HZ
from embodied.envs.registry import get_task, task_names
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.robots.described.description import (
    Description,
    Gripper,
    Mount,
    Tcp,
    read_description,
)
from embodied.robots.described.robot import load_robot
from embodied.robots.parts.part import CONTROL_MODES
from embodied.robots.robot import Robot
from tests.ground import config
from tests.six import MJCF, write_six

PAGE = (Path(__file__).parent.parent / "docs" / "your_robot.md").read_text(
    encoding="utf-8"
)
(TOML,) = re.findall(r"^```toml\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
CODE = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def six(tmp_path_factory: pytest.TempPathFactory) -> Robot:
    return load_robot(write_six(tmp_path_factory.mktemp("six"), TOML))


def at_work(robot: Robot, task: str = "ToteTransfer", **settings: object) -> Worlds:
    worlds = Worlds(config(task=task, robot=robot, level="L1", **settings))
    worlds.reset([0], [0])
    return worlds


def tcp(worlds: Worlds) -> tuple[np.ndarray, np.ndarray]:
    """Position (3,) and rotation matrix row by row (9,)."""
    site = worlds.model.site(worlds.robot.effectors[0].site).id
    view = worlds.engine.view
    return view("site_xpos")[0, site].copy(), view("site_xmat")[0, site].copy()


def still(worlds: Worlds) -> np.ndarray:
    action = np.zeros((1, len(worlds.interface.low)))
    action[0, -1] = 1
    return action


def run_code(folder: Path, blocks: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    write_six(folder, TOML)
    monkeypatch.chdir(folder)
    names: dict[str, object] = {}
    for block in blocks:
        exec(block, names)


def test_the_page_makes_an_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_code(tmp_path, CODE[:1], monkeypatch)
    assert "'arm.vx', 'arm.vy'" in capsys.readouterr().out


@pytest.mark.slow
def test_experts_drive_an_arm_they_never_saw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_code(tmp_path, CODE, monkeypatch)
    assert (
        len(re.findall(r"^\d True \d", capsys.readouterr().out, flags=re.MULTILINE))
        >= 2
    )


def test_the_page_names_every_key() -> None:
    parts = {"": Description, "mount.": Mount, "tcp.": Tcp, "gripper.": Gripper}
    known = {part + field.name for part, cls in parts.items() for field in fields(cls)}
    assert known - {"mount", "tcp", "gripper"} <= set(re.findall(r"`([\w.]+)`", PAGE))


@pytest.mark.parametrize("task", task_names())
def test_it_stands_in_every_scene(six: Robot, task: str) -> None:
    worlds = at_work(six, task)
    data = worlds.engine.world_data(0)
    model = worlds.engine.world_model(0)
    mujoco.mj_forward(model, data)
    own = {
        model.body(i).name
        for i in range(model.nbody)
        if model.body(i).name.startswith("six_")
    }
    deep = [c for c in data.contact[: data.ncon] if c.dist < -1e-3]
    touching = [
        {model.body(model.geom_bodyid[g]).name for g in contact.geom}
        for contact in deep
    ]
    assert [pair for pair in touching if pair & own] == []
    assert len(get_task(task).cameras) > 0


def test_it_is_what_the_file_says(six: Robot) -> None:
    model = six.build().compile()
    # the file is in degrees
    assert six.arms[0].joints.ranges[1] == pytest.approx(np.deg2rad([-110, 110]))
    assert six.grippers[0].width_m == pytest.approx(0.09)
    assert model.nkey == 1
    assert model.nlight == 0
    assert not any(
        model.geom(i).type == mujoco.mjtGeom.mjGEOM_PLANE for i in range(model.ngeom)
    )
    limits = {
        model.actuator(i).name: model.actuator_forcerange[i, 1] for i in range(model.nu)
    }
    unlimited = dict.fromkeys(
        ("six_elbow", "six_wrist1", "six_wrist2", "six_wrist3"), 0
    )
    # a motor's gear, a servo's range
    assert limits == {"six_pan": 100, "six_lift": 150, "gripper": 70} | unlimited
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_forward(model, data)
    np.testing.assert_allclose(
        data.site("six_tool").xmat.reshape(3, 3), np.diag([1, -1, -1]), atol=1e-4
    )


def test_processes_can_be_handed_it(six: Robot) -> None:
    again = ForkingPickler.loads(ForkingPickler.dumps(six))
    assert again.arms[0].joints.ranges == six.arms[0].joints.ranges
    assert again.build().compile().nq == six.build().compile().nq


@pytest.mark.parametrize("mode", CONTROL_MODES)
def test_it_holds_still_where_it_is(six: Robot, mode: str) -> None:
    worlds = at_work(six, control_mode=mode)
    action = still(worlds)
    if mode == "joint":
        action = worlds.interface.to_normalized(worlds.control.joint_target)
    before, _ = tcp(worlds)
    for _ in range(40):
        worlds.step(action)
    assert np.linalg.norm(tcp(worlds)[0] - before) < 0.002


def test_joint_mode_goes_to_the_angles(six: Robot) -> None:
    worlds = at_work(six, control_mode="joint")
    wanted = np.array([[0.4, 0.2, 1.2, 1.5, 0.3, -0.5, 0.05]])
    for _ in range(60):
        worlds.step(worlds.interface.to_normalized(wanted))
    np.testing.assert_allclose(worlds.control.joints()[0], wanted[0, :6], atol=0.01)
    width = worlds.agent_layout.slices()["gripper_width"]
    assert worlds.observe().agent_pos[0, width] == pytest.approx(0.05, abs=0.002)


def test_joint_delta_mode_turns_at_the_speeds(six: Robot) -> None:
    worlds = at_work(six, control_mode="joint_delta")
    action = still(worlds)
    before = worlds.control.joints().copy()
    action[0, [0, 5]] = 0.4, -0.4
    for _ in range(20):
        worlds.step(action)
    turned = worlds.control.joints()[0] - before[0]
    # rad in 1 s, less what it lags
    assert turned[[0, 5]] == pytest.approx([0.4 * 2.5, -0.4 * 4.0], abs=0.15)
    assert np.abs(turned[1:5]).max() < 0.02


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_ee_delta_mode_moves_the_hand_along_the_axes(six: Robot, axis: int) -> None:
    worlds = at_work(six, control_mode="ee_delta", control_hz=200)
    action = still(worlds)
    (start, turned) = tcp(worlds)
    action[0, axis] = 0.25
    for _ in range(100):
        worlds.step(action)
    moved, rotation = tcp(worlds)
    way = np.zeros(3)
    way[axis] = (
        0.25 * six.arms[0].ee_speed_m_s * 100 * worlds.ticks_per_step / PHYSICS_HZ
    )
    np.testing.assert_allclose(moved - start, way, atol=0.012)
    np.testing.assert_allclose(rotation, turned, atol=0.03)


def test_ee_delta_mode_turns_the_hand_on_the_spot(six: Robot) -> None:
    worlds = at_work(six, control_mode="ee_delta", control_hz=200)
    action = still(worlds)
    (start, _) = tcp(worlds)
    action[0, 5] = 0.25
    for _ in range(200):
        worlds.step(action)
    moved, rotation = tcp(worlds)
    assert np.linalg.norm(moved - start) < 0.01
    x_axis = rotation.reshape(3, 3)[:, 0]
    assert np.arctan2(x_axis[1], x_axis[0]) == pytest.approx(
        0.25 * six.arms[0].ee_speed_rad_s, abs=0.1
    )


def test_the_gripper_closes_at_its_speed(six: Robot) -> None:
    worlds = at_work(six)
    action = still(worlds)
    width = worlds.agent_layout.slices()["gripper_width"]
    action[0, -1] = -1
    widths = []
    for _ in range(20):
        worlds.step(action)
        widths.append(worlds.observe().agent_pos[0, width][0])
    assert widths[4] == pytest.approx(0.09 - 0.2 * 0.25, abs=0.01)
    assert widths[-1] == pytest.approx(0, abs=0.002)


def test_a_mount_may_stand_elsewhere_and_be_turned(tmp_path: Path) -> None:
    mount = '[mount]\nbody = "base"\npos_w = [0.1, -0.2, 0.5]\nyaw_deg = 90\nstand = false\n'
    robot = load_robot(write_six(tmp_path, f"{TOML}\n{mount}"))
    place, _ = tcp(at_work(robot, factors={"joint_start": 0.0}))
    home, _ = tcp(
        at_work(load_robot(write_six(tmp_path, TOML)), factors={"joint_start": 0.0})
    )
    np.testing.assert_allclose(
        place, (0.1 - home[1], -0.2 + home[0], home[2] - 0.22), atol=1e-3
    )


def test_the_files_own_servos_may_stay(tmp_path: Path) -> None:
    own = "\n".join(
        f'<position name="{joint}_servo" joint="{joint}" kp="5000" kv="200"/>'
        for joint in ("elbow", "wrist1", "wrist2", "wrist3", "pan")
    )
    mjcf = MJCF.replace("</actuator>", f"{own}</actuator>")
    model = (
        load_robot(write_six(tmp_path, f'servos = "file"\n{TOML}', mjcf))
        .build()
        .compile()
    )
    assert model.nu == 7
    assert model.actuator("six_lift").gainprm[0] == 9000
    assert model.actuator("six_pan").gainprm[0] == 5000  # the motor is gone
    with pytest.raises(
        EmbodiedError, match=r"position servo .* of joint 'pan'. Available: lift"
    ):
        load_robot(write_six(tmp_path, f'servos = "file"\n{TOML}'))


def test_the_tool_may_be_a_place_on_a_body(tmp_path: Path, six: Robot) -> None:
    toml = TOML.replace(
        'site = "tool"', 'body = "hand"\npos = [0, 0, 0.15]\nquat_wxyz = [0, 0, 0, 1]'
    )
    model = load_robot(write_six(tmp_path, toml)).build().compile()
    np.testing.assert_allclose(
        model.site("six_tcp").pos, six.build().compile().site("six_tool").pos
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'mjcf = "six.xml"',
            'mjcf = "seven.xml"',
            "the MJCF file .*seven.xml does not compile",
        ),
        ("speeds = ", "spedes = ", "unknown key 'spedes'. Did you mean 'speeds'"),
        ('joints = ["left", "right"]', "", "it lacks gripper.joints"),
        (
            '"lift", ',
            '"lfit", ',
            r"unknown joint \(joints\) 'lfit'. Did you mean 'lift'\? Available: elbow, left",
        ),
        (
            '["left_tip",',
            '["left_top",',
            r"unknown geom \(gripper.pads\) 'left_top'.*left_tip",
        ),
        (
            'site = "tool"',
            'site = "tol"',
            r"unknown site \(tcp.site\) 'tol'. Did you mean 'tool'",
        ),
        ('site = "tool"', "", "either a site, or a body"),
        (
            "home = [0.0, ",
            "home = [",
            "home has 5 numbers, expected 6, one for each of pan, lift",
        ),
        (
            "home = [0.0, 0.0",
            "home = [0.0, 2.5",
            "home of six_lift is 2.5, outside of its range -1.92 to 1.92",
        ),
        (
            "home = [0.0, 0.0, 1.4",
            "home = [0.0, 0.0, 2.96",
            "at home six_.* and six_.* overlap by .* mm: exclude",
        ),
        (
            "2.5, 2.5, 2.5",
            '2.5, "2.5", 2.5',
            r"speeds\[1\] is '2.5', expected a number",
        ),
        (
            'name = "six"',
            'name = "six"\nservos = "none"',
            "unknown kind of servos 'none'",
        ),
        (
            "[tcp]",
            '[mount]\nbody = "bas"\n[tcp]',
            r"unknown body to mount \(mount.body\) 'bas'",
        ),
        ('name = "six"', "name = ", "no description can be read"),
    ],
)
def test_errors_in_a_description_name_what_is_wrong(
    old: str, new: str, said: str, tmp_path: Path
) -> None:
    assert old in TOML
    path = write_six(tmp_path, TOML.replace(old, new))
    with pytest.raises(EmbodiedError, match=f"six.toml: .*{said}"):
        load_robot(path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            '<body name="base">',
            '<body name="base"><freejoint name="loose"/>',
            "joint 'loose' is free",
        ),
        (
            '<joint name="lift" range="-110 110"/>',
            '<joint name="lift" range="0 0" limited="false"/>',
            "joint 'lift' has no range",
        ),
        (
            'axis="0 1 0" range="0 0.045"',
            'axis="0 1 0" range="-0.045 0"',
            "finger 'six_left' must slide from 0",
        ),
        ("<compiler", "<compile", "does not compile"),
    ],
)
def test_errors_in_a_model_name_what_is_wrong(
    old: str, new: str, said: str, tmp_path: Path
) -> None:
    assert old in MJCF
    with pytest.raises(EmbodiedError, match=said):
        load_robot(write_six(tmp_path, TOML, MJCF.replace(old, new)))


def test_meshes_are_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shapes").mkdir()
    corners = (
        "v 0 0 0\nv .1 0 0\nv 0 .1 0\nv 0 0 .1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"
    )
    (tmp_path / "shapes" / "wedge.obj").write_text(corners)
    mjcf = MJCF.replace("<compiler ", '<compiler meshdir="shapes" ').replace(
        "<worldbody>", '<asset><mesh name="wedge" file="wedge.obj"/></asset><worldbody>'
    )
    mjcf = mjcf.replace(
        '<body name="hand"',
        '<geom type="mesh" mesh="wedge" contype="0"/><body name="hand"',
    )
    path = write_six(tmp_path, TOML, mjcf)
    monkeypatch.chdir("/")
    assert (
        at_work(load_robot(path)).model.nmesh
        > at_work(load_robot(write_six(tmp_path, TOML))).model.nmesh
    )


def test_a_description_that_is_not_there() -> None:
    with pytest.raises(
        EmbodiedError, match=r"nowhere.toml: no description can be read"
    ):
        load_robot("nowhere.toml")


def test_descriptions_find_their_model_from_anywhere(tmp_path: Path) -> None:
    assert read_description(write_six(tmp_path, TOML)).mjcf == str(
        (tmp_path / "six.xml").resolve()
    )
