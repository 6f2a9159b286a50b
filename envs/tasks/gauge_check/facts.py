"""The quantities by which GaugeCheck is judged: of gauges, buttons and the hand."""

from __future__ import annotations

from collections.abc import Mapping

from embodied.arrays import norm, smallest
from embodied.core import Array
from embodied.envs.facts import quantity
from embodied.envs.hand import Hand
from embodied.envs.props.button import Buttons
from embodied.envs.props.gauge import BUTTON_Y_M, FAULT, OK, Gauges, button_top_z
from embodied.envs.tasks.gauge_check.scene import BUTTONS, PLACES, STATIONS
from embodied.envs.tasks.gauge_check.variation import NAMES
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

# The distance to the next button when no button is left to press: larger than any
# distance in the room.
NOTHING_LEFT_M = 99.0


class Props:
    """The parts of the scene that the task moves and reads, in N worlds."""

    def __init__(self, engine: Engine, robot: Robot) -> None:
        """Finds the parts in the model."""
        self.xp = engine.xp
        self.gauges = Gauges(engine, STATIONS, PLACES, NAMES)
        self.buttons = Buttons(engine, BUTTONS)
        self.hand = Hand(engine, robot)
        # (2, 3) m, from a station's origin to the tops of its buttons OK and FAULT
        top_z = button_top_z()
        tops = [(0.0, BUTTON_Y_M[button], top_z) for button in (OK, FAULT)]
        self.tops_m = engine.xp.asarray(tops)


class Facts:
    """Quantities of N worlds in one state, for K = 3 stations."""

    def __init__(self, props: Props, memory: Mapping[str, Array]) -> None:
        self._props = props
        self._memory = memory
        self._xp = props.xp

    @quantity
    def stations_pos_w(self) -> Array:
        """(N, K, 3) m, the stations' places on the floor."""
        return self._props.gauges.positions_w()

    @quantity
    def is_ok(self) -> Array:
        """(N, K) bool, the needle is between its marks."""
        shares = self._memory["shares"]
        needle = shares[..., 0]
        low = shares[..., 1]
        high = shares[..., 2]
        return (low < needle) & (needle < high)

    @quantity
    def from_mark(self) -> Array:
        """(N, K) the distance of the needle from the nearest mark, a share of the scale."""
        shares = self._memory["shares"]
        from_low = self._xp.abs(shares[..., 0] - shares[..., 1])
        from_high = self._xp.abs(shares[..., 0] - shares[..., 2])
        return self._xp.minimum(from_low, from_high)

    @quantity
    def is_waiting(self) -> Array:
        """(N, K) bool, the station is named and not yet answered."""
        return (self._memory["named"] > 0) & (self._memory["answered"] == 0)

    @quantity
    def reach_button_m(self) -> Array:
        """(N,) m, from the closed fingertips to the nearest correct button still to press.

        The distance is NOTHING_LEFT_M once all named stations have been answered.
        """
        xp = self._xp
        tip = self._props.hand.tip_w()
        # the correct button of each station, relative to the station
        top = xp.where(
            self.is_ok[..., None], self._props.tops_m[OK], self._props.tops_m[FAULT]
        )
        offset = self.stations_pos_w + top - tip[:, None, :]  # (N, K, 3)
        distance = norm(offset)
        return smallest(xp.where(self.is_waiting, distance, NOTHING_LEFT_M))
