"""What DishRack says and does: which dishes, slots and places, falls, and pushes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from embodied.envs.props.dish_rack import BODY, WIRE_M
from embodied.envs.props.shapes import upright
from embodied.envs.scoring import StepResult
from embodied.envs.tasks.dish_rack.scene import (
    CUP,
    CUPS,
    DISHES,
    PLATE,
    PLATES,
    RACK,
    TABLE,
)
from embodied.envs.tasks.dish_rack.task import BREAKING_N
from embodied.envs.worlds import Worlds
from embodied.rotations import quat_multiply
from tests.ground import idle_action, started_worlds

TASK = "DishRack"


def begun(num: int, **settings: Any) -> Worlds:
    return started_worlds(num, task=TASK, **settings)


def wait(worlds: Worlds, seconds: float) -> StepResult:
    steps = int(seconds * worlds.config.control_hz)
    return [worlds.step(idle_action(worlds)) for _ in range(steps)][-1]


def put(
    worlds: Worlds, world: int, name: str, pos: np.ndarray, quat: np.ndarray
) -> None:
    """Sets a dish at rest at a pose (position m, wxyz) in the rack's frame."""
    body = worlds.model.body(BODY).id
    origin = worlds.engine.view("xpos")[world, body]
    axes = worlds.engine.view("xmat")[world, body].reshape(3, 3)
    yaw = np.arctan2(axes[1, 0], axes[0, 0])
    joint = worlds.model.joint(name)
    first = int(joint.qposadr[0])
    qpos = worlds.engine.view("qpos")[world]
    qpos[first : first + 3] = origin + axes @ pos
    turned = quat_multiply(upright(yaw)[None], np.asarray(quat)[None])
    qpos[first + 3 : first + 7] = turned[0]
    speed = int(joint.dofadr[0])
    worlds.engine.view("qvel")[world, speed : speed + 6] = 0.0


def on_edge(slot: int) -> tuple[np.ndarray, np.ndarray]:
    """The pose of a plate in a slot, its face to the side from which hands come."""
    half = (RACK.lean - np.pi / 2) / 2
    quat = np.array([np.cos(half), 0.0, np.sin(half), 0.0])
    middle = RACK.seats(PLATE)[slot]
    return middle + PLATE.height / 2 * RACK.into_rack, quat


def standing(place: int) -> tuple[np.ndarray, np.ndarray]:
    return RACK.places(CUP.z / 2 + 0.0003)[place], upright(0.0)


def test_plates_fit_between_the_pins_of_their_slots() -> None:
    room_m = RACK.pitch * np.cos(RACK.lean) - 2 * WIRE_M
    assert PLATE.height + 0.010 < room_m < PLATE.height + 0.020
    # their lowest points are clear of the drip tray
    lowest = RACK.rail_z - (PLATE.radius - np.sqrt(PLATE.radius**2 - RACK.rail_y**2))
    assert lowest > 0.010


def test_the_sentence_counts_the_dishes() -> None:
    worlds = begun(16, level="L3", split="all")
    seen = set()
    for world, sentence in enumerate(worlds.instructions):
        sampled = worlds.variation_of(world)
        for kind in ("plate", "cup"):
            many = sampled[f"{kind}s"] > 1
            assert (f"the {kind}s" in sentence) == many, sentence
            assert f"the {kind}" in sentence
        present = worlds.task.memory()["present"][world]
        assert present.sum() == sampled["plates"] + sampled["cups"]
        seen.add((sampled["plates"], sampled["cups"]))
    assert len(seen) == 4


def test_dishes_are_placed_on_edge_in_slots_and_upright_in_places() -> None:
    worlds = begun(4, level="L2", factors={"plates": 2, "cups": 2})
    for world in range(3):
        for slot, name in enumerate(PLATES):
            put(worlds, world, name, *on_edge(slot))
        for place, name in enumerate(CUPS):
            put(worlds, world, name, *standing(place))
    # one cup lies, in another world one plate lies on the pins
    tipped = np.array([np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0])
    pos, _ = standing(1)
    put(worlds, 1, CUPS[1], pos, tipped)
    put(worlds, 2, PLATES[0], np.array([0.0, RACK.plate_y, 0.13]), upright(0.0))
    result = wait(worlds, 1.2)

    assert result.success.tolist() == [True, False, False, False]
    assert result.progress[0] == 1
    shares = [worlds.measures_of(world)["placed_share"] for world in range(4)]
    assert shares[0] == 1
    assert shares[1] == shares[2] == 0.75
    assert shares[3] == 0
    assert not result.dropped.any()


@pytest.mark.parametrize(("name", "fall_m"), [(PLATES[0], 0.22), (CUPS[0], 0.28)])
def test_a_dish_breaks_if_it_is_dropped_and_not_if_it_is_set_down(
    name: str, fall_m: float
) -> None:
    worlds = begun(2, level="L1")
    first = int(worlds.model.joint(name).qposadr[0])
    for world, height_m in enumerate((0.002, fall_m)):
        worlds.engine.view("qpos")[world, first + 2] += height_m
    result = wait(worlds, 0.4)
    assert result.terminated.tolist() == [False, True]
    assert result.progress[1] == 0
    assert worlds.measures_of(0)["impact"] < 15
    assert worlds.measures_of(1)["impact"] > BREAKING_N


def test_dishes_that_fall_off_the_table_are_dropped() -> None:
    worlds = begun(2, level="L1")
    first = int(worlds.model.joint(CUPS[0]).qposadr[0])
    worlds.engine.view("qpos")[0, first : first + 3] = (0.1, 0.6, 0.55)
    result = wait(worlds, 0.1)
    assert result.dropped.tolist() == [1, 0]
    assert result.terminated.tolist() == [True, False]


def test_at_l4_one_dish_is_pushed_and_stays_on_the_table() -> None:
    worlds = begun(8, level="L4")
    bodies = [worlds.model.body(name).id for name in DISHES]
    before = worlds.engine.view("xpos")[:, bodies].copy()
    result = wait(worlds, 1.3)
    after = worlds.engine.view("xpos")[:, bodies]
    moved_m = np.linalg.norm((after - before)[..., :2], axis=2)
    pushed = [worlds.variation_of(world)["pushed"] for world in range(8)]
    assert len(set(pushed)) > 2
    for world, dish in enumerate(pushed):
        assert 0.005 < moved_m[world, dish] < 0.08
    assert (after[..., 2] > TABLE.top_z - 0.001).all()
    assert not result.terminated.any()
