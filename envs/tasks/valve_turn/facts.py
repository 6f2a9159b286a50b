"""The quantities by which ValveTurn is judged: of the valves and the hand."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from embodied.arrays import norm
from embodied.core import Array
from embodied.envs.facts import quantity
from embodied.envs.hand import Hand
from embodied.envs.props.console import Console
from embodied.envs.props.valve import Valves
from embodied.envs.tasks.valve_turn.grasp import grasp_pos_w
from embodied.envs.tasks.valve_turn.scene import CONSOLE, KIND_OF_VALVE, VALVES
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

# A valve that is not named counts as untouched if it has turned by less than this.
OTHERS_RAD = np.deg2rad(8.0)
# A valve that turns more slowly than this is at rest.
AT_REST_RAD_S = 0.05


class Props:
    """The parts of the scene that the task moves and reads, in N worlds."""

    def __init__(self, engine: Engine, robot: Robot) -> None:
        """Finds the parts in the model."""
        xp = engine.xp
        count = len(VALVES)
        self.xp = xp
        self.valves = Valves(engine, VALVES)
        self.console = Console(engine, CONSOLE)
        self.hand = Hand(engine, robot)
        self.worlds = xp.arange(engine.num_worlds)[:, None]  # (N, 1), to index rows
        # (K,) 1 for wheels, 0 for levers
        self.is_wheel = xp.asarray([float(kind == "wheel") for kind in KIND_OF_VALVE])
        # (K, K): row k holds the indices of all valves, valve k first: k, k + 1, ...
        orders = [[(k + j) % count for j in range(count)] for k in range(count)]
        self.order_from = xp.asarray(orders)


class Facts:
    """Quantities of N worlds in one state.

    In arrays with an axis K, one element per valve, the named valve comes first.
    """

    def __init__(self, props: Props, memory: Mapping[str, Array]) -> None:
        """Orders the valves; facts are computed when they are first used."""
        self._props = props
        self._memory = memory
        self._xp = props.xp
        self._order = props.order_from[memory["valve"]]  # (N, K) indices of valves

    def _named_first(self, values: Array) -> Array:
        """Returns values (N, K) of the valves, reordered with the named valve first."""
        return values[self._props.worlds, self._order]

    @quantity
    def angles(self) -> Array:
        """(N, K) rad, the valves' angles on their scales."""
        return self._named_first(self._props.valves.angles())

    @quantity
    def start_angles(self) -> Array:
        """(N, K) rad, at the start of the episode."""
        return self._named_first(self._memory["start"])

    @quantity
    def hubs_w(self) -> Array:
        """(N, K, 3) m, centres of the handles."""
        return self._props.valves.hubs_w(self._order)

    @quantity
    def is_wheel(self) -> Array:
        """(N,) 1 where the named valve is a wheel, 0 where it is a lever."""
        return self._props.is_wheel[self._memory["valve"]]

    @quantity
    def angle_error(self) -> Array:
        """(N,) rad, absolute difference between the named valve's angle and its target."""
        return self._xp.abs(self.angles[:, 0] - self._memory["target"])

    @quantity
    def share_turned(self) -> Array:
        """(N,) in [0, 1], share of the rotation from start to target that is done."""
        whole_angle = self._xp.abs(self.start_angles[:, 0] - self._memory["target"])
        share_to_do = self.angle_error / whole_angle
        # a valve that is farther from its target than at the start counts as not turned
        return self._xp.where(share_to_do < 1.0, 1.0 - share_to_do, 0.0)

    @quantity
    def is_at_rest(self) -> Array:
        """(N,) bool, the named valve hardly moves."""
        speed = self._props.valves.speed(self._memory["valve"])
        return self._xp.abs(speed) < AT_REST_RAD_S

    @quantity
    def are_others_untouched(self) -> Array:
        """(N,) bool, no other valve has been turned."""
        moved = self._xp.abs(self.angles - self.start_angles)
        # skip column 0, the named valve
        return (moved[:, 1] < OTHERS_RAD) & (moved[:, 2] < OTHERS_RAD)

    @quantity
    def reach_m(self) -> Array:
        """(N,) m, from the TCP to the grasp on the named valve's handle."""
        grasp = grasp_pos_w(
            self._xp, self.hubs_w[:, 0], self.angles[:, 0], self.is_wheel
        )
        offset = self._props.hand.pos_w() - grasp
        return norm(offset)
