"""Renders worlds: fast frames for policies, high-quality pictures for people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import mujoco
import numpy as np

from embodied.errors import unknown
from embodied.sim.contexts import RenderContext, process_contexts
from embodied.sim.engine import HostEngine

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
