"""Tests whether an arm's hand gets from its home to places, on the experts' paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.robots.described.holding import subtree
from embodied.robots.described.home import HomeSearch

# Number of points at which the straight way from home to a place is tested.
POINTS = 4
# Bodies may penetrate each other by at most this on the way, because the path that the
# servos take differs from the straight one by about as much.
OVERLAP_M = 0.01


@dataclass(frozen=True)
class Way:
    """How a hand gets to a place.

    Attributes:
        is_reached: whether the hand comes to the place.
        margin_rad: the least distance of a joint from the end of its range.
        overlap: the first two bodies that overlap on the way; empty if none do.
        posture: (J,) the arm's joint positions at the place, rad; None if the hand does
            not come there.
    """

    is_reached: bool
    margin_rad: float = 0.0
    overlap: tuple[str, ...] = ()
    posture: np.ndarray | None = None

    @property
    def is_clear(self) -> bool:
        """Whether the hand comes to the place, and no bodies overlap on the way."""
        return self.is_reached and not self.overlap


class WayFinder:
    """Moves an arm's hand from its home along straight lines, by inverse kinematics.

    Redundant joints are drawn to their home, as in the control mode `ee_delta`.
    """

    def __init__(
        self,
        search: HomeSearch,
        model: mujoco.MjModel,
        joints: Sequence[int],
        home: np.ndarray,
    ) -> None:
        """Keeps the home, and finds which bodies overlap there.

        Args:
            search: inverse kinematics of the arm.
            model: the robot's model.
            joints: (J,) ids of the arm's joints.
            home: (J,) the arm's joint positions at home, rad.
        """
        self._search = search
        self._model = model
        self._home = home
        self._arm = subtree(model, int(model.jnt_bodyid[joints[0]]))
        self._first_link = int(model.jnt_bodyid[joints[0]])
        self._hand = subtree(model, int(model.jnt_bodyid[joints[-1]]))
        # pairs that overlap at home are not blamed on a way; see `overlaps_at_home`
        self._at_home = set(self._overlapping_pairs(home))

    @property
    def overlaps_at_home(self) -> bool:
        """Whether parts of the arm overlap with other parts of the robot at home."""
        return bool(self._at_home)

    def way_to(self, place: np.ndarray, axes: np.ndarray) -> Way:
        """Returns the way to a place.

        Args:
            place: (3,) m, the goal of the tcp in the model's world.
            axes: (3, 3) the goal axes of the tcp, as columns.
        """
        # the rotation from the home's axes to the goal's, as a rotation vector in rad
        start, start_axes = self._search.tool_pose(self._home)
        turn = np.zeros(4)
        mujoco.mju_mat2Quat(turn, (axes @ start_axes.T).ravel())
        rotvec = np.zeros(3)
        mujoco.mju_quat2Vel(rotvec, turn, 1.0)

        posture = self._home
        margin_rad = np.inf
        overlap: tuple[str, ...] = ()
        for k in range(1, POINTS + 1):
            share = k / POINTS
            point = start + share * (place - start)
            point_axes = _rotation(share * rotvec) @ start_axes
            found = self._search.reach(posture, point, point_axes, self._home)
            if found is None:
                # a point on the way may be out of reach although the place is in reach
                if k < POINTS:
                    continue
                return Way(is_reached=False)
            posture = found
            margin_rad = min(margin_rad, self._search.margin_rad(posture))
            overlap = overlap or self._overlap(posture)
        return Way(True, margin_rad, overlap, posture)

    def _overlap(self, posture: np.ndarray) -> tuple[str, ...]:
        """Returns the names of two bodies that overlap in a posture, but not at home."""
        for pair in self._overlapping_pairs(posture):
            if pair not in self._at_home:
                return tuple(self._model.body(body).name for body in sorted(pair))
        return ()

    def _overlapping_pairs(self, posture: np.ndarray) -> list[frozenset[int]]:
        """Returns the pairs of bodies, one of them the arm's, that overlap in a posture.

        A pair overlaps if it penetrates by more than OVERLAP_M.
        """
        pairs = []
        for pair, depth_m in self._search.overlaps(posture).items():
            # the first link always touches what carries it, and the hand's own bodies
            # touch each other; body 0 is the world, which is not part of the robot
            is_at_root = self._first_link in pair and not pair <= self._arm
            is_of_arm = bool(pair & self._arm) and not pair <= self._hand
            if depth_m > OVERLAP_M and is_of_arm and not is_at_root and 0 not in pair:
                pairs.append(pair)
        return pairs


def _rotation(rotvec: np.ndarray) -> np.ndarray:
    """Returns the matrix (3, 3) of a rotation vector (3,) in rad."""
    angle = float(np.linalg.norm(rotvec))
    quat = np.zeros(4)
    mujoco.mju_axisAngle2Quat(quat, rotvec / max(angle, 1e-12), angle)
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quat)
    return matrix.reshape(3, 3)
