"""PanelReset: find the fault lamp that the sentence means, and press its reset button."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from embodied.arrays import any_of, count_of
from embodied.core import Array, Layout
from embodied.envs.events import NEVER
from embodied.envs.facts import PerState
from embodied.envs.props.panel import DARK, FAULT
from embodied.envs.reward import tolerance
from embodied.envs.scenes.inspection_room import ROOM_VIEW
from embodied.envs.skills.scripted import scripted_expert
from embodied.envs.task import Needs, Outcome, TaskSpec
from embodied.envs.tasks.panel_reset.episode import (
    LAMP_COUNT,
    event_ticks,
    sample_episode,
)
from embodied.envs.tasks.panel_reset.expert import decide
from embodied.envs.tasks.panel_reset.facts import Facts, Props
from embodied.envs.tasks.panel_reset.objects import OBJECTS
from embodied.envs.tasks.panel_reset.scene import CAMERA, WORK, build_panel_station
from embodied.envs.tasks.panel_reset.variation import TABLE
from embodied.envs.variation import Variation
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine


class PanelReset:
    """N episodes of PanelReset on an engine."""

    state_layout = Layout(
        (
            ("button_pos_w", 3),
            ("panel_pos_w", 3),
            ("lamps", LAMP_COUNT),  # dark 0, warning 0.5, fault 1
        )
    )

    def __init__(self, engine: Engine, robot: Robot) -> None:
        """Finds the scene's parts, and makes the arrays that `start` fills."""
        xp = engine.xp
        n = engine.num_worlds
        self._engine = engine
        self._props = Props(engine, robot)
        self._lamps = xp.arange(LAMP_COUNT)[None, :]  # (1, 12)
        self._memory = {
            # DARK, WARNING or FAULT
            "lights": xp.zeros((n, LAMP_COUNT), dtype=xp.int64),
            # index of the lamp to reset now, or of the lamp that was reset last
            "fault": xp.zeros(n, dtype=xp.int64),
            # 1 for buttons that were correct to press at some time so far
            "meant": xp.zeros((n, LAMP_COUNT), dtype=xp.int64),
            # 1 for buttons that are pressed now
            "down": xp.zeros((n, LAMP_COUNT), dtype=xp.int64),
            # counts of resets so far, of resets needed, and of wrong presses
            "resets": xp.zeros(n, dtype=xp.int64),
            "needed": xp.ones(n, dtype=xp.int64),
            "wrong": xp.zeros(n, dtype=xp.int64),
            # Index of the lamp that lights next, at next_tick. If it lights only after
            # the first reset, next_tick is NEVER until then, and the lamp lights
            # wait_ticks after the reset.
            "next": xp.zeros(n, dtype=xp.int64),
            "next_tick": xp.zeros(n, dtype=xp.int64),
            "wait_ticks": xp.zeros(n, dtype=xp.int64),
        }
        # a function that returns the facts of the present state, computed once per state
        self._facts = PerState(engine, partial(Facts, self._props, self._memory))

    def memory(self) -> dict[str, Array]:
        return self._memory

    def start(self, world: int, seed: int, variation: Variation) -> dict[str, Any]:
        """Samples an episode, and sets panel, console and memory of one world.

        Args:
            world: the index of the world.
            seed: the episode's seed.
            variation: samples the values that vary.

        Returns:
            The sampled values by name, which are stored with the episode.
        """
        episode = sample_episode(seed, variation)
        fault = episode["place"]  # index of the lamp that is lit first

        # what the task remembers
        memory = self._memory
        next_tick, wait_ticks = event_ticks(episode)
        memory["lights"][world] = episode["lights"]
        memory["fault"][world] = fault
        memory["meant"][world] = [int(k == fault) for k in range(LAMP_COUNT)]
        memory["down"][world] = 0
        memory["resets"][world] = 0
        # the event "again" lights a second lamp after the first reset
        memory["needed"][world] = 2 if episode["event"] == "again" else 1
        memory["wrong"][world] = 0
        memory["next"][world] = episode["next_place"]
        memory["next_tick"][world] = next_tick
        memory["wait_ticks"][world] = wait_ticks

        # the scene
        props = self._props
        props.panel.show_one(world, memory["lights"][world])
        props.panel.name_rows(world, episode["systems"])
        shift = [episode["console_x"], episode["console_y"], episode["console_z"]]
        props.console.shift(world, np.array(shift))
        return episode

    def before_step(self, tick: Array) -> None:
        """Counts button presses, and lights the next lamp when it is due.

        Args:
            tick: (N,) the time in each world's episode, in physics steps.
        """
        xp = self._engine.xp
        memory = self._memory
        lamps = self._lamps
        is_fault = lamps == memory["fault"][:, None]  # (N, 12)
        is_next = lamps == memory["next"][:, None]  # (N, 12)

        # buttons (N, 12) that went down since the last step
        down = self._props.buttons.down(memory["down"] > 0)
        is_pressed = down & (memory["down"] == 0)
        is_reset = is_pressed & is_fault & (memory["lights"] == FAULT)
        is_wrong = is_pressed & (memory["meant"] == 0)  # never the right one so far
        has_reset = any_of(is_reset)
        memory["down"][...] = xp.astype(down, xp.int64)
        memory["wrong"][...] = memory["wrong"] + count_of(is_wrong)
        memory["resets"][...] = memory["resets"] + xp.astype(has_reset, xp.int64)

        # the next lamp lights when it is due, but not while its button is pressed
        is_unfinished = memory["resets"] < memory["needed"]
        is_next_pressed = xp.any(is_next & down, axis=1)
        is_due = (tick >= memory["next_tick"]) & is_unfinished & ~is_next_pressed
        # (N, 12): a lamp goes on; and a lamp that has not been reset goes off, because
        # the fault moves from this lamp to the next one
        goes_on = is_due[:, None] & is_next
        goes_off = is_due[:, None] & is_fault & (memory["resets"] == 0)[:, None]
        lights = xp.where(is_reset, DARK, memory["lights"])
        lights = xp.where(goes_off, DARK, lights)
        memory["lights"][...] = xp.where(goes_on, FAULT, lights)
        memory["meant"][...] = xp.where(goes_on, 1, memory["meant"])
        memory["fault"][...] = xp.where(is_due, memory["next"], memory["fault"])

        # the first of two resets sets the time at which the next lamp lights
        tick_after_reset = xp.where(is_unfinished, tick + memory["wait_ticks"], NEVER)
        next_tick = xp.where(has_reset, tick_after_reset, memory["next_tick"])
        # a lamp that has just gone on does not go on again
        memory["next_tick"][...] = xp.where(is_due, NEVER, next_tick)
        self._props.panel.show(memory["lights"])

    def state(self) -> Array:
        """Returns (N, 18), in the order of `state_layout`."""
        xp = self._engine.xp
        facts = self._facts()
        # DARK, WARNING and FAULT are 0, 1 and 2
        lamps = xp.astype(self._memory["lights"], xp.float64) / FAULT
        return xp.concat([facts.button_pos_w, facts.panel_pos_w, lamps], axis=1)

    def judge(self) -> Outcome:
        """Returns the judgement.

        Success: all needed resets were made, and all buttons are released. Lost: a wrong
        button was pressed.
        """
        xp = self._engine.xp
        memory = self._memory
        facts = self._facts()
        is_wrong = memory["wrong"] > 0
        are_all_up = xp.sum(memory["down"], axis=1) == 0
        success = (memory["resets"] >= memory["needed"]) & are_all_up & ~is_wrong

        # progress towards the next reset: up to 0.4 for reaching the button (all of it
        # within 0.01 m, a tenth at 0.31 m), and up to 0.4 for pressing the button
        next_reset = 0.4 * tolerance(facts.reach_m, bound=0.01, margin=0.3)
        next_reset = next_reset + 0.4 * facts.share_pressed
        progress = staged_progress(
            xp,
            share_reset=xp.astype(memory["resets"], xp.float64) / memory["needed"],
            next_reset=xp.where(facts.is_lit, next_reset, 0.0),
        )
        progress = xp.where(success, 1.0, progress)
        # the progress is clipped, because there can be more resets than needed
        progress = xp.where(progress > 1.0, 1.0, progress)
        return Outcome(
            success=success,
            progress=xp.where(is_wrong, 0.0, progress),
            lost=is_wrong,
        )


def staged_progress(xp: Any, share_reset: Array, next_reset: Array) -> Array:
    """Returns the progress (N,) from the resets made and the progress of the next one.

    Args:
        xp: The array namespace.
        share_reset: (N,) resets made, as a share of the needed ones.
        next_reset: (N,) progress towards the next reset, below 1.
    """
    # the resets made count 0.9 of the whole, so that success adds the last 0.1
    share_to_do = xp.where(share_reset < 1.0, 1.0 - share_reset, 0.0)
    return 0.9 * share_reset + next_reset * share_to_do


PANEL_RESET = TaskSpec(
    name="PanelReset",
    summary="find the fault lamp that is meant among twelve and press its reset button, and no other",
    needs=Needs(opening_m=0.06, reach_m=0.87, places=WORK),
    cameras=(CAMERA,),
    # in the view from above, the hand hides the button that it presses
    robot_cameras=("wrist",),
    horizon_s=15.0,
    table=TABLE,
    build=build_panel_station,
    bind=PanelReset,
    expert=partial(scripted_expert, decide),
    beauty_camera=ROOM_VIEW,
    objects=OBJECTS,
)
