"""`robot new` turns an arm's mount where it would not reach its work otherwise."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest

from embodied.robots.described import home, standing
from embodied.robots.described.chain import Parts, driven_fingers, find_arms, find_parts
from embodied.robots.described.description import Mount
from embodied.robots.described.holding import resting_data
from embodied.robots.described.home import DOWN, HomeSearch
from embodied.robots.described.mounting import WORK_W
from embodied.robots.described.placing import SHOULDER_W_M, lift_at
from embodied.robots.described.source import read_model
from embodied.robots.described.standing import MOST_MOUNTS, StandingSearch
from embodied.robots.described.tool import ToolPoint, find_tool
from embodied.robots.described.ways import WayFinder
from tests.six_arm import MJCF, write_six

AHEAD_W = np.array([0.45, 0.0, 0.97])
HOME = np.array([0.0, 0.0, 1.4, 1.7416, 0.0, 0.0])


def arm(
    folder: Path, old: str = "", new: str = ""
) -> tuple[mujoco.MjModel, Parts, ToolPoint]:
    """The page's arm, found as `new` does."""
    assert old in MJCF
    write_six(folder, mjcf=MJCF.replace(old, new) if old else MJCF)
    model = read_model(str(folder / "six.xml"), "").compile()
    parts = find_parts(model, find_arms(model, "")[0], "")
    tool = find_tool(model, resting_data(model), parts, driven_fingers(model, parts))
    return model, parts, tool


@pytest.mark.slow
def test_an_arm_that_looks_to_its_left_is_turned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "WORK_W", WORK_W[:2])
    monkeypatch.setattr(standing, "BUTTONS_W", ())
    monkeypatch.setattr(standing, "YAWS_DEG", (0.0, -60.0))
    monkeypatch.setattr(home, "STARTS", 16)
    pan = '<joint name="pan" axis="0 0 1"'
    model, parts, tool = arm(tmp_path, pan, f'{pan} range="50 120"')

    tried: list[None] = []
    rest = resting_data(model)
    search = StandingSearch(
        model, rest, parts, tool, AHEAD_W, lambda: tried.append(None)
    )
    found = search.best(Mount())

    assert found is not None
    assert 2 <= len(tried) <= MOST_MOUNTS
    assert found.reached == 2
    assert found.mount.yaw_deg == -60
    # it turns about its first joint
    assert found.mount.pos_w == pytest.approx(Mount().pos_w, abs=1e-6)


def test_a_lift_is_held_where_tasks_expect_the_first_joint(tmp_path: Path) -> None:
    lift = '<joint name="torso" type="slide" axis="0 0 1" range="0 0.6"/>'
    model, parts, _ = arm(
        tmp_path, '<body name="base">', f'<body name="base" pos="0 0 0.5">{lift}'
    )
    data = resting_data(model)
    shoulder = parts.arm[0]
    doubts: list[str] = []

    assert lift_at(model, data, [shoulder], doubts) == {"torso": pytest.approx(0.4)}
    assert data.xanchor[shoulder, 2] == pytest.approx(SHOULDER_W_M)
    assert "held_at: the lift torso" in doubts[0]


def test_an_arm_without_a_lift_holds_none(tmp_path: Path) -> None:
    model, parts, _ = arm(tmp_path)
    assert lift_at(model, resting_data(model), [parts.arm[0]], []) == {}


def test_postures_of_an_arm_with_a_joint_that_hardly_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its margins take half of the range, so that some range is left."""
    monkeypatch.setattr(home, "STARTS", 4)
    pan = '<joint name="pan" axis="0 0 1"'
    model, parts, tool = arm(tmp_path, pan, f'{pan} range="-1 1"')  # degrees
    place = np.array([0.5, 0.0, 0.1])
    [(posture, _), *_] = HomeSearch(model, parts, tool).postures(place)
    assert abs(posture[0]) <= np.deg2rad(1)


def test_ways_tell_what_is_out_of_reach_and_what_overlaps(tmp_path: Path) -> None:
    block = '<geom name="block" type="box" size="0.05 0.05 0.4" pos="0.1 0.35 0.45"/>'
    model, parts, tool = arm(
        tmp_path,
        '<body name="shoulder"',
        f'<body name="post">{block}</body><body name="shoulder"',
    )
    search = HomeSearch(model, parts, tool)
    ways = WayFinder(search, model, parts.arm, HOME)
    down = DOWN

    near = ways.way_to(np.array([0.5, 0.0, 0.1]), down)
    far = ways.way_to(np.array([1.5, 0.0, 0.1]), down)
    left = ways.way_to(np.array([0.1, 0.5, 0.3]), down)

    assert near.is_clear
    assert near.margin_rad > 0.1
    assert not far.is_reached
    assert left.is_reached
    assert "post" in left.overlap
