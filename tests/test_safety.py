"""Forces are those of every physics step, and what counts as a collision is what is
fixed to the world.
"""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from embodied.core import PHYSICS_HZ
from embodied.envs.worlds import Worlds
from embodied.sim.contact_force import WINDOW_TICKS
from tests.ground import PAIRS, opened, started


def pressed_on_the_belt(hz: int, steps: int) -> Worlds:
    """The hand comes down beside the totes."""
    worlds = started(
        2,
        level="L1",
        control_mode="ee_delta",
        control_hz=hz,
        factors={"first_y": 0.3, "joint_start": 0.0},
    )
    aside = opened(worlds)
    down = opened(worlds)
    aside[0, 1] = -1
    down[0, 2] = -1
    for k in range(hz + steps):
        worlds.step(aside if k < hz else down)
    return worlds


def strongest_of_each_step(worlds: Worlds, world: int, ticks: int) -> np.ndarray:
    """(ticks,) N, by stepping a copy of one world."""
    model = worlds.engine.world_model(world)
    data = worlds.engine.world_data(world)
    robot = {
        i for i in range(model.nbody) if model.body_rootid[i] == model.body("stand").id
    }
    forces = []
    wrench = np.zeros(6)
    for _ in range(ticks):
        mujoco.mj_step(model, data)
        peak = 0.0
        for k, contact in enumerate(data.contact):
            if robot & {int(model.geom_bodyid[geom]) for geom in contact.geom}:
                mujoco.mj_contactForce(model, data, k, wrench)
                peak = max(peak, float(np.linalg.norm(wrench[:3])))
        forces.append(peak)
    return np.array(forces)


def test_the_peak_is_that_of_all_physics_steps() -> None:
    worlds = pressed_on_the_belt(20, 8)
    down = opened(worlds)
    down[0, 2] = -1
    found = []
    for _ in range(6):
        worlds.control.apply(down)
        expected = strongest_of_each_step(worlds, 0, WINDOW_TICKS)
        worlds.engine.step(WINDOW_TICKS)
        felt = worlds.safety(WINDOW_TICKS)
        found.append(expected.max())
        assert felt.contact_force_n[0] == pytest.approx(expected.max(), rel=1e-6)
        assert worlds.safety(4).contact_force_n[0] == pytest.approx(
            expected[-4:].max(), rel=1e-6
        )
        assert felt.contact_force_n[1] == 0
    assert max(found) > 20


def test_touching_the_belt_is_a_collision_and_standing_by_is_none() -> None:
    worlds = pressed_on_the_belt(200, 100)
    felt = worlds.safety(WINDOW_TICKS)
    assert felt.collision.tolist() == [True, False]


@pytest.mark.parametrize("task", sorted({task for task, _ in PAIRS}))
def test_driving_into_what_stands_there_is_a_collision(task: str) -> None:
    """Also into furniture whose place varies, which is a body of its own."""
    worlds = started(1, task=task, robot="wheeled_arm", control_mode="joint_delta")
    ahead = opened(worlds)
    ahead[0, 0] = 1
    assert any(
        worlds.step(ahead) and worlds.safety(WINDOW_TICKS).collision[0]
        for _ in range(80)
    )


def test_a_reset_forgets_the_forces() -> None:
    worlds = pressed_on_the_belt(20, 20)
    assert worlds.safety(WINDOW_TICKS).contact_force_n[0] > 1
    worlds.reset(np.array([0]), [5])
    assert worlds.safety(WINDOW_TICKS).contact_force_n[0] == 0


def test_the_margin_is_that_of_the_nearest_joint() -> None:
    worlds = started(1, level="L1", factors={"joint_start": 0.0})
    low, high = (
        np.array(side) for side in zip(*worlds.robot.arms[0].joints.ranges, strict=True)
    )
    home = np.array(worlds.robot.arms[0].joints.home)
    expected = np.minimum(home - low, high - home).min()
    assert worlds.safety(1).joint_margin_rad[0] == pytest.approx(expected)
    assert WINDOW_TICKS / PHYSICS_HZ == 0.05
