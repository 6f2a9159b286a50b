"""Measures how a robot moves in an episode: energy of its servos, and smoothness."""

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

# Tool points are sampled at 20 Hz, or at each control step if that is slower. The rate
# is the same for all policies, because the measured jerk depends on it.
SAMPLE_TICKS = 20
# A slower tool counts as standing still: its smoothness is undefined.
LEAST_PEAK_SPEED_M_S = 0.01
# Jerk is computed from a third difference, which needs this many consecutive positions.
NUM_LAST = 4


class MotionMeter:
    """A rollout hook that measures how the robot of each world moves.

    Energy is the work of all servos, in J: the sum of |force x speed| x step duration
    over the control steps. Braking counts as work too, because real servos recover no
    energy. Gravity is compensated, so holding still costs nothing.

    Smoothness is the log dimensionless jerk of a tool point,
    -ln(duration^3 / peak speed^2 x integral of squared jerk). With several tool points,
    the least smooth one counts (Balasubramanian et al., J. NeuroEng. Rehabil. 12:112,
    2015; Hogan & Sternad, J. Mot. Behav. 41:529, 2009). Values closer to 0 are smoother.
    The value is independent of the duration and the size of a motion.
    """

    def __init__(self, worlds: Worlds) -> None:
        """Finds servos and tool points in the model."""
        model = worlds.engine.model
        num = worlds.num_worlds
        robot = worlds.robot
        actuators = [model.actuator(name).id for name in robot.actuators]
        sites = [model.site(effector.site).id for effector in robot.effectors]
        self._actuators = np.array(actuators, np.int64)
        self._sites = np.array(sites, np.int64)

        # views of the live state
        self._force = worlds.engine.view("actuator_force")  # (N, nu)
        self._speed = worlds.engine.view("actuator_velocity")  # (N, nu)
        self._tool_pos_w = worlds.engine.view("site_xpos")  # (N, sites, 3)

        # control steps between samples, rounded up
        steps_per_sample = -(-SAMPLE_TICKS // worlds.ticks_per_step)
        self._step_s = worlds.ticks_per_step / PHYSICS_HZ
        self._steps_per_sample = steps_per_sample
        self._sample_s = steps_per_sample * self._step_s

        # figures of the running episode in each world; E is the number of tool points
        self._steps = np.zeros(num, np.int64)
        self._energy_j = np.zeros(num)
        # the last positions of the tool points, newest last
        self._last_pos_w = np.zeros((NUM_LAST, num, len(sites), 3))
        self._num_samples = np.zeros(num, np.int64)  # since the start
        self._peak_m = np.zeros((num, len(sites)))  # longest distance between samples
        self._jerk_m2 = np.zeros((num, len(sites)))  # sum of squared third differences
        # index of an episode that has ended -> (energy in J, smoothness)
        self._measured: dict[int, tuple[float, float | None]] = {}

    def on_start(
        self,
        worlds: Worlds,
        ids: np.ndarray,
        indices: np.ndarray,
        observation: Observation,
    ) -> None:
        """Sets the sums of the worlds `ids` (n,) to zero, for new episodes."""
        self._steps[ids] = 0
        self._energy_j[ids] = 0.0
        self._num_samples[ids] = 1  # the start itself is the first sample
        self._last_pos_w[-1, ids] = self._tool_pos_w[ids][:, self._sites]
        self._peak_m[ids] = 0.0
        self._jerk_m2[ids] = 0.0

    def on_step(self, worlds: Worlds, step: Step) -> None:
        """Adds the step's energy, and samples the tools' positions when that is due."""
        # the power of an actuator is |force * speed|; braking counts, too
        force = self._force[:, self._actuators]
        speed = self._speed[:, self._actuators]
        power_w = dot(np.abs(force), np.abs(speed))
        self._energy_j += np.where(step.active, power_w * self._step_s, 0.0)

        self._steps += step.active
        due = step.active & (self._steps % self._steps_per_sample == 0)
        if due.any():
            self._sample(np.flatnonzero(due))

    def on_end(self, worlds: Worlds, world: int, result: EpisodeResult) -> None:
        """Keeps the energy and the smoothness of an episode that ended."""
        energy_j = float(self._energy_j[world])
        # the figures of a faulty world are meaningless
        if not math.isfinite(energy_j) or result.fault:
            return
        self._measured[result.index] = (energy_j, self._smoothness(world))

    def measured(self, result: EpisodeResult) -> EpisodeResult:
        """Returns the result of an ended episode with energy and smoothness added."""
        if result.index not in self._measured:
            return result
        energy_j, smoothness = self._measured[result.index]
        return replace(result, energy_j=energy_j, smoothness=smoothness)

    def _sample(self, ids: np.ndarray) -> None:
        """Samples the tool points (n, E, 3) of worlds `ids` (n,)."""
        # shift the last positions by one, and append the new ones
        self._last_pos_w[:-1, ids] = self._last_pos_w[1:, ids]
        self._last_pos_w[-1, ids] = self._tool_pos_w[ids][:, self._sites]
        self._num_samples[ids] += 1

        # peak speed, as the distance between two samples
        last_pos_w = self._last_pos_w[:, ids]  # (4, n, E, 3)
        moved = last_pos_w[-1] - last_pos_w[-2]
        self._peak_m[ids] = np.maximum(self._peak_m[ids], np.sqrt(dot(moved, moved)))

        # jerk, as the third difference of the last four samples, once there are four
        p0, p1, p2, p3 = last_pos_w
        third_difference = p3 - 3 * p2 + 3 * p1 - p0
        has_enough_samples = self._num_samples[ids] >= NUM_LAST
        squared_m2 = dot(third_difference, third_difference)
        self._jerk_m2[ids] += np.where(has_enough_samples[:, None], squared_m2, 0.0)

    def _smoothness(self, world: int) -> float | None:
        """Returns the smoothness of the least smooth tool point; None if none moved."""
        duration_s = (int(self._num_samples[world]) - 1) * self._sample_s
        smoothness = []  # the value of each tool point that moved
        for peak_m, jerk_m2 in zip(
            self._peak_m[world], self._jerk_m2[world], strict=True
        ):
            peak_m_s = peak_m / self._sample_s
            if peak_m_s < LEAST_PEAK_SPEED_M_S or jerk_m2 <= 0:
                continue
            # jerk = third difference / period^3; integral = sum of jerk^2 x period
            integral = jerk_m2 / self._sample_s**5
            smoothness.append(-math.log(duration_s**3 / peak_m_s**2 * integral))
        return min(smoothness, default=None)
