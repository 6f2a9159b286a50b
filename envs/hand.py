"""The robot's hand as tasks judge it: where it is, and how far it is open."""

from __future__ import annotations

from embodied.core import Array
from embodied.robots.robot import Robot
from embodied.sim.engine import ROT6D_OF_XMAT, Engine


class Hand:
    """The hand of one robot in N worlds."""

    def __init__(self, engine: Engine, robot: Robot) -> None:
        model = engine.model
        self._engine = engine
        self._tcp = model.site(robot.tcp_site).id
        self._fingers = [
            int(model.joint(name).qposadr[0]) for name in robot.gripper_joints
        ]

    def pos_w(self) -> Array:
        """(N, 3) tool centre point in the world, m."""
        return self._engine.view("site_xpos")[:, self._tcp]

    def rot6d(self) -> Array:
        """(N, 6) the hand's x and y axes in the world."""
        return self._engine.view("site_xmat")[:, self._tcp][:, ROT6D_OF_XMAT]

    def width_m(self) -> Array:
        """(N,) m between the fingers' pads."""
        qpos = self._engine.view("qpos")
        width = qpos[:, self._fingers[0]]
        for finger in self._fingers[1:]:
            width = width + qpos[:, finger]
        return width
