"""Near misses: how often a link comes close to something fixed, and doesn't touch it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import mujoco
import numpy as np
import pytest

from embodied.core import PHYSICS_HZ
from embodied.rollout.motion import SAMPLE_TICKS
from embodied.rollout.near_misses import CLEAR_M, NEAR_M, NearMissMeter
from tests.episode_results import episode_result

# A link slides along x: a ball of 50 mm, and before it a fingertip that is no link. At
# x = 0 the ball is 0.5 m before a wall, and 10 mm beside a post that it cannot get away
# from. A person stands behind it.
SCENE = """
<mujoco>
  <worldbody>
    <body name="base">
      <geom size="0.01" pos="0 0 -1"/>
      <body name="link">
        <joint name="slide" type="slide" axis="1 0 0"/>
        <geom name="ball" size="0.05" mass="1"/>
        <body name="finger" pos="0.1 0 0">
          <geom size="0.04" mass="1"/>
        </body>
      </body>
    </body>
    <geom name="wall" type="box" size="0.1 1 1" pos="0.65 0 0"/>
    <geom name="post" type="box" size="1 0.01 1" pos="0 0.07 0"/>
    <body name="person" mocap="true" pos="-0.75 0 0">
      <geom type="cylinder" size="0.2 0.8"/>
    </body>
  </worldbody>
  <keyframe><key qpos="0"/></keyframe>
</mujoco>
"""
AWAY = 0.3  # m from the wall
NEAR = NEAR_M / 2
BETWEEN = (NEAR_M + CLEAR_M) / 2
TOUCHING = -0.001


class SlidingWorlds:
    """Two worlds of the scene, with poses that a test sets."""

    def __init__(self, control_hz: int = 20) -> None:
        self.num_worlds = 2
        self.ticks_per_step = PHYSICS_HZ // control_hz
        self.model = mujoco.MjModel.from_xml_string(SCENE)
        self.data = mujoco.MjData(self.model)
        none: tuple[Any, ...] = ()
        arm = SimpleNamespace(joints=SimpleNamespace(names=["slide"]))
        self.robot = SimpleNamespace(
            arms=(arm,),
            torsos=none,
            waists=none,
            bases=(SimpleNamespace(joints=arm.joints, root_body="base"),),
        )
        self.views = {
            "geom_xpos": np.zeros((2, self.model.ngeom, 3)),
            "geom_xmat": np.zeros((2, self.model.ngeom, 9)),
        }
        self.engine = SimpleNamespace(
            view=self.views.__getitem__,
            world_model=lambda world: self.model,
            model_views=dict,
        )

    def slide_to(self, world: int, x_m: float) -> None:
        """Moves the link of one world."""
        self.data.qpos[0] = x_m
        mujoco.mj_kinematics(self.model, self.data)
        self.views["geom_xpos"][world] = self.data.geom_xpos
        self.views["geom_xmat"][world] = self.data.geom_xmat


def counted(
    xs_m: list[float], control_hz: int = 20, fault: str = ""
) -> list[int | None]:
    """The near misses in two worlds; in the second the link slides to these places."""
    worlds: Any = SlidingWorlds(control_hz)
    for world in range(2):
        worlds.slide_to(world, 0.0)
    meter = NearMissMeter(worlds)
    both = np.arange(2)
    meter.on_start(worlds, both, both, observation=None)  # type: ignore[arg-type]

    step: Any = SimpleNamespace(active=np.ones(2, bool))
    for x_m in xs_m:
        worlds.slide_to(1, x_m)
        meter.on_step(worlds, step)

    results = []
    for world in range(2):
        result = episode_result(world, fault=fault)
        meter.on_end(worlds, world, result)
        results.append(meter.measured(result).near_misses)
    return results


@pytest.mark.parametrize(
    ("gaps_m", "expected"),
    [
        pytest.param([AWAY, BETWEEN, AWAY], 0, id="not close enough"),
        pytest.param([AWAY, NEAR, AWAY], 1, id="close once"),
        pytest.param([AWAY, NEAR, BETWEEN, NEAR, AWAY], 1, id="it trembles"),
        pytest.param([AWAY, NEAR, AWAY, NEAR, AWAY], 2, id="close twice"),
        pytest.param([AWAY, NEAR], 1, id="close until the end"),
        pytest.param([AWAY, NEAR, TOUCHING, NEAR, AWAY], 0, id="it touches"),
        pytest.param([TOUCHING, AWAY, NEAR, AWAY], 1, id="close after a touch"),
    ],
)
def test_a_time_close_to_the_wall_counts_once(
    gaps_m: list[float], expected: int
) -> None:
    """The other world, whose link stays beside its post, counts nothing."""
    assert counted([0.5 - gap_m for gap_m in gaps_m]) == [0, expected]


def test_a_person_counts_as_the_wall_does() -> None:
    assert counted([0.0, -0.5 + NEAR, 0.0]) == [0, 1]


def test_a_finger_may_come_as_close_as_it_likes() -> None:
    """It reaches 90 mm farther than the ball."""
    assert counted([0.0, 0.5 - 0.09 - NEAR, 0.0]) == [0, 0]


def test_distances_are_sampled_at_one_rate() -> None:
    """At 200 Hz a link that is close for one step of ten is seen only in the last."""
    steps = SAMPLE_TICKS * 200 // PHYSICS_HZ
    away = [0.0] * (steps - 1)
    close = 0.5 - NEAR
    assert counted([*away, close, *away, 0.0], control_hz=200) == [0, 1]
    assert counted([close, *away, *away, 0.0], control_hz=200) == [0, 0]


def test_after_a_fault_nothing_is_counted() -> None:
    assert counted([0.5 - NEAR, 0.0], fault="diverged") == [None, None]
