"""Which robots do which tasks, and how they are found."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest

from embodied.cli.main import main
from embodied.envs.registry import get_robot, get_task, robots_for, task_names
from embodied.envs.task import Needs
from embodied.errors import EmbodiedError
from embodied.robots import ARM, WHEELED_ARM
from embodied.robots.franka.arm import REACH_M
from embodied.robots.reach import SHOULDER_M, farthest_reach_m
from embodied.robots.robot import Robot
from tests.ground import started_worlds
from tests.six_arm import write_six


def with_reach(robot: Robot, reach_m: float) -> Robot:
    parts = [
        replace(part, reach_m=reach_m) if part.name == "arm" else part
        for part in robot.parts
    ]
    return replace(robot, parts=tuple(parts))


@pytest.mark.parametrize(
    ("needs", "expected"),
    [
        (Needs(effectors=2), "2 effectors (it has 1)"),
        (Needs(opening_m=0.1), "a gripper that opens to 0.1 m (its opens to 0.08 m)"),
        (Needs(reach_m=1.5), "an arm that reaches 1.5 m (its reaches 1.28 m)"),
        (Needs(travels=True), "a base that travels"),
        (Needs(cameras=("wrist", "head")), "the cameras head"),
    ],
)
def test_what_a_robot_lacks_is_named(needs: Needs, expected: str) -> None:
    assert needs.missing(ARM) == [expected]


def test_a_robot_that_has_all_that_is_needed_lacks_nothing() -> None:
    needs = Needs(1, opening_m=0.08, reach_m=1.0, travels=True, cameras=("head",))
    assert needs.missing(WHEELED_ARM) == []


@pytest.mark.parametrize("task", task_names())
def test_every_task_names_needs_that_its_default_robot_meets(task: str) -> None:
    spec = get_task(task)

    assert robots_for(spec)[0] == spec.default_robot
    # a task that needs a hand says how far it reaches; one without needs cameras
    needs = spec.needs
    assert 0 <= needs.reach_m < REACH_M
    assert (needs.reach_m > 0) == (needs.opening_m > 0)
    assert needs.reach_m > 0 or needs.cameras


def test_worlds_refuse_a_robot_that_does_not_fit() -> None:
    short = with_reach(ARM, 0.3)
    expected = (
        "robot arm does not fit task ValveTurn: it lacks an arm that reaches 0.86 m "
        "(its reaches 0.30 m)"
    )
    with pytest.raises(EmbodiedError, match=re.escape(expected)):
        started_worlds(task="ValveTurn", robot=short)


def test_the_stated_reach_is_the_models() -> None:
    model = ARM.build().compile()
    names = ARM.arms[0].joints.names

    # sampled postures come close to the farthest one
    sampled = farthest_reach_m(model, names, mount="stand", site="tcp")
    assert REACH_M - 0.02 < sampled <= REACH_M


def test_the_height_of_a_torso_is_no_reach() -> None:
    model = mujoco.MjModel.from_xml_string(
        """
        <mujoco><worldbody><body name="stand">
          <body pos="0 0 2"><joint name="shoulder" axis="0 0 1" range="-1 1"/>
            <geom size="0.1"/><site name="tcp" pos="0.5 0 0"/>
          </body>
        </body></worldbody></mujoco>
        """
    )

    reach_m = farthest_reach_m(model, ("shoulder",), mount="stand", site="tcp")

    assert reach_m == pytest.approx(np.hypot(0.5, SHOULDER_M))


def test_a_description_is_a_robot_by_its_path(tmp_path: Path) -> None:
    path = write_six(tmp_path)
    first = get_robot(str(path))
    assert first.name == "six"
    assert get_robot(str(path)) is first

    # a file that has changed is read anew
    text = path.read_text(encoding="utf-8").replace('name = "six"', 'name = "seven"')
    path.write_text(text, encoding="utf-8")
    os.utime(path, ns=(1, 1))
    assert get_robot(str(path)).name == "seven"


def test_a_verb_takes_a_description(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_six(tmp_path)

    assert main(["list", "--actions", str(path)]) == 0
    assert "arm.wrist3" in capsys.readouterr().out
    missing = str(tmp_path / "missing.toml")
    assert main(["list", "--actions", missing]) != 0
    assert "no description can be read" in capsys.readouterr().err
