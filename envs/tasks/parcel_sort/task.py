"""ParcelSort: scan the passing parcels of the named colours, and put them into bins."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from embodied.arrays import all_of, any_of, count_of, dot
from embodied.core import Array, Layout, seconds_to_ticks
from embodied.envs.events import PUSH_TICKS, is_during
from embodied.envs.facts import PerState
from embodied.envs.props.parcel import label_offset
from embodied.envs.task import Needs, Outcome, TaskSpec
from embodied.envs.tasks.parcel_sort.episode import (
    event_tick,
    pose_of,
    sample_episode,
    size_of,
)
from embodied.envs.tasks.parcel_sort.expert import parcel_sort_expert
from embodied.envs.tasks.parcel_sort.facts import Facts, Props
from embodied.envs.tasks.parcel_sort.scene import (
    BELT,
    CAMERA,
    PARCELS,
    WORK,
    build_parcel_station,
)
from embodied.envs.tasks.parcel_sort.variation import COLOURS, TABLE
from embodied.envs.variation import Variation
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

# Delay of parcels and events for a robot that travels, which must drive up first.
DRIVING_S = 2.0
# The scanner reads a parcel that has been readable for this long.
READING_TICKS = seconds_to_ticks(0.15)
# A parcel lies on the belt if its centre is at most this high above the belt's surface.
LYING_M = 0.04


class ParcelSort:
    """N episodes of ParcelSort on an engine."""

    # parcel entries hold the values of the three parcels, one after the other
    state_layout = Layout(
        (
            ("parcel_pos_w", 9),
            ("parcel_rot6d", 18),
            ("parcel_vel_w", 9),
            ("parcel_size", 9),
            ("label_w", 9),
            ("parcel_wanted", 3),
            ("parcel_scanned", 3),
            ("parcel_bin_xy_w", 6),
            ("scanner_xy_w", 2),
            ("belt_speed", 1),
        )
    )

    def __init__(self, engine: Engine, robot: Robot) -> None:
        """Finds the scene's parts, and makes the arrays that `start` fills."""
        xp = engine.xp
        n = engine.num_worlds
        k = len(PARCELS)
        self._engine = engine
        self._later_s = DRIVING_S if robot.travels else 0.0
        self._props = Props(engine, robot)
        self._memory = {
            "wanted": xp.zeros((n, k)),  # 1 for parcels to be sorted
            "present": xp.zeros((n, k)),  # 1 for parcels that take part
            "bin": xp.zeros((n, k), dtype=xp.int64),  # index of the bin of their colour
            "size": xp.zeros((n, k, 3)),  # length, width, height, m
            # from the centre to the label in the parcel's frame, m
            "label": xp.zeros((n, k, 3)),
            "scanned": xp.zeros((n, k)),  # 1 for parcels that have been read
            # the last tick at which the parcel was not readable
            "moved_tick": xp.zeros((n, k), dtype=xp.int64),
            "speed_after": xp.zeros(n),  # m/s, the belt's speed from the event on
            "pushed": xp.zeros(n, dtype=xp.int64),  # index of the parcel that is pushed
            "push": xp.zeros((n, 2)),  # N, the force on that parcel along x and y
            "event_tick": xp.zeros(n, dtype=xp.int64),  # tick at which the event begins
        }
        # a function that returns the facts of the present state, computed once per state
        self._facts = PerState(engine, partial(Facts, self._props, self._memory))

    def memory(self) -> dict[str, Array]:
        return self._memory

    def start(self, world: int, seed: int, variation: Variation) -> dict[str, Any]:
        """Samples an episode, and sets parcels, props and memory of one world.

        Args:
            world: the index of the world.
            seed: the episode's seed.
            variation: samples the values that vary.

        Returns:
            The sampled values by name, which are stored with the episode.
        """
        episode = sample_episode(seed, variation, self._later_s)
        # values of parcels that take no part stay 0
        memory = self._memory
        for values in memory.values():
            values[world] = 0
        memory["speed_after"][world] = episode["belt_speed_after"]
        memory["event_tick"][world] = event_tick(episode)
        memory["pushed"][world] = episode["pushed"]
        memory["push"][world] = episode["push_n"]

        props = self._props
        for parcel in range(len(PARCELS)):
            self._place_parcel(world, parcel, episode)
        scanner_shift = [episode["scanner_x"], episode["scanner_y"]]
        props.scanner.shift(world, np.array(scanner_shift))
        props.scanner.darken(world)
        props.bins.shift(world, np.array([episode["bins_x"], episode["bins_y"]]))
        props.bins.paint(world, [COLOURS[colour] for colour in episode["colour"]])
        props.belt.start(world, episode["belt_speed"])
        return episode

    def _place_parcel(self, world: int, parcel: int, episode: dict[str, Any]) -> None:
        """Places a parcel, with its sampled size, colour and label if it takes part.

        Args:
            world: the index of the world.
            parcel: the index of the parcel.
            episode: the sampled values of the episode.
        """
        parcels = self._props.parcels
        is_present = parcel < episode["parcels"]
        pos_w, yaw = pose_of(episode, parcel)
        parcels.place(world, parcel, pos_w, yaw)
        parcels.set_present(world, parcel, is_present)
        if not is_present:
            return

        # the label has the colour of the bin into which the parcel belongs
        size = size_of(episode, parcel)
        face = episode["label"][parcel]
        bin_index = episode["parcel_bin"][parcel]
        colour_name = episode["colour"][bin_index]
        parcels.resize(world, parcel, size, face)
        parcels.paint(world, parcel, COLOURS[colour_name], episode["shade"][parcel])

        memory = self._memory
        memory["present"][world, parcel] = 1.0
        memory["wanted"][world, parcel] = episode["wanted"][parcel]
        memory["bin"][world, parcel] = bin_index
        memory["size"][world, parcel] = (size.length, size.width, size.height)
        memory["label"][world, parcel] = label_offset(size, face)

    def before_step(self, tick: Array) -> None:
        """Applies the event when it is due, and lets the scanner read parcels.

        Args:
            tick: (N,) the time in each world's episode, in physics steps.
        """
        xp = self._engine.xp
        memory = self._memory
        facts = self._facts()
        props = self._props

        # the event: the belt's speed changes, or a parcel that lies on the belt is pushed
        has_happened = tick >= memory["event_tick"]
        speed = xp.where(has_happened, memory["speed_after"], facts.belt_speed)
        props.belt.set_speed(speed)
        pushed_pos_w = facts.pos_w[props.worlds, memory["pushed"]]  # (N, 3)
        height = pushed_pos_w[:, 2] - BELT.top_z
        is_pushed = is_during(tick, memory["event_tick"], PUSH_TICKS)
        is_pushed = is_pushed & (height < LYING_M)
        force = xp.where(is_pushed[:, None], memory["push"], 0.0)
        props.parcels.push(memory["pushed"], force)

        # the scanner reads parcels that have been readable for READING_TICKS
        last_unreadable = memory["moved_tick"]
        last_unreadable = xp.where(facts.is_readable, last_unreadable, tick[:, None])
        is_long_enough = tick[:, None] - last_unreadable >= READING_TICKS
        is_read = (memory["scanned"] > 0) | is_long_enough
        memory["moved_tick"][...] = last_unreadable
        memory["scanned"][...] = xp.where(is_read, 1.0, 0.0)
        # the lamp is green while a parcel that was read is not yet in its bin
        props.scanner.show(any_of(is_read & ~facts.is_binned))

    def state(self) -> Array:
        """Returns (N, S), in the order of `state_layout`."""
        xp = self._engine.xp
        facts = self._facts()
        parts = facts.state_of_parcels(self._memory["wanted"])
        parts += [facts.plate_w[:, :2], facts.belt_speed[:, None]]
        return xp.concat(parts, axis=1)

    def judge(self) -> Outcome:
        """Returns the judgement.

        Success: all wanted parcels were read and lie in their bins, and no other parcel
        was taken off the belt. Lost: a parcel has fallen, or a wanted parcel has passed
        the robot.
        """
        xp = self._engine.xp
        memory = self._memory
        facts = self._facts()
        is_wanted = memory["wanted"] > 0  # (N, K)
        is_present = memory["present"] > 0

        is_read = memory["scanned"] > 0
        is_released = facts.is_still & ~facts.is_held
        is_sorted = is_wanted & is_read & facts.is_binned & is_released
        is_off_belt = ~facts.is_on_belt | facts.is_held
        is_wrongly_taken = is_present & ~is_wanted & is_off_belt

        # a wanted parcel adds its progress, and a wrongly taken parcel costs 1
        progress = xp.where(is_sorted, 1.0, facts.parcel_progress)
        gained = xp.where(is_wanted, progress, 0.0)
        points = gained - xp.where(is_wrongly_taken, 1.0, 0.0)
        # sums over parcels are dot products with ones: unlike `sum`, `dot` adds in the same
        # order whatever the number of worlds is
        ones = xp.ones_like(points)
        wanted_count = xp.maximum(dot(memory["wanted"], ones), ones[:, 0])
        mean = dot(points, ones) / wanted_count
        # max(mean, 0), without an array of zeros
        not_negative = (mean + xp.abs(mean)) / 2
        are_all_sorted = all_of(is_sorted | ~is_wanted)
        is_lost = facts.is_fallen | (is_wanted & facts.has_passed)
        return Outcome(
            success=are_all_sorted & ~any_of(is_wrongly_taken),
            progress=not_negative,
            lost=any_of(is_lost),
            dropped=count_of(facts.is_fallen),
        )


PARCEL_SORT = TaskSpec(
    name="ParcelSort",
    summary="scan the parcels of the named colours, label up, and put each into the bin of its colour",
    needs=Needs(
        opening_m=0.075, suction_n=15.0, reach_m=0.85, places=WORK, payload_kg=0.4
    ),
    cameras=(CAMERA,),
    horizon_s=40.0,
    table=TABLE,
    build=build_parcel_station,
    bind=ParcelSort,
    expert=parcel_sort_expert,
    beauty_camera="line",
)
