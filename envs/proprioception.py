"""Proprioception: a robot's measurements of its own body."""

from __future__ import annotations

from embodied.arrays import columns
from embodied.core import Array, Layout
from embodied.envs.hand import Hand
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine


class Proprioception:
    """Reads the proprioception of N robots, as one vector per world.

    The vector has the positions (with each world's encoder bias) and the speeds of all
    joints except those of fingers, then the opening width of each gripper (or the vacuum
    of a suction gripper), then the pose of each effector. The joint positions of a driving
    base are the pose of its mount in the world: x, y in m and yaw in rad.
    """

    def __init__(self, engine: Engine, robot: Robot) -> None:
        """Finds joints, tool centre points and grippers, and names the vector's parts."""
        model = engine.model
        names = robot.joint_names
        num_joints = len(names)
        self._xp = engine.xp
        self._qpos = engine.view("qpos")
        self._qvel = engine.view("qvel")
        # columns of `qpos` and of `qvel` that belong to the joints, in the order of names
        self._positions = columns([model.joint(name).qposadr[0] for name in names])
        self._speeds = columns([model.joint(name).dofadr[0] for name in names])
        self._hands = [Hand(engine, robot, effector) for effector in robot.effectors]

        # the constant error of each joint's encoder, (N, J) rad or m
        self.bias = engine.xp.zeros((engine.num_worlds, num_joints))

        parts = [("joint_pos", num_joints), ("joint_vel", num_joints)]
        grippers = [robot.gripper_of(effector) for effector in robot.effectors]
        parts += [(f"{gripper.name}_{gripper.reading}", 1) for gripper in grippers]
        for effector in robot.effectors:
            parts += [(f"{effector.name}_pos_w", 3), (f"{effector.name}_rot6d", 6)]
        self.layout = Layout(tuple(parts))

    def memory(self) -> dict[str, Array]:
        """Returns the state of the episodes: arrays (N, ...) by name, not copies."""
        return {"bias": self.bias}

    def read(self) -> Array:
        """Returns proprioception (N, P), with the entries of `layout`.

        Units are rad, rad/s, m and, for a vacuum, its share of the full vacuum.
        """
        values = [
            self._qpos[:, self._positions] + self.bias,
            self._qvel[:, self._speeds],
        ]
        values += [hand.reading()[:, None] for hand in self._hands]
        for hand in self._hands:
            values += [hand.pos_w(), *hand.axes_w()]
        return self._xp.concat(values, axis=1)
