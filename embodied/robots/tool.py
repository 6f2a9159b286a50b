"""Where a robot's tool is in N worlds, and how far its gripper is open."""

from __future__ import annotations

from embodied.core import Array
from embodied.robots.parts.part import Effector
from embodied.robots.robot import Robot
from embodied.sim.engine import ROT6D_OF_XMAT, Engine


class Tool:
    """Reads one effector and its gripper; every array is fresh from the engine."""

    def __init__(self, engine: Engine, robot: Robot, effector: Effector) -> None:
        model = engine.model
        gripper = robot.gripper_of(effector)
        self._view = engine.view
        self._site = model.site(effector.site).id
        self._fingers = [int(model.joint(name).qposadr[0]) for name in gripper.fingers]

    def pos_w(self) -> Array:
        """Returns (N, 3) m, the tool centre point in the world."""
        return self._view("site_xpos")[:, self._site]

    def rot6d(self) -> Array:
        """Returns (N, 6), the first two columns of its rotation in the world."""
        return self._view("site_xmat")[:, self._site][:, ROT6D_OF_XMAT]

    def width_m(self) -> Array:
        """Returns (N,) m, between the pads."""
        qpos = self._view("qpos")
        width = qpos[:, self._fingers[0]]
        for finger in self._fingers[1:]:
            width = width + qpos[:, finger]
        return width
