"""The pose and the opening of a robot's hand, as tasks judge them."""

from __future__ import annotations

from embodied.arrays import dot
from embodied.core import Array
from embodied.robots.parts.part import Effector
from embodied.robots.robot import Robot
from embodied.sim.engine import ROT6D_OF_XMAT, Engine


class Hand:
    """One effector and its gripper, in N worlds; by default the robot's first."""

    def __init__(
        self, engine: Engine, robot: Robot, effector: Effector | None = None
    ) -> None:
        model = engine.model
        effector = effector or robot.effectors[0]
        gripper = robot.gripper_of(effector)
        self._engine = engine
        # the site of the tool centre point; the columns of the fingers in `qpos`; and
        # two sites on the pads, none where the fingers' positions add up to the width
        self._site = model.site(effector.site).id
        self._fingers = [int(model.joint(name).qposadr[0]) for name in gripper.fingers]
        self._pads = [model.site(name).id for name in gripper.pads]

    def pos_w(self) -> Array:
        """Returns (N, 3) m, the tool centre point (TCP) in the world."""
        return self._engine.view("site_xpos")[:, self._site]

    def rot6d(self) -> Array:
        """Returns (N, 6), the hand's x and y axes in the world."""
        return self._engine.view("site_xmat")[:, self._site][:, ROT6D_OF_XMAT]

    def width_m(self) -> Array:
        """Returns (N,) m between the fingers' pads."""
        if self._pads:
            return self._pad_distance_m()
        qpos = self._engine.view("qpos")
        # each finger's joint position is its share of the opening
        width = qpos[:, self._fingers[0]]
        for finger in self._fingers[1:]:
            width = width + qpos[:, finger]
        return width

    def _pad_distance_m(self) -> Array:
        """Returns (N,) m between the pads' faces, along the hand's y axis."""
        sites = self._engine.view("site_xpos")
        # in the world: the second column of a matrix that is held row by row
        y_axis = self._engine.view("site_xmat")[:, self._site][:, 1::3]
        return dot(sites[:, self._pads[0]] - sites[:, self._pads[1]], y_axis)
