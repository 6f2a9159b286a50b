"""A robot by description is known by what its files hold, wherever they lie."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from embodied.cli.robot_argument import UNKNOWN, robot_of_dataset
from embodied.envs.registry import get_robot
from embodied.robots.described.content import content_hash
from embodied.robots.described.description import read_description
from tests.commands import embodied
from tests.six_arm import MJCF, TOML, write_six

WEDGE = "v 0 0 0\nv .05 0 0\nv 0 .05 0\nv 0 0 .05\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n"
LIGHT = '<mujoco><worldbody><light name="lamp" pos="0 0 {}"/></worldbody></mujoco>'


def write_parts(folder: Path) -> Path:
    """The arm in pieces: a mesh, an included file, and a gripper's file of its own."""
    start = MJCF.index('<body name="left"')
    end = MJCF.index("</body>\n              </body>", start)
    fingers = MJCF[start:end]
    mjcf = MJCF[:start] + MJCF[end:]
    mjcf = mjcf.replace('<light name="lamp" pos="0 0 3"/>', "")
    mjcf = mjcf.replace(
        "<worldbody>",
        '<include file="parts/light.xml"/><asset><mesh name="wedge" file="wedge.obj"/>'
        "</asset><worldbody>",
        1,
    )
    mjcf = mjcf.replace('angle="degree"', 'angle="degree" meshdir="shapes"')
    mjcf = mjcf.replace(
        '<geom type="cylinder" size="0.06 0.045"/>',
        '<geom type="mesh" mesh="wedge"/>',
    )
    for name in ("parts", "shapes"):
        (folder / name).mkdir(parents=True)
    (folder / "parts" / "light.xml").write_text(LIGHT.format(3))
    (folder / "shapes" / "wedge.obj").write_text(WEDGE)
    (folder / "fingers.xml").write_text(
        '<mujoco><compiler angle="degree" autolimits="true"/><worldbody>'
        f'<body name="palm">{fingers}</body></worldbody></mujoco>'
    )
    toml = TOML.replace("[gripper]", '[gripper]\nmjcf = "fingers.xml"\non = "hand"')
    return write_six(folder, toml, mjcf)


def replacing(file: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        text = (folder / file).read_text()
        assert old in text
        (folder / file).write_text(text.replace(old, new))

    return change


# what is changed in the folder, and whether it is another robot then
CHANGES = {
    "a speed": (replacing("six.toml", "4.0, 4.0, 4.0", "4.0, 4.0, 4.1"), True),
    "a name": (replacing("six.toml", 'name = "six"', 'name = "seven"'), True),
    "a key that has its default": (
        replacing("six.toml", "[tcp]", "[mount]\nyaw_deg = 0\n[tcp]"),
        False,
    ),
    "a comment": (replacing("six.toml", "at most", "at the most"), False),
    "the model": (replacing("six.xml", 'density="1500"', 'density="1501"'), True),
    "what it includes": (replacing("parts/light.xml", "0 0 3", "0 0 4"), True),
    "a mesh": (replacing("shapes/wedge.obj", ".05 0 0", ".06 0 0"), True),
    "the gripper": (replacing("fingers.xml", "0 0.045", "0 0.044"), True),
}


@pytest.mark.parametrize("name", CHANGES)
def test_it_is_another_robot_once_anything_it_holds_is_another(
    name: str, tmp_path: Path
) -> None:
    change, is_another = CHANGES[name]
    before = content_hash(read_description(write_parts(tmp_path / "here")))
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    path = tmp_path / "there" / "six.toml"
    assert content_hash(read_description(path)) == before

    change(tmp_path / "there")

    assert (content_hash(read_description(path)) != before) == is_another


def test_a_changed_mesh_is_noticed_without_a_new_process(tmp_path: Path) -> None:
    path = write_parts(tmp_path / "here")
    before = get_robot(str(path))
    assert get_robot(str(path)) is before

    CHANGES["a mesh"][0](tmp_path / "here")

    assert get_robot(str(path)).content_hash != before.content_hash


LEAST = ("--policy", "random", "--level", "L1", "--episodes", "1", "--workers", "1")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a robot, and an episode that it did."""
    folder = tmp_path_factory.mktemp("recorded")
    words = ["collect", "PanelReset", "--robot", write_parts(folder / "six"), *LEAST]
    assert embodied(*words, "-o", folder / "one.hdf5") == 0
    return folder


@pytest.mark.parametrize("name", [None, "a speed", "a mesh"])
def test_what_it_did_replays_with_the_same_robot_alone(
    name: str | None,
    recorded: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(recorded / "six", tmp_path / "six")
    robot = tmp_path / "six" / "six.toml"
    words = ["data", "replay", recorded / "one.hdf5", "--verify", "--robot", robot]
    if name is None:
        assert embodied(*words) == 0
        return

    CHANGES[name][0](tmp_path / "six")

    assert embodied(*words) != 0
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "it was recorded with the robot 'six' of content" in said
    assert "six.toml is 'six' of content" in said


@pytest.mark.slow
def test_the_description_of_a_dataset_is_found_for_the_next_command(
    recorded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what it holds: another description of the same name is another robot."""
    dataset = recorded / "one.hdf5"
    assert robot_of_dataset(dataset) == UNKNOWN

    monkeypatch.chdir(recorded / "six")
    assert robot_of_dataset(dataset) == "six.toml"

    shutil.copytree(recorded / "six", tmp_path / "six")
    CHANGES["a speed"][0](tmp_path / "six")
    monkeypatch.chdir(tmp_path / "six")
    assert robot_of_dataset(dataset) == UNKNOWN


def test_results_reproduce_and_compare_with_the_same_robot_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    robot = write_parts(tmp_path / "six")
    words = ["eval", "PanelReset", "--robot", robot, *LEAST, "-o"]
    one = tmp_path / "one"
    assert embodied(*words, one) == 0

    CHANGES["a speed"][0](tmp_path / "six")

    assert embodied("eval", "--reproduce", one) != 0
    assert "measured with the robot 'six' of content" in capsys.readouterr().err
    assert embodied(*words, one, "--resume") != 0
    assert "cannot be resumed: its robot_hash is" in capsys.readouterr().err
    assert embodied(*words, tmp_path / "other") == 0
    assert embodied("compare", one, tmp_path / "other") != 0
    assert "they differ in the content of robot six" in capsys.readouterr().err
