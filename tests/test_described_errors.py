"""Errors in a description, or in its model, name what is wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from embodied.errors import EmbodiedError
from embodied.robots.described.robot import load_robot
from tests.six_arm import MJCF, TOML, write_six


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'mjcf = "six.xml"',
            'mjcf = "seven.xml"',
            "there is no model file .*seven.xml: correct the key mjcf",
        ),
        ("speeds = ", "spedes = ", "unknown key 'spedes'. Did you mean 'speeds'"),
        ('joints = ["left", "right"]', "", "gripper.joints must name at least one"),
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
            "home of six_lift is 2.5, outside its range -1.92 to 1.92",
        ),
        (
            "home = [0.0, 0.0, 1.4",
            "home = [0.0, 0.0, 2.96",
            "at home six_.* and six_.* overlap by .* mm: choose another home than .*"
            "elbow 2.96, .*exclude",
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
        (
            'name = "six"',
            'name = "six"\nexclude = [["base", "hnad"]]',
            r"unknown body \(exclude\) 'hnad'. Did you mean 'hand'",
        ),
        (
            'name = "six"',
            'name = "six"\nexclude = [["base"]]',
            r"exclude has \['base'\], expected the names of two bodies",
        ),
        (
            'name = "six"',
            'name = "six"\nexclude = ["base", "hand"]',
            r"exclude\[0\] is 'base', expected strings",
        ),
        ('name = "six"', "name = ", "no description can be read"),
        ('name = "six"', 'name = ""', r"no robot \(name\) can be named ''"),
        ('name = "six"', 'name = "a/b"', r"no robot \(name\) can be named 'a/b'"),
        ('name = "six"', 'name = "six"\nversion = 2', "version is 2, and .* reads 1"),
        # numbers
        ("speeds = [2.5", "speeds = [0", "speeds is 0, expected 0.01 to 100"),
        ("speeds = [2.5", "speeds = [-1", "speeds is -1, expected 0.01 to 100"),
        ("speeds = [2.5", "speeds = [nan", r"speeds\[0\] is nan, expected a finite"),
        (
            "[gripper]",
            "[gripper]\nforce_n = 0",
            "gripper.force_n is 0, expected 0.1 to 10000",
        ),
        (
            "[gripper]",
            "[gripper]\nforce_n = -5",
            "gripper.force_n is -5, expected 0.1 to 10000",
        ),
        (
            "[gripper]",
            "[gripper]\nspeed_m_s = 0",
            "gripper.speed_m_s is 0, expected 0.005 to 5",
        ),
        (
            "[tcp]",
            "[mount]\npos_w = [0, 0, 0]\n[tcp]",
            "mount.pos_w has a height of 0 m.*mount.stand = false",
        ),
        (
            'site = "tool"',
            'body = "hand"\nquat_wxyz = [0, 0, 0, 0]',
            "tcp.quat_wxyz is all zeros",
        ),
        ("cameras = ", "ee_speed_m_s = 1e9\ncameras = ", "ee_speed_m_s is 1e\\+09"),
        # names
        ('"pan", "lift"', '"pan", "pan"', "joints names 'pan' twice"),
        ('["left", "right"]', '["left", "left"]', "gripper.joints names 'left' twice"),
        (
            '["left", "right"]',
            '["left", "elbow"]',
            "'elbow' is among joints and gripper.joints",
        ),
        (
            '"pan", "lift"',
            '"left", "lift"',
            "'left' is among joints and gripper.joints",
        ),
        # the gripper's postures
        (
            "[gripper]",
            "[gripper]\nopen = [0.04, 0.04]",
            "gripper.closed and gripper.open go together",
        ),
        (
            "[gripper]",
            "[gripper]\nclosed = [0.04, 0.04]\nopen = [0, 0]",
            "mm from the tcp at gripper.closed and .* at gripper.open: exchange",
        ),
        (
            "[gripper]",
            "[gripper]\nclosed = [0, 0]\nopen = [0, 0]",
            "nothing moves between gripper.closed",
        ),
        # the tool point's frame: each message has the frame to write
        (
            'site = "tool"',
            'body = "hand"\npos = [0, 0, 0.15]\nquat_wxyz = [1, 0, 0, 1]',
            r"its y is 90 degrees off .* fingers open; write tcp.body = \"hand\"",
        ),
        (
            'site = "tool"',
            'body = "hand"\npos = [0, 0, 0.15]\nquat_wxyz = [0, 0, 1, 0]',
            "its z is 180 degrees off the direction out of the hand",
        ),
        (
            'site = "tool"',
            'body = "hand"\npos = [0, 0, 0.5]',
            r"not between the fingers: rays from it along \+y and -y do not hit two",
        ),
    ],
)
def test_errors_in_a_description_name_what_is_wrong(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    assert old in TOML  # or nothing would be replaced
    path = write_six(tmp_path, TOML.replace(old, new))

    with pytest.raises(EmbodiedError, match=f"six.toml: .*{message}"):
        load_robot(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            '<joint name="lift" range="-110 110"/>',
            '<joint name="lift" type="slide" range="0 1"/>',
            "joint 'lift' is sliding, and joints takes only a hinge",
        ),
        (
            '<joint name="lift" range="-110 110"/>',
            '<joint name="lift" type="ball" range="0 1"/>',
            "joint 'lift' is a ball, and joints takes only a hinge",
        ),
        (
            '<joint name="lift" range="-110 110"/>',
            '<joint name="lift" range="-110 110"/><joint name="more" axis="0 0 1"/>',
            "has the joints lift, more, of which the description names only some",
        ),
        (
            'axis="0 1 0" range="0 0.045"',
            'axis="0 1 0" limited="false" range="0 0"',
            "finger 'left' has no range: write its positions as gripper.closed",
        ),
        (
            'axis="0 1 0" range="0 0.045"',
            'axis="1 0 0" range="0 0.045"',
            "its y is 90 degrees off the direction in which the fingers open",
        ),
        (
            '<camera name="eye" pos="0.07 0 0.03"',
            '<camera name="other" pos="0.07 0 0.03"',
            r"unknown camera on the robot \(cameras\) 'eye'. Available: other",
        ),
        ("<compiler", "<compile", "does not compile"),
    ],
)
def test_errors_in_a_model_name_what_is_wrong(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    assert old in MJCF  # or nothing would be replaced
    # a camera of this name stands in the file's world, too
    mjcf = MJCF.replace(old, new)
    if "other" in new:
        mjcf = mjcf.replace("<light", '<camera name="eye"/><light')
    path = write_six(tmp_path, TOML, mjcf)

    with pytest.raises(EmbodiedError, match=message):
        load_robot(path)


def test_the_frame_that_a_message_names_is_right(tmp_path: Path) -> None:
    turned = 'body = "hand"\npos = [0, 0, 0.15]\nquat_wxyz = [1, 0, 0, 1]'
    path = write_six(tmp_path, TOML.replace('site = "tool"', turned))
    with pytest.raises(EmbodiedError) as caught:
        load_robot(path)

    _, keys = str(caught.value).split("; write ")
    written = keys.replace(", tcp.", "\ntcp.").replace("tcp.", "")

    load_robot(write_six(tmp_path, TOML.replace('site = "tool"', written)))


def test_a_description_that_is_missing_is_named() -> None:
    with pytest.raises(
        EmbodiedError, match=r"nowhere.toml: no description can be read"
    ):
        load_robot("nowhere.toml")


def test_bodies_that_overlap_at_home_can_be_excluded(tmp_path: Path) -> None:
    """A torso's convex hull may hold an arm that the torso itself would not touch."""
    toml = TOML.replace("home = [0.0, 0.0, 1.4", "home = [0.0, 0.0, 2.55")
    pairs: list[list[str]] = []
    # each error names the next pair
    for _ in range(20):
        text = f"exclude = {json.dumps(pairs + pairs)}\n{toml}"
        try:
            robot = load_robot(write_six(tmp_path, text))
            break
        except EmbodiedError as error:
            found = re.search(r"at home six_(\w+) and six_(\w+) overlap", str(error))
            assert found is not None
            pairs.append(list(found.groups()))
    assert pairs

    # no pair is excluded twice, and the pairs are part of what the robot is
    excluded = [{pair.bodyname1, pair.bodyname2} for pair in robot.build().excludes]
    for first, second in pairs:
        assert excluded.count({f"six_{first}", f"six_{second}"}) == 1
    assert robot.content_hash != load_robot(write_six(tmp_path)).content_hash
