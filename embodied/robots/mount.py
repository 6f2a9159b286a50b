"""Where a robot's mount is, from proprioception."""

from __future__ import annotations

from embodied.arrays import array_namespace
from embodied.core import Array, Layout
from embodied.robots.robot import Robot


class MountPose:
    """Reads the pose of the mount: the top of base and torso that carries the arms."""

    def __init__(self, robot: Robot, agent_layout: Layout) -> None:
        # `joint_pos` is a part of proprioception, the base's joints are a part of it
        first = agent_layout.slices()["joint_pos"].start
        base = robot.joint_slice(robot.base)
        self._base = robot.base
        self._base_columns = slice(first + base.start, first + base.stop)

        # each joint of a torso lifts the mount
        self._lift_columns: list[int] = []
        for torso in robot.torsos:
            own = robot.joint_slice(torso)
            self._lift_columns += range(first + own.start, first + own.stop)

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
