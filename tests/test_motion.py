"""How the robot moves: the work of its servos, and how smooth its path is."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from embodied.core import PHYSICS_HZ
from embodied.envs.config import EnvConfig
from embodied.policies.episodes import EpisodeRunner
from embodied.rollout.motion import SAMPLE_TICKS, MotionMeter
from tests.episode_results import episode_result

DURATION_S = 4.0


class PathWorlds:
    """Worlds of a robot with one servo, whose tool follows paths (N, T, 3)."""

    def __init__(self, paths: np.ndarray, control_hz: int) -> None:
        self.num_worlds = len(paths)
        self.ticks_per_step = PHYSICS_HZ // control_hz
        self.paths = paths
        self.views = {
            "actuator_force": np.full((len(paths), 1), -3.0),
            "actuator_velocity": np.full((len(paths), 1), 2.0),
            "site_xpos": paths[:, :1].copy(),
        }
        self.robot = SimpleNamespace(
            actuators=["servo"], effectors=[SimpleNamespace(site="tool")]
        )
        first = SimpleNamespace(id=0)
        model = SimpleNamespace(actuator=lambda name: first, site=lambda name: first)
        self.engine = SimpleNamespace(model=model, view=self.views.__getitem__)


def played(paths: np.ndarray, control_hz: int, fault: str = "") -> list[Any]:
    """The results of episodes in which the tools follow these paths."""
    worlds: Any = PathWorlds(paths, control_hz)
    meter = MotionMeter(worlds)
    everyone = np.arange(len(paths))
    meter.on_start(worlds, everyone, everyone, observation=None)  # type: ignore[arg-type]
    step: Any = SimpleNamespace(active=np.ones(len(paths), bool))
    for k in range(1, paths.shape[1]):
        worlds.views["site_xpos"][:, 0] = paths[:, k]
        meter.on_step(worlds, step)

    results = []
    for world in range(len(paths)):
        result = episode_result(world, fault=fault)
        meter.on_end(worlds, world, result)
        results.append(meter.measured(result))
    return results


def reach(control_hz: int, way_m: float = 0.4, shake_m: float = 0.0) -> np.ndarray:
    """A minimum-jerk reach (T, 3) along x, with a tremor of 3 Hz."""
    share = np.linspace(0, 1, round(DURATION_S * control_hz) + 1)
    path = np.zeros((len(share), 3))
    path[:, 0] = way_m * (10 * share**3 - 15 * share**4 + 6 * share**5)
    path[:, 1] = shake_m * np.sin(2 * np.pi * 3 * DURATION_S * share)
    return path


def test_energy_is_the_work_of_the_servos() -> None:
    (result,) = played(reach(20)[None], 20)
    assert result.energy_j == pytest.approx(3.0 * 2.0 * DURATION_S)


def test_a_minimum_jerk_reach_has_the_smoothness_of_the_literature() -> None:
    """-ln(204.8): its squared jerk is 720 D^2 / T^5, its peak speed 1.875 D / T."""
    (result,) = played(reach(20)[None], 20)
    assert result.smoothness == pytest.approx(-math.log(720 / 1.875**2), abs=0.15)


def test_smoothness_does_not_depend_on_control_rate_or_size() -> None:
    values = [
        played(reach(hz, way_m)[None], hz)[0].smoothness
        for hz in (20, 50, 200)
        for way_m in (0.1, 0.4)
    ]
    assert max(values) - min(values) < 0.2
    assert SAMPLE_TICKS == PHYSICS_HZ // 20


def test_a_tremor_is_less_smooth_and_standing_still_is_neither() -> None:
    paths = [reach(20), reach(20, shake_m=0.002), reach(20, shake_m=0.01)]
    values = [result.smoothness for result in played(np.stack(paths), 20)]
    assert values == sorted(values, reverse=True)
    assert values[0] - values[2] > 3
    (still,) = played(np.zeros((1, 81, 3)), 20)
    assert still.smoothness is None
    assert still.energy_j is not None


def test_a_fault_has_no_figures() -> None:
    (result,) = played(reach(20)[None], 20, fault="diverged")
    assert (result.energy_j, result.smoothness) == (None, None)


def test_figures_do_not_depend_on_how_many_worlds_there_are() -> None:
    config = EnvConfig("ToteTransfer", level="L3", num_threads=1, horizon_s=1.0)
    told: list[Any] = []
    one = EpisodeRunner("random", config, num_envs=1).run(range(4), (), told.append)
    three = EpisodeRunner("random", config, num_envs=3).run(range(4))
    assert told == one
    assert one == three
    assert all(result.energy_j > 0 for result in one)
    assert all(result.smoothness < -3 for result in one)
    assert all(result.near_misses == 0 for result in one)
