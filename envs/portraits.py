"""Pictures of worlds for people."""

from __future__ import annotations

import numpy as np

from embodied.sim.cameras import Camera
from embodied.sim.engine import HostEngine


class Portraits:
    """Renders worlds with shadows and smooth edges, with one GL context per size."""

    def __init__(self, engine: HostEngine) -> None:
        self._engine = engine
        self._cameras: dict[tuple[int, int], Camera] = {}

    def render(self, world: int, camera: str, size: tuple[int, int]) -> np.ndarray:
        """Returns what a named camera sees of one world.

        Args:
            world: which of the N worlds.
            camera: a camera of the model.
            size: height and width in pixels.

        Returns:
            (height, width, 3) uint8.
        """
        if size not in self._cameras:
            self._cameras[size] = Camera(self._engine, *size, beauty=True)
        return self._cameras[size].rgb(world, camera)

    def close(self) -> None:
        """Frees the GL contexts."""
        for camera in self._cameras.values():
            camera.close()
        self._cameras.clear()
