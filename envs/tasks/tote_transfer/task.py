"""ToteTransfer: take the named tote off the belt and set it into the named slot."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from embodied.arrays import surely_none
from embodied.core import Array, Layout
from embodied.envs.events import PUSH_TICKS, is_during
from embodied.envs.facts import PerState
from embodied.envs.reward import tolerance
from embodied.envs.task import Needs, Outcome, TaskSpec, TaskStage
from embodied.envs.tasks.tote_transfer.episode import (
    event_tick,
    pose_of,
    sample_episode,
    target_of,
)
from embodied.envs.tasks.tote_transfer.expert import tote_transfer_expert
from embodied.envs.tasks.tote_transfer.facts import Facts, Props
from embodied.envs.tasks.tote_transfer.objects import OBJECTS
from embodied.envs.tasks.tote_transfer.scene import (
    CAMERA,
    OPENING_M,
    TOTES,
    WORK,
    Station,
    build_tote_station,
    station_of,
)
from embodied.envs.tasks.tote_transfer.variation import COLOURS, TABLE
from embodied.envs.variation import Variation
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

LIFT_M = 0.15  # a tote at least this high above the belt counts as lifted


class ToteTransfer:
    """N episodes of ToteTransfer on an engine."""

    # "the tote" is the one that the instruction names
    state_layout = Layout(
        (
            ("tote_pos_w", 3),
            ("tote_rot6d", 6),
            ("tote_vel_w", 3),
            ("tote_size", 2),  # length, width
            ("slot_pos_w", 3),
            ("other_totes_pos_w", 6),
            ("belt_speed", 1),
        )
    )

    def __init__(self, engine: Engine, robot: Robot) -> None:
        """Finds the scene's parts, and makes the arrays that `start` fills."""
        xp = engine.xp
        n = engine.num_worlds
        self._engine = engine
        self._station = station_of(robot)
        self._props = Props(engine, robot, self._station)
        self._memory = {
            "tote": xp.zeros(n, dtype=xp.int64),  # index of the named tote
            "slot": xp.zeros(n, dtype=xp.int64),  # index of the named slot
            "size": xp.zeros((n, 2)),  # length, width of the named tote, m
            "present": xp.zeros((n, len(TOTES))),  # 1 for totes that take part
            # from event_tick on: the belt's speed, m/s, and the force on the named tote
            # along x and y, N
            "speed_after": xp.zeros(n),
            "push": xp.zeros((n, 2)),
            "event_tick": xp.zeros(n, dtype=xp.int64),
        }
        # a function that returns the facts of the present state, computed once per state
        self._facts = PerState(engine, partial(Facts, self._props, self._memory))

    def memory(self) -> dict[str, Array]:
        return self._memory

    def start(self, world: int, seed: int, variation: Variation) -> dict[str, Any]:
        """Samples an episode, and sets the scene and the memory of one world.

        Args:
            world: the index of the world.
            seed: the episode's seed.
            variation: samples the values that vary.

        Returns:
            The sampled values by name, which are stored with the episode.
        """
        episode = sample_episode(seed, variation, self._station)
        target = target_of(episode)

        # the scene
        for tote in range(len(TOTES)):
            self._place_tote(world, tote, episode)
        shift_m = np.array([episode["rack_x"], episode["rack_y"]])
        self._props.rack.shift(world, shift_m)
        self._props.belt.start(world, episode["belt_speed"])

        # what the task remembers
        memory = self._memory
        memory["tote"][world] = target
        memory["slot"][world] = episode["slot"]
        memory["size"][world] = (
            episode["length"][target],
            self._station.tote.width,
        )
        memory["present"][world] = [k < episode["totes"] for k in range(len(TOTES))]
        memory["speed_after"][world] = episode["belt_speed_after"]
        memory["push"][world] = episode["push_n"]
        memory["event_tick"][world] = event_tick(episode)
        return episode

    def _place_tote(self, world: int, tote: int, episode: dict[str, Any]) -> None:
        """Places a tote, with its sampled size and colour if it takes part.

        Args:
            world: the index of the world.
            tote: the index of the tote.
            episode: the sampled values of the episode.
        """
        totes = self._props.totes
        is_present = tote < episode["totes"]
        pos_w, yaw = pose_of(episode, tote, self._station)
        totes.place(world, tote, pos_w, yaw)
        totes.set_present(world, tote, is_present)
        if is_present:
            # all totes of an episode have the same mass
            size = replace(
                self._station.tote,
                length=episode["length"][tote],
                mass=episode["mass"],
            )
            totes.resize(world, tote, size)
            totes.paint(world, tote, COLOURS[episode["colour"][tote]])

    def before_step(self, tick: Array) -> None:
        """Changes the belt's speed or pushes the named tote when the event is due.

        Args:
            tick: (N,) the time in each world's episode, in physics steps.
        """
        xp = self._engine.xp
        memory = self._memory
        belt = self._props.belt

        has_happened = tick >= memory["event_tick"]
        if surely_none(has_happened):
            return

        # Both kinds of event are applied. Only one of them has an effect, because the
        # sampled values of the other change nothing: the same speed again, or a push of 0
        # N.
        speed = xp.where(has_happened, memory["speed_after"], belt.speed())
        belt.set_speed(speed)

        is_pushed = is_during(tick, memory["event_tick"], PUSH_TICKS)
        force = xp.where(is_pushed[:, None], memory["push"], 0.0)
        self._props.totes.push(memory["tote"], force)

    def state(self) -> Array:
        """Returns the privileged state (N, 24), whose parts `state_layout` names."""
        facts = self._facts()
        parts = [
            # the named tote
            facts.tote_pos_w,
            # its x and its y axis, columns of the matrix that is stored row by row
            facts.tote_xmat[:, 0::3],
            facts.tote_xmat[:, 1::3],
            facts.tote_vel_w,
            self._memory["size"],
            # everything around it; the totes that are not named are the last two
            facts.slot_pos_w,
            facts.pos_w[:, 1],
            facts.pos_w[:, 2],
            facts.belt_speed[:, None],
        ]
        return self._engine.xp.concat(parts, axis=1)

    def judge(self) -> Outcome:
        """Returns the judgement.

        Success: the named tote stands in its slot, released and at rest. Lost: the tote
        has fallen, or the belt has carried it out of reach.
        """
        facts = self._facts()
        return Outcome(
            success=facts.is_done,
            progress=staged_progress(self._engine.xp, facts, self._station),
            lost=facts.is_lost,
            dropped=facts.fallen_totes,
        )


def staged_progress(xp: Any, facts: Facts, station: Station) -> Array:
    """Returns the progress (N,) of reaching, lifting and carrying the tote.

    The progress is at most 0.25 while the hand reaches for the tote, 0.35 once the tote
    is in the hand, rises to 0.9 at its slot, and is 1 once the task is done.

    Args:
        xp: The array namespace.
        facts: The quantities of the present state.
        station: The layout, which has the margins of the rewards.
    """
    # rewards from 0 to 1: 1 within `bound` m of the goal, and 0.1 at `bound` + `margin` m
    reached = tolerance(facts.grasp_error_m, bound=0.02, margin=station.reach_m)
    reaching = 0.25 * reached
    if surely_none(facts.is_in_hand):
        return reaching

    carried = tolerance(facts.slot_distance_m, bound=0.02, margin=station.carry_m)
    lifted = xp.minimum(facts.height_m / LIFT_M, 1.0)
    # near the slot the tote is lowered again, which must not cost progress
    lifted_or_lowered = xp.maximum(lifted, carried)
    in_hand = 0.35 + 0.15 * lifted_or_lowered + 0.4 * carried
    unfinished = xp.where(facts.is_in_hand, in_hand, reaching)
    return xp.where(facts.is_done, 1.0, unfinished)


TOTE_TRANSFER = TaskSpec(
    name="ToteTransfer",
    summary="take the named tote off a roller belt and set it upright into the named rack slot",
    needs=Needs(opening_m=OPENING_M, reach_m=0.8, places=WORK, payload_kg=0.6),
    cameras=(CAMERA,),
    # the head camera of a robot that travels sees the rack, which is far from `overview`
    robot_cameras=("head",),
    horizon_s=20.0,
    table=TABLE,
    build=build_tote_station,
    bind=ToteTransfer,
    expert=tote_transfer_expert,
    beauty_camera="hall",
    stages=(
        TaskStage("reach", goal_progress=0.2475, horizon_s=5.0),
        TaskStage("lift", goal_progress=0.495, horizon_s=8.0),
    ),
    base_start=(-0.75, -0.35, 0.0),
    constant=("tote_size.1",),  # all totes have the same width
    driving_s=10.0,
    objects=OBJECTS,
)
