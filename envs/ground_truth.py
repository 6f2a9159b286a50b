"""What only a simulator knows of a picture: distances, and which thing is where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from embodied.sim.cameras import GEOM_TYPE, SITE_TYPE, Camera
from embodied.sim.model_facts import thing_names, things_of_model

if TYPE_CHECKING:
    from embodied.envs.worlds import Worlds


class GroundTruth:
    """Renders depth and things of worlds, in the size of their frames.

    Attributes:
        names: of the things: `nothing`, each body, and each geom that belongs to none.
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
        """Returns which of `names` each pixel shows, (H, W, 1) uint16."""
        # the id of what a pixel shows, and its type of object; where both are -1, the
        # pixel keeps 0, which is `nothing`
        seen = self._camera.segmentation(world, camera)  # (H, W, 2)
        number = seen[:, :, 0]
        kind = seen[:, :, 1]
        things = np.zeros(number.shape, np.uint16)
        for of_kind, table in ((GEOM_TYPE, self._of_geom), (SITE_TYPE, self._of_site)):
            is_kind = kind == of_kind
            things[is_kind] = table[number[is_kind]]
        return things[:, :, None]

    def close(self) -> None:
        """Frees the GL context."""
        self._camera.close()
