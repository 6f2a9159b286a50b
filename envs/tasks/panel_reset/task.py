"""PanelReset: find the fault lamp that the instruction means, press its reset button,
and see it go out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.arrays import dot
from embodied.core import Array, Layout
from embodied.envs.props.button import PRESSED_M, Buttons
from embodied.envs.props.console import Console
from embodied.envs.props.panel import BUTTONS, DARK, FAULT, Panel
from embodied.envs.reward import tolerance
from embodied.envs.scenes.inspection_room import (
    CAMERA,
    PANEL_CONSOLE,
    ROOM_VIEW,
    build_panel_station,
)
from embodied.envs.task import Outcome, TaskSpec
from embodied.envs.tasks.panel_reset.episode import (
    COUNT,
    NEVER,
    draw_start,
    event_ticks,
)
from embodied.envs.tasks.panel_reset.expert import panel_reset_expert, tip_w
from embodied.envs.tasks.panel_reset.variation import TABLE
from embodied.envs.variation import Variation
from embodied.robots.robot import Robot
from embodied.sim.engine import ROT6D_OF_XMAT, Engine


class PanelReset:
    """N episodes of PanelReset on an engine."""

    state_layout = Layout((("button_pos_w", 3), ("panel_pos_w", 3), ("lamps", COUNT)))

    def __init__(self, engine: Engine, robot: Robot) -> None:
        self._engine = engine
        xp = engine.xp
        n = engine.num_worlds
        self._panel = Panel(engine)
        self._buttons = Buttons(engine, BUTTONS)
        self._console = Console(engine, PANEL_CONSOLE)
        self._tcp = engine.model.site(robot.effectors[0].site).id
        self._each = xp.arange(COUNT)[None, :]
        self._rows = xp.arange(n)
        self._goal = {
            "lights": xp.zeros((n, COUNT), dtype=xp.int64),  # DARK, WARNING or FAULT
            # the lamp to reset now, or the last one that was
            "fault": xp.zeros(n, dtype=xp.int64),
            # 1 for buttons that were right to press so far
            "meant": xp.zeros((n, COUNT), dtype=xp.int64),
            "down": xp.zeros((n, COUNT), dtype=xp.int64),
            "resets": xp.zeros(n, dtype=xp.int64),
            "needed": xp.ones(n, dtype=xp.int64),
            "wrong": xp.zeros(n, dtype=xp.int64),  # other buttons that were pressed
            "next": xp.zeros(n, dtype=xp.int64),  # the lamp that lights at next_tick
            "next_tick": xp.zeros(n, dtype=xp.int64),
            # from the first reset to next_tick
            "wait_ticks": xp.zeros(n, dtype=xp.int64),
        }

    def parameters(self) -> dict[str, Array]:
        return self._goal

    def start(self, world: int, seed: int, variation: Variation) -> dict[str, Any]:
        drawn = draw_start(seed, variation)
        goal = self._goal
        fault = drawn["place"]
        (next_tick, wait_ticks) = event_ticks(drawn)
        begun = {
            "down": 0,
            "resets": 0,
            "wrong": 0,
            "needed": 2 if drawn["event"] == "again" else 1,
        }
        lamps = {
            "fault": fault,
            "next": drawn["next_place"],
            "next_tick": next_tick,
            "wait_ticks": wait_ticks,
        }
        for name, value in (begun | lamps).items():
            goal[name][world] = value
        goal["lights"][world] = drawn["lights"]
        goal["meant"][world] = [int(k == fault) for k in range(COUNT)]
        self._panel.show_one(world, goal["lights"][world])
        self._panel.name_rows(world, drawn["systems"])
        self._console.shift(
            world,
            np.array([drawn["console_x"], drawn["console_y"], drawn["console_z"]]),
        )
        return drawn

    def before_step(self, tick: Array) -> None:
        xp = self._engine.xp
        goal = self._goal
        each = self._each
        down = self._buttons.down(goal["down"] > 0)
        pressed = down & (goal["down"] == 0)
        at_fault = each == goal["fault"][:, None]
        reset = pressed & at_fault & (goal["lights"] == FAULT)
        now_reset = xp.any(reset, axis=1)
        goal["wrong"][...] = goal["wrong"] + xp.sum(
            xp.astype(pressed & (goal["meant"] == 0), xp.int64), axis=1
        )
        goal["down"][...] = xp.astype(down, xp.int64)
        goal["resets"][...] = goal["resets"] + xp.astype(now_reset, xp.int64)
        first = now_reset & (goal["resets"] < goal["needed"])
        lit = xp.where(reset, DARK, goal["lights"])
        # its lamp stays dark
        held = xp.any((each == goal["next"][:, None]) & down, axis=1)
        due = (tick >= goal["next_tick"]) & (goal["resets"] < goal["needed"]) & ~held
        moved = due[:, None] & at_fault & (goal["resets"] == 0)[:, None]
        comes = due[:, None] & (each == goal["next"][:, None])
        goal["lights"][...] = xp.where(comes, FAULT, xp.where(moved, DARK, lit))
        goal["meant"][...] = xp.where(comes, 1, goal["meant"])
        goal["fault"][...] = xp.where(due, goal["next"], goal["fault"])
        again = xp.where(
            first,
            tick + goal["wait_ticks"],
            xp.where(now_reset, NEVER, goal["next_tick"]),
        )
        goal["next_tick"][...] = xp.where(due, NEVER, again)
        self._panel.show(goal["lights"])

    def _named(self, values: Array) -> Array:
        """Of (N, 12) values those at the fault, (N,)."""
        return values[self._rows, self._goal["fault"]]

    def state(self) -> Array:
        """The top of the button to press, the middle of the panel, and the lamps: dark
        0, warning 0.5, fault 1.
        """
        xp = self._engine.xp
        goal = self._goal
        lamps = xp.astype(goal["lights"], xp.float64) / FAULT
        return xp.concat(
            [self._buttons.tops_w(goal["fault"]), self._console.pos_w(), lamps], axis=1
        )

    def judge(self) -> Outcome:
        xp = self._engine.xp
        goal = self._goal
        wrong = goal["wrong"] > 0
        released = xp.sum(goal["down"], axis=1) == 0
        success = (goal["resets"] >= goal["needed"]) & released & ~wrong
        share = xp.astype(goal["resets"], xp.float64) / goal["needed"]
        lit = self._named(goal["lights"]) == FAULT
        depth = self._named(self._buttons.travel()) / PRESSED_M
        depth = xp.where(depth > 1.0, 1.0, xp.where(depth < 0.0, 0.0, depth))
        stage = xp.where(
            lit, 0.4 * tolerance(self._distance(), 0.01, 0.3) + 0.4 * depth, 0.0
        )
        progress = xp.where(
            success, 1.0, 0.9 * share + stage * xp.where(share < 1.0, 1.0 - share, 0.0)
        )
        progress = xp.where(wrong, 0.0, xp.where(progress > 1.0, 1.0, progress))
        return Outcome(success=success, progress=progress, lost=wrong)

    def _distance(self) -> Array:
        """(N,) m from the closed fingers' tip to the button."""
        xp = self._engine.xp
        view = self._engine.view
        rot6d = view("site_xmat")[:, self._tcp][:, ROT6D_OF_XMAT]
        offset = tip_w(view("site_xpos")[:, self._tcp], rot6d) - self._buttons.tops_w(
            self._goal["fault"]
        )
        return xp.sqrt(dot(offset, offset))


PANEL_RESET = TaskSpec(
    name="PanelReset",
    summary="find the fault lamp that is meant among twelve and press its reset button, and no other",
    robots=("arm", "wheeled_arm"),
    cameras=(CAMERA, "wrist"),  # the hand hides what it works on from above
    horizon_s=15.0,
    table=TABLE,
    build=build_panel_station,
    bind=PanelReset,
    expert=panel_reset_expert,
    beauty_camera=ROOM_VIEW,
)
