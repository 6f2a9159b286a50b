"""Two arms of one file, as two `[[arm]]` tables."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from embodied.cli.main import main
from embodied.errors import EmbodiedError
from embodied.robots.described import home, standing
from embodied.robots.described.description import read_description
from embodied.robots.described.mounting import WORK_W
from embodied.robots.described.robot import load_robot
from tests.ground import idle_action
from tests.six_arm import MJCF, TOML, started_worlds, write_six

ARM = MJCF[MJCF.index('<body name="base">') : MJCF.index("</worldbody>")]
# of a pattern: `.` matches line ends, `^` the beginnings of lines
DOTALL = re.DOTALL | re.MULTILINE
JOINTS = ("pan", "lift", "elbow", "wrist1", "wrist2", "wrist3")


def arm_of(side: str, y_m: float) -> str:
    """The arm with the side before all its names, beside the file's origin."""
    named = re.sub(r'name="(\w+)"', rf'name="{side}_\1"', ARM)
    return named.replace("<body ", f'<body pos="0 {y_m} 0" ', 1)


def table_of(side: str) -> str:
    home = re.search(r"^home = .*$", TOML, flags=re.MULTILINE)
    speeds = re.search(r"^speeds = .*$", TOML, flags=re.MULTILINE)
    assert home
    assert speeds
    names = ", ".join(f'"{side}_{joint}"' for joint in JOINTS)
    return f"""
[[arm]]
name = "{side}"
joints = [{names}]
{speeds.group()}
{home.group()}
gripper = {{ joints = ["{side}_left", "{side}_right"] }}
tcp = {{ site = "{side}_tool" }}
"""


def write_twins(folder: Path, toml: str = "") -> Path:
    arms = arm_of("l", 0.25) + arm_of("r", -0.25)
    mjcf = MJCF.replace(ARM, arms)
    mjcf = re.sub(r"<actuator>.*</keyframe>", "", mjcf, flags=re.DOTALL)
    head = 'name = "twins"\nmjcf = "six.xml"\ncameras = ["l_eye", "r_eye"]\n'
    return write_six(folder, toml or head + table_of("l") + table_of("r"), mjcf)


def test_each_arm_has_its_own_actions_and_effector(tmp_path: Path) -> None:
    robot = load_robot(write_twins(tmp_path))

    assert [part.name for part in robot.parts] == [
        "base",
        "l_arm",
        "l_gripper",
        "r_arm",
        "r_gripper",
    ]
    assert [effector.name for effector in robot.effectors] == ["l_tcp", "r_tcp"]
    assert robot.cameras == ("twins_l_eye", "twins_r_eye")

    worlds = started_worlds(robot, control_mode="joint_delta")
    labels = list(worlds.interface.labels)
    action = idle_action(worlds)
    action[0, labels.index("r_arm.r_pan")] = 0.2
    action[0, labels.index("r_gripper.width")] = -1
    start = worlds.control.joints().copy()
    for _ in range(20):
        worlds.step(action)

    moved = (worlds.control.joints() - start)[0]
    assert moved[6] == pytest.approx(0.2 * 2.5, abs=0.1)
    assert np.abs(np.delete(moved, 6)).max() < 0.02
    seen = worlds.observe().agent_pos[0]
    parts = worlds.agent_layout.slices()
    # an idle action is half the width
    assert seen[parts["l_gripper_width"]] == pytest.approx(0.045, abs=2e-3)
    assert seen[parts["r_gripper_width"]] == pytest.approx(0, abs=2e-3)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "r"', 'name = "l"', "'l' names more than one arm"),
        ('name = "r"\n', "", "no arm .* can be named ''"),
        ('"r_pan"', '"l_pan"', "joints names 'l_pan' twice"),
        ("cameras", "speeds = [1]\ncameras", r"speeds and \[\[arm\]\] are both given"),
        ('"r_pan", ', "", r"speeds has 6 numbers, expected 5"),
    ],
)
def test_what_does_not_go_together_is_said(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    path = write_twins(tmp_path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))

    with pytest.raises(EmbodiedError, match=message):
        load_robot(path)


@pytest.fixture
def drawers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hands must reach drawers alone, so that the search for a mount takes a second."""
    monkeypatch.setattr(standing, "WORK_W", WORK_W[:2])
    monkeypatch.setattr(standing, "BUTTONS_W", ())
    monkeypatch.setattr(home, "STARTS", 8)


@pytest.mark.slow
@pytest.mark.usefixtures("drawers_alone")
def test_new_describes_both_and_check_shows_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_twins(tmp_path)
    path = tmp_path / "new.toml"
    words = ["robot", "new", str(tmp_path / "six.xml"), "--name", "twins", "-o"]

    assert main([*words, str(path)]) == 0
    left, right = read_description(path).arm
    assert (left.name, right.name) == ("left", "right")
    assert left.joints == tuple(f"l_{joint}" for joint in JOINTS)
    assert right.gripper.joints == ("r_left", "r_right")
    assert path.read_text().count("[[arm]]\nname = ") == 2

    # the hands start beside each other
    tools = load_robot(path).tools_at_home
    assert tools["left_tcp"].pos[1] - tools["right_tcp"].pos[1] == pytest.approx(
        0.4, abs=0.01
    )
    capsys.readouterr()
    main(["robot", "check", str(path)])
    said = capsys.readouterr().out
    assert re.search(r"^l_pan .*^r_pan .*left_gripper: .*right_gripper: ", said, DOTALL)


@pytest.mark.slow
@pytest.mark.usefixtures("drawers_alone")
def test_the_arm_that_reaches_its_work_comes_first(tmp_path: Path) -> None:
    """Experts of one hand work with the first arm."""
    path = write_twins(tmp_path)
    mjcf = path.with_name("six.xml")
    text = mjcf.read_text()
    # the left arm can't turn ahead
    pan = '<joint name="l_pan" axis="0 0 1"'
    assert pan in text
    mjcf.write_text(text.replace(pan, f'{pan} range="60 100"'))
    path = tmp_path / "new.toml"
    words = ["robot", "new", str(mjcf), "--name", "twins", "-o"]

    assert main([*words, str(path)]) == 0

    assert [arm.name for arm in read_description(path).arm] == ["right", "left"]


@pytest.mark.slow
@pytest.mark.usefixtures("drawers_alone")
def test_new_describes_one_arm_on_request(tmp_path: Path) -> None:
    write_twins(tmp_path)
    path = tmp_path / "new.toml"
    words = ["robot", "new", str(tmp_path / "six.xml"), "--arms", "1", "-o", str(path)]

    assert main(words) == 0
    description = read_description(path)
    assert not description.arm
    assert description.joints[0] == "l_pan"


def test_new_wants_a_gripper_for_each_arm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_twins(tmp_path)
    file = str(tmp_path / "six.xml")

    assert main(["robot", "new", file, "--gripper", file, file, file]) != 0
    said = capsys.readouterr().err
    assert "--gripper names 3, and the model has the arms left and right" in said
    assert "--arms 1" in said
