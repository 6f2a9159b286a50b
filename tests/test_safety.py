"""The safety signals, against MuJoCo stepped one physics step after the other.

Forces are those of every physics step; what counts as a collision is a contact with
what is fixed to the world.
"""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np
import pytest

from embodied.core import PHYSICS_HZ, Observation, PolicySpec
from embodied.envs.config import EnvConfig
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.rollout.rollout import rollout
from embodied.sim.contact_force import WINDOW_TICKS
from tests.ground import (
    TASKS_AND_ROBOTS,
    env_config,
    idle_action,
    started_worlds,
)

TASKS = sorted({task for task, _ in TASKS_AND_ROBOTS})


def move_first_world(worlds: Worlds, axis: int, value: float) -> np.ndarray:
    """The action that moves world 0 along an action element, (N, A)."""
    action = idle_action(worlds)
    action[0, axis] = value
    return action


def pressed_on_the_belt(control_hz: int, steps: int) -> Worlds:
    """Two worlds; in the first the hand came down beside the totes for `steps`."""
    worlds = started_worlds(
        2,
        level="L1",
        control_mode="ee_delta",
        control_hz=control_hz,
        factors={"first_y": 0.3, "joint_start": 0.0},
    )

    # Beside the totes first, so that nothing but the belt is pressed.
    aside = move_first_world(worlds, axis=1, value=-1)
    down = move_first_world(worlds, axis=2, value=-1)
    for _ in range(control_hz):
        worlds.step(aside)
    for _ in range(steps):
        worlds.step(down)

    return worlds


def robot_bodies(model: mujoco.MjModel) -> set[int]:
    root = model.body("stand").id
    return {body for body in range(model.nbody) if model.body_rootid[body] == root}


def strongest_force_n(
    model: mujoco.MjModel, data: mujoco.MjData, robot: set[int]
) -> float:
    """The strongest contact of the robot at this moment, in N."""
    strongest = 0.0
    wrench = np.zeros(6)
    for number, contact in enumerate(data.contact):
        bodies = {int(model.geom_bodyid[geom]) for geom in contact.geom}
        if bodies & robot:
            mujoco.mj_contactForce(model, data, number, wrench)
            strongest = max(strongest, float(np.linalg.norm(wrench[:3])))
    return strongest


def forces_of_each_tick(worlds: Worlds, world: int, ticks: int) -> np.ndarray:
    """The strongest force in N of each coming physics step, (ticks,).

    A copy of the world is stepped; the world itself stays as it is.
    """
    model = worlds.engine.world_model(world)
    data = worlds.engine.world_data(world)
    robot = robot_bodies(model)

    forces = []
    for _ in range(ticks):
        mujoco.mj_step(model, data)
        forces.append(strongest_force_n(model, data, robot))
    return np.array(forces)


def test_the_peak_is_that_of_all_physics_steps() -> None:
    worlds = pressed_on_the_belt(control_hz=20, steps=8)
    down = move_first_world(worlds, axis=2, value=-1)

    peaks = []
    for _ in range(6):
        worlds.control.apply(down)
        expected = forces_of_each_tick(worlds, 0, WINDOW_TICKS)
        worlds.engine.step(WINDOW_TICKS)

        # What the engine reports of a step must be the peak over all its ticks.
        force = worlds.safety(WINDOW_TICKS).contact_force_n
        force_of_4_ticks = worlds.safety(4).contact_force_n
        assert force[0] == pytest.approx(expected.max(), rel=1e-6)
        assert force_of_4_ticks[0] == pytest.approx(expected[-4:].max(), rel=1e-6)
        assert force[1] == 0
        peaks.append(expected.max())

    # It was pressed.
    assert max(peaks) > 20


@pytest.mark.parametrize("control_hz", [200, 50, 25, 16, 10, 4])
def test_no_physics_step_of_an_episode_is_missed(control_hz: int) -> None:
    config = env_config(
        level="L1",
        control_mode="ee_delta",
        control_hz=control_hz,
        factors={"first_y": 0.3, "joint_start": 0.0},
        horizon_s=3.0,
    )
    worlds = ForceLog(config)

    (result,) = rollout(worlds, AsideThenDown(control_hz), [0])

    assert len(worlds.forces_n) == 3 * PHYSICS_HZ
    assert max(worlds.forces_n) > 20
    assert result.peak_contact_force_n == pytest.approx(max(worlds.forces_n), rel=1e-6)


class ForceLog(Worlds):
    """A world that notes the strongest force of each physics step."""

    def __init__(self, config: EnvConfig) -> None:
        super().__init__(config)
        self.forces_n: list[float] = []
        self._apply = self.control.apply
        self.control.apply = self._look_ahead  # type: ignore[method-assign]

    def _look_ahead(self, action: np.ndarray) -> None:
        self._apply(action)
        self.forces_n += forces_of_each_tick(self, 0, self.ticks_per_step).tolist()


class AsideThenDown:
    """Moves beside the totes for a second, then presses on the belt."""

    def __init__(self, control_hz: int) -> None:
        self.spec = PolicySpec(control_mode="ee_delta", control_hz=control_hz)

    def reset(
        self, ids: np.ndarray, observation: Observation, seeds: Sequence[int]
    ) -> None: ...

    def act(self, observation: Observation) -> np.ndarray:
        action = np.zeros((1, 7), np.float32)
        aside = observation.tick[0] < PHYSICS_HZ
        action[0, 1 if aside else 2] = -1
        return action


def test_what_the_sensors_have_forgotten_can_not_be_asked_for() -> None:
    worlds = started_worlds(1, control_hz=10)
    worlds.step(idle_action(worlds))

    assert worlds.safety(40).contact_force_n.shape == (1,)
    with pytest.raises(EmbodiedError, match="at most 20, or for the 40 of a control"):
        worlds.safety(30)


def test_a_reset_forgets_the_forces_of_a_long_control_step() -> None:
    worlds = pressed_on_the_belt(control_hz=10, steps=10)
    assert worlds.safety(40).contact_force_n[0] > 1

    worlds.reset(np.array([0]), [5])

    assert worlds.safety(40).contact_force_n[0] == 0


def test_touching_the_belt_is_a_collision_and_standing_by_is_none() -> None:
    worlds = pressed_on_the_belt(control_hz=200, steps=100)

    collision = worlds.safety(WINDOW_TICKS).collision

    assert collision.tolist() == [True, False]


@pytest.mark.parametrize(
    "task", [task for task, robot in TASKS_AND_ROBOTS if robot == "wheeled_arm"]
)
def test_driving_into_what_stands_there_is_a_collision(task: str) -> None:
    """Also into furniture whose place varies, which is a body of its own."""
    worlds = started_worlds(
        1, task=task, robot="wheeled_arm", control_mode="joint_delta"
    )
    ahead = move_first_world(worlds, axis=0, value=1)

    collided = False
    for _ in range(80):
        worlds.step(ahead)
        collided = collided or bool(worlds.safety(WINDOW_TICKS).collision[0])

    assert collided


def test_a_reset_forgets_the_forces() -> None:
    worlds = pressed_on_the_belt(control_hz=20, steps=20)
    assert worlds.safety(WINDOW_TICKS).contact_force_n[0] > 1

    worlds.reset(np.array([0]), [5])

    assert worlds.safety(WINDOW_TICKS).contact_force_n[0] == 0


def test_the_margin_is_that_of_the_nearest_joint() -> None:
    worlds = started_worlds(1, level="L1", factors={"joint_start": 0.0})
    joints = worlds.robot.arms[0].joints
    low, high = np.array(joints.ranges).T
    home = np.array(joints.home)

    margin_rad = worlds.safety(1).joint_margin_rad[0]

    assert margin_rad == pytest.approx(np.minimum(home - low, high - home).min())


def test_the_window_is_that_of_the_documents() -> None:
    assert WINDOW_TICKS / PHYSICS_HZ == 0.05
