"""Whether an arm's hand gets from its home to places, as experts lead it there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.robots.described.holding import subtree
from embodied.robots.described.home import HomeSearch

# The straight way from home to a place is looked at in so many points.
POINTS = 4
# Parts of the robot may penetrate each other by at most this on the way: the true way
# differs by about as much.
OVERLAP_M = 0.01


@dataclass(frozen=True)
class Way:
    """How a hand gets to a place.

    Attributes:
        is_reached: whether it comes there.
        margin_rad: the least distance of a joint from the end of its range.
        overlap: the first two bodies that overlap on the way; empty if none do.
        posture: (J,) the arm's joints there, rad; None if it does not come there.
    """

    is_reached: bool
    margin_rad: float = 0.0
    overlap: tuple[str, ...] = ()
    posture: np.ndarray | None = None

    @property
    def is_clear(self) -> bool:
        """Returns whether the hand comes there, and nothing overlaps on the way."""
        return self.is_reached and not self.overlap


class WayFinder:
    """Leads an arm's hand from a home along straight lines, by inverse kinematics.

    Redundant joints are drawn to their home, as in the control mode `ee_delta`.
    """

    def __init__(
        self,
        search: HomeSearch,
        model: mujoco.MjModel,
        joints: Sequence[int],
        home: np.ndarray,
    ) -> None:
        """Looks at the home.

        Args:
            search: inverse kinematics of the arm.
            model: the robot's.
            joints: (J,) ids of the arm's joints.
            home: (J,) rad.
        """
        self._search = search
        self._model = model
        self._home = home
        self._arm = subtree(model, int(model.jnt_bodyid[joints[0]]))
        self._first_link = int(model.jnt_bodyid[joints[0]])
        self._hand = subtree(model, int(model.jnt_bodyid[joints[-1]]))
        # what overlaps at home is judged elsewhere
        self._at_home = set(self._deep(home))

    @property
    def overlaps_at_home(self) -> bool:
        """Returns whether parts of the arm overlap with the robot at home."""
        return bool(self._at_home)

    def way_to(self, place: np.ndarray, axes: np.ndarray) -> Way:
        """Returns the way to a place.

        Args:
            place: (3,) m, of the tcp in the model's world.
            axes: (3, 3) axes of the tcp there, as columns.
        """
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
            towards = _rotation(share * rotvec) @ start_axes
            found = self._search.reach(posture, point, towards, self._home)
            if found is None:
                # a point on the way may be out of reach where the place is not
                if k < POINTS:
                    continue
                return Way(is_reached=False)
            posture = found
            margin_rad = min(margin_rad, self._search.margin_rad(posture))
            overlap = overlap or self._overlap(posture)
        return Way(True, margin_rad, overlap, posture)

    def _overlap(self, posture: np.ndarray) -> tuple[str, ...]:
        """Returns the names of two bodies that overlap in a posture, but not at home."""
        for pair in self._deep(posture):
            if pair not in self._at_home:
                return tuple(self._model.body(body).name for body in sorted(pair))
        return ()

    def _deep(self, posture: np.ndarray) -> list[frozenset[int]]:
        """Returns pairs of the robot's bodies that the arm brings into each other."""
        deep = []
        for pair, depth_m in self._search.overlaps(posture).items():
            # neighbours always touch; the scene is not the robot's
            is_with_first = self._first_link in pair and not pair <= self._arm
            is_arms = bool(pair & self._arm) and not pair <= self._hand
            if depth_m > OVERLAP_M and is_arms and not is_with_first and 0 not in pair:
                deep.append(pair)
        return deep


def _rotation(rotvec: np.ndarray) -> np.ndarray:
    """Returns the matrix (3, 3) of a rotation vector (3,) in rad."""
    angle = float(np.linalg.norm(rotvec))
    quat = np.zeros(4)
    mujoco.mju_axisAngle2Quat(quat, rotvec / max(angle, 1e-12), angle)
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quat)
    return matrix.reshape(3, 3)
