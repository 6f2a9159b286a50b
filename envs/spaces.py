"""Observations and actions as Gymnasium spaces: float32, with every bound finite."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from embodied.arrays import one_row
from embodied.core import PHYSICS_HZ, ActionInterface, Layout, Observation
from embodied.envs.worlds import Worlds

ObservationDict = dict[str, Any]  # key -> array; pixels: camera -> array

# End of an entry's name in a layout -> bound of the entry's absolute values. The first
# match counts. Values beyond the bound, which only a diverging simulation produces, are
# clipped.
LIMITS = (
    ("_rot6d", 1.0),
    ("_pos_w", 10.0),  # m; parked things hang 8 m above the floor
    ("_vel_w", 20.0),  # m/s
    ("joint_pos", 2 * np.pi),  # rad; m, of a base
    ("joint_vel", 50.0),  # rad/s
    ("_width", 1.0),  # m
    ("_size", 10.0),  # m
    ("_speed", 10.0),  # m/s
)
OTHER_LIMIT = 100.0


def action_space(interface: ActionInterface) -> spaces.Box:
    """Returns the space of actions (A,) in [-1, 1], one element for each of its labels."""
    return spaces.Box(-1.0, 1.0, (len(interface.labels),), np.float32)


def limits(layout: Layout) -> np.ndarray:
    """Returns the bounds of the absolute values of a layout's elements, (size,) float32."""
    by_part = []  # one bound per entry, which is repeated for the entry's elements below
    for name, _ in layout.parts:
        fitting = [limit for end, limit in LIMITS if name.endswith(end)]
        by_part.append(fitting[0] if fitting else OTHER_LIMIT)
    return np.repeat(by_part, [width for _, width in layout.parts]).astype(np.float32)


class Observer:
    """Makes observation dictionaries with LeRobot's keys; every array begins with N.

    key                  shape of one world  dtype    content                       with `obs`
    agent_pos            (P,)                float32  as in `worlds.agent_layout`   all
    environment_state    (S,)                float32  as in `worlds.state_layout`   state, both
    pixels               camera: (H, W, 3)   uint8    the newest frame              pixels, both
    pixels_age           (1,)                float32  s since it was taken          pixels, both
    """

    def __init__(self, worlds: Worlds) -> None:
        """Computes the observation space of one world."""
        config = worlds.config
        self._worlds = worlds
        self._shows_state = config.obs != "pixels"
        self._shows_pixels = config.obs != "state"
        agent_limit = limits(worlds.agent_layout)
        state_limit = limits(worlds.state_layout)
        self._agent_bounds = _Bounds(agent_limit)
        self._state_bounds = _Bounds(state_limit)

        parts: dict[str, spaces.Space[Any]] = {"agent_pos": _box(agent_limit)}
        if self._shows_state:
            parts["environment_state"] = _box(state_limit)
        if self._shows_pixels:
            shape = (config.image_size, config.image_size, 3)
            frames: dict[str, spaces.Space[Any]] = {
                name: spaces.Box(0, 255, shape, np.uint8) for name in worlds.cameras
            }
            parts["pixels"] = spaces.Dict(frames)
            oldest_s = _oldest_frame_s(worlds)
            parts["pixels_age"] = spaces.Box(0.0, oldest_s, (1,), np.float32)
        self.space = spaces.Dict(parts)  # of one world

    def observe(self) -> ObservationDict:
        """Returns the present observation of all worlds; renders frames that are due.

        The arrays are new at each call.
        """
        observation = self._worlds.observe(privileged=self._shows_state)
        shown: ObservationDict = {
            "agent_pos": self._agent_bounds.clip(observation.agent_pos)
        }
        if self._shows_state:
            state = observation.environment_state
            shown["environment_state"] = self._state_bounds.clip(state)

        if self._shows_pixels:
            # copies, because the camera feed keeps its arrays
            shown["pixels"] = {
                camera: frames.copy() for camera, frames in observation.pixels.items()
            }
            shown["pixels_age"] = _age_s(observation)[:, None]
        return shown


class _Bounds:
    """Clips values to the bounds of a space, and converts them to float32."""

    def __init__(self, limit: np.ndarray) -> None:
        self._high = one_row(np, limit.astype(np.float64))  # (1, size)
        self._low = -self._high

    def clip(self, values: np.ndarray) -> np.ndarray:
        """Returns values (N, size) within the bounds, as float32."""
        raised = np.maximum(values, self._low)
        clipped: np.ndarray = np.minimum(raised, self._high)
        return clipped.astype(np.float32)


def world_row(shown: ObservationDict, world: int) -> ObservationDict:
    """Returns one world's observation, as views of the arrays of all worlds."""
    row = {}
    for key, part in shown.items():
        row[key] = world_row(part, world) if isinstance(part, dict) else part[world]
    return row


def _box(limit: np.ndarray) -> spaces.Box:
    return spaces.Box(-limit, limit, dtype=np.float32)


def _age_s(observation: Observation) -> np.ndarray:
    """Returns the age of each world's newest frames, (N,) float32 in s."""
    age_ticks = observation.tick - observation.pixels_tick
    age_s: np.ndarray = age_ticks / PHYSICS_HZ
    return age_s.astype(np.float32)


def _oldest_frame_s(worlds: Worlds) -> float:
    """Returns the largest possible value of `pixels_age`, s.

    A frame that becomes due is taken at the next control step, so it is late by less
    than a step.
    """
    step_s = worlds.ticks_per_step / PHYSICS_HZ
    period_s = 1 / worlds.config.camera_hz if worlds.config.camera_hz else 0.0
    return step_s + period_s
