"""ParcelSort: parcels ride past; those of the named colours go label up over the
scanner into their colours' bins.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.arrays import dot
from embodied.core import Array, Layout, seconds_to_ticks
from embodied.envs.props.belt import Belt
from embodied.envs.props.parcel import FACES
from embodied.envs.task import Needs, Outcome, TaskSpec
from embodied.envs.tasks.parcel_sort.episode import (
    PUSH_TICKS,
    draw_start,
    event_tick,
    pose_of,
    size_of,
)
from embodied.envs.tasks.parcel_sort.expert import parcel_sort_expert
from embodied.envs.tasks.parcel_sort.facts import Facts
from embodied.envs.tasks.parcel_sort.scene import (
    BELT,
    CAMERA,
    PARCELS,
    build_parcel_station,
)
from embodied.envs.tasks.parcel_sort.variation import COLOURS, TABLE
from embodied.envs.variation import Variation
from embodied.robots.robot import Robot
from embodied.sim.engine import ROT6D_OF_XMAT, Engine

# that a robot that drives is on its way; everything comes that much later
DRIVING_S = 2.0
# that a parcel lies still under the scanner until it is read
READING_TICKS = seconds_to_ticks(0.15)
PASSED_Y_W = 0.62  # from where the belt does not bring a parcel back
FLOOR_Z_W = 0.40  # below it a parcel has fallen
LYING_M = 0.04  # at most, the middle of a parcel above the belt that carries it


class ParcelSort:
    """N episodes of ParcelSort on an engine."""

    state_layout = Layout(
        (
            ("parcel_pos_w", 9), ("parcel_rot6d", 18), ("parcel_vel_w", 9), ("parcel_size", 9), ("label_w", 9),
            ("parcel_wanted", 3), ("parcel_scanned", 3), ("parcel_bin_xy_w", 6), ("scanner_xy_w", 2), ("belt_speed", 1),
        )
    )  # fmt: skip

    def __init__(self, engine: Engine, robot: Robot) -> None:
        self._engine = engine
        xp = engine.xp
        n = engine.num_worlds
        k = len(PARCELS)
        self._later_s = DRIVING_S if robot.travels else 0.0
        self._goal = {
            "wanted": xp.zeros((n, k)),
            "present": xp.zeros((n, k)),
            "bin": xp.zeros((n, k), dtype=xp.int64),
            "size": xp.zeros((n, k, 3)),  # length, width, height, m
            # from the middle to the label in the parcel's frame, m
            "label": xp.zeros((n, k, 3)),
            "scanned": xp.zeros((n, k)),
            # when the scanner could last not read it
            "moved_tick": xp.zeros((n, k), dtype=xp.int64),
            "speed_after": xp.zeros(n),  # of the belt from event_tick on, m/s
            # the parcel that is, from event_tick on
            "pushed": xp.zeros(n, dtype=xp.int64),
            "push": xp.zeros((n, 2)),  # N along x and y
            "event_tick": xp.zeros(n, dtype=xp.int64),
        }
        self._facts = Facts(engine, robot, self._goal)
        self._belt = Belt(engine)
        self._rows = xp.arange(n)

    def parameters(self) -> dict[str, Array]:
        return self._goal

    def start(self, world: int, seed: int, variation: Variation) -> dict[str, Any]:
        drawn = draw_start(seed, variation, self._later_s)
        goal = self._goal
        facts = self._facts
        for values in goal.values():
            values[world] = 0
        for k in range(len(PARCELS)):
            present = k < drawn["parcels"]
            facts.parcels.place(world, k, *pose_of(drawn, k))
            facts.parcels.set_present(world, k, present)
            if present:
                self._dress(world, k, drawn)
        facts.scanner.shift(world, np.array([drawn["scanner_x"], drawn["scanner_y"]]))
        facts.scanner.darken(world)
        facts.bins.shift(world, np.array([drawn["bins_x"], drawn["bins_y"]]))
        facts.bins.paint(world, [COLOURS[colour] for colour in drawn["colour"]])
        self._belt.start(world, drawn["belt_speed"])
        goal["speed_after"][world] = drawn["belt_speed_after"]
        goal["event_tick"][world] = event_tick(drawn)
        goal["pushed"][world] = drawn["pushed"]
        goal["push"][world] = drawn["push_n"]
        return drawn

    def _dress(self, world: int, k: int, drawn: dict[str, Any]) -> None:
        """Parcel `k` as it was drawn."""
        goal = self._goal
        size = size_of(drawn, k)
        face = drawn["label"][k]
        colour = drawn["parcel_bin"][k]
        self._facts.parcels.resize(world, k, size, face)
        self._facts.parcels.paint(
            world, k, COLOURS[drawn["colour"][colour]], drawn["shade"][k]
        )
        goal["present"][world, k] = 1.0
        goal["wanted"][world, k] = drawn["wanted"][k]
        goal["bin"][world, k] = colour
        goal["size"][world, k] = (size.length, size.width, size.height)
        goal["label"][world, k] = (
            (0, 0, size.height / 2) if face == FACES[0] else (size.length / 2, 0, 0)
        )

    def before_step(self, tick: Array) -> None:
        xp = self._engine.xp
        goal = self._goal
        facts = self._facts
        due = tick >= goal["event_tick"]
        self._belt.set_speed(xp.where(due, goal["speed_after"], self._belt.speed()))
        height = (
            facts.parcels.positions_w()[self._rows, goal["pushed"]][:, 2] - BELT.top_z
        )
        pushing = due & (tick < goal["event_tick"] + PUSH_TICKS) & (height < LYING_M)
        facts.parcels.push(
            goal["pushed"], xp.where(pushing[:, None], goal["push"], 0.0)
        )
        moved = xp.where(facts.readable(), goal["moved_tick"], tick[:, None])
        read = (goal["scanned"] > 0) | (tick[:, None] - moved >= READING_TICKS)
        goal["moved_tick"][...] = moved
        goal["scanned"][...] = xp.where(read, 1.0, 0.0)
        facts.scanner.show(xp.any(read & ~facts.binned(), axis=1))

    def state(self) -> Array:
        xp = self._engine.xp
        goal = self._goal
        facts = self._facts
        axes = facts.parcels.rotations()
        pos = facts.parcels.positions_w()
        rot6d = xp.reshape(axes, (*axes.shape[:2], 9))[:, :, ROT6D_OF_XMAT]
        parts = [
            pos,
            rot6d,
            facts.parcels.velocities_w(),
            goal["size"],
            facts.label_w(),
        ]
        parts += [goal["wanted"], goal["scanned"], facts.bin_w()[..., :2]]
        flat = [xp.reshape(part, (pos.shape[0], -1)) for part in parts]
        return xp.concat(
            [*flat, facts.scanner.plate_w()[:, :2], self._belt.speed()[:, None]], axis=1
        )

    def judge(self) -> Outcome:
        xp = self._engine.xp
        goal = self._goal
        facts = self._facts
        pos = facts.parcels.positions_w()
        held = facts.held()
        on_belt = facts.on_belt()
        wanted = goal["wanted"] > 0
        present = goal["present"] > 0
        right = wanted & (goal["scanned"] > 0) & facts.binned() & facts.still() & ~held
        taken = present & ~wanted & (~on_belt | held)  # though it was to be left
        fallen = present & (pos[..., 2] < FLOOR_Z_W)
        passed = wanted & on_belt & (pos[..., 1] > PASSED_Y_W)
        share = xp.where(
            wanted, xp.where(right, 1.0, facts.stage(held)), 0.0
        ) - xp.where(taken, 1.0, 0.0)
        ones = xp.ones_like(share)
        mean = dot(share, ones) / xp.maximum(dot(goal["wanted"], ones), ones[:, 0])
        progress = (mean + xp.abs(mean)) / 2  # no less than 0
        success = xp.all(right | ~wanted, axis=1) & ~xp.any(taken, axis=1)
        dropped = xp.astype(dot(xp.where(fallen, 1.0, 0.0), ones), xp.int64)
        lost = xp.any(fallen | passed, axis=1)
        return Outcome(
            success=success,
            progress=progress,
            lost=lost,
            dropped=dropped,
        )


PARCEL_SORT = TaskSpec(
    name="ParcelSort",
    summary="scan the parcels of the named colours, label up, and put each into the bin of its colour",
    needs=Needs(opening_m=0.075, reach_m=0.85),
    cameras=(CAMERA,),
    horizon_s=40.0,
    table=TABLE,
    build=build_parcel_station,
    bind=ParcelSort,
    expert=parcel_sort_expert,
    beauty_camera="line",
)
