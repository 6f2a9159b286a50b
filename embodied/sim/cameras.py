"""Pictures of worlds: fast frames for policies, handsome ones for people."""

from __future__ import annotations

import atexit

import mujoco
import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.errors import unknown
from embodied.sim.engine import HostEngine
from embodied.sim.gl import make_renderer

DECOR_GROUP = 4  # of geoms that only pictures for people show
_PLAIN_FLAGS = (
    mujoco.mjtRndFlag.mjRND_SHADOW,
    mujoco.mjtRndFlag.mjRND_REFLECTION,
    mujoco.mjtRndFlag.mjRND_SKYBOX,
    mujoco.mjtRndFlag.mjRND_HAZE,
)


class Camera:
    """Renders any world of an engine at one size; the GL context is made at the first
    frame.
    """

    def __init__(
        self, engine: HostEngine, height: int, width: int, beauty: bool = False
    ) -> None:
        self._engine = engine
        self._size = (height, width)
        self._beauty = beauty
        self._renderer: mujoco.Renderer | None = None
        self._shown = mujoco.MjvOption()
        self._shown.geomgroup[DECOR_GROUP] = beauty
        self._names = [engine.model.camera(i).name for i in range(engine.model.ncam)]

    def rgb(self, world: int, camera: str) -> np.ndarray:
        """(H, W, 3) uint8."""
        return self._scene(world, camera).render()

    def depth(self, world: int, camera: str) -> np.ndarray:
        """(H, W) float32, m along the viewing direction."""
        renderer = self._scene(world, camera)
        renderer.enable_depth_rendering()
        frame = renderer.render()
        renderer.disable_depth_rendering()
        return frame

    def segmentation(self, world: int, camera: str) -> np.ndarray:
        """(H, W, 2) int32: object id and mjtObj type, -1 where there is nothing."""
        renderer = self._scene(world, camera)
        renderer.enable_segmentation_rendering()
        frame = renderer.render()
        renderer.disable_segmentation_rendering()
        return frame

    def _scene(self, world: int, camera: str) -> mujoco.Renderer:
        if camera not in self._names:
            raise unknown("camera", camera, self._names)
        model = self._engine.world_model(world)
        renderer = self._renderer = self._renderer or self._make(model)
        renderer.update_scene(self._engine.world_data(world), camera, self._shown)
        return renderer

    def _make(self, model: mujoco.MjModel) -> mujoco.Renderer:
        plain = model.vis.quality
        kept = (plain.shadowsize, plain.offsamples, plain.numslices, plain.numstacks)
        if self._beauty:  # the context reads these once, when it is made
            plain.shadowsize = 2048
            plain.offsamples = 4
            plain.numslices = 24
            plain.numstacks = 12
        renderer = make_renderer(model, *self._size)
        plain.shadowsize, plain.offsamples, plain.numslices, plain.numstacks = kept
        if not self._beauty:
            for flag in _PLAIN_FLAGS:
                renderer.scene.flags[flag] = False
        # before EGL's own clean-up, which would leave it a dead context
        atexit.register(renderer.close)
        return renderer

    def close(self) -> None:
        """Frees the GL context."""
        if self._renderer is not None:
            atexit.unregister(self._renderer.close)
            self._renderer.close()
            self._renderer = None


class CameraFeed:
    """The newest frame of some cameras in N worlds, each taken at its own rate by the
    world's clock.
    """

    def __init__(
        self,
        engine: HostEngine,
        cameras: tuple[str, ...],
        image_size: int,
        camera_hz: float | None,
    ) -> None:
        self._camera = Camera(engine, image_size, image_size)
        self.cameras = cameras
        self._hz = camera_hz
        n = engine.num_worlds
        self._frames = {
            name: np.zeros((n, image_size, image_size, 3), np.uint8) for name in cameras
        }
        self._taken = np.zeros(n, np.int64)  # (N,) tick of the newest frame
        self._due = np.zeros(n, np.int64)
        self._count = np.zeros(n, np.int64)

    def reset(self, ids: np.ndarray) -> None:
        """New episodes: their first frame is due at once."""
        self._due[ids] = self._count[ids] = 0

    def update(self, tick: np.ndarray, sigma: np.ndarray, seeds: np.ndarray) -> None:
        """Renders the worlds whose next frame is due at `tick` (N,), with noise of
        `sigma` (N,) grey levels.

        Frame k is due at the first tick at or after k / camera_hz, computed from k so
        that nothing drifts.
        """
        if not self.cameras:
            return
        due = np.flatnonzero(tick >= self._due)
        if not len(due):
            return
        self._frames = {
            name: frames.copy() for name, frames in self._frames.items()
        }  # those given out stay as they are
        for world in due:
            for name, frames in self._frames.items():
                frames[world] = self._camera.rgb(int(world), name)
            if sigma[world] > 0:
                self._add_noise(int(world), float(sigma[world]), int(seeds[world]))
        self._taken[due] = tick[due]
        self._count[due] += 1
        self._due[due] = (
            tick[due] + 1
            if self._hz is None
            else np.ceil(self._count[due] * PHYSICS_HZ / self._hz)
        )

    def _add_noise(self, world: int, sigma: float, seed: int) -> None:
        rng = np.random.default_rng((seed, int(self._count[world])))
        for frames in self._frames.values():
            noisy = frames[world] + rng.normal(0.0, sigma, frames[world].shape)
            frames[world] = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)

    def newest(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Camera -> (N, H, W, 3) uint8, and the tick (N,) at which they were taken. Not
        to be written to.
        """
        return self._frames, self._taken.copy()

    def close(self) -> None:
        self._camera.close()
