"""Facts of a state: each is computed once, and anew when the state has changed."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from embodied.envs.facts import PerState, quantity
from embodied.envs.registry import task_names
from embodied.sim.cpu import CpuEngine
from tests.ground import random_actions, started_worlds

MJCF = """
<mujoco>
  <worldbody>
    <body pos="0 0 1">
      <freejoint/>
      <geom size="0.1"/>
    </body>
  </worldbody>
</mujoco>
"""


class Facts:
    """How high the ball is, and how often that was computed."""

    computed = 0

    def __init__(self, engine: CpuEngine) -> None:
        self._engine = engine

    @quantity
    def height_m(self) -> np.ndarray:
        """(N,)."""
        Facts.computed += 1
        return self._engine.view("xpos")[:, 1, 2].copy()


def test_a_quantity_is_computed_when_it_is_first_read_in_each_state() -> None:
    engine = CpuEngine(mujoco.MjModel.from_xml_string(MJCF), 2, 1)
    engine.refresh(np.arange(2))
    facts = PerState(engine, lambda: Facts(engine))
    before = Facts.computed
    assert facts().height_m.tolist() == [1.0, 1.0]
    assert facts().height_m is facts().height_m
    assert Facts.computed == before + 1

    # after a step, and after what was written by hand
    engine.step(40)
    assert (facts().height_m < 1.0).all()
    engine.view("qpos")[:, 2] = 3.0
    engine.refresh(np.arange(2))
    assert facts().height_m.tolist() == [3.0, 3.0]
    assert Facts.computed == before + 3


@pytest.mark.parametrize("task", task_names())
def test_a_restored_episode_has_facts_of_its_own(task: str) -> None:
    worlds = started_worlds(2, task=task, level="L4")
    start = worlds.episode_start(0)
    expected = worlds.observe().environment_state[0]
    progress = worlds.task.judge().progress[0]

    for action in random_actions(worlds, 20):
        worlds.step(action)
    worlds.begin_recorded(0, start)
    assert worlds.observe().environment_state[0].tobytes() == expected.tobytes()
    assert worlds.task.judge().progress[0] == progress
