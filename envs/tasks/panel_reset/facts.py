"""The quantities by which PanelReset is judged: of the fault's button and the hand."""

from __future__ import annotations

from collections.abc import Mapping

from embodied.arrays import norm
from embodied.core import Array
from embodied.envs.facts import quantity
from embodied.envs.hand import Hand
from embodied.envs.props.button import Buttons
from embodied.envs.props.console import Console
from embodied.envs.props.panel import BUTTONS, FAULT, Panel
from embodied.envs.tasks.panel_reset.scene import CONSOLE
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine


class Props:
    """The parts of the scene that the task moves and reads, in N worlds."""

    def __init__(self, engine: Engine, robot: Robot) -> None:
        """Finds the parts in the model."""
        self.xp = engine.xp
        self.panel = Panel(engine)
        self.buttons = Buttons(engine, BUTTONS)
        self.console = Console(engine, CONSOLE)
        self.hand = Hand(engine, robot)
        # the worlds' indices, for choosing one lamp per world
        self.worlds = engine.xp.arange(engine.num_worlds)


class Facts:
    """Quantities of N worlds in one state.

    "The fault" is the lamp to reset now, or the lamp that was reset last if there is none
    to reset.
    """

    def __init__(self, props: Props, memory: Mapping[str, Array]) -> None:
        self._props = props
        self._memory = memory
        self._xp = props.xp

    def _at_fault(self, values: Array) -> Array:
        """Returns the values (N,) for the fault, from values (N, 12) for all lamps."""
        return values[self._props.worlds, self._memory["fault"]]

    @quantity
    def is_lit(self) -> Array:
        """(N,) bool, the lamp of the fault is lit, because it has not been reset yet."""
        return self._at_fault(self._memory["lights"]) == FAULT

    @quantity
    def panel_pos_w(self) -> Array:
        """(N, 3) m, centre of the panel."""
        return self._props.console.pos_w()

    @quantity
    def button_pos_w(self) -> Array:
        """(N, 3) m, the top of the fault's button."""
        return self._props.buttons.tops_w(self._memory["fault"])

    @quantity
    def share_pressed(self) -> Array:
        """(N,) in [0, 1], how far the fault's button is pressed: 1 at its click."""
        return self._at_fault(self._props.buttons.share_pressed())

    @quantity
    def reach_m(self) -> Array:
        """(N,) m, from the closed fingertips to the fault's button."""
        offset = self._props.hand.tip_w() - self.button_pos_w
        return norm(offset)
