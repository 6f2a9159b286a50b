"""The inner faces of a gripper's pads, where rays from the tool point meet them."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

# Where rays are sent from, in the tool point's frame, in m: along x for two fingers and
# for three; along z; and along y, where one after the other is tried.
ACROSS_M = (0.0, 0.005, -0.005, 0.010, -0.010)
WIDE_M = (0.0, 0.015, -0.015, 0.020, -0.020, 0.030, -0.030, 0.040, -0.040)
ALONG_M = (0.0, 0.008, -0.008, 0.016, -0.016, 0.024, -0.024)
ASIDE_M = (0.0, 0.003, -0.003, 0.008, -0.008)
# What is met up to this much farther away belongs to the same face.
FLAT_M = 0.002
# Where rays come from along the hand's axis to find its tips, and how far beside it.
BEYOND_M = 0.2
NEAR_AXIS_M = (-0.004, -0.002, 0.0, 0.002, 0.004)
# Where rays are sent to the palm from, across the hand.
OVER_PALM_M = (-0.03, -0.015, 0.0, 0.015, 0.03)
FINGER_GROUP = 5  # what rays meet, in a copy of the model


@dataclass(frozen=True)
class PadFace:
    """A point on the inner face of a pad, and the shapes that make the face.

    Attributes:
        body: that has it.
        pos: (3,) m, where on the body.
        geoms: names of the shapes that are met there or hardly farther away.
    """

    body: str
    pos: tuple[float, ...]
    geoms: tuple[str, ...]


class FaceFinder:
    """Sends rays at a hand from around its tool point, along its y or z."""

    def __init__(
        self, model: mujoco.MjModel, data: mujoco.MjData, site: int, prefix: str
    ) -> None:
        """Takes a hand.

        Args:
            model: a copy, whose shapes' groups are changed.
            data: the hand, open or closed.
            site: id of the tool point.
            prefix: what the file's names begin with in the model.
        """
        self._model = model
        self._data = data
        self._origin = data.site_xpos[site].copy()
        self._axes = data.site_xmat[site].reshape(3, 3).copy()
        self._prefix = prefix

    def find(self, targets: list[int], is_wide: bool) -> tuple[PadFace, PadFace] | None:
        """Returns the nearest faces of two bodies, towards +y and towards -y.

        None where no ray meets a shape on both sides, or both are on one body.

        Args:
            targets: ids of the shapes that rays meet.
            is_wide: whether rays begin far aside, as for three fingers.
        """
        self._model.geom_group[:] = 0
        self._model.geom_group[targets] = FINGER_GROUP
        # a jaw that does not move may be at the tool point itself
        for aside_m in ASIDE_M:
            left = self._met(1.0, aside_m, is_wide)
            right = self._met(-1.0, aside_m, is_wide)
            if left and right and left.body != right.body:
                return left, right
        return None

    def _met(self, sign: float, aside_m: float, is_wide: bool) -> PadFace | None:
        """Returns the nearest point along y, or -y, from `aside_m` along y on."""
        data = self._data
        group = np.array([0, 0, 0, 0, 0, 1], np.uint8)
        ray = sign * self._axes[:, 1]
        geom = np.zeros(1, np.int32)  # `mj_ray` writes the id of what it meets

        met = []  # (distance, place, geom)
        for along in ALONG_M:
            for across in WIDE_M if is_wide else ACROSS_M:
                start = self._origin + self._axes @ [across, aside_m, along]
                distance = mujoco.mj_ray(
                    self._model, data, start, ray, group, 1, -1, geom
                )
                if distance >= 0:
                    met.append((distance, start + distance * ray, int(geom[0])))
        if not met:
            return None

        # the nearest one; of those as near, the first, which is the most central
        nearest_m = min(distance for distance, _, _ in met)
        near = [one for one in met if one[0] < nearest_m + FLAT_M]
        _, place_w, first = next(one for one in met if one[0] < nearest_m + 1e-6)
        body = int(self._model.geom_bodyid[first])
        local = data.xmat[body].reshape(3, 3).T @ (place_w - data.xpos[body])
        names = {self._name(self._model.geom(g).name) for _, _, g in near}
        return PadFace(
            body=self._name(self._model.body(body).name),
            pos=tuple(round(float(x), 6) for x in local),
            geoms=tuple(sorted(names)),
        )

    def tip_m(self, targets: list[int]) -> float | None:
        """Returns how far shapes reach along the tool point's z, near its axis.

        Rays come from beyond; None where they meet nothing.
        """
        distances = self._distances_back(targets, NEAR_AXIS_M, BEYOND_M)
        return BEYOND_M - min(distances) if distances else None

    def behind_m(self, targets: list[int], from_m: float) -> float:
        """Returns how far behind a point on the hand's axis the nearest shape is, in m.

        It is BEYOND_M where there is none.

        Args:
            targets: ids of the shapes.
            from_m: where the point is, beyond the tool point.
        """
        return min([BEYOND_M, *self._distances_back(targets, OVER_PALM_M, from_m)])

    def _distances_back(
        self, targets: list[int], across_m: tuple[float, ...], from_m: float
    ) -> list[float]:
        """Returns in m how far rays go back along the hand's axis, those that meet shapes.

        Args:
            targets: ids of the shapes.
            across_m: where rays begin along the tool point's x, and along its y.
            from_m: where they begin along its z.
        """
        self._model.geom_group[:] = 0
        self._model.geom_group[targets] = FINGER_GROUP
        group = np.array([0, 0, 0, 0, 0, 1], np.uint8)
        geom = np.zeros(1, np.int32)

        distances = []
        for x in across_m:
            for y in across_m:
                start = self._origin + self._axes @ [x, y, from_m]
                distance = mujoco.mj_ray(
                    self._model,
                    self._data,
                    start,
                    -self._axes[:, 2],
                    group,
                    1,
                    -1,
                    geom,
                )
                if distance >= 0:  # -1 where it meets nothing
                    distances.append(distance)
        return distances

    def _name(self, name: str) -> str:
        return name.removeprefix(self._prefix)
