"""DrawerTidy: open the named drawer, put the named things in, and close it."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from embodied.arrays import count_of
from embodied.core import Array, Layout, seconds_to_ticks
from embodied.envs.events import PUSH_TICKS, is_during
from embodied.envs.facts import PerState
from embodied.envs.props.drawer import DRAWERS
from embodied.envs.task import Needs, Outcome, TaskSpec
from embodied.envs.tasks.drawer_tidy.episode import (
    SHUT_S,
    THING_NAMES,
    memory_of,
    pose_of,
    sample_episode,
    thing_size,
)
from embodied.envs.tasks.drawer_tidy.expert import drawer_tidy_expert
from embodied.envs.tasks.drawer_tidy.facts import OPEN_M, Facts, Props
from embodied.envs.tasks.drawer_tidy.objects import OBJECTS
from embodied.envs.tasks.drawer_tidy.scene import (
    BEAUTY,
    CAMERA,
    WORK,
    build_drawer_kitchen,
)
from embodied.envs.tasks.drawer_tidy.variation import COLOURS, TABLE
from embodied.envs.variation import Variation
from embodied.robots.robot import Robot
from embodied.sim.engine import ROT6D_OF_XMAT, Engine

SHUT_TICKS = seconds_to_ticks(SHUT_S)


class DrawerTidy:
    """N episodes of DrawerTidy on an engine."""

    state_layout = Layout(
        (
            # of the first named thing, then of the second
            ("target_pos_w", 6),
            ("target_rot6d", 12),
            ("target_size", 6),
            ("target_round", 2),
            # of the named drawer, of the other drawers, and of all things
            ("drawer_pos_w", 3),
            ("opening", 1),
            ("other_openings", 2),
            ("things_pos_w", 3 * len(THING_NAMES)),
        )
    )

    def __init__(self, engine: Engine, robot: Robot) -> None:
        """Finds the scene's parts, and makes the arrays that `start` fills."""
        xp = engine.xp
        n = engine.num_worlds
        count = len(THING_NAMES)
        self._engine = engine
        self._props = Props(engine, robot)
        self._memory = {
            # indices of the two named things; a single named thing is here twice
            "target": xp.zeros((n, 2), dtype=xp.int64),
            # 1 where a thing (column) should be in a drawer (row) at the end
            "belongs": xp.zeros((n, len(DRAWERS), count)),
            # x, y, z of the first named thing's size, then of the second's, m
            "size": xp.zeros((n, 6)),
            # for each named thing, 1 if it is round
            "round": xp.zeros((n, 2)),
            # 1 for things that take part
            "present": xp.zeros((n, count)),
            "drawer": xp.zeros(n, dtype=xp.int64),  # index of the named drawer
            # from shove_tick on: the force on the first named thing along x and y, N
            "shove": xp.zeros((n, 2)),
            "shove_tick": xp.zeros(n, dtype=xp.int64),
            # from shut_tick on: the force on the named drawer, N
            "shut": xp.zeros(n),
            # ticks from the drawer's first opening to shut_tick, which is -1 until then
            "shut_delay": xp.zeros(n, dtype=xp.int64),
            "shut_tick": xp.zeros(n, dtype=xp.int64),
        }
        # a function that returns the facts of the present state, computed once per state
        self._facts = PerState(engine, partial(Facts, self._props, self._memory))

    def memory(self) -> dict[str, Array]:
        return self._memory

    def start(self, world: int, seed: int, variation: Variation) -> dict[str, Any]:
        """Samples an episode, and sets things, drawers and memory of one world.

        Args:
            world: the index of the world.
            seed: the episode's seed.
            variation: samples the values that vary.

        Returns:
            The sampled values by name, which are stored with the episode.
        """
        episode = sample_episode(seed, variation)
        self._place_things(world, episode)

        # the chest of drawers, each drawer a little ajar, with a coloured handle
        drawers = self._props.drawers
        drawers.shift(world, np.array([episode["chest_x"], episode["chest_y"]]))
        openings_m = np.array(episode["ajar"][: len(DRAWERS)])
        drawers.set(world, openings_m, episode["drawer_friction"])
        for drawer, colour in enumerate(episode["handles"]):
            drawers.paint(world, drawer, COLOURS[colour])

        for name, value in memory_of(episode).items():
            self._memory[name][world] = value
        return episode

    def _place_things(self, world: int, episode: dict[str, Any]) -> None:
        """Places all things in one world, and gives them size and colour.

        Things that take no part are parked.
        """
        things = self._props.things
        for thing, name in enumerate(THING_NAMES):
            pos_w, yaw = pose_of(episode, thing)
            things.resize(world, thing, thing_size(name, episode))
            things.place(world, thing, pos_w, yaw)
            things.paint(world, thing, COLOURS[episode["colours"][thing]])
            things.set_present(world, thing, thing in episode["row"])

    def before_step(self, tick: Array) -> None:
        """Pushes the named drawer, or shoves the first named thing, when that is due.

        Args:
            tick: (N,) the time in each world's episode, in physics steps.
        """
        xp = self._engine.xp
        memory = self._memory
        props = self._props

        # the first opening of the named drawer sets the time at which it is pushed
        # shut; until then `shut_tick` is -1
        is_open = self._facts().opening_m > OPEN_M
        is_first = is_open & (memory["shut_tick"] < 0)
        shut_tick = xp.where(is_first, tick + memory["shut_delay"], memory["shut_tick"])
        memory["shut_tick"][...] = shut_tick
        is_pushed = (shut_tick >= 0) & is_during(tick, shut_tick, SHUT_TICKS)
        props.drawers.push(memory["drawer"], xp.where(is_pushed, memory["shut"], 0.0))

        # the shove comes at a sampled time
        is_shoved = is_during(tick, memory["shove_tick"], PUSH_TICKS)
        shove_n = xp.where(is_shoved[:, None], memory["shove"], 0.0)
        props.things.push(memory["target"][:, 0], shove_n)

    def state(self) -> Array:
        """Returns the privileged state (N, S), whose parts `state_layout` names."""
        xp = self._engine.xp
        memory = self._memory
        facts = self._facts()
        pos_0, xmat_0 = self._props.things.pose_of(facts.targets[0])
        pos_1, xmat_1 = self._props.things.pose_of(facts.targets[1])

        # the named things first, then everything around them
        parts = [
            pos_0,
            pos_1,
            xmat_0[:, ROT6D_OF_XMAT],
            xmat_1[:, ROT6D_OF_XMAT],
            memory["size"],
            memory["round"],
            facts.drawer_pos_w,
            facts.opening_m[:, None],
            facts.other_openings_m,
            xp.reshape(facts.things_pos_w, (-1, 3 * len(THING_NAMES))),
        ]
        return xp.concat(parts, axis=1)

    def judge(self) -> Outcome:
        """Returns the judgement.

        Success: all things are where they belong, and all drawers are closed. Lost: a
        named thing has fallen off the counter.
        """
        xp = self._engine.xp
        facts = self._facts()
        success = facts.are_all_where_they_belong & facts.are_all_closed
        progress = staged_progress(xp, facts)
        return Outcome(
            success=success,
            progress=xp.where(success, 1.0, progress),
            lost=facts.is_target_fallen,
            dropped=count_of(facts.is_fallen),
        )


def staged_progress(xp: Any, facts: Facts) -> Array:
    """Returns the progress (N,), below 1: opening, filling and closing the drawer.

    Opening counts 0.2, and bringing each named thing 0.3. Once both things are in, the
    progress rises from 0.8 with an open drawer to 0.95 with a closed one.
    """
    first_in = facts.is_target_in(0)
    second_in = facts.is_target_in(1)
    first = xp.where(first_in, 1.0, facts.target_progress(0))
    second = xp.where(second_in, 1.0, facts.target_progress(1))

    filling = 0.2 * facts.share_open + 0.3 * (first + second)
    closing = 0.8 + 0.15 * (1.0 - facts.share_open)
    return xp.where(first_in & second_in, closing, filling)


DRAWER_TIDY = TaskSpec(
    name="DrawerTidy",
    summary="open the named kitchen drawer, put the named things in and close it",
    needs=Needs(opening_m=0.075, reach_m=0.75, places=WORK, payload_kg=0.45),
    cameras=(CAMERA,),
    horizon_s=45.0,
    table=TABLE,
    build=build_drawer_kitchen,
    bind=DrawerTidy,
    expert=drawer_tidy_expert,
    beauty_camera=BEAUTY,
    constant=("drawer_pos_w.2",),  # the counter has one height
    objects=OBJECTS,
)
