"""What FixtureLoad says and does: which workpiece is meant, seats, starts, forces."""

from __future__ import annotations

import numpy as np
import pytest

from embodied.envs.props.button import TRAVEL_M
from embodied.envs.props.fixture import BODY
from embodied.envs.props.start_box import BUTTON, FAULT, LAMP, LIGHTS, RUNS, WAITS
from embodied.envs.scoring import StepResult
from embodied.envs.tasks.fixture_load.scene import FIXTURE, PART, PARTS
from embodied.envs.tasks.fixture_load.task import FORCE_LIMIT_N
from embodied.envs.tasks.fixture_load.variation import COLOURS
from embodied.envs.worlds import Worlds
from tests.ground import idle_action, started_worlds

TASK = "FixtureLoad"
N = 16


def named(worlds: Worlds, world: int = 0) -> int:
    return int(worlds.task.memory()["part"][world])


def wait(worlds: Worlds, seconds: float) -> StepResult:
    steps = int(seconds * worlds.config.control_hz)
    return [worlds.step(idle_action(worlds)) for _ in range(steps)][-1]


def press(worlds: Worlds, world: int) -> StepResult:
    """The button of one world is held down by hand, and let go."""
    qpos = worlds.model.joint(BUTTON).qposadr[0]
    for _ in range(3):
        worlds.engine.view("qpos")[world, qpos] = TRAVEL_M
        worlds.step(idle_action(worlds))
    return wait(worlds, 0.2)


def put_into_fixture(
    worlds: Worlds,
    world: int,
    part: int,
    above_m: float = 0.0,
    aside_m: tuple[float, float] = (0.0, 0.0),
    turn: float = 0.0,
) -> None:
    """Places a workpiece over the pocket's floor, turned as the fixture is."""
    sampled = worlds.variation_of(world)
    yaw = sampled["fixture_yaw"]
    rotation = np.array([[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]])
    fixture = np.array([FIXTURE.x, FIXTURE.y])
    fixture += np.array([sampled["fixture_x"], sampled["fixture_y"]])
    xy = fixture + rotation @ np.array(aside_m)

    joint = worlds.model.joint(PARTS[part])
    z = FIXTURE.floor_z + PART.height / 2 + above_m + 0.0003
    half = (yaw + turn) / 2
    pose = [*xy, z, np.cos(half), 0.0, 0.0, np.sin(half)]
    qpos = int(joint.qposadr[0])
    qvel = int(joint.dofadr[0])
    worlds.engine.view("qpos")[world, qpos : qpos + 7] = pose
    worlds.engine.view("qvel")[world, qvel : qvel + 6] = 0.0


def light_of(worlds: Worlds, world: int) -> int:
    rgba = worlds.engine.world_model(world).geom(LAMP).rgba
    return int(np.argmin([np.abs(rgba - light).sum() for light in np.array(LIGHTS)]))


@pytest.mark.parametrize("split", ["train", "all"])
@pytest.mark.parametrize("level", ["L1", "L3"])
def test_the_sentence_names_one_workpiece(level: str, split: str) -> None:
    worlds = started_worlds(N, task=TASK, level=level, split=split)
    for world, sentence in enumerate(worlds.instructions):
        sampled = worlds.variation_of(world)
        colours = sampled["colour"]
        said = [colour for colour in colours if f" {colour} " in sentence]
        assert said == [colours[named(worlds, world)]], sentence
        assert len(set(colours)) == sampled["parts"]

        # and the named one has that colour in the model
        model = worlds.engine.world_model(world)
        rgb = model.geom(f"{PARTS[named(worlds, world)]}_body").rgba[:3]
        assert rgb == pytest.approx(COLOURS[said[0]], abs=1e-6)


def test_a_workpiece_in_its_seat_and_a_start_are_success() -> None:
    worlds = started_worlds(2, task=TASK, level="L2")
    put_into_fixture(worlds, 0, named(worlds, 0))
    before = wait(worlds, 0.3)
    assert not before.success_now[0]
    assert 0.7 <= before.progress[0] < 1
    assert light_of(worlds, 0) == WAITS

    press(worlds, 0)
    result = wait(worlds, 0.6)
    assert result.success.tolist() == [True, False]
    assert result.progress[0] == 1
    assert light_of(worlds, 0) == RUNS


def test_starting_an_empty_fixture_or_with_another_workpiece_loses() -> None:
    worlds = started_worlds(3, task=TASK, level="L3", factors={"parts": 3})
    put_into_fixture(worlds, 1, (named(worlds, 1) + 1) % 3)
    results = [press(worlds, 0), press(worlds, 1)]
    # it is still falling when the button goes down
    put_into_fixture(worlds, 2, named(worlds, 2), above_m=0.4)
    results.append(press(worlds, 2))
    for world, result in enumerate(results):
        assert result.terminated[world], world
        assert result.reward[world] == 0
        assert light_of(worlds, world) == FAULT


@pytest.mark.parametrize("clearance_m", [0.001, 0.002])
def test_the_pocket_takes_what_comes_straight_and_the_lead_in_what_is_a_little_off(
    clearance_m: float,
) -> None:
    factors = {"clearance": clearance_m}
    worlds = started_worlds(6, task=TASK, level="L3", factors=factors)
    above = FIXTURE.rim + 0.002
    put_into_fixture(worlds, 0, named(worlds, 0), above)
    put_into_fixture(worlds, 1, named(worlds, 1), above, turn=np.pi)
    put_into_fixture(worlds, 2, named(worlds, 2), above, aside_m=(0.001, 0.0))
    put_into_fixture(worlds, 3, named(worlds, 3), above, aside_m=(0.0, -0.0025))
    # across, and beside the pocket, it does not go in
    put_into_fixture(worlds, 4, named(worlds, 4), above, turn=np.pi / 2)
    put_into_fixture(worlds, 5, named(worlds, 5), above, aside_m=(0.03, 0.0))
    progress = wait(worlds, 0.8).progress
    assert (progress[:4] >= 0.7).all(), progress
    assert (progress[4:] < 0.7).all(), progress


def test_too_strong_a_blow_on_the_fixture_loses() -> None:
    worlds = started_worlds(2, task=TASK, level="L1")
    for world, speed_m_s in ((0, 0.2), (1, 3.0)):
        put_into_fixture(worlds, world, named(worlds, world), above_m=0.002)
        joint = worlds.model.joint(PARTS[named(worlds, world)])
        worlds.engine.view("qvel")[world, int(joint.dofadr[0]) + 2] = -speed_m_s
    result = wait(worlds, 0.3)
    peak = worlds.task.memory()["peak_n"]
    assert peak[0] < FORCE_LIMIT_N < peak[1]
    assert result.terminated.tolist() == [False, True]


def test_at_l4_the_named_workpiece_is_pushed_and_stays_upright() -> None:
    worlds = started_worlds(N, task=TASK, level="L4")
    joints = [worlds.model.joint(name) for name in PARTS]
    columns = [int(joint.qposadr[0]) for joint in joints]

    def places() -> np.ndarray:  # (N, 3 workpieces, xyz)
        qpos = worlds.engine.view("qpos")
        return np.stack([qpos[:, k : k + 3] for k in columns], axis=1).copy()

    before = places()
    result = wait(worlds, 2.6)
    moved_m = np.linalg.norm((places() - before)[..., :2], axis=2)
    own = [named(worlds, world) for world in range(N)]
    rows = np.arange(N)
    assert (moved_m[rows, own] > 0.005).all()
    assert (moved_m[rows, own] < 0.12).all()
    assert not result.terminated.any()

    calm = started_worlds(4, task=TASK, level="L3")
    assert (calm.task.memory()["push"] == 0).all()


def test_the_fixture_stands_where_it_was_sampled() -> None:
    worlds = started_worlds(4, task=TASK, level="L3")
    body = worlds.model.body(BODY).id
    for world in range(4):
        sampled = worlds.variation_of(world)
        pos = worlds.engine.view("xpos")[world, body]
        assert pos[0] == pytest.approx(FIXTURE.x + sampled["fixture_x"], abs=1e-6)
        assert pos[1] == pytest.approx(FIXTURE.y + sampled["fixture_y"], abs=1e-6)
