"""What WeighPack says and does: readings, boxes, flaps, and what its camera shows."""

from __future__ import annotations

import numpy as np
import pytest

from embodied.envs.props.packing_box import CLOSED_RAD, OPEN_RAD
from embodied.envs.scoring import StepResult
from embodied.envs.tasks.weigh_pack.scene import BOX, BOXES, CAMERA, ITEM, SCALE
from embodied.envs.tasks.weigh_pack.task import SETTLE_S
from embodied.envs.tasks.weigh_pack.variation import MARKS
from embodied.envs.worlds import Worlds
from tests.ground import idle_action, started_worlds

TASK = "WeighPack"
N = 8


def wait(worlds: Worlds, seconds: float) -> StepResult:
    steps = int(seconds * worlds.config.control_hz)
    return [worlds.step(idle_action(worlds)) for _ in range(steps)][-1]


def put(worlds: Worlds, world: int, pos_w: np.ndarray) -> None:
    """Stands the item on a point (3,) m, at rest."""
    joint = worlds.model.joint(ITEM)
    qpos = int(joint.qposadr[0])
    qvel = int(joint.dofadr[0])
    half = worlds.task.memory()["size"][world, 2] / 2
    pose = [*pos_w[:2], pos_w[2] + half + 0.001, 1.0, 0.0, 0.0, 0.0]
    worlds.engine.view("qpos")[world, qpos : qpos + 7] = pose
    worlds.engine.view("qvel")[world, qvel : qvel + 6] = 0.0


def put_on_scale(worlds: Worlds, world: int) -> None:
    body = worlds.model.body("scale_pan").id
    put(worlds, world, worlds.engine.view("xpos")[world, body])


def put_into_box(worlds: Worlds, world: int, box: int) -> None:
    body = worlds.model.body(f"box_{box}").id
    put(worlds, world, worlds.engine.view("xpos")[world, body])


def tilt(worlds: Worlds, world: int, box: int, angle_rad: float) -> None:
    """Turns a flap to an angle, at rest."""
    joint = worlds.model.joint(f"box_{box}_flap")
    worlds.engine.view("qpos")[world, joint.qposadr[0]] = angle_rad
    worlds.engine.view("qvel")[world, joint.dofadr[0]] = 0.0


def angle(worlds: Worlds, world: int, box: int) -> float:
    joint = worlds.model.joint(f"box_{box}_flap")
    return float(worlds.engine.view("qpos")[world, joint.qposadr[0]])


def own_box(worlds: Worlds, world: int) -> int:
    return int(worlds.task.memory()["own_box"][world])


def shown(worlds: Worlds, world: int) -> str:
    """The letter on a world's display; "blank" for none."""
    model = worlds.engine.world_model(world)
    material = int(model.geom("scale_display").matid[0])
    return model.material(material).name.rpartition("_")[2]


@pytest.mark.parametrize("weight_class", range(BOXES))
def test_the_display_shows_the_box_of_a_load_once_it_has_settled(
    weight_class: int,
) -> None:
    factors = {"weight_class": weight_class}
    worlds = started_worlds(N, task=TASK, level="L3", factors=factors)
    wait(worlds, SETTLE_S)
    assert [shown(worlds, world) for world in range(N)] == ["blank"] * N

    for world in range(N):
        put_on_scale(worlds, world)
    wait(worlds, SETTLE_S - 0.1)
    assert shown(worlds, 0) == "blank"
    result = wait(worlds, 0.6)
    for world in range(N):
        sampled = worlds.variation_of(world)
        assert shown(worlds, world) == sampled["mark"][own_box(worlds, world)]
    errors = [worlds.measures_of(world)["weighing_error"] for world in range(N)]
    assert max(errors) < 0.003
    assert result.progress.min() >= 0.45

    # it stays when the item is taken off
    put_into_box(worlds, 0, own_box(worlds, 0))
    wait(worlds, 0.7)
    assert shown(worlds, 0) == worlds.variation_of(0)["mark"][own_box(worlds, 0)]


def test_a_mass_changes_neither_the_pictures_nor_what_is_sampled() -> None:
    pictures = []
    marks = []
    for weight_class in range(BOXES):
        factors = {"weight_class": weight_class, "own_box": 1}
        worlds = started_worlds(2, task=TASK, level="L3", factors=factors, obs="pixels")
        pictures.append(worlds.observe(privileged=False).pixels[CAMERA])
        marks.append([worlds.variation_of(world)["mark"] for world in range(2)])
    for other in (1, 2):
        assert (pictures[0] == pictures[other]).all()
        assert marks[0] == marks[other]


def test_a_weighed_item_shut_into_its_own_box_is_success() -> None:
    worlds = started_worlds(3, task=TASK, level="L2")
    for world in (0, 1):
        put_on_scale(worlds, world)
    wait(worlds, 0.9)
    for world in range(3):
        put_into_box(worlds, world, own_box(worlds, world))
    before = wait(worlds, 0.3)
    assert not before.success_now.any()
    assert before.progress[:2].min() >= 0.75

    # the first flap is closed; the second stays open; the third item is unweighed
    for world in (0, 2):
        tilt(worlds, world, own_box(worlds, world), 0.0)
    result = wait(worlds, 0.6)
    assert result.success.tolist() == [True, False, False]
    assert result.progress[0] == 1
    assert result.terminated[2]
    assert result.progress[2] == 0


def test_another_box_counts_as_wrong_and_loses_once_it_is_shut() -> None:
    worlds = started_worlds(2, task=TASK, level="L2")
    put_on_scale(worlds, 0)
    wait(worlds, 0.9)
    for other in (1, 2):
        put_into_box(worlds, 0, (own_box(worlds, 0) + other) % BOXES)
        assert not wait(worlds, 0.1).terminated[0]
        put_on_scale(worlds, 0)
        wait(worlds, 0.1)
    assert worlds.measures_of(0)["wrong_boxes"] == 2
    assert worlds.measures_of(1)["wrong_boxes"] == 0

    wrong = (own_box(worlds, 0) + 1) % BOXES
    put_into_box(worlds, 0, wrong)
    tilt(worlds, 0, wrong, 0.0)
    result = wait(worlds, 0.1)
    assert result.terminated.tolist() == [True, False]
    assert worlds.measures_of(0)["wrong_boxes"] == 3


def test_an_item_on_the_floor_is_dropped_and_lost() -> None:
    worlds = started_worlds(2, task=TASK, level="L1")
    put(worlds, 0, np.array([-0.6, -0.9, 0.05]))
    judged = worlds.task.judge
    result = wait(worlds, 0.1)
    assert result.terminated.tolist() == [True, False]
    assert judged().dropped.tolist() == [1, 0]


def test_a_flap_leans_on_its_stop_or_falls_shut_and_lets_nothing_into_the_box() -> None:
    worlds = started_worlds(2, task=TASK, level="L1")
    tilt(worlds, 0, 0, np.deg2rad(95.0))
    tilt(worlds, 0, 1, np.deg2rad(85.0))
    tilt(worlds, 0, 2, 0.0)
    body = worlds.model.body("box_2").id
    floor = worlds.engine.view("xpos")[0, body].copy()
    put(worlds, 0, floor + np.array([0.0, 0.0, BOX.height + 0.05]))
    wait(worlds, 1.5)
    assert angle(worlds, 0, 0) == pytest.approx(OPEN_RAD, abs=0.02)
    assert angle(worlds, 0, 1) < CLOSED_RAD
    # the item lies on the shut flap, which carries it
    assert abs(angle(worlds, 0, 2)) < 0.02
    item = worlds.model.body(ITEM).id
    assert worlds.engine.view("xpos")[0, item, 2] > floor[2] + BOX.height


def test_at_l4_the_item_is_pushed_and_stays_on_the_table() -> None:
    worlds = started_worlds(16, task=TASK, level="L4")
    item = worlds.model.body(ITEM).id
    before = worlds.engine.view("xpos")[:, item].copy()
    result = wait(worlds, 1.2)
    moved_m = np.linalg.norm(worlds.engine.view("xpos")[:, item] - before, axis=1)
    assert (moved_m > 0.005).all()
    assert (moved_m < 0.12).all()
    assert not result.terminated.any()


def colours_at(
    worlds: Worlds, world: int, frame: np.ndarray, body: str, points: np.ndarray
) -> np.ndarray:
    """The colours (P, 3) of a frame (S, S, 3) at points (P, 3) m in a body's frame."""
    data = worlds.engine.world_data(world)
    model = worlds.engine.world_model(world)
    camera = model.camera(CAMERA).id
    rotation = data.body(body).xmat.reshape(3, 3)
    points_w = data.body(body).xpos + points @ rotation.T

    seen = (points_w - data.cam_xpos[camera]) @ data.cam_xmat[camera].reshape(3, 3)
    size = frame.shape[0]
    focal = size / 2 / np.tan(np.deg2rad(model.cam_fovy[camera]) / 2)
    column = size / 2 + focal * seen[:, 0] / -seen[:, 2]
    line = size / 2 - focal * seen[:, 1] / -seen[:, 2]
    return frame[line.astype(int), column.astype(int)].astype(float)


def letter_on(colours: np.ndarray) -> str:
    """The mark whose colour most of a plate's pixels (P, 3) have, by their hue."""
    hue = colours - colours.mean(axis=1, keepdims=True)
    known = np.array([mark.rgb for mark in MARKS])
    known = known - known.mean(axis=1, keepdims=True)
    known = known / np.linalg.norm(known, axis=1, keepdims=True)
    # the pixels of the letter itself are white, and have next to no weight
    best = int(np.argmax((hue @ known.T).sum(axis=0)))
    return MARKS[best].letter


def grid(width: float, height: float) -> np.ndarray:
    """Points (25, 2) m all over a plate, away from its edge."""
    steps = np.linspace(-0.42, 0.42, 5)
    x, y = np.meshgrid(steps * width, steps * height)
    return np.stack([x.ravel(), y.ravel()], axis=1)


@pytest.mark.parametrize(("level", "split"), [("L2", "train"), ("L3", "all")])
def test_display_and_boxes_are_read_in_the_policys_picture(
    level: str, split: str
) -> None:
    worlds = started_worlds(N, task=TASK, level=level, split=split, obs="pixels")
    for world in range(N):
        put_on_scale(worlds, world)
    wait(worlds, 1.2)
    frames = worlds.observe(privileged=False).pixels[CAMERA]
    assert frames.shape[1:] == (96, 96, 3)

    display = np.pad(grid(*SCALE.display), ((0, 0), (0, 1)))
    plate = grid(BOX.depth - 0.02, BOX.depth - 0.02)
    under_flap = np.column_stack(
        [plate[:, 0] + BOX.flap / 2, plate[:, 1], np.full(len(plate), -BOX.wall / 2)]
    )
    for world, frame in enumerate(frames):
        asked = letter_on(colours_at(worlds, world, frame, "scale_console", display))
        letters = [
            letter_on(colours_at(worlds, world, frame, f"box_{k}_flap", under_flap))
            for k in range(BOXES)
        ]
        assert letters == worlds.variation_of(world)["mark"]
        assert len(set(letters)) == BOXES
        assert letters.index(asked) == own_box(worlds, world)
