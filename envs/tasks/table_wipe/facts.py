"""The quantities by which TableWipe is judged: of the pad, the table and the hand."""

from __future__ import annotations

from collections.abc import Mapping

from embodied.arrays import norm
from embodied.core import Array
from embodied.envs.facts import quantity
from embodied.envs.hand import Hand
from embodied.envs.props.pad import HELD_WIDTH_M, Pad
from embodied.envs.props.stains import Stains
from embodied.envs.props.table import Table
from embodied.envs.tasks.table_wipe.scene import TABLE
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

# Measured forces are clipped to this, which is far above the limit of the task.
MOST_N = 100.0
# A closed gripper holds the pad if the TCP is within this distance of the handle.
HELD_ERROR_M = 0.02
# A pad below this has fallen off the table; it is lower than any table in the episodes.
FALLEN_Z_W = TABLE.top_z - 0.1


class Props:
    """The parts of the scene that the task moves and reads, in N worlds."""

    def __init__(self, engine: Engine, robot: Robot) -> None:
        """Finds the parts in the model."""
        self.xp = engine.xp
        self.pad = Pad(engine)
        self.stains = Stains(engine)
        self.table = Table(engine, TABLE)
        self.hand = Hand(engine, robot)


class Facts:
    """Quantities of N worlds in one state."""

    def __init__(self, props: Props, memory: Mapping[str, Array]) -> None:
        """Reads the pad's pose; other facts are computed when they are first used."""
        self._props = props
        self._memory = memory
        self._xp = props.xp
        # position of the centre of the pad's underside (N, 3) m; its x and y axes (N, 6);
        # its velocity (N, 3) m/s
        self.pad_pos_w, self.pad_rot6d, self.pad_vel_w = props.pad.pose()

    @quantity
    def table_z_w(self) -> Array:
        """(N,) m, of the table's top."""
        return self._props.table.top_z_w()

    @quantity
    def mat_xy_w(self) -> Array:
        """(N, 2) m, middle of the mat."""
        return self._props.pad.mat_w()

    @quantity
    def press_n(self) -> Array:
        """(N,) N, force of the pad on the table, clipped to MOST_N."""
        force = self._props.pad.force_n()
        return self._xp.where(force < MOST_N, force, MOST_N)

    @quantity
    def peak_press_n(self) -> Array:
        """(N,) N, the largest force of the pad on the table in the episode so far."""
        return self._xp.maximum(self._memory["peak_n"], self.press_n)

    @quantity
    def reach_m(self) -> Array:
        """(N,) m, from the TCP to the centre of the handle."""
        offset = self._props.hand.pos_w() - self._props.pad.grip_w()
        return norm(offset)

    @quantity
    def is_held(self) -> Array:
        """(N,) bool, the fingers are closed on the handle."""
        width = self._props.hand.width_m()
        is_closed = (width > HELD_WIDTH_M[0]) & (width < HELD_WIDTH_M[1])
        return is_closed & (self.reach_m < HELD_ERROR_M)

    @quantity
    def is_fallen(self) -> Array:
        """(N,) bool, the pad lies below the table."""
        return self.pad_pos_w[:, 2] < FALLEN_Z_W
