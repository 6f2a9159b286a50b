"""The bridge `residual`: corrects each action towards the path of the action chunk."""

from __future__ import annotations

import numpy as np

from embodied.core import PHYSICS_HZ, Array, Observation
from embodied.errors import EmbodiedError
from embodied.plan import Payload, PayloadKind
from embodied.policies.bridges.bridge import Arrival, Setting, take_row, whole_rows
from embodied.policies.bridges.hold import Hold

GAIN_PER_S = 4.0  # the speed of the correction, divided by the distance from the path
# The time for which past coordinates are kept. Plans made from older images than this are
# not corrected.
MEMORY_S = 4.0


class PathResidual(Hold):
    """Adds to each action a correction towards the path that the chunk describes.

    A chunk of velocities describes a path that begins at the robot's position at
    `tick_frame`. When the chunk arrives, the robot has followed an older chunk, so it is
    off that path. The correction is proportional to the distance from it. (A2C2, arXiv
    2509.23224, learns such a correction from observations; this one needs no weights.)
    """

    kinds: tuple[PayloadKind, ...] = ("chunk",)

    def __init__(self, setting: Setting) -> None:
        """Creates the state; raises EmbodiedError if the actions are not velocities."""
        if setting.coordinates is None or setting.interface is None:
            raise EmbodiedError(
                "the bridge 'residual' needs actions that are speeds (joint_delta or "
                "ee_delta): in other control modes choose hold, ensemble or rtc"
            )
        self._read_coordinates = setting.coordinates
        self._top_speed = setting.interface.high  # (A,) the speed of an action of 1
        self._ticks_per_step = PHYSICS_HZ // setting.control_hz

        steps = int(MEMORY_S * setting.control_hz)
        size = len(self._top_speed)
        self._worlds = np.arange(setting.num_worlds)
        # ring buffer of the coordinates at the last control steps; NaN if unknown
        self._past = np.full((setting.num_worlds, steps, size), np.nan)  # (N, steps, A)
        # the coordinates at which each plan's path begins; NaN if unknown
        self._start = np.full((setting.num_worlds, size), np.nan)  # (N, A)
        # whether the shown plan is new, so that `_start` must be set
        self._is_new = np.zeros(setting.num_worlds, bool)  # (N,)
        # each plan's path: the offset from its start before each row, and after the last row
        self._path = np.zeros((setting.num_worlds, 1, size))  # (N, H + 1, A)

    def reset(self, ids: Array) -> None:
        self._past[ids] = np.nan
        self._start[ids] = np.nan

    def merge(self, arrival: Arrival) -> Payload:
        """Returns the arrived plan unchanged, and computes the path that its chunk describes."""
        chunk = arrival.plan.chunk  # (n, H, A) velocities, as shares of the top speed
        # points of the path: its start, and the end of each row
        num_points = chunk.shape[1] + 1
        if self._path.shape[1] != num_points:
            self._path = np.zeros((len(self._path), num_points, chunk.shape[2]))

        # integrate the velocities; the offset at the start stays 0
        row_s = 1 / arrival.plan.chunk_hz[:, None, None]  # the duration of a row
        self._path[arrival.ids, 1:] = (chunk * row_s * self._top_speed).cumsum(axis=1)
        self._is_new[arrival.ids] = True
        return arrival.plan

    def correct(
        self, observation: Observation, payload: Payload, age_s: Array, action: Array
    ) -> Array:
        """Returns the actions (N, A), each plus a velocity towards the path."""
        step = np.asarray(observation.tick) // self._ticks_per_step  # (N,)
        slots = self._past.shape[1]
        # (N, A) the current coordinates; NaN for action elements without a coordinate
        current = self._read_coordinates(observation.agent_pos)
        self._past[self._worlds, step % slots] = current

        # A new plan's path begins at the coordinates of the step at which its image was
        # captured. They are unknown if that step is before the episode or the buffer.
        if self._is_new.any():
            # (N,) the tick and the step at which the image was captured
            tick = observation.tick - np.round(age_s * PHYSICS_HZ).astype(np.int64)
            image_step = tick // self._ticks_per_step
            start = self._past[self._worlds, image_step % slots]
            start[(step - image_step >= slots) | (image_step < 0)] = np.nan
            self._start = np.where(self._is_new[:, None], start, self._start)
            self._is_new[:] = False

        # (N, A) the offset along the path for the current time, interpolated between rows
        row = age_s * payload.chunk_hz
        whole_row = whole_rows(row)
        before = take_row(self._path, whole_row)
        to_next = take_row(self._path, whole_row + 1) - before
        offset = before + (row - whole_row)[:, None] * to_next

        # scaled by the top speed, like actions; 0 if the path is unknown
        residual = GAIN_PER_S * (self._start + offset - current) / self._top_speed
        residual = np.where(np.isfinite(residual), residual, 0.0)
        return np.minimum(np.maximum(action + residual, -1.0), 1.0)
