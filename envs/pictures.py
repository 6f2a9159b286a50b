"""The cameras of worlds: frames for policies, and high-quality pictures for people."""

from __future__ import annotations

import numpy as np

from embodied.envs.config import EnvConfig
from embodied.envs.models import choose_cameras
from embodied.sim.cameras import Camera
from embodied.sim.engine import HostEngine
from embodied.sim.feed import CameraFeed, Frames, Moments


class Pictures:
    """Renders N worlds: `feed` for policies, `render` for people.

    Attributes:
        cameras: names of the cameras for policies.
        feed: the newest frames of these cameras.

    Raises:
        EmbodiedError: the config names a camera that the model lacks.
    """

    def __init__(
        self, engine: HostEngine, config: EnvConfig, task_cameras: tuple[str, ...]
    ) -> None:
        """Chooses the cameras; the first frame makes their GL contexts."""
        self.cameras = choose_cameras(config, task_cameras, engine.model)
        frames = Frames(engine, self.cameras, config.image_size)
        self.feed = CameraFeed(frames, engine.num_worlds, config.camera_hz)
        self._engine = engine
        # (height, width) -> high-quality camera; each has its own GL context
        self._beauty_cameras: dict[tuple[int, int], Camera] = {}

    def defer_frames(self) -> None:
        """Takes moments from now on, from which another process renders the frames."""
        if self.cameras:
            self.feed.use(Moments(self._engine))

    def render(self, world: int, camera: str, size: tuple[int, int]) -> np.ndarray:
        """Returns a high-quality picture of one world, with shadows.

        Args:
            world: index of the world.
            camera: name of a camera of the model.
            size: height and width in pixels.

        Returns:
            (height, width, 3) uint8.
        """
        if size not in self._beauty_cameras:
            self._beauty_cameras[size] = Camera(self._engine, *size, beauty=True)
        return self._beauty_cameras[size].rgb(world, camera)

    def close(self) -> None:
        """Frees the GL contexts."""
        self.feed.close()
        for camera in self._beauty_cameras.values():
            camera.close()
        self._beauty_cameras.clear()
