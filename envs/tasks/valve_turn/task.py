"""ValveTurn: turn the valve that the instruction names to the angle that it gives, and
leave the others alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.arrays import dot
from embodied.core import Array, Layout, seconds_to_ticks
from embodied.envs.props.console import Console
from embodied.envs.props.valve import DIAL_MIDDLE_M, Valves
from embodied.envs.reward import tolerance
from embodied.envs.scenes.inspection_room import (
    CAMERA,
    KIND_OF_VALVE,
    ROOM_VIEW,
    VALVE_CONSOLE,
    VALVES,
    build_valve_station,
)
from embodied.envs.task import Outcome, TaskSpec
from embodied.envs.tasks.valve_turn.episode import (
    NEVER,
    draw_start,
    event_ticks,
    place_of,
)
from embodied.envs.tasks.valve_turn.expert import grasp_point_w, valve_turn_expert
from embodied.envs.tasks.valve_turn.variation import COLOURS, TABLE
from embodied.envs.variation import Variation
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

ANGLE_RAD = np.deg2rad(5.0)  # how near is right
OTHERS_RAD = np.deg2rad(8.0)  # how far the others may be moved
AT_REST_RAD_S = 0.05
PUSH_TICKS = seconds_to_ticks(0.2)


class ValveTurn:
    """N episodes of ValveTurn on an engine."""

    state_layout = Layout(
        (
            ("valve_pos_w", 3), ("valve_is_wheel", 1), ("valve_angle", 1), ("target_angle", 1),
            ("other_valves_pos_w", 6), ("other_valve_angles", 2),
        )
    )  # fmt: skip

    def __init__(self, engine: Engine, robot: Robot) -> None:
        self._engine = engine
        xp = engine.xp
        n = engine.num_worlds
        count = len(VALVES)
        self._valves = Valves(engine, VALVES)
        self._console = Console(engine, VALVE_CONSOLE)
        self._tcp = engine.model.site(robot.effectors[0].site).id
        self._is_wheel = xp.asarray([float(kind == "wheel") for kind in KIND_OF_VALVE])
        self._first_named = xp.asarray(
            [[(k + j) % count for j in range(count)] for k in range(count)]
        )
        self._rows = xp.arange(n)[:, None]
        self._goal = {
            "valve": xp.zeros(n, dtype=xp.int64),
            "target": xp.ones(n),  # rad on the scale
            "start": xp.zeros((n, count)),  # rad, of all
            "push": xp.zeros(n),  # N m on the named valve from event_tick on
            "event_tick": xp.zeros(n, dtype=xp.int64),
            # from when it first stands right to event_tick
            "late_ticks": xp.zeros(n, dtype=xp.int64),
        }

    def parameters(self) -> dict[str, Array]:
        return self._goal

    def start(self, world: int, seed: int, variation: Variation) -> dict[str, Any]:
        drawn = draw_start(seed, variation)
        goal = self._goal
        self._place(world, drawn)
        goal["valve"][world] = drawn["order"][place_of(drawn)]
        goal["target"][world] = np.deg2rad(drawn["target_angle"])
        goal["start"][world] = self._valves.angles()[world]
        goal["push"][world] = drawn["push_n_m"]
        goal["event_tick"][world], goal["late_ticks"][world] = event_ticks(drawn)
        return drawn

    def _place(self, world: int, drawn: dict[str, Any]) -> None:
        valves = self._valves
        middle = (drawn["valves"] - 1) / 2
        self._console.shift(
            world,
            np.array([drawn["console_x"], drawn["console_y"], drawn["console_z"]]),
        )
        for valve in range(len(VALVES)):
            valves.set_friction(world, valve, drawn["friction"])
            if valve not in drawn["order"]:
                valves.park(world, valve)
        for place, valve in enumerate(drawn["order"]):
            at = (drawn["row_x"] + drawn["gap"] * (place - middle), -DIAL_MIDDLE_M)
            valves.place(
                world, valve, at, float(np.deg2rad(drawn["start_angle"][place]))
            )
            valves.paint(world, valve, COLOURS[drawn["colour"][place]])

    def before_step(self, tick: Array) -> None:
        xp = self._engine.xp
        goal = self._goal
        error = xp.abs(self._named_first(self._valves.angles())[:, 0] - goal["target"])
        arrived = (goal["event_tick"] == NEVER) & (error < ANGLE_RAD)
        event_tick = xp.where(arrived, tick + goal["late_ticks"], goal["event_tick"])
        goal["event_tick"][...] = event_tick
        pushing = (tick >= event_tick) & (tick < event_tick + PUSH_TICKS)
        self._valves.push(goal["valve"], xp.where(pushing, goal["push"], 0.0))

    def _named_first(self, values: Array) -> Array:
        """(N, K) of the named valve, then of the others."""
        return values[self._rows, self._first_named[self._goal["valve"]]]

    def state(self) -> Array:
        xp = self._engine.xp
        valve = self._goal["valve"]
        hubs = xp.reshape(
            self._valves.hubs_w(self._first_named[valve]), (-1, 3 * len(VALVES))
        )
        angles = self._named_first(self._valves.angles())
        named = [
            hubs[:, :3],
            self._is_wheel[valve][:, None],
            angles[:, :1],
            self._goal["target"][:, None],
        ]
        return xp.concat([*named, hubs[:, 3:], angles[:, 1:]], axis=1)

    def judge(self) -> Outcome:
        xp = self._engine.xp
        goal = self._goal
        valve = self._goal["valve"]
        angles = self._named_first(self._valves.angles())
        start = self._named_first(goal["start"])
        moved = xp.abs(angles - start)
        error = xp.abs(angles[:, 0] - goal["target"])
        untouched = (moved[:, 1] < OTHERS_RAD) & (moved[:, 2] < OTHERS_RAD)
        at_rest = xp.abs(self._valves.speed(valve)) < AT_REST_RAD_S
        success = (error < ANGLE_RAD) & at_rest & untouched
        left = error / xp.abs(start[:, 0] - goal["target"])
        turned = xp.where(left < 1.0, 1.0 - left, 0.0)
        reached = tolerance(self._distance(angles[:, 0]), 0.01, 0.3)
        progress = xp.where(success, 1.0, 0.25 * reached + 0.7 * turned)
        return Outcome(
            success=success,
            progress=progress,
            lost=xp.zeros_like(success),
        )

    def _distance(self, angle: Array) -> Array:
        """(N,) m from the TCP to where the handle is taken."""
        xp = self._engine.xp
        valve = self._goal["valve"]
        hub = self._valves.hubs_w(valve[:, None])[:, 0]
        grasp = grasp_point_w(xp, hub, angle, self._is_wheel[valve])
        offset = self._engine.view("site_xpos")[:, self._tcp] - grasp
        return xp.sqrt(dot(offset, offset))


VALVE_TURN = TaskSpec(
    name="ValveTurn",
    summary="turn the named valve to the angle that the instruction gives, and leave the others alone",
    robots=("arm", "wheeled_arm"),
    cameras=(CAMERA, "wrist"),  # the hand hides what it works on from above
    horizon_s=20.0,
    table=TABLE,
    build=build_valve_station,
    bind=ValveTurn,
    expert=valve_turn_expert,
    beauty_camera=ROOM_VIEW,
)
