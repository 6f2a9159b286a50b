"""Poses of the hand that a task needs, by which arms are placed and checked."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np


@dataclass(frozen=True)
class WorkPlace:
    """A pose of the hand at an edge of what a task's expert reaches for.

    Attributes:
        name: what is at the pose, to follow "the hand does not reach ...".
        pos_w: (3,) m, the position of the tcp in the world.
        quat_wxyz: (4,) the orientation of the tcp in the world; by default the hand
            points down.
    """

    name: str
    pos_w: tuple[float, float, float]
    quat_wxyz: tuple[float, float, float, float] = (0.0, 1.0, 0.0, 0.0)

    @property
    def axes_w(self) -> np.ndarray:
        """Returns the axes (3, 3) of the tcp in the world, as columns."""
        matrix = np.zeros(9)
        mujoco.mju_quat2Mat(matrix, np.array(self.quat_wxyz))
        return matrix.reshape(3, 3)


def pointing_down(yaw_deg: float) -> tuple[float, float, float, float]:
    """Returns the orientation wxyz of a hand that points down with its x axis at a yaw."""
    half_yaw = np.deg2rad(yaw_deg) / 2
    return 0.0, float(np.cos(half_yaw)), float(np.sin(half_yaw)), 0.0
