"""Renders worlds: fast frames for policies, high-quality pictures for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import mujoco
import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.errors import unknown
from embodied.sim.contexts import RenderContext, process_contexts
from embodied.sim.engine import HostEngine

NEVER = np.iinfo(np.int64).max  # a tick later than any episode's last
DECOR_GROUP = 4  # the group of geoms that only high-quality pictures show
# MuJoCo's object types in the result of `segmentation`.
GEOM_TYPE = int(mujoco.mjtObj.mjOBJ_GEOM)
SITE_TYPE = int(mujoco.mjtObj.mjOBJ_SITE)
# Effects that frames for policies lack, to save time.
_COSTLY_EFFECTS = (
    mujoco.mjtRndFlag.mjRND_SHADOW,
    mujoco.mjtRndFlag.mjRND_REFLECTION,
    mujoco.mjtRndFlag.mjRND_SKYBOX,
    mujoco.mjtRndFlag.mjRND_HAZE,
)
# Values of the model's `vis.quality`: texels of shadows, samples per pixel, and numbers
# of segments of round geoms.
_BEAUTY_QUALITY = {
    "shadowsize": 2048,
    "offsamples": 4,
    "numslices": 24,
    "numstacks": 12,
}


class Camera:
    """Renders any world of an engine at one size.

    The GL context is made at the first frame. It is freed when the camera is closed or
    garbage-collected. Any thread may render while no other thread steps these worlds.
    """

    def __init__(
        self, engine: HostEngine, height: int, width: int, beauty: bool = False
    ) -> None:
        """Prepares frames.

        Args:
            engine: the worlds.
            height: height of the frames in pixels.
            width: width of the frames in pixels.
            beauty: whether to render shadows, smooth edges and decor.
        """
        self._engine = engine
        self._size = (height, width)
        self._beauty = beauty
        self._context: RenderContext | None = None
        # registers a fork handler, because a forked process cannot render
        process_contexts()
        self._option = mujoco.MjvOption()
        self._option.geomgroup[DECOR_GROUP] = beauty
        self._names = [engine.model.camera(i).name for i in range(engine.model.ncam)]

    def rgb(self, world: int, camera: str) -> np.ndarray:
        """Returns the colours, (H, W, 3) uint8."""
        with self._looking(world, camera) as renderer:
            return renderer.render()

    def depth(self, world: int, camera: str) -> np.ndarray:
        """Returns the distances along the viewing direction, (H, W) float32, m."""
        # a renderer has a mode, which is restored to the default, colours
        with self._looking(world, camera) as renderer:
            renderer.enable_depth_rendering()
            frame = renderer.render()
            renderer.disable_depth_rendering()
        return frame

    def segmentation(self, world: int, camera: str) -> np.ndarray:
        """Returns the object at each pixel, (H, W, 2) int32.

        The two numbers are its id and its mjtObj type; both are -1 for the background.
        """
        with self._looking(world, camera) as renderer:
            renderer.enable_segmentation_rendering()
            frame = renderer.render()
            renderer.disable_segmentation_rendering()
        return frame

    @contextmanager
    def _looking(self, world: int, camera: str) -> Iterator[mujoco.Renderer]:
        """Yields the renderer, with its scene set to a world's current state."""
        if camera not in self._names:
            raise unknown("camera", camera, self._names)
        context = self._context
        if context is None:
            context = self._make_context(world)
            self._context = context

        with context.current() as renderer:
            # The renderer holds the engine's one model for rendering. This call fills it
            # with the values of this world.
            self._engine.world_model(world)
            data = self._engine.world_data(world)
            renderer.update_scene(data, camera, self._option)
            yield renderer

    def _make_context(self, world: int) -> RenderContext:
        """Returns a new context for all worlds, with costly effects for `beauty` only.

        Args:
            world: any world: all share one model for rendering, which is filled with a
                world's own values before each frame.
        """
        model = self._engine.world_model(world)
        quality = _BEAUTY_QUALITY if self._beauty else None
        context = RenderContext(model, *self._size, quality)
        if not self._beauty:
            with context.current() as renderer:
                for flag in _COSTLY_EFFECTS:
                    renderer.scene.flags[flag] = False
        return context

    def close(self) -> None:
        """Frees the GL context."""
        if self._context is not None:
            self._context.close()
            self._context = None


class CameraFeed:
    """The newest frames of some cameras in N worlds.

    Each world's frames are taken at the cameras' rate, by the world's own clock.
    """

    def __init__(
        self,
        engine: HostEngine,
        cameras: tuple[str, ...],
        image_size: int,
        camera_hz: float | None,
    ) -> None:
        """Prepares the cameras.

        Args:
            engine: the worlds.
            cameras: names of the cameras.
            image_size: height and width of the frames in pixels.
            camera_hz: frames per second; None for one at each update.
        """
        self._camera = Camera(engine, image_size, image_size)
        self.cameras = cameras
        self._hz = camera_hz
        n = engine.num_worlds
        shape = (n, image_size, image_size, 3)
        self._frames = {name: np.zeros(shape, np.uint8) for name in cameras}
        # (N,) each
        self._taken = np.zeros(n, np.int64)  # the tick of the newest frame
        self._due = np.zeros(n, np.int64)  # the tick of the next frame
        self._count = np.zeros(n, np.int64)  # number of frames in the episode

    def reset(self, ids: np.ndarray) -> None:
        """Begins episodes in worlds `ids`; their first frame is due at once."""
        self._due[ids] = 0
        self._count[ids] = 0

    def rest(self, ids: np.ndarray) -> None:
        """Takes no more frames in worlds `ids`, until they are reset."""
        self._due[ids] = NEVER

    def memory(self) -> dict[str, np.ndarray]:
        """Returns the state of the episodes: live (N, ...) arrays by name."""
        if not self.cameras:
            return {}
        # Restoring a snapshot writes into the returned arrays. Earlier observations share
        # the present arrays, so these are replaced by copies first.
        self._frames = {name: frames.copy() for name, frames in self._frames.items()}
        frames = {f"frames/{name}": values for name, values in self._frames.items()}
        times = {"taken": self._taken, "due": self._due, "count": self._count}
        return {**frames, **times}

    def update(self, tick: np.ndarray, sigma: np.ndarray, seeds: np.ndarray) -> None:
        """Renders the worlds whose next frame is due.

        Frame k is due at the first tick at or after k / camera_hz. This tick is computed
        from k, so rounding errors do not add up.

        Args:
            tick: (N,) physics ticks since each world's reset.
            sigma: (N,) standard deviation of the pixels' noise, in grey levels.
            seeds: (N,) seeds of that noise.
        """
        if not self.cameras:
            return
        due = np.flatnonzero(tick >= self._due)
        if not len(due):
            return

        # earlier observations share these arrays, so write into copies
        self._frames = {name: frames.copy() for name, frames in self._frames.items()}
        for world in due:
            for name, frames in self._frames.items():
                frames[world] = self._camera.rgb(int(world), name)
            if sigma[world] > 0:
                self._add_noise(int(world), float(sigma[world]), int(seeds[world]))

        self._taken[due] = tick[due]
        self._count[due] += 1
        if self._hz is None:  # the next frame is due at the next update
            self._due[due] = tick[due] + 1
        else:
            self._due[due] = np.ceil(self._count[due] * PHYSICS_HZ / self._hz)

    def _add_noise(self, world: int, sigma: float, seed: int) -> None:
        """Adds noise to a world's new frames, determined by seed and frame number."""
        rng = np.random.default_rng((seed, int(self._count[world])))
        for frames in self._frames.values():
            noisy = frames[world] + rng.normal(0.0, sigma, frames[world].shape)
            frames[world] = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)

    def newest(self) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Returns the newest frames, which must not be written to.

        Returns:
            Camera -> (N, H, W, 3) uint8, and (N,) the ticks at which they were taken.
        """
        return self._frames, self._taken.copy()

    def close(self) -> None:
        """Frees the GL context."""
        self._camera.close()
