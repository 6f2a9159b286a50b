"""What a robot feels of itself."""

from __future__ import annotations

from embodied.arrays import columns
from embodied.core import Array, Layout
from embodied.robots.robot import Robot
from embodied.sim.engine import ROT6D_OF_XMAT, Engine


class Proprioception:
    """Joint positions (with each world's encoder bias) and speeds, of base, torso and
    arm; gripper width, and the tool centre point's pose. A base's joints are where the
    mount stands in the world: x, y in m and yaw in rad.
    """

    def __init__(self, engine: Engine, robot: Robot) -> None:
        model = engine.model
        joints = len(robot.all_joints)
        self._engine = engine
        self._qpos = columns(
            [model.joint(name).qposadr[0] for name in robot.all_joints]
        )
        self._qvel = columns([model.joint(name).dofadr[0] for name in robot.all_joints])
        self._fingers = [
            int(model.joint(name).qposadr[0]) for name in robot.gripper_joints
        ]
        self._site = model.site(robot.tcp_site).id
        self.bias = engine.xp.zeros((engine.num_worlds, joints))  # (N, J) rad or m
        self.layout = Layout(
            (
                ("joint_pos", joints),
                ("joint_vel", joints),
                ("gripper_width", 1),
                ("tcp_pos_w", 3),
                ("tcp_rot6d", 6),
            )
        )

    def read(self) -> Array:
        """(N, P) in rad, rad/s and m, as `layout` names it."""
        view = self._engine.view
        xp = self._engine.xp
        qpos = view("qpos")
        width = sum(qpos[:, finger, None] for finger in self._fingers)
        parts = [qpos[:, self._qpos] + self.bias, view("qvel")[:, self._qvel], width]
        tcp_rot6d = view("site_xmat")[:, self._site][:, ROT6D_OF_XMAT]
        return xp.concat([*parts, view("site_xpos")[:, self._site], tcp_rot6d], axis=1)
