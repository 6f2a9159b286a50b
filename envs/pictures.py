"""What cameras see of worlds: frames for policies, and pictures for people."""

from __future__ import annotations

import numpy as np

from embodied.envs.config import EnvConfig
from embodied.envs.models import choose_cameras
from embodied.sim.cameras import Camera, CameraFeed
from embodied.sim.engine import HostEngine


class Pictures:
    """Sees N worlds: `feed` for policies, `render` for people.

    Attributes:
        cameras: names of those that policies look through.
        feed: holds their newest frames.

    Raises:
        EmbodiedError: the config asks for a camera that the model has not.
    """

    def __init__(
        self, engine: HostEngine, config: EnvConfig, task_cameras: tuple[str, ...]
    ) -> None:
        self.cameras = choose_cameras(config, task_cameras, engine.model)
        self.feed = CameraFeed(
            engine, self.cameras, config.image_size, config.camera_hz
        )
        self._engine = engine
        # with shadows and smooth edges: one GL context per (height, width)
        self._portraits: dict[tuple[int, int], Camera] = {}

    def render(self, world: int, camera: str, size: tuple[int, int]) -> np.ndarray:
        """Returns what a named camera sees of one world, with shadows.

        Args:
            world: which of the N worlds.
            camera: a camera of the model.
            size: height and width in pixels.

        Returns:
            (height, width, 3) uint8.
        """
        if size not in self._portraits:
            self._portraits[size] = Camera(self._engine, *size, beauty=True)
        return self._portraits[size].rgb(world, camera)

    def close(self) -> None:
        """Frees the GL contexts."""
        self.feed.close()
        for camera in self._portraits.values():
            camera.close()
        self._portraits.clear()
