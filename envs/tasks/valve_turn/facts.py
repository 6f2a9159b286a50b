"""The quantities by which ValveTurn is judged: of the valves and the hand."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from embodied.arrays import dot
from embodied.core import Array
from embodied.envs.facts import quantity
from embodied.envs.hand import Hand
from embodied.envs.props.console import Console
from embodied.envs.props.valve import Valves
from embodied.envs.tasks.valve_turn.grasp import grasp_pos_w
from embodied.envs.tasks.valve_turn.scene import CONSOLE, KIND_OF_VALVE, VALVES
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

# The other valves must have turned by less than this.
OTHERS_RAD = np.deg2rad(8.0)
AT_REST_RAD_S = 0.05


class Props:
    """The parts of the scene in N worlds, as a task moves and reads them."""

    def __init__(self, engine: Engine, robot: Robot) -> None:
        xp = engine.xp
        count = len(VALVES)
        self.xp = xp
        self.valves = Valves(engine, VALVES)
        self.console = Console(engine, CONSOLE)
        self.hand = Hand(engine, robot)
        self.worlds = xp.arange(engine.num_worlds)[:, None]  # (N, 1), to index rows
        # (K,) 1 for wheels, 0 for levers
        self.is_wheel = xp.asarray([float(kind == "wheel") for kind in KIND_OF_VALVE])
        # (K, K) row k has the indices of the valves in order, beginning with valve k
        rows = [[(k + j) % count for j in range(count)] for k in range(count)]
        self.in_order_from = xp.asarray(rows)


class Facts:
    """Quantities of N worlds in one state; the named one of K valves comes first."""

    def __init__(self, props: Props, memory: Mapping[str, Array]) -> None:
        self._props = props
        self._memory = memory
        self._xp = props.xp
        self._order = props.in_order_from[memory["valve"]]  # (N, K)

    def _named_first(self, values: Array) -> Array:
        """Returns values (N, K) of the scene's valves with the named one first."""
        return values[self._props.worlds, self._order]

    @quantity
    def angles(self) -> Array:
        """(N, K) rad on the scale."""
        return self._named_first(self._props.valves.angles())

    @quantity
    def start_angles(self) -> Array:
        """(N, K) rad, at the start of the episode."""
        return self._named_first(self._memory["start"])

    @quantity
    def hubs_w(self) -> Array:
        """(N, K, 3) m, middles of the handles."""
        return self._props.valves.hubs_w(self._order)

    @quantity
    def is_wheel(self) -> Array:
        """(N,) 1 where the named valve is a wheel, 0 where it is a lever."""
        return self._props.is_wheel[self._memory["valve"]]

    @quantity
    def angle_error(self) -> Array:
        """(N,) rad, of the named valve from its target."""
        return self._xp.abs(self.angles[:, 0] - self._memory["target"])

    @quantity
    def share_turned(self) -> Array:
        """(N,) in [0, 1], how much of the way from start to target is done."""
        whole = self._xp.abs(self.start_angles[:, 0] - self._memory["target"])
        left = self.angle_error / whole
        return self._xp.where(left < 1.0, 1.0 - left, 0.0)

    @quantity
    def is_at_rest(self) -> Array:
        """(N,) bool, the named valve hardly moves."""
        speed = self._props.valves.speed(self._memory["valve"])
        return self._xp.abs(speed) < AT_REST_RAD_S

    @quantity
    def are_others_untouched(self) -> Array:
        """(N,) bool, no other valve has been turned."""
        moved = self._xp.abs(self.angles - self.start_angles)
        # the named one, which stands first, is left out
        return (moved[:, 1] < OTHERS_RAD) & (moved[:, 2] < OTHERS_RAD)

    @quantity
    def reach_m(self) -> Array:
        """(N,) from the hand to where it grips the named handle."""
        grasp = grasp_pos_w(
            self._xp, self.hubs_w[:, 0], self.angles[:, 0], self.is_wheel
        )
        offset = self._props.hand.pos_w() - grasp
        return self._xp.sqrt(dot(offset, offset))
