"""The pose of a robot's hand and the state of its gripper, for tasks' judgements."""

from __future__ import annotations

from embodied.arrays import dot
from embodied.core import Array
from embodied.envs.skills.fingertip import fingertip_w
from embodied.errors import EmbodiedError
from embodied.robots.parts.part import Effector
from embodied.robots.parts.suction import SuctionGripper
from embodied.robots.robot import Robot
from embodied.sim.engine import ROT6D_OF_XMAT, Engine

# A suction cup holds an object if its vacuum is larger than this share of the full one.
HELD_VACUUM = 0.5


class Hand:
    """One effector and its gripper, in N worlds; by default the robot's first effector."""

    def __init__(
        self, engine: Engine, robot: Robot, effector: Effector | None = None
    ) -> None:
        """Finds the tool centre point and the fingers in the model."""
        model = engine.model
        effector = effector or robot.effectors[0]
        gripper = robot.gripper_of(effector)
        site = model.site(effector.site).id
        fingers = [int(model.joint(name).qposadr[0]) for name in gripper.fingers]
        pads = [model.site(name).id for name in gripper.pads]

        # Views of the state, made only once: of the tool centre point, the finger joints,
        # and two sites on the pads. A gripper has no such sites if its width is the sum of
        # the finger joints' positions.
        qpos = engine.view("qpos")
        sites = engine.view("site_xpos")
        self._pos_w = sites[:, site]  # (N, 3)
        self._xmat = engine.view("site_xmat")[:, site]  # (N, 9), row by row
        self._axes_w = (self._xmat[:, 0::3], self._xmat[:, 1::3])  # (N, 3) each
        self._fingers = [qpos[:, column] for column in fingers]  # (N,) each
        self._pads = [sites[:, pad] for pad in pads]  # (N, 3) each
        self._tip_m = gripper.tip_m
        self._cup = (
            _Cup(engine, gripper) if isinstance(gripper, SuctionGripper) else None
        )

    def pos_w(self) -> Array:
        """Returns (N, 3) m, the tool centre point (tcp) in the world."""
        return self._pos_w

    def rot6d(self) -> Array:
        """Returns (N, 6), the hand's x and y axes in the world."""
        return self._xmat[:, ROT6D_OF_XMAT]

    def axes_w(self) -> tuple[Array, Array]:
        """Returns the hand's x and y axes in the world, (N, 3) each.

        They are views of the state. To put them in a larger array is faster than `rot6d`.
        """
        return self._axes_w

    def tip_w(self) -> Array:
        """Returns (N, 3) m, the tip of the closed fingers in the world."""
        return fingertip_w(self.pos_w(), self.rot6d(), self._tip_m)

    def reading(self) -> Array:
        """Returns (N,) the width between the fingers in m, or a cup's vacuum from 0 to 1."""
        return self._cup.vacuum() if self._cup else self.width_m()

    def is_closed(self, narrower_m: float) -> Array:
        """Returns (N,) bool, whether the gripper is closed.

        Args:
            narrower_m: the width below which fingers count as closed. A suction cup
                counts as closed if it holds something.
        """
        if self._cup:
            return self._cup.vacuum() > HELD_VACUUM
        return self.width_m() < narrower_m

    def width_m(self) -> Array:
        """Returns the width (N,) m between the fingers' pads.

        Raises:
            EmbodiedError: the gripper is a suction cup, which has no width.
        """
        if self._cup:
            raise EmbodiedError(
                "this robot's gripper holds by suction and has no width: let the task's "
                "needs have an opening_m, or ask its hand `is_closed`"
            )
        if self._pads:
            return self._pad_distance_m()
        # the width is the sum of the fingers' joint positions
        width = self._fingers[0]
        for finger in self._fingers[1:]:
            width = width + finger
        return width

    def _pad_distance_m(self) -> Array:
        """Returns the distance (N,) m between the pads' faces, along the hand's y axis."""
        _, y_axis = self.axes_w()
        return dot(self._pads[0] - self._pads[1], y_axis)


class _Cup:
    """The vacuum of a suction gripper, in N worlds."""

    def __init__(self, engine: Engine, gripper: SuctionGripper) -> None:
        """Finds the sensor of the lip and the valve in the model."""
        model = engine.model
        seal = int(model.sensor(gripper.seal).adr[0])
        self._xp = engine.xp
        # (N,) how many of the lip's points touch something, and the opening of the valve
        # from 0 to 1
        self._touching = engine.view("sensordata")[:, seal]
        self._released = engine.view("ctrl")[:, model.actuator(gripper.name).id]
        self._lip_points = gripper.lip_points

    def vacuum(self) -> Array:
        """Returns (N,) from 0 to 1, the cup's vacuum as a share of the full vacuum.

        The vacuum grows with the share of the lip that touches something, and falls as
        the valve opens to release the thing.
        """
        sealed = self._xp.minimum(
            self._touching / self._lip_points, self._xp.ones_like(self._touching)
        )
        return sealed * (1 - self._released)
