"""Pictures of all worlds of the engine `warp` at once, by mujoco_warp's ray tracer;
nothing leaves the device.
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

SHOWN_GROUPS = [0, 1, 2]  # of geoms, as MuJoCo shows them; decor lies in another


class WarpCameras:
    """Renders chosen cameras of all worlds at one size, their RGB and where asked for
    what lies behind each pixel.

    They show what `Camera` shows on the CPU, world by world, with these differences:
    nothing is cut away in front of the near plane, what is partly transparent is drawn
    opaque, sites, tendons and skins are not drawn, highlights are those of each pixel
    and not of the nearest corners, and brightness is rounded down.

    The context is made, and kernels compiled, at the first frame. Raises EmbodiedError
    for a camera that the model does not have.
    """

    def __init__(
        self,
        engine: WarpEngine,
        cameras: tuple[str, ...],
        height: int,
        width: int,
        geometry: bool = False,
    ) -> None:
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
        """P, of all cameras together."""
        return len(self.cameras) * self._size[0] * self._size[1]

    def render(self) -> None:
        """A new frame of each camera and world, as the engine's position fields are
        now.

        After the first call it allocates nothing and the host waits for nothing, so
        that it can be captured.
        """
        with self._engine.working():
            context = self._context = self._context or self._make()
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
        """(N, P, 3) uint8, camera after camera; live, as are the others: the next frame
        overwrites it.
        """
        return self._frames

    def rgb(self, camera: str) -> torch.Tensor:
        """(N, H, W, 3) uint8."""
        return self.of_camera(camera, self._frames)

    def depth(self, camera: str) -> torch.Tensor:
        """(N, H, W) float32, m along the viewing direction; the far plane's where there
        is nothing.
        """
        return self.of_camera(camera, self._depth)

    def segmentation(self, camera: str) -> torch.Tensor:
        """(N, H, W, 2) int32: object id and mjtObj type, -1 where there is nothing."""
        return self.of_camera(camera, self._segmentation)

    def of_camera(self, camera: str, pixels: torch.Tensor) -> torch.Tensor:
        """One camera's part (N, H, W, ...) of pixels (N, P, ...)."""
        count = self._size[0] * self._size[1]
        begin = self.cameras.index(camera) * count
        return pixels[:, begin : begin + count].view(
            len(pixels), *self._size, *pixels.shape[2:]
        )

    def _make(self) -> Any:
        model = self._engine.model
        (height, width) = self._size
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
            use_precomputed_rays=False,  # worlds differ in fovy
        )
        self._far_m = float(model.vis.map.zfar * model.stat.extent)
        self._rgb = wp.zeros((self._engine.num_worlds, self.pixels, 3), dtype=wp.uint8)
        self._frames: torch.Tensor = wp.to_torch(self._rgb)
        self._depth: torch.Tensor = wp.to_torch(context.depth_data)
        self._segmentation: torch.Tensor = wp.to_torch(context.seg_data)
        return context
