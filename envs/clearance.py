"""The distance between a robot that drives and people, seen from above."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from embodied.arrays import columns, dot, norm, smallest
from embodied.core import Array
from embodied.robots.geometry import points_of
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

# Half the width of a forearm with its hand.
ARM_RADIUS_M = 0.08
# The distance that is reported to people who take no part in the episode.
FAR_M = 99.0


class Outline:
    """The outline of a robot as seen from above, in N worlds.

    It consists of the rectangle around the robot's base, and for each arm of the lines
    from the mount to the elbow and on to the hand, with the arm's width.
    """

    def __init__(self, engine: Engine, robot: Robot) -> None:
        """Measures the base, and finds elbows and hands in the model.

        Args:
            engine: the physics of the worlds.
            robot: the robot in the worlds, whose first base travels.
        """
        model = engine.model
        xp = engine.xp
        self._xp = xp

        # the rectangle of the base, in the base's frame
        root = model.body(robot.base.root_body).id
        bodies = np.arange(model.nbody) == root
        points = _points_in(model, _at_home(model), bodies, frame=root)[:, :2]
        self._middle_m = xp.asarray((points.min(axis=0) + points.max(axis=0)) / 2)
        self._half_m = xp.asarray((points.max(axis=0) - points.min(axis=0)) / 2)
        # the largest distance of a point of the base from the axis about which it turns
        self._farthest_m = float(np.linalg.norm(points, axis=1).max())

        self._pos_w = engine.view("xpos")[:, root]  # (N, 3)
        self._xmat = engine.view("xmat")[:, root]  # (N, 9)

        # hands and elbows, and the base's motion
        sites = engine.view("site_xpos")
        hands = [model.site(effector.site).id for effector in robot.effectors]
        self._hands_w = [sites[:, hand] for hand in hands]  # (N, 3) each
        arms = [robot.part(effector.arm) for effector in robot.effectors]
        elbows = [_elbow_of(engine, arm.joints.names) for arm in arms]
        self._elbows_w = [engine.view("xpos")[:, elbow] for elbow in elbows]
        joints = robot.base.joints.names
        self._dofs = columns([int(model.joint(name).dofadr[0]) for name in joints])
        self._qvel = engine.view("qvel")

    def speed_m_s(self) -> Array:
        """Returns (N,) m/s, an upper bound of the speed of the base's fastest point."""
        xp = self._xp
        velocity = self._qvel[:, self._dofs]  # (N, 3) x, y in m/s and yaw in rad/s
        linear = xp.sqrt(dot(velocity[:, :2], velocity[:, :2]))
        return linear + self._farthest_m * xp.abs(velocity[:, 2])

    def distance_m(self, people_w: Array, radius_m: float) -> Array:
        """Returns the distance (N, M) m of each person from the outline; 0 for an overlap.

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

        # the distance from the rectangle, by how far each person is outside of it along x
        # and y of the base's frame
        local = xp.stack([dot(offset, forwards), dot(offset, leftwards)], axis=-1)
        beyond = xp.maximum(xp.abs(local - self._middle_m) - self._half_m, 0.0)
        nearest = norm(beyond)

        # the distance from the arms, if smaller: two lines each, from mount to elbow and on
        # to the hand
        for elbow_w, hand_w in zip(self._elbows_w, self._hands_w, strict=True):
            for start_w, end_w in ((self._pos_w, elbow_w), (elbow_w, hand_w)):
                from_line_m = self._from_line_m(people_w, start_w, end_w)
                nearest = xp.minimum(nearest, from_line_m - ARM_RADIUS_M)
        return xp.maximum(nearest - radius_m, 0.0)

    def _from_line_m(self, people_w: Array, start_w: Array, end_w: Array) -> Array:
        """Returns the horizontal distance (N, M) m of each person from a line.

        Args:
            people_w: (N, M, 2) m, where the people are.
            start_w: (N, 3) m, where the line begins.
            end_w: (N, 3) m, where the line ends.
        """
        xp = self._xp
        offset = people_w - start_w[:, None, :2]  # (N, M, 2)
        along = end_w[:, None, :2] - start_w[:, None, :2]  # (N, 1, 2)
        length2 = xp.maximum(dot(along, along), 1e-9)  # m2, never 0

        # the nearest point is at the fraction `share` of the line
        share = xp.clip(dot(offset, along) / length2, 0.0, 1.0)[..., None]
        from_line = offset - share * along
        return norm(from_line)

    def nearest_m(self, people_w: Array, is_present: Array, radius_m: float) -> Array:
        """Returns the distance (N,) m of the nearest person from the outline.

        Args:
            people_w: (N, M, 2) m, where the people are.
            is_present: (N, M) bool, whether each person takes part in the episode. The
                distance of a person who takes no part counts as FAR_M.
            radius_m: the radius of a person.
        """
        distance = self.distance_m(people_w, radius_m)
        return smallest(self._xp.where(is_present, distance, FAR_M))


def _at_home(model: mujoco.MjModel) -> mujoco.MjData:
    """Returns the state at the model's first keyframe, in which robots are at home."""
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_kinematics(model, data)
    return data


def _points_in(
    model: mujoco.MjModel, data: mujoco.MjData, bodies: np.ndarray, frame: int
) -> np.ndarray:
    """Returns points (n, 3) m on the collision geoms of some bodies.

    Args:
        model: the model.
        data: the model's state.
        bodies: (nbody,) bool, the bodies whose geoms are used.
        frame: the index of the body in whose frame the points are returned.
    """
    touchable = (model.geom_contype > 0) | (model.geom_conaffinity > 0)
    geoms = np.flatnonzero(touchable & bodies[model.geom_bodyid])
    points_w = np.concatenate([points_of(model, data, int(geom)) for geom in geoms])
    return (points_w - data.xpos[frame]) @ data.xmat[frame].reshape(3, 3)


def _elbow_of(engine: Engine, joints: Sequence[str]) -> int:
    """Returns the index of the body that counts as an arm's elbow.

    The elbow is the link that is farthest from the line between the arm's first and last
    joint while the arm is at home.

    Args:
        engine: the physics of the worlds; the model's first keyframe has the arm at home.
        joints: the names of the arm's joints, from the mount to the hand.
    """
    model = engine.model
    data = _at_home(model)
    links = [int(model.joint(name).bodyid[0]) for name in joints]
    points = data.xpos[links]  # (J, 3) m
    along = points[-1] - points[0]
    # (J, 3) cross products, whose lengths are proportional to the distances from the line
    aside = np.cross(points - points[0], along)
    return links[int(np.argmax(np.linalg.norm(aside, axis=1)))]


def sides_m(robot: Robot, turned_rad: float = 0.0) -> tuple[float, float]:
    """Returns how far a robot at home extends to the left and to the right, m.

    Args:
        robot: the robot; its base's frame is where the sides are measured from.
        turned_rad: the sides are those of someone there who looks in this direction,
            measured from the robot's front to its left.
    """
    model = robot.build().compile()
    root = model.body(robot.base.root_body).id
    bodies = np.arange(model.nbody) > 0
    points = _points_in(model, _at_home(model), bodies, frame=root)
    leftwards = points[:, 1] * np.cos(turned_rad) - points[:, 0] * np.sin(turned_rad)
    return float(leftwards.max()), float(-leftwards.min())
