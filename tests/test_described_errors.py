"""Errors in a description, or in its model, name what is wrong."""

from __future__ import annotations

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
            "the MJCF file .*seven.xml does not compile",
        ),
        ("speeds = ", "spedes = ", "unknown key 'spedes'. Did you mean 'speeds'"),
        ('joints = ["left", "right"]', "", "these keys are missing: gripper.joints"),
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
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    assert old in MJCF  # or nothing would be replaced
    path = write_six(tmp_path, TOML, MJCF.replace(old, new))

    with pytest.raises(EmbodiedError, match=message):
        load_robot(path)


def test_a_description_that_is_missing_is_named() -> None:
    with pytest.raises(
        EmbodiedError, match=r"nowhere.toml: no description can be read"
    ):
        load_robot("nowhere.toml")
