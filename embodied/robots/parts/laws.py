"""Laws that turn actions into servo targets, one for each kind of command.

Each law implements the protocol `TargetLaw`, whose docstrings describe the methods.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from embodied.arrays import columns, one_row
from embodied.core import Array
from embodied.robots.parts.part import Joints
from embodied.sim.engine import Engine

# Converts moves along a part's own axes to moves of its joints: (array namespace,
# commanded moves (N, J), measured joint positions (N, J)) -> moves of the joints (N, J).
AxesChange = Callable[[Any, Array, Array], Array]


def clip(xp: Any, value: Array, low: Array, high: Array) -> Array:
    """Returns `xp.clip`'s result, in a quarter of its time for small numpy arrays."""
    return xp.minimum(xp.maximum(value, low), high)


class JointReader:
    """Reads the positions of a part's joints."""

    def __init__(self, joints: Joints, engine: Engine) -> None:
        model = engine.model
        self._qpos = engine.view("qpos")
        self._columns = columns([model.joint(name).qposadr[0] for name in joints.names])

    def read(self) -> Array:
        """Returns measured positions (N, J) in rad or m."""
        return self._qpos[:, self._columns]


class PositionLaw:
    """Takes joint positions as actions; targets approach them within the speed limits.

    Actions of -1 and 1 are the ends of each joint's range.
    """

    def __init__(self, joints: Joints, engine: Engine, dt_s: float) -> None:
        """Keeps the joints' limits; `dt_s` is the control period."""
        xp = engine.xp
        low = one_row(xp, [low for low, _ in joints.ranges])
        high = one_row(xp, [high for _, high in joints.ranges])
        self._xp = xp
        self._reader = JointReader(joints, engine)
        self._middle = (high + low) / 2  # (1, J)
        self._half_range = (high - low) / 2  # (1, J)
        # (1, J) in one control step
        self._largest_step = one_row(xp, joints.speeds) * dt_s
        self._smallest_step = -self._largest_step

    def reset(self, which: Array) -> None:
        """Does nothing, as this law has no memory."""

    def memory(self) -> dict[str, Array]:
        return {}

    def initial(self) -> Array:
        return self._reader.read()

    def targets(self, action: Array, previous: Array) -> Array:
        return self.approach(self._middle + self._half_range * action, previous)

    def approach(self, wanted: Array, previous: Array) -> Array:
        """Returns targets (N, J) moved from `previous` (N, J) towards `wanted` (N, J).

        A target moves by at most one control step at its joint's speed limit.
        """
        step = clip(
            self._xp, wanted - previous, self._smallest_step, self._largest_step
        )
        return previous + step


class SpeedLaw:
    """Takes joint speeds as actions; targets move at these speeds.

    Actions of -1 and 1 are full speed, backwards and forwards. Targets stay near the
    measured joints, so that the target of a blocked joint does not run away.
    """

    def __init__(
        self,
        joints: Joints,
        engine: Engine,
        dt_s: float,
        to_joint_axes: AxesChange | None = None,
    ) -> None:
        """Keeps the joints' limits.

        Args:
            joints: The joints that are driven.
            engine: The engine that simulates them.
            dt_s: The control period.
            to_joint_axes: Converts the commands; None if they are along the joints.
        """
        xp = engine.xp
        self._xp = xp
        self._reader = JointReader(joints, engine)
        self._full_step = one_row(xp, joints.speeds) * dt_s  # (1, J)
        self._lead = one_row(xp, joints.leads)  # (1, J)
        self._to_joint_axes = to_joint_axes

    def reset(self, which: Array) -> None:
        """Does nothing, as this law has no memory."""

    def memory(self) -> dict[str, Array]:
        return {}

    def initial(self) -> Array:
        return self._reader.read()

    def targets(self, action: Array, previous: Array) -> Array:
        """Returns targets (N, J), the previous ones moved at the commanded speeds."""
        measured = self._reader.read()
        moves = action * self._full_step  # (N, J) in one control step
        if self._to_joint_axes is not None:
            moves = self._to_joint_axes(self._xp, moves, measured)
        lead = self._lead
        return clip(self._xp, previous + moves, measured - lead, measured + lead)


class OpeningLaw:
    """Sets a gripper's opening, from closed at an action of -1 to open at 1."""

    def __init__(self, open_target: float, engine: Engine) -> None:
        """Keeps the servo's target for an open gripper; 0 is that for a closed one."""
        self._engine = engine
        self._open = open_target
        self._half_open = open_target / 2

    def reset(self, which: Array) -> None:
        """Does nothing, as this law has no memory."""

    def memory(self) -> dict[str, Array]:
        return {}

    def initial(self) -> Array:
        shape = (self._engine.num_worlds, 1)
        return self._engine.xp.full(shape, self._open)

    def targets(self, action: Array, previous: Array) -> Array:
        return (action + 1) * self._half_open
