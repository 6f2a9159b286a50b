"""How actions become servo targets: one small law per kind of command.

Each is a `TargetLaw`, whose docstrings say what the methods take and return.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from embodied.arrays import columns
from embodied.core import Array
from embodied.robots.parts.part import Joints
from embodied.sim.engine import Engine

# (array namespace, commanded moves (N, J), measured joints (N, J)) -> moves of the
# joints (N, J): for commands that are not along the joints' own axes.
Turn = Callable[[Any, Array, Array], Array]


def clip(xp: Any, value: Array, low: Array, high: Array) -> Array:
    """Does what `xp.clip` does, in a quarter of the time for small numpy arrays."""
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
    """Absolute targets, approached no faster than the joints' speed limits.

    Actions of -1 and 1 are the ends of each joint's range.
    """

    def __init__(self, joints: Joints, engine: Engine, dt_s: float) -> None:
        xp = engine.xp
        low = xp.asarray([low for low, _ in joints.ranges])
        high = xp.asarray([high for _, high in joints.ranges])
        self._xp = xp
        self._reader = JointReader(joints, engine)
        self._middle = (high + low) / 2  # (J,)
        self._half = (high - low) / 2  # (J,)
        self._most = xp.asarray(joints.speeds) * dt_s  # (J,) per control step
        self._least = -self._most

    def reset(self, which: Array) -> None:
        """Nothing is remembered."""

    def memory(self) -> dict[str, Array]:
        return {}

    def initial(self) -> Array:
        return self._reader.read()

    def targets(self, action: Array, previous: Array) -> Array:
        return self.approach(self._middle + self._half * action, previous)

    def approach(self, wanted: Array, previous: Array) -> Array:
        """Returns `wanted` (N, J), or as near to it as the speed limits let it come."""
        change = clip(self._xp, wanted - previous, self._least, self._most)
        return previous + change


class SpeedLaw:
    """Targets that move at commanded speeds, and stay near the measured joints.

    Actions of -1 and 1 are full speed, backwards and forwards.
    """

    def __init__(
        self, joints: Joints, engine: Engine, dt_s: float, turn: Turn | None = None
    ) -> None:
        self._xp = engine.xp
        self._reader = JointReader(joints, engine)
        self._step_limit = engine.xp.asarray(joints.speeds) * dt_s  # (J,)
        self._lead = engine.xp.asarray(joints.leads)  # (J,)
        self._turn = turn

    def reset(self, which: Array) -> None:
        """Nothing is remembered."""

    def memory(self) -> dict[str, Array]:
        return {}

    def initial(self) -> Array:
        return self._reader.read()

    def targets(self, action: Array, previous: Array) -> Array:
        measured = self._reader.read()
        moves = action * self._step_limit
        if self._turn is not None:
            moves = self._turn(self._xp, moves, measured)
        lead = self._lead
        return clip(self._xp, previous + moves, measured - lead, measured + lead)


class OpeningLaw:
    """How far a gripper is open, from closed at -1 to open at 1."""

    def __init__(self, open_target: float, engine: Engine) -> None:
        """Keeps the servo's target when it is open; closed, it is 0."""
        self._engine = engine
        self._open = open_target
        self._half = open_target / 2

    def reset(self, which: Array) -> None:
        """Nothing is remembered."""

    def memory(self) -> dict[str, Array]:
        return {}

    def initial(self) -> Array:
        shape = (self._engine.num_worlds, 1)
        return self._engine.xp.full(shape, self._open)

    def targets(self, action: Array, previous: Array) -> Array:
        return (action + 1) * self._half
