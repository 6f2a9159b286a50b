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
from embodied.envs.tasks.valve_turn.scene import CAMERA, VALVES, build_valve_station
from embodied.envs.tasks.valve_turn.variation import COLOURS, TABLE
from embodied.envs.variation import Variation
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

# The named valve stands right if its error is less than this.
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
        xp = engine.xp
        n = engine.num_worlds
        self._engine = engine
        self._props = Props(engine, robot)
        # `start` sets all of it. A push comes at a set tick or, a late one, `late_ticks`
        # after the named valve first stands right.
        self._memory = {
            "valve": xp.zeros(n, dtype=xp.int64),  # number of the named one
            # its angle that is asked for, rad on the scale; before the first start other
            # than the angle itself, since the share turned is divided by the difference
            "target": xp.ones(n),
            "start": xp.zeros((n, len(VALVES))),  # angles of all at the start, rad
            "push": xp.zeros(n),  # N m on the named valve from event_tick on
            # when the push begins; NEVER for a late one until the valve stands right
            "event_tick": xp.zeros(n, dtype=xp.int64),
            "late_ticks": xp.zeros(n, dtype=xp.int64),
        }
        self._facts = PerState(engine, partial(Facts, self._props, self._memory))

    def memory(self) -> dict[str, Array]:
        return self._memory

    def start(self, world: int, seed: int, variation: Variation) -> dict[str, Any]:
        """Samples an episode, and sets console, valves and memory of one world."""
        episode = sample_episode(seed, variation)
        self._place_valves(world, episode)

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
        """Moves the console, sets valves on it from the left, and parks the others."""
        valves = self._props.valves
        shift = [episode["console_x"], episode["console_y"], episode["console_z"]]
        self._props.console.shift(world, np.array(shift))

        for valve in range(len(VALVES)):
            valves.set_friction(world, valve, episode["friction"])
            if valve not in episode["order"]:
                valves.park(world, valve)

        # in a row along the face's x, whose middle is at `row_x`
        middle = (episode["valves"] - 1) / 2
        for place, valve in enumerate(episode["order"]):
            x = episode["row_x"] + episode["gap"] * (place - middle)
            angle = float(np.deg2rad(episode["start_angle"][place]))
            # below the face's middle line, so that the plate with the scale is on it
            valves.place(world, valve, (x, -DIAL_MIDDLE_M), angle)
            valves.paint(world, valve, COLOURS[episode["colour"][place]])

    def before_step(self, tick: Array) -> None:
        """Pushes the named valve when it is time."""
        xp = self._engine.xp
        memory = self._memory
        is_right = self._facts().angle_error < ANGLE_RAD

        # a late push comes a while after the valve first stands right
        is_first = (memory["event_tick"] == NEVER) & is_right
        event_tick = xp.where(
            is_first, tick + memory["late_ticks"], memory["event_tick"]
        )
        memory["event_tick"][...] = event_tick

        is_pushed = is_during(tick, event_tick, PUSH_TICKS)
        torque_n_m = xp.where(is_pushed, memory["push"], 0.0)
        self._props.valves.push(memory["valve"], torque_n_m)

    def state(self) -> Array:
        """Returns (N, 14), in the order of `state_layout`."""
        xp = self._engine.xp
        facts = self._facts()
        # the named valve comes first, here and among the angles
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

        Success: the valve stands right and at rest, and the others are untouched.
        """
        xp = self._engine.xp
        facts = self._facts()
        is_right = facts.angle_error < ANGLE_RAD
        success = is_right & facts.is_at_rest & facts.are_others_untouched

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
    needs=Needs(opening_m=0.06, reach_m=0.86),
    cameras=(CAMERA,),
    # from above the hand hides what it works on
    robot_cameras=("wrist",),
    horizon_s=20.0,
    table=TABLE,
    build=build_valve_station,
    bind=ValveTurn,
    expert=partial(scripted_expert, decide),
    beauty_camera=ROOM_VIEW,
    objects=OBJECTS,
)
