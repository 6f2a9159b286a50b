"""The pose of a robot's mount, computed from proprioception."""

from __future__ import annotations

from embodied.arrays import array_namespace
from embodied.core import Array, Layout
from embodied.robots.parts.base import Base
from embodied.robots.robot import Robot
from embodied.rotations import quat_from_rotvec, quat_from_yaw, quat_multiply


class MountPose:
    """Computes the pose of the mount, the top of base and torso that carries the arms."""

    def __init__(
        self, robot: Robot, agent_layout: Layout, base: Base | None = None
    ) -> None:
        """Finds the columns of a base, and of the torso on it.

        Args:
            robot: The robot, or a team of robots.
            agent_layout: The layout of the robot's proprioception.
            base: The base below the mount; None for the robot's first base.
        """
        # the joints of a part are a slice of `joint_pos`, which is a slice of proprioception
        first = agent_layout.slices()["joint_pos"].start
        self._base = base or robot.base
        columns = robot.joint_slice(self._base)
        self._base_columns = slice(first + columns.start, first + columns.stop)

        # each joint of a lift raises the mount; each joint of a waist tilts it forwards
        self._lift_columns: list[int] = []
        for torso in robot.torsos:
            if robot.base_of(torso) != self._base:
                continue
            columns = robot.joint_slice(torso)
            self._lift_columns += range(first + columns.start, first + columns.stop)
        self._waist_columns: list[int] = []
        for waist in robot.waists:
            if robot.base_of(waist) != self._base:
                continue
            columns = robot.joint_slice(waist)
            self._waist_columns += range(first + columns.start, first + columns.stop)

    def read(self, agent_pos: Array) -> Array:
        """Returns (n, 4) x, y, z in m and yaw in rad in the world.

        Args:
            agent_pos: (n, P) proprioception.
        """
        xp = array_namespace(agent_pos)
        lift_m: Array | float = 0.0
        for column in self._lift_columns:
            lift_m = lift_m + agent_pos[:, column]
        return self._base.mount_pose(xp, agent_pos[:, self._base_columns], lift_m)

    def quat_wxyz(self, agent_pos: Array) -> Array:
        """Returns (n, 4) the mount's orientation in the world, tilted by a waist.

        Args:
            agent_pos: (n, P) proprioception.
        """
        xp = array_namespace(agent_pos)
        quat_wxyz = quat_from_yaw(self.read(agent_pos)[:, 3])
        for column in self._waist_columns:
            tilt = agent_pos[:, column]
            # a rotation vector about the mount's y axis
            about_y = xp.stack([0 * tilt, tilt, 0 * tilt], axis=1)
            quat_wxyz = quat_multiply(quat_wxyz, quat_from_rotvec(about_y))
        return quat_wxyz
