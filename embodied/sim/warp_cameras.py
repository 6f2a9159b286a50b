"""Pictures of all worlds of the engine `warp` at once, by mujoco_warp's ray tracer; nothing leaves the device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mujoco
import mujoco_warp as mjw
import numpy as np
import warp as wp

from embodied.errors import unknown
from embodied.sim.warp import WarpEngine
from embodied.sim.warp_textures import filtered, unbleached

if TYPE_CHECKING:
    import torch

SHOWN_GROUPS = [0, 1, 2]  # those that MuJoCo shows by default; decor lies in another


@wp.kernel(enable_backward=False)
def _unpack(packed: wp.array2d[wp.uint32], rgb: wp.array3d[wp.uint8]):  # type: ignore[no-untyped-def]
    """Pixels 0xAARRGGBB (N, P) to bytes (N, P, 3)."""
    world, pixel = wp.tid()
    colour = packed[world, pixel]
    for channel in range(3):
        rgb[world, pixel, channel] = wp.uint8((colour >> wp.uint32(16 - 8 * channel)) & wp.uint32(255))


@wp.kernel(enable_backward=False)
def _far_where_nothing(depth: wp.array2d[float], far_m: float):  # type: ignore[no-untyped-def]
    world, pixel = wp.tid()
    if depth[world, pixel] == 0.0:
        depth[world, pixel] = far_m


class WarpCameras:
    """Renders chosen cameras of all worlds at one size; the context is made at the first frame.

    What they show is what `Camera` shows on the CPU, world by world, with these differences: what is partly transparent
    is drawn opaque, sites, tendons and skins are not drawn, and brightness is rounded down. Raises EmbodiedError for a
    camera that the model does not have.
    """

    def __init__(self, engine: WarpEngine, cameras: tuple[str, ...], height: int, width: int, rgb_only: bool) -> None:
        known = [engine.model.camera(i).name for i in range(engine.model.ncam)]
        for name in cameras:
            if name not in known:
                raise unknown("camera", name, known)
        self._engine, self.cameras, self._size, self._rgb_only = engine, cameras, (height, width), rgb_only
        self._context: Any = None
        self._views: dict[str, torch.Tensor] = {}

    def render(self) -> None:
        """A new frame of each camera and world, as their position fields say.

        After the first call nothing is allocated and the host waits for nothing, so that it can be captured.
        """
        _, data = self._engine.device_structs()
        with wp.ScopedDevice(self._engine.device):
            if self._context is None:
                self._make()
            mjw.refit_bvh(self._model, data, self._context)
            mjw.render(self._model, data, self._context)
            wp.launch(_unpack, dim=self._rgb.shape[:2], inputs=[self._context.rgb_data], outputs=[self._rgb])
            if not self._rgb_only:
                wp.launch(_far_where_nothing, dim=self._rgb.shape[:2], inputs=[self._context.depth_data, self._far_m])

    def rgb(self, camera: str) -> torch.Tensor:
        """(N, H, W, 3) uint8; live, as are the others: the next frame overwrites it."""
        return self._of(camera, self._views["rgb"])

    def depth(self, camera: str) -> torch.Tensor:
        """(N, H, W) float32, m along the viewing direction; the far plane's where there is nothing."""
        return self._of(camera, self._views["depth"])

    def segmentation(self, camera: str) -> torch.Tensor:
        """(N, H, W, 2) int32: object id and mjtObj type, -1 where there is nothing."""
        return self._of(camera, self._views["segmentation"])

    def _of(self, camera: str, pixels: torch.Tensor) -> torch.Tensor:
        height, width = self._size
        begin = self.cameras.index(camera) * height * width
        return pixels[:, begin : begin + height * width].unflatten(1, self._size)

    def _make(self) -> None:
        model, (height, width) = self._engine.model, self._size
        self._model = unbleached(model, self._engine.device_structs()[0])
        self._context = mjw.create_render_context(
            filtered(model, min(self._size)),
            self._engine.num_worlds,
            cam_res=(width, height),
            render_rgb=True,
            render_depth=not self._rgb_only,
            render_seg=not self._rgb_only,
            enabled_geom_groups=SHOWN_GROUPS,
            cam_active=list(self.cameras),
            use_precomputed_rays=False,  # worlds differ in fovy
        )
        self._far_m = float(model.vis.map.zfar * model.stat.extent)
        self._rgb = wp.zeros((*self._context.rgb_data.shape, 3), dtype=wp.uint8)
        self._views = {"rgb": wp.to_torch(self._rgb)}
        if not self._rgb_only:
            self._views["depth"] = wp.to_torch(self._context.depth_data)
            self._views["segmentation"] = wp.to_torch(self._context.seg_data)
