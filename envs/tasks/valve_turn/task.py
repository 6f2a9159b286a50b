"""ValveTurn: turn the named valve to the given angle, and leave the others alone."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from embodied.core import Array, Layout
from embodied.envs.events import NEVER, PUSH_TICKS, is_during
from embodied.envs.facts import PerState
from embodied.envs.props.valve import DIAL_MIDDLE_M
from embodied.envs.reward import tolerance
from embodied.envs.scenes.inspection_room import ROOM_VIEW
from embodied.envs.skills.scripted import scripted_expert
from embodied.envs.task import Needs, Outcome, TaskSpec
from embodied.envs.tasks.valve_turn.episode import (
    event_ticks,
    place_of,
    sample_episode,
)
from embodied.envs.tasks.valve_turn.expert import decide
from embodied.envs.tasks.valve_turn.facts import Facts, Props
from embodied.envs.tasks.valve_turn.objects import OBJECTS
from embodied.envs.tasks.valve_turn.scene import (
    CAMERA,
    VALVES,
    WORK,
    build_valve_station,
)
from embodied.envs.tasks.valve_turn.variation import COLOURS, TABLE
from embodied.envs.variation import Variation
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

# The named valve is at its target if its error is less than this.
ANGLE_RAD = np.deg2rad(5.0)


class ValveTurn:
    """N episodes of ValveTurn on an engine."""

    # "the valve" is the one that the instruction names
    state_layout = Layout(
        (
            ("valve_pos_w", 3),
            ("valve_is_wheel", 1),
            ("valve_angle", 1),
            ("target_angle", 1),
            ("other_valves_pos_w", 6),
            ("other_valve_angles", 2),
        )
    )

    def __init__(self, engine: Engine, robot: Robot) -> None:
        """Finds the scene's parts, and makes the arrays that `start` fills."""
        xp = engine.xp
        n = engine.num_worlds
        self._engine = engine
        self._props = Props(engine, robot)
        # `start` sets all of these
        self._memory = {
            "valve": xp.zeros(n, dtype=xp.int64),  # index of the named valve
            # target angle of the named valve, rad on the scale. The initial 1 differs
            # from the initial angle 0, because `share_turned` divides by the difference.
            "target": xp.ones(n),
            "start": xp.zeros((n, len(VALVES))),  # start angles of all valves, rad
            "push": xp.zeros(n),  # torque on the named valve from event_tick on, N m
            # when the push begins; for a late push NEVER until the valve has reached its
            # target, and then `late_ticks` later
            "event_tick": xp.zeros(n, dtype=xp.int64),
            "late_ticks": xp.zeros(n, dtype=xp.int64),
        }
        # a function that returns the facts of the present state, computed once per state
        self._facts = PerState(engine, partial(Facts, self._props, self._memory))

    def memory(self) -> dict[str, Array]:
        return self._memory

    def start(self, world: int, seed: int, variation: Variation) -> dict[str, Any]:
        """Samples an episode, and sets console, valves and memory of one world.

        Args:
            world: the index of the world.
            seed: the episode's seed.
            variation: samples the values that vary.

        Returns:
            The sampled values by name, which are stored with the episode.
        """
        episode = sample_episode(seed, variation)
        self._place_valves(world, episode)

        # what the task remembers
        memory = self._memory
        event_tick, late_ticks = event_ticks(episode)
        memory["valve"][world] = episode["order"][place_of(episode)]
        memory["target"][world] = np.deg2rad(episode["target_angle"])
        memory["start"][world] = self._props.valves.angles()[world]
        memory["push"][world] = episode["push_n_m"]
        memory["event_tick"][world] = event_tick
        memory["late_ticks"][world] = late_ticks
        return episode

    def _place_valves(self, world: int, episode: dict[str, Any]) -> None:
        """Moves the console, sets valves on it from the left, and parks other valves."""
        valves = self._props.valves
        shift = [episode["console_x"], episode["console_y"], episode["console_z"]]
        self._props.console.shift(world, np.array(shift))

        for valve in range(len(VALVES)):
            valves.set_friction(world, valve, episode["friction"])
            if valve not in episode["order"]:
                valves.park(world, valve)

        # the valves stand in a row along the face's x; `row_x` is the row's centre
        middle = (episode["valves"] - 1) / 2
        for place, valve in enumerate(episode["order"]):
            x = episode["row_x"] + episode["gap"] * (place - middle)
            angle = float(np.deg2rad(episode["start_angle"][place]))
            # below the face's middle, so that the dial above the valve is centred on it
            valves.place(world, valve, (x, -DIAL_MIDDLE_M), angle)
            valves.paint(world, valve, COLOURS[episode["colour"][place]])

    def before_step(self, tick: Array) -> None:
        """Pushes the named valve's handle in worlds where the push is due.

        Args:
            tick: (N,) the time in each world's episode, in physics steps.
        """
        xp = self._engine.xp
        memory = self._memory
        is_at_target = self._facts().angle_error < ANGLE_RAD

        # a late push gets its time when the valve first reaches its target
        is_first = (memory["event_tick"] == NEVER) & is_at_target
        event_tick = xp.where(
            is_first, tick + memory["late_ticks"], memory["event_tick"]
        )
        memory["event_tick"][...] = event_tick

        is_pushed = is_during(tick, event_tick, PUSH_TICKS)
        torque_n_m = xp.where(is_pushed, memory["push"], 0.0)
        self._props.valves.push(memory["valve"], torque_n_m)

    def state(self) -> Array:
        """Returns the privileged state (N, 14), whose parts `state_layout` names."""
        xp = self._engine.xp
        facts = self._facts()
        # the named valve comes first among the hubs and among the angles
        hubs = xp.reshape(facts.hubs_w, (-1, 3 * len(VALVES)))
        parts = [
            hubs[:, :3],
            facts.is_wheel[:, None],
            facts.angles[:, :1],
            self._memory["target"][:, None],
            hubs[:, 3:],
            facts.angles[:, 1:],
        ]
        return xp.concat(parts, axis=1)

    def judge(self) -> Outcome:
        """Returns the judgement.

        Success: the named valve is at its target and at rest, and no other valve has been
        turned.
        """
        xp = self._engine.xp
        facts = self._facts()
        is_at_target = facts.angle_error < ANGLE_RAD
        success = is_at_target & facts.is_at_rest & facts.are_others_untouched

        # up to 0.25 for a hand near the handle (all of it within 0.01 m, a tenth at 0.31 m),
        # and up to 0.7 for turning the valve
        reached = tolerance(facts.reach_m, bound=0.01, margin=0.3)
        progress = 0.25 * reached + 0.7 * facts.share_turned
        return Outcome(
            success=success,
            progress=xp.where(success, 1.0, progress),
            lost=xp.zeros_like(success),  # a valve can always be turned back
        )


VALVE_TURN = TaskSpec(
    name="ValveTurn",
    summary="turn the named valve to the angle that the instruction gives, and leave the others alone",
    needs=Needs(opening_m=0.06, reach_m=0.86, places=WORK),
    cameras=(CAMERA,),
    # in the view from above, the hand hides the valve that it turns
    robot_cameras=("wrist",),
    horizon_s=20.0,
    table=TABLE,
    build=build_valve_station,
    bind=ValveTurn,
    expert=partial(scripted_expert, decide),
    beauty_camera=ROOM_VIEW,
    objects=OBJECTS,
)
