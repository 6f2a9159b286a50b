"""Finds the inner faces of a gripper's pads, its fingertips and its palm by rays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import mujoco
import numpy as np

# Start points of rays to the pads, in the frame of the tool centre point (tcp), m.
# Along x: for two fingers, and for three, which may miss the tcp's y axis.
X_M = (0.0, 0.005, -0.005, 0.010, -0.010)
WIDE_X_M = (0.0, 0.015, -0.015, 0.020, -0.020, 0.030, -0.030, 0.040, -0.040)
# Along z.
Z_M = (0.0, 0.008, -0.008, 0.016, -0.016, 0.024, -0.024)
# Along y, the direction of the rays. The values are tried in this order, until a value
# gives faces on both sides.
Y_M = (0.0, 0.003, -0.003, 0.008, -0.008)
# Hits up to this much farther away than the nearest one belong to the same face.
FLAT_M = 0.002
# Rays back to the fingertips start this far beyond the tcp along its z axis, at these x
# and y.
BEYOND_M = 0.2
NEAR_AXIS_M = (-0.004, -0.002, 0.0, 0.002, 0.004)
# Start points of rays to the palm, along the tcp's x and y.
OVER_PALM_M = (-0.03, -0.015, 0.0, 0.015, 0.03)
TARGET_GROUP = 5  # the geom group that rays hit, in a copy of the model


@dataclass(frozen=True)
class PadFace:
    """A point on the inner face of a pad, and the geoms that form the face.

    Attributes:
        body: The name of the pad's body.
        pos: (3,) m, the point in the frame of the body.
        geoms: The names of the geoms that form the face.
    """

    body: str
    pos: tuple[float, ...]
    geoms: tuple[str, ...]


class _Hit(NamedTuple):
    """The first hit of a ray."""

    distance_m: float
    pos_w: np.ndarray  # (3,) m
    geom: int  # id of the geom that is hit


class FaceFinder:
    """Casts rays at the geoms of a hand, along the y or z axis of its tcp."""

    def __init__(
        self, model: mujoco.MjModel, data: mujoco.MjData, site: int, prefix: str
    ) -> None:
        """Prepares for one posture of a hand.

        Args:
            model: A copy of the model; the groups of its geoms are changed.
            data: The state, with the hand open or closed.
            site: The id of the tcp's site.
            prefix: The prefix of the file's names in the model.
        """
        self._model = model
        self._data = data
        # the tcp in the world: position (3,) m, and axes (3, 3) as columns
        self._origin = data.site_xpos[site].copy()
        self._axes = data.site_xmat[site].reshape(3, 3).copy()
        self._prefix = prefix

    def find(self, targets: list[int], is_wide: bool) -> tuple[PadFace, PadFace] | None:
        """Returns the faces at +y and at -y of the tcp.

        None if rays don't hit geoms on both sides, or hit the same body on both sides.

        Args:
            targets: The ids of the geoms that rays can hit.
            is_wide: Whether to start rays at a larger range of x, as three fingers need.
        """
        self._set_targets(targets)
        # A fixed jaw may enclose the tcp, so rays may have to start beside the tcp.
        for y_m in Y_M:
            left = self._face(1.0, y_m, is_wide)
            right = self._face(-1.0, y_m, is_wide)
            if left and right and left.body != right.body:
                return left, right
        return None

    def _set_targets(self, targets: list[int]) -> None:
        """Puts the geoms that rays can hit into TARGET_GROUP, and all others into 0."""
        self._model.geom_group[:] = 0
        self._model.geom_group[targets] = TARGET_GROUP

    def _cast(self, start_w: np.ndarray, direction_w: np.ndarray) -> _Hit | None:
        """Returns the first hit of a ray from a point (3,); None if it hits nothing."""
        geom = np.zeros(1, np.int32)  # `mj_ray` writes the id of the geom into it
        groups = np.array([0, 0, 0, 0, 0, 1], np.uint8)  # only TARGET_GROUP
        include_static = 1  # also hit geoms of bodies that are fixed to the world
        no_body = -1  # exclude no body

        distance_m = mujoco.mj_ray(
            self._model,
            self._data,
            start_w,
            direction_w,
            groups,
            include_static,
            no_body,
            geom,
        )
        # `mj_ray` returns -1 if there is no hit
        if distance_m < 0:
            return None
        return _Hit(distance_m, start_w + distance_m * direction_w, int(geom[0]))

    def _face(self, sign: float, y_m: float, is_wide: bool) -> PadFace | None:
        """Returns the nearest face along the tcp's y axis; None if rays hit nothing.

        Args:
            sign: 1 for rays along +y, -1 for rays along -y.
            y_m: The y from which the rays start, in the tcp's frame.
            is_wide: Whether to start rays at a larger range of x, as three fingers need.
        """
        direction_w = sign * self._axes[:, 1]
        hits = []
        for z_m in Z_M:
            for x_m in WIDE_X_M if is_wide else X_M:
                start_w = self._origin + self._axes @ [x_m, y_m, z_m]
                hit = self._cast(start_w, direction_w)
                if hit is not None:
                    hits.append(hit)
        if not hits:
            return None

        # Of several hits that are equally near, take the first: X_M and Z_M begin at the
        # middle.
        nearest_m = min(hit.distance_m for hit in hits)
        nearest = next(hit for hit in hits if hit.distance_m < nearest_m + 1e-6)
        body = int(self._model.geom_bodyid[nearest.geom])
        body_axes = self._data.xmat[body].reshape(3, 3)
        pos_in_body = body_axes.T @ (nearest.pos_w - self._data.xpos[body])

        # all geoms that are hit at about this distance form the face
        on_face = [hit for hit in hits if hit.distance_m < nearest_m + FLAT_M]
        names = {self._name(self._model.geom(hit.geom).name) for hit in on_face}
        return PadFace(
            body=self._name(self._model.body(body).name),
            pos=tuple(round(float(x), 6) for x in pos_in_body),
            geoms=tuple(sorted(names)),
        )

    def tip_m(
        self, targets: list[int], across_m: tuple[float, ...] = NEAR_AXIS_M
    ) -> float | None:
        """Returns the largest z, in the tcp's frame, of geoms near its z axis, in m.

        None if no ray along the axis hits a geom.

        Args:
            targets: The ids of the geoms, such as those of the fingers.
            across_m: The coordinates of the rays along the tcp's x, and along its y.
        """
        distances = self._distances_back(targets, across_m, BEYOND_M)
        return BEYOND_M - min(distances) if distances else None

    def behind_m(self, targets: list[int], from_m: float) -> float:
        """Returns the distance from a point on the tcp's z axis back to a geom, in m.

        It is BEYOND_M if there is no geom behind the point.

        Args:
            targets: The ids of the geoms, such as those of the palm.
            from_m: The z of the point, in the tcp's frame.
        """
        return min([BEYOND_M, *self._distances_back(targets, OVER_PALM_M, from_m)])

    def _distances_back(
        self, targets: list[int], xy_m: tuple[float, ...], from_m: float
    ) -> list[float]:
        """Returns the lengths, in m, of those rays along the tcp's -z that hit a geom.

        Args:
            targets: The ids of the geoms that rays can hit.
            xy_m: The coordinates along x, and along y, from which the rays start.
            from_m: The z from which the rays start.
        """
        self._set_targets(targets)
        direction_w = -self._axes[:, 2]
        distances = []
        for x_m in xy_m:
            for y_m in xy_m:
                start_w = self._origin + self._axes @ [x_m, y_m, from_m]
                hit = self._cast(start_w, direction_w)
                if hit is not None:
                    distances.append(hit.distance_m)
        return distances

    def _name(self, name: str) -> str:
        return name.removeprefix(self._prefix)
