"""What GaugeCheck says and does: which gauges, what they show, answers, pictures."""

from __future__ import annotations

import numpy as np
import pytest

from embodied.envs.props.button import TRAVEL_M
from embodied.envs.props.gauge import (
    BOARD_X_M,
    BOARD_Y_M,
    DIAL_Z_M,
    FAULT,
    MARKS_M,
    NEEDLE_M,
    OK,
    SCALE_RAD,
)
from embodied.envs.scoring import StepResult
from embodied.envs.tasks.gauge_check.episode import MARGIN
from embodied.envs.tasks.gauge_check.scene import BUTTONS, STATIONS
from embodied.envs.worlds import Worlds
from tests.ground import idle_action, started_worlds

TASK = "GaugeCheck"
ROBOT = "wheeled_arm"
N = 12


def begun(num: int, **settings: object) -> Worlds:
    return started_worlds(num, task=TASK, robot=ROBOT, **settings)


def is_ok(worlds: Worlds, world: int) -> list[bool]:
    """What each station's gauge tells at the start."""
    shares = worlds.variation_of(world)["readings"]
    return [low < needle < high for needle, low, high in shares]


def press(worlds: Worlds, world: int, station: int, button: int) -> StepResult:
    """A button of one world is held down by hand, and let go."""
    name = BUTTONS[2 * station + button]
    qpos = worlds.model.joint(name).qposadr[0]
    for _ in range(3):
        worlds.engine.view("qpos")[world, qpos] = TRAVEL_M
        worlds.step(idle_action(worlds))
    return wait(worlds, 0.2)


def wait(worlds: Worlds, seconds: float) -> StepResult:
    steps = int(seconds * worlds.config.control_hz)
    return [worlds.step(idle_action(worlds)) for _ in range(steps)][-1]


@pytest.mark.parametrize("split", ["train", "all"])
@pytest.mark.parametrize("level", ["L1", "L3"])
def test_the_sentence_names_the_gauges_to_check(level: str, split: str) -> None:
    worlds = begun(N, level=level, split=split)
    for world, sentence in enumerate(worlds.instructions):
        sampled = worlds.variation_of(world)
        names = sampled["name"]
        assert len(set(names)) == len(STATIONS)
        said = [k for k in range(3) if f"{names[k]} gauge" in sentence]
        assert said == sampled["named"], sentence

        # a needle is clearly on one side of a mark, and on the scale
        assert is_ok(worlds, world) == sampled["is_ok"]
        for needle, low, high in sampled["readings"]:
            assert 0 <= needle <= 1
            gap = min(abs(needle - low), abs(needle - high))
            assert gap >= MARGIN - 1e-9
            assert high < 1


def test_right_answers_at_all_named_gauges_are_success() -> None:
    worlds = begun(2, level="L3", factors={"asked": 2})
    named = worlds.variation_of(0)["named"]
    truth = is_ok(worlds, 0)
    first = press(worlds, 0, named[0], OK if truth[named[0]] else FAULT)
    assert not first.success_now[0]
    assert 0.45 <= first.progress[0] < 0.9
    press(worlds, 0, named[1], OK if truth[named[1]] else FAULT)
    result = wait(worlds, 0.6)
    assert result.success.tolist() == [True, False]
    assert result.progress[0] == 1


def test_each_kind_of_wrong_answer_loses_and_is_counted_as_what_it_is() -> None:
    worlds = begun(2, level="L2", factors={"asked": 1})
    world_named = [worlds.variation_of(world)["named"][0] for world in range(2)]

    # the wrong button of the named gauge
    truth = is_ok(worlds, 0)[world_named[0]]
    wrong = press(worlds, 0, world_named[0], FAULT if truth else OK)
    assert wrong.terminated[0]
    assert wrong.reward[0] == 0
    kind = "false_faults" if truth else "missed_faults"
    assert worlds.measures_of(0)[kind] == 1

    # how far the needle was from the nearest of the two marks
    needle, low, high = worlds.task.memory()["shares"][0, world_named[0]]
    nearest = min(abs(needle - low), abs(needle - high))
    assert worlds.measures_of(0)["misread_by"] == pytest.approx(nearest)

    # any button of another gauge
    other = (world_named[1] + 1) % 3
    truth = is_ok(worlds, 1)[other]
    unasked = press(worlds, 1, other, OK if truth else FAULT)
    assert unasked.terminated[1]
    assert worlds.measures_of(1)["unasked"] == 1
    assert worlds.measures_of(1)["misread_by"] == 0


def test_at_l4_a_named_gauge_changes_unless_it_was_answered() -> None:
    worlds = begun(N, level="L4")
    changes = [worlds.variation_of(world)["event_station"] for world in range(N)]
    before = worlds.task.memory()["shares"].copy()

    # in world 0 the gauge is answered before it changes
    truth = is_ok(worlds, 0)[changes[0]]
    for _ in range(2):
        press(worlds, 0, changes[0], OK if truth else FAULT)
    wait(worlds, 2.0)
    after = worlds.task.memory()["shares"]
    for world, station in enumerate(changes):
        assert station in worlds.variation_of(world)["named"]
        moved = np.abs(after[world] - before[world]) > 1e-6
        expected = np.zeros((3, 3), bool)
        expected[station, 0] = world > 0
        assert (moved == expected).all()
        if world > 0:
            needle, low, high = after[world, station]
            assert (low < needle < high) != is_ok(worlds, world)[station]


def dial_points(angles: np.ndarray, radius_m: float) -> np.ndarray:
    """Points (A, 3) m on a dial's face, in its station's frame; clockwise from up."""
    y = BOARD_Y_M - radius_m * np.sin(angles)
    z = DIAL_Z_M + radius_m * np.cos(angles)
    return np.stack([np.full_like(y, BOARD_X_M - 0.01), y, z], axis=1)


def read_dial(
    worlds: Worlds, world: int, frame: np.ndarray
) -> tuple[float, list[float]]:
    """The shares of the scale at which the needle and both marks seem to be.

    They are read from the colours around the dial's middle, in a picture of the head
    before the middle station.
    """
    data = worlds.engine.world_data(world)
    camera = worlds.model.camera("head").id
    position = data.cam_xpos[camera]
    matrix = data.cam_xmat[camera].reshape(3, 3)
    size = frame.shape[0]
    focal = size / 2 / np.tan(np.deg2rad(worlds.model.cam_fovy[camera]) / 2)
    station = data.body(STATIONS[1]).xpos
    shares = np.linspace(-0.05, 1.05, 331)

    def colours(radius_m: float) -> np.ndarray:  # (A, 3)
        points = dial_points(SCALE_RAD * (shares - 0.5), radius_m) + station
        seen = (points - position) @ matrix
        column = size / 2 + focal * seen[:, 0] / -seen[:, 2]
        line = size / 2 - focal * seen[:, 1] / -seen[:, 2]
        place = np.stack([line, column], axis=1).astype(int)
        place = np.clip(place, 0, size - 1)
        return frame[place[:, 0], place[:, 1]].astype(float)

    # the needle is dark on white, the marks red
    radii = np.linspace(0.45, 0.75, 4) * NEEDLE_M
    brightness = np.mean([colours(r).mean(axis=1) for r in radii], axis=0)
    dark = np.clip(brightness.max() - brightness - 40, 0, None) ** 2
    needle = float((dark * shares).sum() / dark.sum())

    radii = np.linspace(MARKS_M[0] + 0.006, MARKS_M[1] - 0.006, 4)
    red = np.mean([colours(r)[:, 0] - colours(r)[:, 1] for r in radii], axis=0)
    redness = np.clip(red - 40, 0, None)
    first = shares[int(np.argmax(redness))]
    redness[np.abs(shares - first) < 0.1] = 0
    second = shares[int(np.argmax(redness))]
    return needle, sorted([float(first), float(second)])


def stand_before_the_middle_station(worlds: Worlds) -> None:
    """The robots are held there until their cameras have new frames."""
    station_y = worlds.engine.view("xpos")[:, worlds.model.body(STATIONS[1]).id, 1]
    places = {"base_x": 0.0, "base_y": station_y.copy(), "base_yaw": 0.0}
    for _ in range(6):
        for name, place in places.items():
            joint = worlds.model.joint(name)
            worlds.engine.view("qpos")[:, joint.qposadr[0]] = place
            worlds.engine.view("qvel")[:, joint.dofadr[0]] = 0.0
        worlds.step(idle_action(worlds))


@pytest.mark.parametrize("level", ["L2", "L3"])
def test_gauges_are_read_in_the_policys_picture(level: str) -> None:
    worlds = begun(N, level=level, obs="pixels")
    stand_before_the_middle_station(worlds)
    frames = worlds.observe(privileged=False).pixels["head"]
    for world in range(N):
        needle, marks = read_dial(worlds, world, frames[world])
        shown = worlds.task.memory()["shares"][world, 1]
        assert needle == pytest.approx(shown[0], abs=0.05)
        assert (marks[0] < needle < marks[1]) == is_ok(worlds, world)[1]
