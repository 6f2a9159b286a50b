"""The bridge `residual`: corrects each action towards the path of the action chunk."""

from __future__ import annotations

import numpy as np

from embodied.core import PHYSICS_HZ, Array, Observation, Payload, PayloadKind
from embodied.errors import EmbodiedError
from embodied.policies.bridges.bridge import Arrival, Setting, take_row, whole_rows
from embodied.policies.bridges.hold import Hold

GAIN_PER_S = 4.0  # speed of the correction, divided by the distance from the path
MEMORY_S = 4.0  # no correction for plans that are older


class PathResidual(Hold):
    """Adds to each action a correction towards the path that the chunk describes.

    A chunk of velocities describes a path that begins at the robot's position at
    `tick_frame`. When the chunk arrives, the robot has followed an older chunk, so it is
    off that path. The correction is proportional to the distance from it. (A2C2, arXiv
    2509.23224, learns such a correction from observations; this one needs no weights.)
    """

    kinds: tuple[PayloadKind, ...] = ("chunk",)

    def __init__(self, setting: Setting) -> None:
        """Raises EmbodiedError in control modes whose actions are not speeds."""
        if setting.coordinates is None or setting.interface is None:
            raise EmbodiedError(
                "the bridge 'residual' needs actions that are speeds (joint_delta or "
                "ee_delta): in other control modes choose hold, ensemble or rtc"
            )
        self._read = setting.coordinates
        self._top_speed = setting.interface.high  # (A,) the speed of an action of 1
        self._ticks_per_step = PHYSICS_HZ // setting.control_hz

        num_worlds = setting.num_worlds
        steps = int(MEMORY_S * setting.control_hz)
        size = len(self._top_speed)
        self._worlds = np.arange(num_worlds)
        # ring buffer of the coordinates at the last steps; NaN if unknown
        self._past = np.full((num_worlds, steps, size), np.nan)  # (N, steps, A)
        # the coordinates at which each plan's path begins; NaN if unknown
        self._start = np.full((num_worlds, size), np.nan)  # (N, A)
        # whether `_start` must be set for a new plan
        self._is_new = np.zeros(num_worlds, bool)  # (N,)
        # the distance along each plan's path before each row, and after the last one
        self._moved = np.zeros((num_worlds, 1, size))  # (N, H + 1, A)

    def reset(self, ids: Array) -> None:
        self._past[ids] = np.nan
        self._start[ids] = np.nan

    def merge(self, arrival: Arrival) -> Payload:
        """Returns the arrived plan unchanged, and computes the path that its chunk describes."""
        chunk = arrival.plan.chunk  # (n, H, A) velocities, as shares of the top speed
        # points of the path: its start, and the end of each row
        num_points = chunk.shape[1] + 1
        if self._moved.shape[1] != num_points:
            self._moved = np.zeros((len(self._moved), num_points, chunk.shape[2]))

        # integrate the velocities; the distance at the start stays 0
        row_s = 1 / arrival.plan.chunk_hz[:, None, None]  # duration of a row
        self._moved[arrival.ids, 1:] = (chunk * row_s * self._top_speed).cumsum(axis=1)
        self._is_new[arrival.ids] = True
        return arrival.plan

    def correct(
        self, observation: Observation, payload: Payload, age_s: Array, action: Array
    ) -> Array:
        """Returns the actions (N, A) plus a share of their distance from the path."""
        step = np.asarray(observation.tick) // self._ticks_per_step  # (N,)
        slots = self._past.shape[1]
        # (N, A) the current coordinates; NaN for elements without one
        here = self._read(observation.agent_pos)
        self._past[self._worlds, step % slots] = here

        # A new plan's path begins at the coordinates at its `tick_frame`. They are
        # unknown if that is before the episode, or longer ago than the buffer reaches.
        if self._is_new.any():
            age_ticks = np.round(age_s * PHYSICS_HZ).astype(np.int64)
            frame = (np.asarray(observation.tick) - age_ticks) // self._ticks_per_step
            then = self._past[self._worlds, frame % slots]
            then[(step - frame >= slots) | (frame < 0)] = np.nan
            self._start = np.where(self._is_new[:, None], then, self._start)
            self._is_new[:] = False

        # (N, A) the distance along the path until now, interpolated between rows
        row = age_s * payload.chunk_hz
        whole = whole_rows(row)
        before = take_row(self._moved, whole)
        fraction = (row - whole)[:, None]
        moved = before + fraction * (take_row(self._moved, whole + 1) - before)

        # scaled by the top speed, like actions; 0 if the path is unknown
        residual = GAIN_PER_S * (self._start + moved - here) / self._top_speed
        residual = np.where(np.isfinite(residual), residual, 0.0)
        return np.minimum(np.maximum(action + residual, -1.0), 1.0)
