"""People who walk along loops, in N worlds: obstacles that robots keep clear of.

Nothing that a robot does changes where a person walks. So each walk is computed once, at
the start of its episode, as a table of positions over time. Each control step then looks
up in these tables where every person is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.arrays import columns
from embodied.core import PHYSICS_HZ, Array
from embodied.envs.props.parking import parked_w
from embodied.envs.props.person_shape import (
    AMPLITUDES,
    DYED,
    PHASES,
    add_person_shape,
    limbs,
    stride_poses,
)
from embodied.envs.props.shapes import Rgb
from embodied.envs.props.walks import (
    AMPLITUDE,
    HALF_YAW,
    NEVER_S,
    SAMPLES,
    STRIDES,
    Walk,
)
from embodied.sim.engine import Engine

# Half the breadth of shoulders and arms: the radius of a person seen from above.
PERSON_RADIUS_M = 0.25
INVISIBLE_ALPHA = 0.0
# The x and y reported for people who take no part: farther away than anything in a hall.
AWAY_M = 20.0


@dataclass(frozen=True)
class Clothes:
    """The colours of a person, by the names of the parts in DYED."""

    vest: Rgb
    trousers: Rgb
    helmet: Rgb
    skin: Rgb


def add_people(spec: mujoco.MjSpec, names: Sequence[str]) -> None:
    """Adds people as mocap bodies `names`, parked overhead until `People` moves them."""
    for person, name in enumerate(names):
        add_person_shape(spec, name).pos = parked_w(person)


class People:
    """M people in N worlds."""

    def __init__(
        self, engine: Engine, names: Sequence[str], ahead_s: Sequence[float]
    ) -> None:
        """Finds the people in the model.

        Args:
            engine: the physics of the worlds.
            names: the names of the people's bodies, which were added one after the other.
            ahead_s: the T times from now, in s, for which `future_positions_w` predicts
                where the people are.
        """
        xp = engine.xp
        model = engine.model
        num = engine.num_worlds
        count = len(names)
        self._engine = engine
        self._xp = xp
        self._names = tuple(names)
        self._mocap = columns([int(model.body(name).mocapid[0]) for name in names])
        # the ids of the bodies of all people, trunks and limbs, which are consecutive
        first = model.body(names[0]).id
        self._bodies = slice(first, first + count * (1 + len(limbs())))
        self._now = xp.asarray([0.0])  # as a time ahead, s
        self._ahead_s = xp.asarray(list(ahead_s))
        self._geoms = [_geoms_by_part(model, name) for name in names]
        # the first call for a field gives each world its own values of the field
        for field in ("body_quat", "geom_rgba"):
            engine.model_view(field)

        # poses of walking: the rotations of trunk and limbs, and how much lower the
        # hips are than in standing
        quats, sinking = stride_poses()
        self._quats = xp.asarray(quats)  # (poses, 9, 4) wxyz
        self._sinking = xp.asarray(sinking)  # (poses,) m
        # factors of a table's columns for people who have halted: only the last column,
        # AMPLITUDE, becomes 0
        self._standing = xp.asarray([1.0, 1.0, 1.0, 1.0, 0.0])
        # indices that pick one row of the tables per person
        self._worlds = xp.arange(num)[:, None, None]  # (N, 1, 1)
        self._people = xp.arange(count)[None, :, None]  # (1, M, 1)
        self._memory = {
            # the table of each person's walk, whose 5 columns `walks` documents; the time
            # of one turn around the loop; and how long the person has walked at the start
            "walks": xp.zeros((num, count, SAMPLES + 1, 5)),
            "walk_period_s": xp.ones((num, count)),
            "walk_start_s": xp.zeros((num, count)),
            # when a person halts, and when it walks on, s; NEVER_S if it never halts
            "halt_s": xp.full((num, count), NEVER_S),
            "going_on_s": xp.full((num, count), NEVER_S),
            # m, height of the soles: the floor's, or overhead if a person takes no part
            "walker_z": xp.zeros((num, count)),
        }

    def memory(self) -> Mapping[str, Array]:
        """Returns the state of the walks: arrays (N, ...) by name, for a task's memory.

        The arrays are those that this object uses, not copies.
        """
        return self._memory

    def start(
        self, world: int, walks: Sequence[Walk], clothes: Sequence[Clothes]
    ) -> None:
        """Starts an episode of one world: gives people their walks and clothes.

        There may be fewer walks than people. People without a walk take no part: they are
        invisible and parked overhead.

        Args:
            world: the index of the world.
            walks: the walks of the first people.
            clothes: the clothes of these people.
        """
        xp = self._xp
        memory = self._memory
        for person in range(len(self._names)):
            is_present = person < len(walks)
            self._colour(world, person, clothes[person] if is_present else None)

            # in the table of a person who takes no part, each row is the parking place
            walk = walks[person] if is_present else None
            parked = parked_w(person)
            table = np.zeros((SAMPLES + 1, 5))
            table[:, :2] = parked[:2]
            period_s = 1.0
            if walk:
                table, period_s = walk.samples()
            halt_s = walk.halt_s if walk else NEVER_S
            memory["walks"][world, person] = xp.asarray(table)
            memory["walk_period_s"][world, person] = period_s
            memory["walk_start_s"][world, person] = walk.start_s if walk else 0.0
            memory["halt_s"][world, person] = halt_s
            memory["going_on_s"][world, person] = halt_s + (
                walk.halted_s if walk else 0.0
            )
            memory["walker_z"][world, person] = 0.0 if walk else parked[2]
        self._pose_one(world)

    def _colour(self, world: int, person: int, clothes: Clothes | None) -> None:
        """Colours the clothes of one person of one world.

        Args:
            world: the index of the world.
            person: the index of the person.
            clothes: the colours of the clothes; None makes the person invisible.
        """
        rgba = self._engine.model_view("geom_rgba")
        for part, geoms in self._geoms[person].items():
            for geom in geoms:
                rgba[world, geom, 3] = INVISIBLE_ALPHA if clothes is None else 1.0
                if clothes is not None and part in DYED:
                    colour = self._xp.asarray(getattr(clothes, part))
                    rgba[world, geom, :3] = colour

    def move(self, tick: Array) -> None:
        """Moves all people to where they are at the worlds' present times.

        Args:
            tick: (N,) the time of each world's episode, in physics steps.
        """
        rows = self._look_up(tick, self._now)[:, :, 0]  # (N, M, 5)
        pos, quat, body_quats = self._poses(rows, self._memory["walker_z"])
        engine = self._engine
        engine.view("mocap_pos")[:, self._mocap] = pos
        engine.view("mocap_quat")[:, self._mocap] = quat
        engine.model_view("body_quat")[:, self._bodies] = body_quats

    def _pose_one(self, world: int) -> None:
        """Moves the people of one world to where they start."""
        tick = self._xp.zeros(self._engine.num_worlds, dtype=self._xp.int64)
        rows = self._look_up(tick, self._now)[world : world + 1, :, 0]  # (1, M, 5)
        height = self._memory["walker_z"][world : world + 1]
        pos, quat, body_quats = self._poses(rows, height)
        engine = self._engine
        engine.view("mocap_pos")[world, self._mocap] = pos[0]
        engine.view("mocap_quat")[world, self._mocap] = quat[0]
        engine.model_view("body_quat")[world, self._bodies] = body_quats[0]

    def is_present(self) -> Array:
        """Returns (N, M) bool, whether each person takes part in the episode."""
        return self._memory["walker_z"] == 0.0

    def positions_w(self) -> Array:
        """Returns (N, M, 2) m, x and y of each person now."""
        return self._engine.view("mocap_pos")[:, self._mocap, :2]

    def future_positions_w(self, tick: Array) -> Array:
        """Returns (N, M, T, 2) m, x and y of each person at T times ahead.

        The times ahead are those of `__init__`. A person who takes no part is at
        (AWAY_M, AWAY_M).

        Args:
            tick: (N,) the time of each world's episode, in physics steps.
        """
        positions = self._look_up(tick, self._ahead_s)[..., :2]
        is_present = self.is_present()[:, :, None, None]
        return self._xp.where(is_present, positions, AWAY_M)

    def _look_up(self, tick: Array, ahead_s: Array) -> Array:
        """Returns interpolated rows (N, M, T, 5) of each person's table at T times.

        A person who has halted is expected to stay there, because nobody can foresee when
        that person walks on.

        Args:
            tick: (N,) the time of each world's episode, in physics steps.
            ahead_s: (T,) how long after that time, s.
        """
        xp = self._xp
        memory = self._memory
        # The time that each person has walked: the episode's time without the part of the
        # halt that has passed. `in_halt_s` is the time, clipped to that of the halt.
        now_s = xp.astype(tick, xp.float64)[:, None] / PHYSICS_HZ  # (N, 1)
        in_halt_s = xp.minimum(
            xp.maximum(now_s, memory["halt_s"]), memory["going_on_s"]
        )
        walked_s = now_s - (in_halt_s - memory["halt_s"])  # (N, M)
        walked_s = walked_s + memory["walk_start_s"]

        # add the time ahead, in which only people who walk now get farther
        is_walking = (now_s < memory["halt_s"]) | (now_s >= memory["going_on_s"])
        is_walking_factor = xp.astype(is_walking, xp.float64)[..., None]  # 1 or 0
        time_s = walked_s[..., None] + is_walking_factor * ahead_s  # (N, M, T)

        # interpolate between the rows of the table before and after that time
        turns = time_s / memory["walk_period_s"][..., None]
        row = (turns - xp.floor(turns)) * SAMPLES  # fractional
        first = xp.clip(xp.astype(row, xp.int64), 0, SAMPLES - 1)
        share = (row - first)[..., None]
        walks = memory["walks"]
        before = walks[self._worlds, self._people, first]
        after = walks[self._worlds, self._people, first + 1]
        rows = before + share * (after - before)
        # a person who has halted takes no steps
        return rows * xp.where(is_walking[..., None, None], 1.0, self._standing)

    def _poses(self, rows: Array, height_m: Array) -> tuple[Array, Array, Array]:
        """Returns the poses of the people in n worlds.

        Args:
            rows: (n, M, 5) a row of each person's table.
            height_m: (n, M) height of the ground that each person stands on.

        Returns:
            Positions (n, M, 3) m and rotations (n, M, 4) wxyz of the mocap bodies; and
            the rotations of trunks and limbs in their parents' frames (n, 9 M, 4) wxyz.
        """
        xp = self._xp
        # the pose of trunk and limbs, by the size of the steps and the phase of the
        # stride
        strides = rows[..., STRIDES]
        phase = xp.astype((strides - xp.floor(strides)) * PHASES, xp.int64)
        amplitude = xp.astype(rows[..., AMPLITUDE] * (AMPLITUDES - 1) + 0.5, xp.int64)
        # (n, M) the pose's row of `_quats`
        pose = amplitude * PHASES + xp.clip(phase, 0, PHASES - 1)
        body_quats = xp.reshape(self._quats[pose], (rows.shape[0], -1, 4))

        # the pose of the whole person
        z = height_m - self._sinking[pose]
        pos = xp.concat([rows[..., :2], z[..., None]], axis=-1)
        half_yaw = rows[..., HALF_YAW]
        zero = xp.zeros_like(half_yaw)
        quat = xp.stack([xp.cos(half_yaw), zero, zero, xp.sin(half_yaw)], axis=-1)
        return pos, quat, body_quats


def _geoms_by_part(model: mujoco.MjModel, person: str) -> dict[str, list[int]]:
    """Returns the ids of a person's visual geoms by the part they show, such as "vest"."""
    geoms: dict[str, list[int]] = {}
    for geom in range(model.ngeom):
        name = model.geom(geom).name
        if name.startswith(f"{person}_"):
            part = name.removeprefix(f"{person}_").rsplit("_", 1)[0]
            geoms.setdefault(part, []).append(geom)
    return geoms
