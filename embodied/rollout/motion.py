"""How a robot moves through an episode: the work of its servos, and how smoothly."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from embodied.arrays import dot
from embodied.core import PHYSICS_HZ, Observation

if TYPE_CHECKING:
    from embodied.envs.worlds import Worlds
    from embodied.rollout.rollout import EpisodeResult, Step

# Tool points are sampled 20 times per second, or at each control step if that is rarer:
# a jerk depends on the rate, and policies of all rates are to compare.
SAMPLE_TICKS = 20
# A tool that never moves faster has no smoothness, m/s.
LEAST_PEAK_SPEED_M_S = 0.01
# positions from which the third difference is taken
HELD = 4


class MotionMeter:
    """A rollout hook that measures how the robot of each world moves.

    Energy is the work of all servos, in J: the sum of |force x speed| over the control
    steps. Nothing is fed back where a joint brakes. Gravity is compensated, so that
    holding still costs nothing.

    Smoothness is the log dimensionless jerk of a tool point's path,
    -ln(duration^3 / peak speed^2 x integral of squared jerk), of the least smooth tool
    point (Balasubramanian et al., J. NeuroEng. Rehabil. 12:112, 2015; Hogan & Sternad,
    J. Mot. Behav. 41:529, 2009). The nearer to 0, the smoother; the same motion at
    another pace or size has the same.
    """

    def __init__(self, worlds: Worlds) -> None:
        model = worlds.engine.model
        num = worlds.num_worlds
        robot = worlds.robot
        actuators = [model.actuator(name).id for name in robot.actuators]
        sites = [model.site(effector.site).id for effector in robot.effectors]
        self._actuators = np.array(actuators, np.int64)
        self._sites = np.array(sites, np.int64)

        # views of the live state, made once
        self._force = worlds.engine.view("actuator_force")  # (N, nu)
        self._speed = worlds.engine.view("actuator_velocity")  # (N, nu)
        self._tool_pos_w = worlds.engine.view("site_xpos")  # (N, sites, 3)

        steps_per_sample = -(-SAMPLE_TICKS // worlds.ticks_per_step)
        self._step_s = worlds.ticks_per_step / PHYSICS_HZ
        self._steps_per_sample = steps_per_sample
        self._sample_s = steps_per_sample * self._step_s

        # running figures of the episode in each world
        self._steps = np.zeros(num, np.int64)
        self._energy_j = np.zeros(num)
        self._held = np.zeros((HELD, num, len(sites), 3))  # m, the newest last
        self._num_held = np.zeros(num, np.int64)
        self._peak_m = np.zeros((num, len(sites)))  # the longest way between samples
        self._jerk_m2 = np.zeros((num, len(sites)))  # sum of squared third differences
        self._measured: dict[int, tuple[float, float | None]] = {}

    def on_start(
        self,
        worlds: Worlds,
        ids: np.ndarray,
        indices: np.ndarray,
        observation: Observation,
    ) -> None:
        self._steps[ids] = 0
        self._energy_j[ids] = 0.0
        self._num_held[ids] = 1
        self._held[-1, ids] = self._tool_pos_w[ids][:, self._sites]
        self._peak_m[ids] = 0.0
        self._jerk_m2[ids] = 0.0

    def on_step(self, worlds: Worlds, step: Step) -> None:
        force = self._force[:, self._actuators]
        speed = self._speed[:, self._actuators]
        power_w = dot(np.abs(force), np.abs(speed))
        self._energy_j += np.where(step.active, power_w * self._step_s, 0.0)

        self._steps += step.active
        due = step.active & (self._steps % self._steps_per_sample == 0)
        if due.any():
            self._sample(np.flatnonzero(due))

    def on_end(self, worlds: Worlds, world: int, result: EpisodeResult) -> None:
        energy_j = float(self._energy_j[world])
        # a world that diverged has no figures
        if not math.isfinite(energy_j) or result.fault:
            return
        self._measured[result.index] = (energy_j, self._smoothness(world))

    def measured(self, result: EpisodeResult) -> EpisodeResult:
        """Returns the result of an episode that has ended, with how the robot moved."""
        if result.index not in self._measured:
            return result
        energy_j, smoothness = self._measured[result.index]
        return replace(result, energy_j=energy_j, smoothness=smoothness)

    def _sample(self, ids: np.ndarray) -> None:
        """Takes the tool points (n, E, 3) of worlds `ids`."""
        self._held[:-1, ids] = self._held[1:, ids]
        self._held[-1, ids] = self._tool_pos_w[ids][:, self._sites]
        self._num_held[ids] += 1

        held = self._held[:, ids]
        way = held[-1] - held[-2]
        self._peak_m[ids] = np.maximum(self._peak_m[ids], np.sqrt(dot(way, way)))

        third = held[3] - 3 * held[2] + 3 * held[1] - held[0]
        whole = self._num_held[ids] >= HELD
        square = dot(third, third)
        self._jerk_m2[ids] += np.where(whole[:, None], square, 0.0)

    def _smoothness(self, world: int) -> float | None:
        """Returns that of the least smooth tool point; None where none has moved."""
        duration_s = (int(self._num_held[world]) - 1) * self._sample_s
        found = []
        for peak_m, jerk_m2 in zip(
            self._peak_m[world], self._jerk_m2[world], strict=True
        ):
            peak_m_s = peak_m / self._sample_s
            if peak_m_s < LEAST_PEAK_SPEED_M_S or jerk_m2 <= 0:
                continue
            # the integral of the squared jerk, third differences over the period cubed
            integral = jerk_m2 / self._sample_s**5
            found.append(-math.log(duration_s**3 / peak_m_s**2 * integral))
        return min(found, default=None)
