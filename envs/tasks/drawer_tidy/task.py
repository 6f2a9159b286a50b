"""DrawerTidy: the robot opens the drawer that the instruction names, puts the named
things in, and closes it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.arrays import dot
from embodied.core import Array, Layout, seconds_to_ticks
from embodied.envs.props.drawer import DRAWERS, Drawers
from embodied.envs.props.things import Things
from embodied.envs.reward import tolerance
from embodied.envs.task import Needs, Outcome, TaskSpec
from embodied.envs.tasks.drawer_tidy.episode import (
    NAMES,
    SHOVE_S,
    SHUT_S,
    draw_start,
    goal_of,
    pose_of,
    thing_size,
)
from embodied.envs.tasks.drawer_tidy.expert import drawer_tidy_expert
from embodied.envs.tasks.drawer_tidy.scene import (
    BEAUTY,
    CAMERA,
    DRAWERS_SIZE,
    build_drawer_kitchen,
)
from embodied.envs.tasks.drawer_tidy.variation import COLOURS, TABLE
from embodied.envs.variation import Variation
from embodied.robots.robot import Robot
from embodied.sim.engine import ROT6D_OF_XMAT, Engine

# openings that count as such
CLOSED_M = 0.008
OPEN_M = 0.17
FALLEN_Z = 0.45
# above the counter, and from the hand, of a thing that is carried
LIFTED_M = 0.015
IN_HAND_M = 0.06


class DrawerTidy:
    """N episodes of DrawerTidy on an engine."""

    state_layout = Layout(
        (
            ("target_pos_w", 6), ("target_rot6d", 12), ("target_size", 6), ("target_round", 2),
            ("drawer_pos_w", 3), ("opening", 1), ("other_openings", 2), ("things_pos_w", 3 * len(NAMES)),
        )
    )  # fmt: skip

    def __init__(self, engine: Engine, robot: Robot) -> None:
        self._engine = engine
        xp = engine.xp
        n = engine.num_worlds
        count = len(NAMES)
        self._things = Things(engine, NAMES)
        self._drawers = Drawers(engine, DRAWERS_SIZE)
        self._tcp = engine.model.site(robot.effectors[0].site).id
        self._rows = xp.arange(n)
        self._others = xp.asarray([[1, 2], [0, 2], [0, 1]])
        self._ticks = {
            "shove": seconds_to_ticks(SHOVE_S),
            "shut": seconds_to_ticks(SHUT_S),
        }
        self._goal = {
            # the named things; one that is alone stands there twice
            "target": xp.zeros((n, 2), dtype=xp.int64),
            # 1 where a thing is to be in a drawer
            "belongs": xp.zeros((n, len(DRAWERS), count)),
            "size": xp.zeros((n, 6)),  # of the named things, m
            "round": xp.zeros((n, 2)),
            "present": xp.zeros((n, count)),
            "drawer": xp.zeros(n, dtype=xp.int64),
            # N along x and y on the first target from shove_tick on
            "shove": xp.zeros((n, 2)),
            "shove_tick": xp.zeros(n, dtype=xp.int64),
            "shut": xp.zeros(n),  # N on the named drawer from shut_tick on
            "shut_delay": xp.zeros(n, dtype=xp.int64),  # from its first opening, ticks
            "shut_tick": xp.zeros(n, dtype=xp.int64),  # -1 until it was open
        }

    def parameters(self) -> dict[str, Array]:
        return self._goal

    def start(self, world: int, seed: int, variation: Variation) -> dict[str, Any]:
        drawn = draw_start(seed, variation)
        things = self._things
        drawers = self._drawers
        for k, name in enumerate(NAMES):
            things.resize(world, k, thing_size(name, drawn))
            things.place(world, k, *pose_of(drawn, k))
            things.paint(world, k, COLOURS[drawn["colours"][k]])
            things.set_present(world, k, k in drawn["row"])
        drawers.shift(world, np.array([drawn["chest_x"], drawn["chest_y"]]))
        drawers.set(
            world, np.array(drawn["ajar"][: len(DRAWERS)]), drawn["drawer_friction"]
        )
        for k, colour in enumerate(drawn["handles"]):
            drawers.paint(world, k, COLOURS[colour])
        for name, value in goal_of(drawn).items():
            self._goal[name][world] = value
        return drawn

    def before_step(self, tick: Array) -> None:
        xp = self._engine.xp
        goal = self._goal
        ticks = self._ticks
        opened = (self._opening() > OPEN_M) & (goal["shut_tick"] < 0)
        goal["shut_tick"][...] = xp.where(
            opened, tick + goal["shut_delay"], goal["shut_tick"]
        )
        shutting = (goal["shut_tick"] >= 0) & _during(
            tick, goal["shut_tick"], ticks["shut"]
        )
        self._drawers.push(goal["drawer"], xp.where(shutting, goal["shut"], 0.0))
        shoving = _during(tick, goal["shove_tick"], ticks["shove"])
        self._things.push(
            goal["target"][:, 0], xp.where(shoving[:, None], goal["shove"], 0.0)
        )

    def _opening(self) -> Array:
        """(N,) m of the named drawers."""
        return self._drawers.openings()[self._rows, self._goal["drawer"]]

    def state(self) -> Array:
        xp = self._engine.xp
        goal = self._goal
        openings = self._drawers.openings()
        poses = [self._things.pose_of(goal["target"][:, k]) for k in range(2)]
        parts = [pos for pos, _ in poses] + [
            rotation[:, ROT6D_OF_XMAT] for _, rotation in poses
        ]
        parts += [
            goal["size"],
            goal["round"],
            self._drawers.frame_w(goal["drawer"]),
            self._opening()[:, None],
        ]
        others = openings[self._rows[:, None], self._others[goal["drawer"]]]
        return xp.concat(
            [
                *parts,
                others,
                xp.reshape(self._things.positions_w(), (-1, 3 * len(NAMES))),
            ],
            axis=1,
        )

    def judge(self) -> Outcome:
        xp = self._engine.xp
        goal = self._goal
        opening = self._opening()
        things = self._things.positions_w()  # (N, K, 3)
        tidied = self._drawers.hold(things)  # (N, drawers, K)
        right = xp.all(
            xp.reshape(
                tidied == (goal["belongs"] > 0), (-1, tidied.shape[1] * tidied.shape[2])
            ),
            axis=1,
        )
        closed = xp.all(self._drawers.openings() < CLOSED_M, axis=1)
        success = right & closed
        fallen = (things[:, :, 2] < FALLEN_Z) & (goal["present"] > 0)
        lost = (
            fallen[self._rows, goal["target"][:, 0]]
            | fallen[self._rows, goal["target"][:, 1]]
        )
        progress = xp.where(success, 1.0, self._stages(things, tidied, opening))
        dropped = xp.sum(xp.astype(fallen, xp.int64), axis=1)
        return Outcome(
            success=success,
            progress=progress,
            lost=lost,
            dropped=dropped,
        )

    def _stages(self, things: Array, tidied: Array, opening: Array) -> Array:
        """(N,) Open, then for each named thing reach, lift, carry and put in, then
        close: 1 only on success.
        """
        xp = self._engine.xp
        goal = self._goal
        rows = self._rows
        openness = xp.clip(opening / OPEN_M, 0.0, 1.0)
        parts = []
        inside = []
        for k in range(2):
            target = goal["target"][:, k]
            inside.append(tidied[rows, goal["drawer"], target])
            parts.append(
                xp.where(
                    inside[k],
                    1.0,
                    self._on_the_way(things[rows, target], goal["size"][:, 3 * k + 2]),
                )
            )
        closing = 0.8 + 0.15 * (1.0 - openness)
        return xp.where(
            inside[0] & inside[1], closing, 0.2 * openness + 0.3 * (parts[0] + parts[1])
        )

    def _on_the_way(self, pos: Array, height: Array) -> Array:
        """(N,) in [0, 0.9] of a thing that is not yet in the drawer."""
        xp = self._engine.xp
        goal = self._goal
        away = pos - self._engine.view("site_xpos")[:, self._tcp]
        aside = (pos - self._drawers.middle_w(goal["drawer"]))[:, :2]
        distance = xp.sqrt(dot(away, away))
        lifted = pos[:, 2] - height / 2 > DRAWERS_SIZE.top_z + LIFTED_M
        carried = 0.4 + 0.5 * tolerance(xp.sqrt(dot(aside, aside)), 0.03, 0.5)
        return xp.where(
            lifted & (distance < IN_HAND_M),
            carried,
            0.3 * tolerance(distance, 0.03, 0.5),
        )


def _during(tick: Array, start: Array, ticks: int) -> Array:
    return (tick >= start) & (tick < start + ticks)


DRAWER_TIDY = TaskSpec(
    name="DrawerTidy",
    summary="open the named kitchen drawer, put the named things in and close it",
    needs=Needs(opening_m=0.075, reach_m=0.75),
    cameras=(CAMERA,),
    horizon_s=45.0,
    table=TABLE,
    build=build_drawer_kitchen,
    bind=DrawerTidy,
    expert=drawer_tidy_expert,
    beauty_camera=BEAUTY,
)
