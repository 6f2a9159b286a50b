"""The distance between a robot that drives and people, seen from above."""

from __future__ import annotations

import mujoco
import numpy as np

from embodied.arrays import columns, dot, smallest
from embodied.core import Array
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

# Half the width of a forearm with its hand.
ARM_RADIUS_M = 0.08
# The distance to people who are not there.
FAR_M = 99.0


class Outline:
    """The outline of a robot on the floor, in N worlds.

    It is the rectangle of its base, and for each arm the line from the mount to the hand
    with the arm's width.
    """

    def __init__(self, engine: Engine, robot: Robot) -> None:
        """Measures the base.

        Args:
            engine: the worlds.
            robot: the robot in them, whose first base travels.
        """
        model = engine.model
        xp = engine.xp
        self._xp = xp
        root = model.body(robot.base.root_body).id
        corners = _corners_of(engine, root)  # (n, 2) m
        self._middle_m = xp.asarray((corners.min(axis=0) + corners.max(axis=0)) / 2)
        self._half_m = xp.asarray((corners.max(axis=0) - corners.min(axis=0)) / 2)
        self._corner_m = float(np.linalg.norm(corners, axis=1).max())

        self._pos_w = engine.view("xpos")[:, root]  # (N, 3)
        self._xmat = engine.view("xmat")[:, root]  # (N, 9)
        sites = engine.view("site_xpos")
        hands = [model.site(effector.site).id for effector in robot.effectors]
        self._hands_w = [sites[:, hand] for hand in hands]  # (N, 3) each
        joints = robot.base.joints.names
        self._dofs = columns([int(model.joint(name).dofadr[0]) for name in joints])
        self._qvel = engine.view("qvel")

    def speed_m_s(self) -> Array:
        """Returns (N,) m/s, a bound of the speed of the base's fastest point."""
        xp = self._xp
        velocity = self._qvel[:, self._dofs]  # (N, 3) x, y in m/s and yaw in rad/s
        driving = xp.sqrt(dot(velocity[:, :2], velocity[:, :2]))
        return driving + self._corner_m * xp.abs(velocity[:, 2])

    def distance_m(self, people_w: Array, radius_m: float) -> Array:
        """Returns (N, M) m, from the outline to each person; 0 if they overlap.

        Args:
            people_w: (N, M, 2) m, where the people are.
            radius_m: the radius of a person.
        """
        xp = self._xp
        offset = people_w - self._pos_w[:, None, :2]  # (N, M, 2)

        # The base's x and y axes, seen from above, (N, 1, 2) each. They are the first and
        # the second column of its rotation matrix, which is stored row by row.
        forwards = self._xmat[:, None, 0::3][..., :2]
        leftwards = self._xmat[:, None, 1::3][..., :2]

        # in the base's frame: how far each person is outside the rectangle along x and y
        local = xp.stack([dot(offset, forwards), dot(offset, leftwards)], axis=-1)
        beyond = xp.maximum(xp.abs(local - self._middle_m) - self._half_m, 0.0)
        nearest = xp.sqrt(dot(beyond, beyond))

        # The arms: the distance to the nearest point of the line from mount to hand. That
        # point is at the fraction `share` of the line.
        for hand_w in self._hands_w:
            along = hand_w[:, None, :2] - self._pos_w[:, None, :2]  # (N, 1, 2)
            length2 = xp.maximum(dot(along, along), 1e-9)  # m2, never 0
            share = xp.clip(dot(offset, along) / length2, 0.0, 1.0)[..., None]
            from_line = offset - share * along
            from_arm = xp.sqrt(dot(from_line, from_line)) - ARM_RADIUS_M
            nearest = xp.minimum(nearest, from_arm)
        return xp.maximum(nearest - radius_m, 0.0)

    def nearest_m(self, people_w: Array, is_present: Array, radius_m: float) -> Array:
        """Returns (N,) m, from the outline to the nearest person that is there.

        Args:
            people_w: (N, M, 2) m, where the people are.
            is_present: (N, M) bool, who is there. For those who are not, the distance is
                FAR_M.
            radius_m: the radius of a person.
        """
        distance = self.distance_m(people_w, radius_m)
        return smallest(self._xp.where(is_present, distance, FAR_M))


def _corners_of(engine: Engine, body: int) -> np.ndarray:
    """Returns the corners (n, 2) m of a body's collision geoms, from above, in its frame."""
    model = engine.model
    signs = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
    corners = []
    for geom in np.flatnonzero(model.geom_bodyid == body):
        if not (model.geom_contype[geom] or model.geom_conaffinity[geom]):
            continue
        matrix = np.zeros(9)
        mujoco.mju_quat2Mat(matrix, model.geom_quat[geom])
        middle, half = np.split(model.geom_aabb[geom], 2)
        box = middle + signs * half  # (8, 3) in the geom's frame
        corners.append(model.geom_pos[geom] + box @ matrix.reshape(3, 3).T)
    return np.concatenate(corners)[:, :2]
