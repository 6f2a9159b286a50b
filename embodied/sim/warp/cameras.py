"""Renders all worlds of the engine `warp` at once, by mujoco_warp's ray tracer.

The frames stay on the device.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import warp as wp

from embodied.errors import unknown
from embodied.sim.warp.engine import WarpEngine
from embodied.sim.warp.kernels import far_where_nothing, unpack
from embodied.sim.warp.textures import filtered, unbleached

if TYPE_CHECKING:
    import torch

SHOWN_GROUPS = [0, 1, 2]  # MuJoCo's default groups of visible geoms, without decor


class WarpCameras:
    """Renders chosen cameras of all worlds at one size.

    The frames are those of `Camera` on the CPU, with these differences:

    - there is no near plane;
    - transparent objects are drawn opaque;
    - sites, tendons and skins are not drawn;
    - highlights are computed for each pixel, not interpolated between vertices;
    - brightness is rounded down.

    The first frame makes the render context and compiles kernels.
    """

    def __init__(
        self,
        engine: WarpEngine,
        cameras: tuple[str, ...],
        height: int,
        width: int,
        geometry: bool = False,
    ) -> None:
        """Chooses cameras.

        Args:
            engine: the worlds.
            cameras: the names of the cameras.
            height: height of the frames in pixels.
            width: width of the frames in pixels.
            geometry: whether to render depth and segmentation, too.

        Raises:
            EmbodiedError: the model does not have one of the cameras.
        """
        known = [engine.model.camera(i).name for i in range(engine.model.ncam)]
        for name in cameras:
            if name not in known:
                raise unknown("camera", name, known)
        self._engine = engine
        self.cameras = cameras
        self._size = (height, width)
        self._geometry = geometry
        self._mjw: Any = importlib.import_module("mujoco_warp")
        self._context: Any = None

    @property
    def pixels(self) -> int:
        """P, the number of pixels of all cameras together."""
        return len(self.cameras) * self._size[0] * self._size[1]

    def render(self) -> None:
        """Renders each camera in each world, at the engine's current position fields.

        A CUDA graph can capture it: after the first call it allocates no memory, and
        the host does not wait for the device.
        """
        with self._engine.working():
            if self._context is None:
                self._context = self._make_context()
            context = self._context
            # the ray tracer finds geoms by a bounding volume hierarchy: update it first
            self._mjw.refit_bvh(self._model, self._data, context)
            self._mjw.render(self._model, self._data, context)
            wp.launch(
                unpack,
                dim=self._rgb.shape[:2],
                inputs=[context.rgb_data],
                outputs=[self._rgb],
            )
            if self._geometry:
                wp.launch(
                    far_where_nothing,
                    dim=self._rgb.shape[:2],
                    inputs=[context.depth_data, self._far_m],
                )

    @property
    def frames(self) -> torch.Tensor:
        """The colours (N, P, 3) uint8, camera after camera.

        All tensors of this class are live: the next frame overwrites them.
        """
        return self._frames

    def rgb(self, camera: str) -> torch.Tensor:
        """Returns the colours, (N, H, W, 3) uint8."""
        return self.of_camera(camera, self._frames)

    def depth(self, camera: str) -> torch.Tensor:
        """Returns the distances along the viewing direction, (N, H, W) float32, m.

        The background has the far plane's distance.
        """
        return self.of_camera(camera, self._depth)

    def segmentation(self, camera: str) -> torch.Tensor:
        """Returns the object at each pixel, (N, H, W, 2) int32.

        The two numbers are its id and its mjtObj type; both are -1 for the background.
        """
        return self.of_camera(camera, self._segmentation)

    def of_camera(self, camera: str, pixels: torch.Tensor) -> torch.Tensor:
        """Returns one camera's part (N, H, W, ...) of pixels (N, P, ...)."""
        height, width = self._size
        count = height * width
        begin = self.cameras.index(camera) * count
        flat = pixels[:, begin : begin + count]  # (N, H * W, ...)
        return flat.view(len(pixels), height, width, *pixels.shape[2:])

    def _make_context(self) -> Any:
        """Returns mujoco_warp's render context; makes the arrays for its frames."""
        model = self._engine.model
        height, width = self._size
        device_model, self._data = self._engine.device_structs()
        self._model = unbleached(model, device_model)
        context = self._mjw.create_render_context(
            filtered(model, min(self._size)),
            self._engine.num_worlds,
            cam_res=(width, height),
            render_rgb=True,
            render_depth=self._geometry,
            render_seg=self._geometry,
            enabled_geom_groups=SHOWN_GROUPS,
            cam_active=list(self.cameras),
            use_precomputed_rays=False,  # as cameras of worlds differ in field of view
        )

        # MuJoCo measures the far plane's distance in units of the scene's extent
        self._far_m = float(model.vis.map.zfar * model.stat.extent)
        self._rgb = wp.zeros((self._engine.num_worlds, self.pixels, 3), dtype=wp.uint8)
        self._frames: torch.Tensor = wp.to_torch(self._rgb)
        self._depth: torch.Tensor = wp.to_torch(context.depth_data)
        self._segmentation: torch.Tensor = wp.to_torch(context.seg_data)
        return context
