"""What worlds show and take, as Gymnasium spaces: float32, every bound finite."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces

from embodied.core import PHYSICS_HZ, Layout, Observation
from embodied.envs.worlds import Worlds

# How far the numbers of a layout's part can get, by the end of its name (the first that
# fits). What a bad simulation might show beyond is clipped.
LIMITS = (
    ("_rot6d", 1.0),
    ("_pos_w", 10.0),  # m; parked things are 1 m below the floor
    ("_vel_w", 20.0),  # m/s
    ("joint_pos", 2 * np.pi),  # and m, of a base
    ("joint_vel", 50.0),  # rad/s
    ("_width", 1.0),
    ("_size", 10.0),
    ("_speed", 10.0),
)
OTHER_LIMIT = 100.0


def action_space(worlds: Worlds) -> spaces.Box:
    """(A,) in [-1, 1]; `worlds.interface` tells what the elements mean."""
    return spaces.Box(-1.0, 1.0, (len(worlds.interface.low),), np.float32)


def limits(layout: Layout) -> np.ndarray:
    """(size,) float32 bound of each element's absolute value."""
    by_part = [
        next((x for end, x in LIMITS if name.endswith(end)), OTHER_LIMIT)
        for name, _ in layout.parts
    ]
    return np.repeat(by_part, [width for _, width in layout.parts]).astype(np.float32)


class Shown:
    """The observation dictionary of some worlds, LeRobot's names:

    key                  shape              dtype    what
    agent_pos            (P,)               float32  `worlds.agent_layout`
    environment_state    (E,)               float32  `worlds.state_layout`; privileged; with obs state, both
    pixels               camera: (H, W, 3)  uint8    with obs pixels, both
    pixels_age           (1,)               float32  s since the newest frame was taken; likewise
    """

    def __init__(self, worlds: Worlds) -> None:
        config = worlds.config
        self._worlds = worlds
        self._state = config.obs != "pixels"
        self._pixels = config.obs != "state"
        self._agent_limit = limits(worlds.agent_layout)
        self._state_limit = limits(worlds.state_layout)
        parts: dict[str, spaces.Space[Any]] = {"agent_pos": _box(self._agent_limit)}
        if self._state:
            parts["environment_state"] = _box(self._state_limit)
        if self._pixels:
            shape = (config.image_size, config.image_size, 3)
            parts["pixels"] = spaces.Dict(
                {name: spaces.Box(0, 255, shape, np.uint8) for name in worlds.cameras}
            )
            parts["pixels_age"] = spaces.Box(
                0.0, _oldest_frame_s(worlds), (1,), np.float32
            )
        self.space = spaces.Dict(parts)

    def now(self) -> dict[str, Any]:
        """Fresh arrays with a first axis of N; cameras whose frame is due are rendered."""
        seen = self._worlds.observe(privileged=self._state)
        shown: dict[str, Any] = {
            "agent_pos": _bounded(seen.agent_pos, self._agent_limit)
        }
        if self._state:
            shown["environment_state"] = _bounded(
                seen.environment_state, self._state_limit
            )
        if self._pixels:
            shown["pixels"] = {
                camera: frames.copy() for camera, frames in seen.pixels.items()
            }
            shown["pixels_age"] = _age_s(seen)[:, None]
        return shown


def row(shown: dict[str, Any], world: int) -> dict[str, Any]:
    """What one world shows: views of the batch's arrays."""
    return {
        key: row(part, world) if isinstance(part, dict) else part[world]
        for key, part in shown.items()
    }


def _box(limit: np.ndarray) -> spaces.Box:
    return spaces.Box(-limit, limit, dtype=np.float32)


def _bounded(values: np.ndarray, limit: np.ndarray) -> np.ndarray:
    bounded: np.ndarray = np.minimum(np.maximum(values, -limit), limit)
    return bounded.astype(np.float32)


def _age_s(seen: Observation) -> np.ndarray:
    return ((seen.tick - seen.pixels_tick) / PHYSICS_HZ).astype(np.float32)


def _oldest_frame_s(worlds: Worlds) -> float:
    """A frame is taken at the first control step at or after it is due."""
    step_s = worlds.ticks_per_step / PHYSICS_HZ
    return step_s + (1 / worlds.config.camera_hz if worlds.config.camera_hz else 0.0)
