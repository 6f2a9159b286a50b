"""The bridge `residual`: at each step, a correction back to the chunk's path."""

from __future__ import annotations

import numpy as np

from embodied.core import PHYSICS_HZ, Array, Observation, Payload, PayloadKind
from embodied.errors import EmbodiedError
from embodied.policies.bridges.bridge import Arrival, Setting, take_row, whole_rows
from embodied.policies.bridges.hold import Hold

GAIN_PER_S = 4.0  # speed of the correction per distance from the path
MEMORY_S = 4.0  # how old the frame of a plan may be


class PathResidual(Hold):
    """Adds to each action what leads back to the path that the chunk stands for.

    A chunk of speeds is a path from where the robot was at `tick_frame`. When it comes
    late, the robot has moved on by an older chunk and is beside that path. The
    correction is proportional to the distance. (A2C2, arXiv 2509.23224, learns such a
    per-step correction from observations; this is a rule without weights.)
    """

    kinds: tuple[PayloadKind, ...] = ("chunk",)

    def __init__(self, setting: Setting) -> None:
        if setting.coordinates is None or setting.interface is None:
            raise EmbodiedError(
                "the bridge 'residual' needs actions that are speeds (joint_delta or "
                "ee_delta): in other control modes choose hold, ensemble or rtc"
            )
        self._read = setting.coordinates
        self._top_speed = setting.interface.high  # (A,) of an action of 1
        self._ticks_per_step = PHYSICS_HZ // setting.control_hz

        # what was read at the last steps, a ring (N, steps, A), and where each plan's
        # path begins; nan: not known
        shape = (setting.num_worlds, int(MEMORY_S * setting.control_hz))
        size = len(self._top_speed)
        self._worlds = np.arange(setting.num_worlds)
        self._past = np.full((*shape, size), np.nan)
        self._start = np.full((shape[0], size), np.nan)  # (N, A)
        self._is_new = np.zeros(shape[0], bool)  # `_start` is yet to be found
        # how far each plan's chunk has moved before each of its rows, and in all
        self._moved = np.zeros((shape[0], 1, size))  # (N, H + 1, A)

    def reset(self, ids: Array) -> None:
        self._past[ids] = np.nan
        self._start[ids] = np.nan

    def merge(self, arrival: Arrival) -> Payload:
        chunk = arrival.plan.chunk
        steps = chunk.shape[1] + 1
        if self._moved.shape[1] != steps:
            self._moved = np.zeros((len(self._moved), steps, chunk.shape[2]))

        step_s = 1 / arrival.plan.chunk_hz[:, None, None]
        self._moved[arrival.ids, 1:] = (chunk * step_s * self._top_speed).cumsum(axis=1)
        self._is_new[arrival.ids] = True
        return arrival.plan

    def correct(
        self, observation: Observation, payload: Payload, age_s: Array, action: Array
    ) -> Array:
        step = np.asarray(observation.tick) // self._ticks_per_step  # (N,)
        slots = self._past.shape[1]
        here = self._read(observation.agent_pos)  # (N, A); nan: moved by no path
        self._past[self._worlds, step % slots] = here

        # the path of a new plan begins where the robot was at its frame; one that is
        # too old, or from before the episode, is not known
        if self._is_new.any():
            age_ticks = np.round(age_s * PHYSICS_HZ).astype(np.int64)
            frame = (np.asarray(observation.tick) - age_ticks) // self._ticks_per_step
            then = self._past[self._worlds, frame % slots]
            then[(step - frame >= slots) | (frame < 0)] = np.nan
            self._start = np.where(self._is_new[:, None], then, self._start)
            self._is_new[:] = False

        # where the path has led by now, on from its last whole row
        row = age_s * payload.chunk_hz
        whole = whole_rows(row)
        before = take_row(self._moved, whole)
        part = (row - whole)[:, None]
        moved = before + part * (take_row(self._moved, whole + 1) - before)

        # as a share of the top speed, like the action; none where the path is not known
        residual = GAIN_PER_S * (self._start + moved - here) / self._top_speed
        residual = np.where(np.isfinite(residual), residual, 0.0)
        return np.minimum(np.maximum(action + residual, -1.0), 1.0)
