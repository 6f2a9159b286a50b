"""Names that authors of robots and tasks choose: one rule, checked where they enter."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import mujoco
import pytest
from stable_baselines3.common.torch_layers import CombinedExtractor
from stable_baselines3.common.vec_env import VecTransposeImage

from embodied.datasets.reader import Dataset
from embodied.datasets.recorder import Recorder
from embodied.datasets.replay import replay
from embodied.datasets.schema import Header
from embodied.datasets.writer import EpisodeWriter
from embodied.envs.models import choose_cameras
from embodied.envs.sb3 import SB3VecEnv
from embodied.envs.vector_env import GroundVectorEnv
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.names import as_name, check_names, is_name
from embodied.policies.registry import find_policy
from embodied.robots import ARM, load_robot
from embodied.robots.parts.part import Joints
from embodied.robots.robot import Robot
from embodied.rollout.rollout import rollout
from tests.ground import env_config, shorten_horizon
from tests.six_arm import MJCF, TOML, write_six

GOOD = ["eye", "hand_eye", "hand-eye", "2nd", "_", "A", "keys", "train", "obs_image"]
BAD = [
    "hand/eye",
    "hand.eye",
    "hand eye",
    "",
    ".",
    "..",
    "/",
    "-v",
    "näh",
    "目",
    "a\nb",
    "a\0b",
    "a:b",
    "eye ",
]


@pytest.mark.parametrize("name", GOOD)
def test_what_is_a_name(name: str) -> None:
    assert is_name(name)
    assert as_name(name) == name


@pytest.mark.parametrize("name", [*BAD, None, 3, b"eye", ("eye",)])
def test_what_is_none(name: object) -> None:
    assert not is_name(name)
    with pytest.raises(EmbodiedError, match="no camera of robot six can be") as refused:
        check_names("camera of robot six", ["eye", name])
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("text", BAD)
def test_every_text_becomes_a_name(text: str) -> None:
    assert is_name(as_name(text))


def test_a_name_occurs_once() -> None:
    with pytest.raises(EmbodiedError, match="'eye' names more than one camera"):
        check_names("camera", ["eye", "other", "eye"])


def renamed(what: str, name: str) -> Robot:
    """The arm, with something in it renamed."""
    base, arm, gripper = ARM.parts
    if what == "robot":
        return replace(ARM, name=name)
    if what == "part":
        base = replace(base, name=name)
        arm = replace(arm, on=name)
    elif what == "camera":
        arm = replace(arm, cameras=(name,))
    elif what == "effector":
        gripper = replace(gripper, tool=replace(gripper.tool, name=name))
    else:
        labels = (name, *arm.joints.names[1:])
        arm = replace(arm, joints=replace(arm.joints, labels=labels))
    return Robot("mine", (base, arm, gripper))


@pytest.mark.parametrize("what", ["robot", "part", "camera", "effector", "joint"])
def test_a_robot_refuses_names_that_cannot_be_stored(what: str) -> None:
    assert renamed(what, "good-name")
    for name in BAD:
        with pytest.raises(EmbodiedError, match=f"no {what}.* can be named") as refused:
            renamed(what, name)
        assert len(str(refused.value).splitlines()) == 1


def test_two_cameras_of_a_robot_differ() -> None:
    base, arm, gripper = ARM.parts
    twins = replace(arm, cameras=("eye", "eye"))
    with pytest.raises(EmbodiedError, match="'eye' names more than one camera of"):
        Robot("mine", (base, twins, gripper))


def test_joints_of_a_file_may_be_called_anything(tmp_path: Path) -> None:
    """They are labels only, so they are written in another way."""
    mjcf = MJCF.replace('"pan"', '"left/pan.1"')
    path = write_six(tmp_path, TOML.replace('"pan"', '"left/pan.1"'), mjcf)
    robot = load_robot(path)
    assert robot.interface("joint").labels[0] == "arm.left_pan_1"
    assert robot.joint_names[0] == "six_left/pan.1"
    twin = robot.prefixed("other_")
    assert twin.interface("joint").labels[0] == "other_arm.left_pan_1"

    assert Joints(names=("a/b",)).elements == ("a_b",)


@pytest.mark.parametrize("name", ["hand/eye", "hand.eye"])
def test_a_camera_of_a_file_must_have_a_name(tmp_path: Path, name: str) -> None:
    mjcf = MJCF.replace('name="eye"', f'name="{name}"')
    path = write_six(tmp_path, TOML.replace('"eye"', f'"{name}"'), mjcf)
    with pytest.raises(EmbodiedError, match=rf"{path}: no camera of robot six can be"):
        load_robot(path)


def test_a_camera_that_only_the_scene_has(tmp_path: Path) -> None:
    spec = mujoco.MjSpec()
    for name in ("top.view", "good"):
        spec.worldbody.add_camera(name=name)
    model = spec.compile()

    config = env_config(obs="both", cameras=("good",))
    assert choose_cameras(config, (), model) == ("good",)
    for cameras in (("good", "top.view"), ("good", "good")):
        config = env_config(obs="both", cameras=cameras)
        with pytest.raises(EmbodiedError, match="camera that observations show"):
            choose_cameras(config, (), model)


def test_a_name_by_the_rule_works_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A camera is recorded, read, replayed, and learned from."""
    shorten_horizon(monkeypatch, 0.3)
    mjcf = MJCF.replace('name="eye"', 'name="hand-eye_2"')
    robot = load_robot(write_six(tmp_path, TOML.replace('"eye"', '"hand-eye_2"'), mjcf))
    config = env_config(robot=robot, obs="both", cameras=("six_hand-eye_2",))

    path = tmp_path / "set.hdf5"
    with closing(Worlds(config)) as worlds:
        header = Header(worlds.metadata(), "random")
        with EpisodeWriter(path, header) as writer:
            policy = find_policy("random").make(worlds)
            rollout(worlds, policy, [0], [Recorder(writer)])
    with Dataset(path) as dataset:
        assert dataset.read(0, "obs/six_hand-eye_2_image").std() > 0
    (report,) = replay(path, lambda metadata: Worlds(config))
    assert report.identical

    with closing(GroundVectorEnv(config, 1)) as env:
        space = VecTransposeImage(SB3VecEnv(env)).observation_space
        assert CombinedExtractor(space).features_dim > 0
