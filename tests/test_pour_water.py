"""What PourWater says and does: marks, levels, spills, and what its camera shows."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from embodied.envs.props.granules import RADIUS_M, filling
from embodied.envs.props.vessels import BOTTLE, CUP, FLOOR_M
from embodied.envs.scoring import StepResult
from embodied.envs.tasks.pour_water.scene import (
    BOTTLE_SIZE,
    CLOSE_UP,
    CUP_SIZE,
    GRAINS,
)
from embodied.envs.tasks.pour_water.variation import MARK_COLOURS
from embodied.envs.worlds import Worlds
from embodied.sim.cameras import Camera
from tests.ground import idle_action, started_worlds

TASK = "PourWater"
PIXELS = 96  # the default size of policies' pictures


def wait(worlds: Worlds, seconds: float) -> StepResult:
    steps = int(seconds * worlds.config.control_hz)
    return [worlds.step(idle_action(worlds)) for _ in range(steps)][-1]


def move_grains(worlds: Worlds, world: int, count: int, places_w: np.ndarray) -> None:
    """Sets the last grains, which lie on top, at places (count, 3) m, at rest."""
    first = int(worlds.model.joint("grain_0_x").qposadr[0])
    first += 3 * (GRAINS - count)
    worlds.engine.view("qpos")[world, first : first + 3 * count] = places_w.ravel()


def fill_cup(worlds: Worlds, world: int, count: int) -> None:
    """Puts grains into the glass, in layers of four."""
    cup = worlds.engine.view("xpos")[world, worlds.model.body(CUP).id]
    pitch = RADIUS_M + 0.0006
    square = np.array([(x, y) for x in (-pitch, pitch) for y in (-pitch, pitch)])
    layers = np.arange(count) // 4
    z = FLOOR_M + RADIUS_M + 0.0005 + layers * (2 * RADIUS_M + 0.0006)
    xy = square[np.arange(count) % 4]
    move_grains(worlds, world, count, cup + np.column_stack([xy, z]))


def test_a_filling_has_no_grain_in_another_or_in_a_wall() -> None:
    half = BOTTLE_SIZE.half_width
    places = filling(GRAINS, half, FLOOR_M)
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    assert apart[np.triu_indices(GRAINS, 1)].min() > 2 * RADIUS_M
    assert (np.abs(places[:, :2]) + RADIUS_M < half).all()
    assert (places[:, 2] - RADIUS_M > FLOOR_M).all()
    assert places[:, 2].max() + RADIUS_M < BOTTLE_SIZE.shoulder_z


def test_the_water_is_at_rest_when_an_episode_starts() -> None:
    worlds = started_worlds(2, task=TASK, level="L3")
    names = [BOTTLE, *(f"grain_{k}" for k in range(GRAINS))]
    bodies = [worlds.model.body(name).id for name in names]
    before_m = worlds.engine.view("xpos")[:, bodies]
    wait(worlds, 0.2)
    moved_m = np.abs(worlds.engine.view("xpos")[:, bodies] - before_m)
    assert moved_m.max() < 0.002


@pytest.mark.parametrize("split", ["train", "all"])
def test_the_sentence_names_one_of_two_marks(split: str) -> None:
    worlds = started_worlds(16, task=TASK, level="L3", split=split)
    for world, sentence in enumerate(worlds.instructions):
        sampled = worlds.variation_of(world)
        colours = sampled["mark_colour"]
        said = [k for k, colour in enumerate(colours) if f" {colour} " in sentence]
        assert said == [sampled["target"]], sentence
        marks = (sampled["low_mark"], sampled["high_mark"])
        assert worlds.task.memory()["mark"][world] == marks[said[0]]


def test_only_the_named_level_is_success_and_more_is_lost() -> None:
    worlds = started_worlds(4, task=TASK, level="L1", factors={"target": 0})
    mark = int(worlds.task.memory()["mark"][0])
    for world, count in enumerate((mark, mark - 4, mark + 4)):
        fill_cup(worlds, world, count)
    result = wait(worlds, 1.5)
    assert result.success.tolist() == [True, False, False, False]
    assert result.terminated.tolist() == [False, False, True, False]
    assert result.progress[0] == 1
    assert 0.55 < result.progress[1] < 1
    assert result.progress[3] < 0.25
    errors = [worlds.measures_of(world)["level_error"] for world in range(3)]
    assert np.allclose(np.array(errors) * mark, [0, 4, 4])


def test_what_is_spilled_counts_and_too_much_of_it_loses() -> None:
    worlds = started_worlds(2, task=TASK, level="L1")
    for world, count in enumerate((3, 4)):
        x = 0.40 - 0.03 * np.arange(count)
        places = np.column_stack([x, np.full(count, 0.3), np.full(count, 0.72)])
        move_grains(worlds, world, count, places)
    result = wait(worlds, 0.4)
    # a few grains are allowed, so they are not dropped yet
    assert result.dropped.tolist() == [0, 4]
    shares = [worlds.measures_of(world)["spilled_share"] for world in range(2)]
    assert np.allclose(np.array(shares) * GRAINS, [3, 4])
    assert result.terminated.tolist() == [False, True]


def test_water_at_rest_outside_of_the_vessels_is_not_in_the_air() -> None:
    """It may lie on the hand, and would otherwise be waited for until the time is up."""
    worlds = started_worlds(1, task=TASK, level="L1")
    move_grains(worlds, 0, 1, np.array([[0.3, 0.3, 1.2]]))
    worlds.engine.refresh(np.arange(1))
    assert worlds.measures_of(0)["spilled_share"] * GRAINS == pytest.approx(1)
    # now it falls
    assert wait(worlds, 0.1).dropped.tolist() == [0]


def test_an_overturned_glass_loses() -> None:
    worlds = started_worlds(2, task=TASK, level="L1")
    first = int(worlds.model.joint(CUP).qposadr[0])
    lying = [np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0]
    worlds.engine.view("qpos")[0, first + 2] += 0.04
    worlds.engine.view("qpos")[0, first + 3 : first + 7] = lying
    assert wait(worlds, 0.3).terminated.tolist() == [True, False]


@pytest.mark.slow
def test_at_l4_the_glass_is_pushed_and_stays_upright() -> None:
    worlds = started_worlds(6, task=TASK, level="L4")
    cup = worlds.model.body(CUP).id
    before = worlds.engine.view("xpos")[:, cup, :2].copy()
    result = wait(worlds, 1.6)
    moved_m = np.linalg.norm(worlds.engine.view("xpos")[:, cup, :2] - before, axis=1)
    assert (moved_m > 0.005).all()
    assert (moved_m < 0.08).all(), moved_m
    assert not result.terminated.any()


def front_of_mark(worlds: Worlds, world: int, grains: float) -> np.ndarray:
    """The point (3,) m of a mark that is nearest to the camera."""
    view = worlds.engine.view
    model = worlds.engine.world_model(world)
    cup = view("xpos")[world, worlds.model.body(CUP).id]
    away = (model.camera(CLOSE_UP).pos - cup)[:2]
    radius = CUP_SIZE.radius + 0.005
    xy = cup[:2] + radius * away / np.linalg.norm(away)
    return np.array([*xy, cup[2] + CUP_SIZE.level_m(grains)])


def row_of(worlds: Worlds, world: int, point_w: np.ndarray) -> float:
    """The row of the camera's picture in which a point is."""
    camera = worlds.engine.world_model(world).camera(CLOSE_UP)
    rotation = np.zeros(9)
    mujoco.mju_quat2Mat(rotation, camera.quat)
    _, y, z = rotation.reshape(3, 3).T @ (point_w - camera.pos)
    focal = PIXELS / 2 / np.tan(np.radians(camera.fovy[0]) / 2)
    return float(PIXELS / 2 + focal * y / z)


def lowest_row(picture: np.ndarray, rgb: tuple[float, float, float]) -> float:
    """The lowest row with a mark's colour near the middle: the mark's front."""
    middle = picture[:, PIXELS // 2 - 8 : PIXELS // 2 + 8].astype(float) / 255
    # however brightly it is lit
    lit = np.linspace(0.6, 1.1, 6)[:, None, None, None] * np.asarray(rgb)
    off = np.abs(middle - lit).sum(axis=3).min(axis=0)
    rows = np.flatnonzero((off < 0.2).sum(axis=1) >= 4)
    return float(rows.max() + 0.5)


@pytest.mark.parametrize("split", ["train", "objects"])
def test_the_named_mark_can_be_read_from_the_camera(split: str) -> None:
    worlds = started_worlds(8, task=TASK, level="L2", split=split)
    camera = Camera(worlds.engine, PIXELS, PIXELS)
    grains = np.arange(16, 50)
    for world in range(8):
        sampled = worlds.variation_of(world)
        colour = MARK_COLOURS[sampled["mark_colour"][sampled["target"]]]
        seen = lowest_row(camera.rgb(world, CLOSE_UP), colour)
        rows = [
            row_of(worlds, world, front_of_mark(worlds, world, float(count)))
            for count in grains
        ]
        read = grains[np.argmin(np.abs(np.array(rows) - seen))]
        mark = worlds.task.memory()["mark"][world]
        assert abs(read - mark) <= 0.1 * mark, (read, mark)
