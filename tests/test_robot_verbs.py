"""`embodied robot`: a description is written by looking, and what it means is said."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embodied.cli.main import main
from embodied.cli.robot import check
from embodied.robots.described import placing
from embodied.robots.described.robot import load_robot
from embodied.robots.described.standing import StandingSearch
from embodied.robots.parts.suction import SuctionGripper
from tests.robot_models import at_home
from tests.six_arm import MJCF, TOML, write_six

# Small, as URDF has it: six joints, two fingers, a mesh in its package.
LINK = """<link name="{name}"><inertial><mass value="{mass}"/><inertia ixx="0.02" iyy="0.02" izz="0.02" ixy="0"
ixz="0" iyz="0"/></inertial><collision><origin xyz="{at}"/><geometry>{shape}</geometry></collision></link>"""
JOINT = """<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/><origin xyz="{at}"/>
<axis xyz="{axis}"/><limit lower="{low}" upper="{high}" effort="{effort}" velocity="{speed}"/></joint>"""
WEDGE = "v 0 0 0\nv .05 0 0\nv 0 .05 0\nv 0 0 .05\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"


@pytest.fixture(autouse=True)
def few_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks of robots look at two tasks: each of all thirteen takes a second."""
    monkeypatch.setattr(check, "loadable_tasks", lambda: ["ToteTransfer", "GaugeCheck"])


def urdf() -> str:
    """An arm of our own, whose first link is a mesh that it names by its package."""
    mesh = '<mesh filename="package://our_arm/meshes/wedge.obj"/>'
    links = [
        ("base", 4, "0 0 0", mesh),
        ("turret", 3, "0 0 0.08", box(0.05, 0.05, 0.03)),
    ]
    names = ("upper", "fore", "wrist", "cross", "hand")
    for name, length in zip(names, (0.36, 0.34, 0.05, 0.05, 0.06), strict=True):
        shape = box(0.05, 0.05, length)
        links.append((name, 1, f"0 0 {length / 2 + 0.03:g}", shape))
    for name, y in (("left", 0.006), ("right", -0.006)):
        links.append((name, 0.05, f"0 {y} 0.03", box(0.02, 0.012, 0.06)))
    joints = [
        ("pan", "base", "turret", "0 0 0.05", "0 0 1"),
        ("lift", "turret", "upper", "0 0 0.1", "0 1 0"),
        ("elbow", "upper", "fore", "0 0 0.42", "0 1 0"),
        ("flex", "fore", "wrist", "0 0 0.40", "0 1 0"),
        ("bend", "wrist", "cross", "0 0 0.10", "1 0 0"),
        ("roll", "cross", "hand", "0 0 0.10", "0 0 1"),
    ]
    text = [
        LINK.format(name=name, mass=mass, at=at, shape=shape)
        for name, mass, at, shape in links
    ]
    for name, parent, child, at, axis in joints:
        text.append(joint(name, "revolute", parent, child, at, axis, (-2.6, 2.6)))
    text.append(
        joint("left", "prismatic", "hand", "left", "0 0 0.09", "0 1 0", (0, 0.04))
    )
    text.append(
        joint("right", "prismatic", "hand", "right", "0 0 0.09", "0 1 0", (-0.04, 0))
    )
    return f'<robot name="ours">{"".join(text)}</robot>'


def box(x: float, y: float, z: float) -> str:
    return f'<box size="{x} {y} {z}"/>'


def joint(
    name: str,
    kind: str,
    parent: str,
    child: str,
    at: str,
    axis: str,
    limits: tuple[float, float],
) -> str:
    effort = 30 if kind == "prismatic" else 120
    return JOINT.format(
        name=name,
        kind=kind,
        parent=parent,
        child=child,
        at=at,
        axis=axis,
        low=limits[0],
        high=limits[1],
        effort=effort,
        speed=1.7,
    )


@pytest.mark.slow
def test_new_describes_an_mjcf_file(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # the search for a mount takes seconds; tests/test_described_standing.py tests it
    monkeypatch.setattr(placing, "best_mount", lambda search, mount, home_w: mount)
    monkeypatch.setattr(StandingSearch, "best", lambda search, mount: None)
    write_six(tmp_path)
    path = tmp_path / "out" / "new.toml"
    path.parent.mkdir()

    assert main(["robot", "new", str(tmp_path / "six.xml"), "-o", str(path)]) == 0

    # it is the arm that the page describes by hand; the file's folder is another
    assert "guessed  speeds" in capsys.readouterr().out
    made = load_robot(path)
    by_hand = load_robot(tmp_path / "six.toml")
    assert 'mjcf = "../six.xml"' in path.read_text()
    assert made.arms[0].joints.elements == by_hand.arms[0].joints.elements
    assert made.grippers[0].width_m == pytest.approx(by_hand.grippers[0].width_m)
    assert made.cameras == by_hand.cameras
    assert made.arms[0].joints.home[0] == pytest.approx(0, abs=0.05)


@pytest.mark.slow
def test_new_describes_a_cup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # the search for a mount takes seconds
    monkeypatch.setattr(placing, "best_mount", lambda search, mount, home_w: mount)
    monkeypatch.setattr(StandingSearch, "best", lambda search, mount: None)
    write_six(tmp_path)
    start = MJCF.index('<body name="left"')
    end = MJCF.index("</body>\n              </body>", start)
    (tmp_path / "cup.xml").write_text(MJCF[:start] + MJCF[end:])
    path = tmp_path / "cup.toml"

    words = [
        "robot",
        "new",
        str(tmp_path / "cup.xml"),
        "--cup",
        "tool",
        "-o",
        str(path),
    ]
    assert main(words) == 0

    robot = load_robot(path)
    assert isinstance(robot.grippers[0], SuctionGripper)
    # the tool point is the site, wherever the description says so
    tool = robot.tools_at_home["tcp"]
    np.testing.assert_allclose(tool.pos, (0.45, 0, 0.25), atol=0.005)


@pytest.mark.slow
def test_new_describes_a_urdf_whose_mesh_is_in_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the search for a mount takes seconds
    monkeypatch.setattr(placing, "best_mount", lambda search, mount, home_w: mount)
    monkeypatch.setattr(StandingSearch, "best", lambda search, mount: None)
    package = tmp_path / "our_arm"
    (package / "urdf").mkdir(parents=True)
    (package / "meshes").mkdir()
    (package / "meshes" / "wedge.obj").write_text(WEDGE)
    (package / "urdf" / "arm.urdf").write_text(urdf())
    monkeypatch.chdir(tmp_path)

    assert main(["robot", "new", "our_arm/urdf/arm.urdf"]) == 0

    robot = load_robot("ours.toml")
    assert robot.arms[0].joints.speeds == (1.7,) * 6
    assert robot.grippers[0].width_m == pytest.approx(0.08, abs=1e-3)
    model = robot.build().compile()
    assert model.actuator("ours_lift").forcerange[1] == 120
    assert model.actuator("gripper").forcerange[1] == pytest.approx(30)


@pytest.mark.slow
def test_new_keeps_the_tools_x_ahead_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else experts would turn the hand by half before they do anything."""
    # the search for a mount takes minutes here, and the home is found before it
    monkeypatch.setattr(placing, "best_mount", lambda search, mount, home_w: mount)
    monkeypatch.setattr(StandingSearch, "best", lambda search, mount: None)
    # the wrist does not turn far enough to have the hand the other way round
    mjcf = MJCF.replace(
        '"wrist3" axis="0 0 1"', '"wrist3" axis="0 0 1" range="100 260"'
    )
    assert mjcf != MJCF
    write_six(tmp_path, TOML, mjcf)
    path = tmp_path / "new.toml"

    assert main(["robot", "new", str(tmp_path / "six.xml"), "-o", str(path)]) == 0

    robot = load_robot(path)
    model = robot.build().compile()
    data = at_home(model)
    x_axis_w = data.site(robot.effectors[0].site).xmat.reshape(3, 3)[:, 0]
    assert x_axis_w == pytest.approx([1, 0, 0], abs=0.02)


@pytest.mark.slow
def test_new_leaves_a_draft_of_what_it_does_not_understand(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # the search for a mount takes seconds
    monkeypatch.setattr(placing, "best_mount", lambda search, mount, home_w: mount)
    monkeypatch.setattr(StandingSearch, "best", lambda search, mount: None)
    stuck = MJCF.replace('range="0 0.045"', 'range="0 0.001"')
    assert stuck != MJCF
    write_six(tmp_path, TOML, stuck)
    path = tmp_path / "new.toml"

    assert main(["robot", "new", str(tmp_path / "six.xml"), "-o", str(path)]) == 2

    said = capsys.readouterr().err
    assert "the gripper opens only from" in said
    assert f"{path} has the rest" in said
    # what the draft says is all there; with a hand that opens it would be a robot
    write_six(tmp_path)
    assert load_robot(path).arms[0].joints.elements


def test_check_doubts_a_tool_whose_x_is_backwards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mjcf = MJCF.replace('euler="0 0 180"', 'euler="0 0 0"')
    assert mjcf != MJCF
    path = write_six(tmp_path, TOML, mjcf)
    assert main(["robot", "check", str(path)]) == 1
    said = capsys.readouterr().out
    assert "the x axis of tcp points backwards at home" in said

    # what it says to write is right
    keys = re.search(
        r"write tcp.body = '(.*)', tcp.pos = (.*), tcp.quat_wxyz = (.*)", said
    )
    assert keys is not None
    body, pos, quat = keys.groups()
    toml = TOML.replace(
        'site = "tool"', f'body = "{body}"\npos = {pos}\nquat_wxyz = {quat}'
    )
    assert main(["robot", "check", str(write_six(tmp_path, toml, mjcf))]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere.xml"], "nowhere.xml: correct the path that was typed"),
        (
            ["six.xml", "--gripper", "nowhere.xml", "--on", "tool"],
            "nowhere.xml: correct the path after --gripper",
        ),
        (["six.toml"], "does not compile"),
        (["six.xml", "-o", "six.toml"], "six.toml exists: choose another with -o"),
        (["six.xml", "-o", "six.yaml"], "a description's name ends in .toml"),
        (["six.xml", "--on", "hand"], "--on says where --gripper sits: give both"),
        (["bare.xml", "--cup", "lip"], "site behind the arm's last joint (--cup)"),
        (["bare.xml"], "no gripper is found behind the joint 'wrist3'"),
        (["stick.xml"], "no arm is found: the longest chain of hinges has 1 joints"),
        (["lost.urdf"], "lost.urdf is neither beside the file nor in a folder above"),
        (
            ["dae.urdf"],
            "wedge.dae: convert it to one of .stl, .obj, .msh, and name that",
        ),
    ],
)
def test_what_new_cannot_do_is_said(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_six(tmp_path)
    start = MJCF.index('<body name="left"')
    end = MJCF.index("</body>\n              </body>", start)
    (tmp_path / "bare.xml").write_text(MJCF[:start] + MJCF[end:])
    (tmp_path / "stick.xml").write_text(
        '<mujoco><worldbody><body><joint/><geom size="1"/></body></worldbody></mujoco>'
    )
    (tmp_path / "lost.urdf").write_text(urdf())
    (tmp_path / "wedge.dae").write_text("")
    (tmp_path / "dae.urdf").write_text(urdf().replace("wedge.obj", "wedge.dae"))
    monkeypatch.chdir(tmp_path)

    assert main(["robot", "new", *words]) == 2

    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_check_says_what_was_understood(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_six(tmp_path)

    assert main(["robot", "check", str(path)]) == 0

    said = capsys.readouterr().out
    assert "0 to 90 mm wide, 70 N" in said
    assert "ToteTransfer: fits, and reaches all of its 6 farthest places" in said
    assert "left out: 2 actuators, 1 sensors, 1 keyframes" in said
    assert "GaugeCheck: lacks a base that travels" in said
    assert "nothing is doubtful" in said
    assert f"embodied eval ToteTransfer --robot {path} --policy expert" in said


def test_check_measures_how_late_joints_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mjcf = MJCF.replace('gear="100"', 'gear="2"')  # a motor that is too weak
    assert mjcf != MJCF
    path = write_six(tmp_path, TOML, mjcf)

    assert main(["robot", "check", str(path), "--json"]) == 1

    account = json.loads(capsys.readouterr().out)
    late = [one["name"] for one in account["joints"] if one["lag_s"] > 0.06]
    assert late == ["pan"]
    assert any("joint pan follows" in doubt for doubt in account["doubts"])


def test_check_names_a_joint_that_is_too_weak_for_what_a_task_lifts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mjcf = MJCF.replace("-150 150", "-3 3")
    assert mjcf != MJCF
    path = write_six(tmp_path, TOML, mjcf)

    assert main(["robot", "check", str(path)]) == 1

    said = capsys.readouterr().out
    assert re.search(
        r"in ToteTransfer, joint lift holds 0.\d+ kg at .* and 0.6 kg are to be lifted",
        said,
    )


def test_check_says_where_the_robot_stands_in_a_scene(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A hand that starts in a tote would fail there, and nothing would say why."""
    low = TOML + "\n[mount]\npos_w = [0.1, 0.0, 0.40]\n"
    path = write_six(tmp_path, low)

    assert main(["robot", "check", str(path)]) == 1

    doubts = re.findall(
        "at home (six_.*) and (.*) of (.*) overlap by", capsys.readouterr().out
    )
    assert doubts
    assert all(not other.startswith("six_") for _, other, _ in doubts)


def test_check_names_places_out_of_reach(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its arm is long enough for the task, but it stands too far from the rack."""
    far = TOML + "\n[mount]\npos_w = [0.0, -0.3, 0.72]\n"
    path = write_six(tmp_path, far)

    assert main(["robot", "check", str(path), "--json"]) == 1

    account = json.loads(capsys.readouterr().out)
    task = account["tasks"]["ToteTransfer"]
    assert task["lacks"] == []
    assert task["places"] == 6
    assert "the far end of the rack" in task["missed"]
    assert "the end of the belt" not in task["missed"]
    (doubt,) = (doubt for doubt in account["doubts"] if "in ToteTransfer" in doubt)
    assert "does not reach above the far end of the rack, the far end" in doubt


def test_check_draws_the_robot(tmp_path: Path) -> None:
    path = write_six(tmp_path)
    picture = tmp_path / "six.png"

    main(["robot", "check", str(path), "--picture", str(picture)])

    pixels = np.asarray(Image.open(picture))
    assert pixels.shape == (480, 3 * 480, 3)
    opened = pixels[:, 480:960].astype(int)
    closed = pixels[:, 960:].astype(int)
    assert np.abs(opened - closed).max() > 50  # the fingers have moved
