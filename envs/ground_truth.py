"""Ground truth of frames that only a simulator knows: depth and segmentation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from embodied.sim.cameras import GEOM_TYPE, SITE_TYPE, Camera
from embodied.sim.model_facts import thing_names, things_of_model

if TYPE_CHECKING:
    from embodied.envs.worlds import Worlds


class GroundTruth:
    """Renders depth and segmentation of worlds, in the size of their frames.

    Attributes:
        names: Names of the segmentation's classes: `nothing`, each body, and each geom
            of the world body.
    """

    def __init__(self, worlds: Worlds) -> None:
        size = worlds.config.image_size
        self._camera = Camera(worlds.engine, size, size)
        self.names = thing_names(worlds.model)
        self._of_geom, self._of_site = things_of_model(worlds.model)

    def depth_m(self, world: int, camera: str) -> np.ndarray:
        """Returns the distances along the viewing direction, (H, W, 1) float32, m."""
        return self._camera.depth(world, camera)[:, :, None]

    def segmentation(self, world: int, camera: str) -> np.ndarray:
        """Returns the index into `names` of what each pixel shows, (H, W, 1) uint16."""
        # MuJoCo renders the id and the type of the object in each pixel. Both are -1 for
        # the background, whose result stays 0, the index of `nothing`.
        id_and_type = self._camera.segmentation(world, camera)  # (H, W, 2)
        object_id = id_and_type[:, :, 0]
        object_type = id_and_type[:, :, 1]
        things = np.zeros(object_id.shape, np.uint16)
        tables = ((GEOM_TYPE, self._of_geom), (SITE_TYPE, self._of_site))
        for wanted_type, thing_of_id in tables:
            has_type = object_type == wanted_type
            things[has_type] = thing_of_id[object_id[has_type]]
        return things[:, :, None]

    def close(self) -> None:
        """Frees the GL context."""
        self._camera.close()
