"""People who walk along loops, in N worlds: obstacles that robots keep clear of.

Where a person is follows from the time and from its walk alone. So a walk is sampled once,
when its episode starts, and worlds look up where everyone is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import mujoco
import numpy as np

from embodied.arrays import columns
from embodied.core import PHYSICS_HZ, Array
from embodied.envs.props.parking import parked_w
from embodied.envs.props.person_shape import (
    AMPLITUDES,
    DYED,
    PHASES,
    STRIDE_M,
    add_person_shape,
    limbs,
    stride_poses,
)
from embodied.envs.props.shapes import Rgb
from embodied.sim.engine import Engine

# Half the breadth of shoulders and arms: the radius of a person seen from above.
PERSON_RADIUS_M = 0.25
# A walk is stored at this many times, evenly spaced over its period, and at its end.
SAMPLES = 160
# Corners are rounded over this length of the loop.
ROUNDING_M = 0.7
# The time in which a person stops or starts to walk.
STOPPING_S = 0.6
STEP_M = 0.02  # between points of the loop while it is sampled
# Columns of a stored walk.
X, Y, HALF_YAW, STRIDES, AMPLITUDE = range(5)
INVISIBLE = 0.0
NEVER_S = 1e9
# Where absent people are said to be: farther than anything in a hall.
AWAY_M = 20.0


@dataclass(frozen=True)
class Walk:
    """A person's way around a closed loop.

    Attributes:
        corners: (x, y) of the loop's corners in the world, m.
        speed_m_s: of walking.
        start_s: how long the person has walked from the first corner at the start.
        right_m: the person keeps this far to the right of the loop.
        pause_at: where the person stops, as a share of the loop.
        pause_s: for how long; 0 for a person who never stops.
        halt_s: when the person stops once more, at once, in s of the episode; NEVER_S
            for never. Who looks ahead does not know of it.
        halted_s: for how long.
    """

    corners: tuple[tuple[float, float], ...]
    speed_m_s: float
    start_s: float = 0.0
    right_m: float = 0.0
    pause_at: float = 0.5
    pause_s: float = 0.0
    halt_s: float = NEVER_S
    halted_s: float = 0.0

    def samples(self) -> tuple[np.ndarray, float]:
        """Returns the walk, (SAMPLES + 1, 5), and its period in s.

        Columns are x and y in m, half the yaw in rad, strides, and the size of steps
        from 0 for standing to 1.
        """
        # the same for every start
        return _samples(replace(self, start_s=0.0, halt_s=NEVER_S, halted_s=0.0))

    def starting(self, share: float) -> Walk:
        """Returns this walk, started at a share of its period."""
        _, period_s = self.samples()
        return replace(self, start_s=share * period_s)


@lru_cache(maxsize=64)
def _samples(walk: Walk) -> tuple[np.ndarray, float]:
    """Returns `Walk.samples`; whoever shares the array does not write to it."""
    corners = np.array(walk.corners, float)
    points = _rounded(_dense(_shifted(corners, walk.right_m)))
    ends = np.concatenate([points, points[:1]])
    steps = np.linalg.norm(np.diff(ends, axis=0), axis=1)
    along = np.concatenate([[0.0], np.cumsum(steps)])  # m, at each of `ends`
    length = along[-1]

    walking_s = length / walk.speed_m_s
    period_s = walking_s + walk.pause_s
    time_s = np.linspace(0.0, period_s, SAMPLES + 1)
    walked_s, share = _walked(time_s, walk.pause_at * walking_s, walk.pause_s)
    at_m = walked_s * walk.speed_m_s

    # the direction between points a little before and after
    place = _at(ends, along, at_m)
    way = _at(ends, along, (at_m + 0.15) % length)
    way = way - _at(ends, along, (at_m - 0.15) % length)
    yaw = np.unwrap(np.arctan2(way[:, 1], way[:, 0]))
    strides = at_m / length * max(1, round(length / STRIDE_M))
    rows = np.stack([place[:, 0], place[:, 1], yaw / 2, strides, share], axis=1)
    rows.flags.writeable = False
    return rows, float(period_s)


def _walked(
    time_s: np.ndarray, stop_s: float, pause_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns how long someone has walked, (T,) s, and the share of full speed (T,).

    The person stops at `stop_s` and walks on after a pause, each within STOPPING_S.
    """
    share = np.ones_like(time_s)
    walked_s = time_s
    if pause_s == 0:
        return walked_s, share
    for sign, since_s in ((-1, time_s - stop_s), (1, time_s - stop_s - pause_s)):
        ramp = np.clip(since_s / STOPPING_S + 0.5, 0.0, 1.0)
        share = share + sign * ramp
        gone_s = STOPPING_S / 2 * ramp**2 + np.maximum(since_s - STOPPING_S / 2, 0.0)
        walked_s = walked_s + sign * gone_s
    return walked_s, share


def meeting_m(one: Walk, other: Walk, during_s: float) -> float:
    """Returns the least distance between two people during so many seconds, m."""
    time_s = np.arange(0.0, during_s, 0.2)
    places: list[np.ndarray] = []  # (2, T) m each
    for walk in (one, other):
        rows, period_s = walk.samples()
        turns = (time_s + walk.start_s) / period_s
        at = (turns - np.floor(turns)) * SAMPLES
        grid = np.arange(SAMPLES + 1)
        xy = [np.interp(at, grid, rows[:, axis]) for axis in (X, Y)]
        places.append(np.stack(xy))
    return float(np.linalg.norm(places[0] - places[1], axis=0).min())


def _shifted(corners: np.ndarray, right_m: float) -> np.ndarray:
    """Returns the corners (P, 2) of a loop that runs `right_m` to the right."""
    way = np.roll(corners, -1, axis=0) - corners
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    right = np.stack([way[:, 1], -way[:, 0]], axis=1)
    before = np.roll(right, 1, axis=0)  # of the edge that ends at the corner
    scale = 1 + np.sum(before * right, axis=1, keepdims=True)
    return corners + right_m * (before + right) / scale


def _dense(corners: np.ndarray) -> np.ndarray:
    """Returns points (n, 2) on a loop, about STEP_M apart."""
    points = []
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        count = max(1, round(np.linalg.norm(end - start) / STEP_M))
        points.append(start + (end - start) * np.arange(count)[:, None] / count)
    return np.concatenate(points)


def _rounded(points: np.ndarray) -> np.ndarray:
    """Returns the means (n, 2) of the points of a loop over ROUNDING_M around each."""
    reach = round(ROUNDING_M / STEP_M / 2)
    total = np.zeros_like(points)
    for shift in range(-reach, reach + 1):
        total += np.roll(points, shift, axis=0)
    return total / (2 * reach + 1)


def _at(ends: np.ndarray, along: np.ndarray, at_m: np.ndarray) -> np.ndarray:
    """Returns the points (T, 2) at distances `at_m` (T,) along a loop."""
    return np.stack([np.interp(at_m, along, ends[:, axis]) for axis in (0, 1)], axis=1)


@dataclass(frozen=True)
class Clothes:
    """The colours of a person, in the order of DYED."""

    vest: Rgb
    trousers: Rgb
    helmet: Rgb
    skin: Rgb


def add_people(spec: mujoco.MjSpec, names: Sequence[str]) -> None:
    """Adds people as bodies `names`; `People` moves them."""
    for place, name in enumerate(names):
        add_person_shape(spec, name).pos = parked_w(place)


class People:
    """M people in N worlds."""

    def __init__(
        self, engine: Engine, names: Sequence[str], ahead_s: Sequence[float]
    ) -> None:
        """Finds the people in the model.

        Args:
            engine: the worlds.
            names: of their bodies, which were added one after the other.
            ahead_s: T times from now, s, for `places_ahead_w`.
        """
        xp = engine.xp
        model = engine.model
        num = engine.num_worlds
        count = len(names)
        self._engine = engine
        self._xp = xp
        self._names = tuple(names)
        self._mocap = columns([int(model.body(name).mocapid[0]) for name in names])
        # trunk and limbs of everyone
        first = model.body(names[0]).id
        self._bodies = slice(first, first + count * (1 + len(limbs())))
        self._now = xp.asarray([0.0])
        self._ahead_s = xp.asarray(list(ahead_s))
        self._geoms = [_geoms_of(model, name) for name in names]
        for field in ("body_quat", "geom_rgba"):
            engine.model_view(field)  # worlds will differ in it

        quats, sinking = stride_poses()
        self._quats = xp.asarray(quats)  # (rows, 9, 4)
        self._sinking = xp.asarray(sinking)  # (rows,) m
        # a factor for the columns of those who stand: no amplitude
        self._standing = xp.asarray([1.0, 1.0, 1.0, 1.0, 0.0])
        self._worlds = xp.arange(num)[:, None, None]  # (N, 1, 1)
        self._people = xp.arange(count)[None, :, None]  # (1, M, 1)
        self._memory = {
            "walks": xp.zeros((num, count, SAMPLES + 1, 5)),
            "walk_period_s": xp.ones((num, count)),
            "walk_start_s": xp.zeros((num, count)),
            # when they halt, and when they go on, s; NEVER_S for those who don't
            "halt_s": xp.full((num, count), NEVER_S),
            "going_on_s": xp.full((num, count), NEVER_S),
            "walker_z": xp.zeros((num, count)),  # m, overhead for those who are absent
        }

    def memory(self) -> Mapping[str, Array]:
        """Returns the walks, live (N, ...) arrays by name: a part of a task's memory."""
        return self._memory

    def start(
        self, world: int, walks: Sequence[Walk], clothes: Sequence[Clothes]
    ) -> None:
        """Gives the first people of one world their walks and clothes; others leave."""
        xp = self._xp
        memory = self._memory
        for person in range(len(self._names)):
            is_present = person < len(walks)
            self._dye(world, person, clothes[person] if is_present else None)

            # an absent person stands where it is parked
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

    def _dye(self, world: int, person: int, clothes: Clothes | None) -> None:
        """Colours one person of one world; None makes it invisible."""
        rgba = self._engine.model_view("geom_rgba")
        for garment, geoms in self._geoms[person].items():
            for geom in geoms:
                rgba[world, geom, 3] = INVISIBLE if clothes is None else 1.0
                if clothes is not None and garment in DYED:
                    colour = self._xp.asarray(getattr(clothes, garment))
                    rgba[world, geom, :3] = colour

    def move(self, tick: Array) -> None:
        """Moves everyone to where they are at the worlds' clocks `tick` (N,)."""
        now = self._look_up(tick, self._now)[:, :, 0]  # (N, M, 5)
        pos, quat, body_quats = self._poses(now, self._memory["walker_z"])
        engine = self._engine
        engine.view("mocap_pos")[:, self._mocap] = pos
        engine.view("mocap_quat")[:, self._mocap] = quat
        engine.model_view("body_quat")[:, self._bodies] = body_quats

    def _pose_one(self, world: int) -> None:
        """Moves the people of one world to where they start."""
        tick = self._xp.zeros(self._engine.num_worlds, dtype=self._xp.int64)
        now = self._look_up(tick, self._now)[world : world + 1, :, 0]  # (1, M, 5)
        height = self._memory["walker_z"][world : world + 1]
        pos, quat, body_quats = self._poses(now, height)
        engine = self._engine
        engine.view("mocap_pos")[world, self._mocap] = pos[0]
        engine.view("mocap_quat")[world, self._mocap] = quat[0]
        engine.model_view("body_quat")[world, self._bodies] = body_quats[0]

    def is_present(self) -> Array:
        """Returns (N, M) bool, who takes part in the episode."""
        return self._memory["walker_z"] == 0.0

    def places_w(self) -> Array:
        """Returns (N, M, 2) m, x and y of where everyone is."""
        return self._engine.view("mocap_pos")[:, self._mocap, :2]

    def places_ahead_w(self, tick: Array) -> Array:
        """Returns (N, M, T, 2) m, x and y of where everyone will be some time ahead.

        Who takes no part is at (AWAY_M, AWAY_M).

        Args:
            tick: (N,) the worlds' clocks.
        """
        places = self._look_up(tick, self._ahead_s)[..., :2]
        is_present = self.is_present()[:, :, None, None]
        return self._xp.where(is_present, places, AWAY_M)

    def _look_up(self, tick: Array, ahead_s: Array) -> Array:
        """Returns the walks at times after the clocks (N,), interpolated: (N, M, T, 5).

        Who has halted stays there as far as one can tell.
        """
        xp = self._xp
        memory = self._memory
        now_s = xp.astype(tick, xp.float64)[:, None] / PHYSICS_HZ  # (N, 1)
        halted_s = xp.minimum(xp.maximum(now_s, memory["halt_s"]), memory["going_on_s"])
        walked_s = now_s - (halted_s - memory["halt_s"])  # (N, M)
        is_walking = (now_s < memory["halt_s"]) | (now_s >= memory["going_on_s"])
        going = xp.astype(is_walking, xp.float64)[..., None]
        walked_s = walked_s + memory["walk_start_s"]
        time_s = walked_s[..., None] + going * ahead_s  # (N, M, T)

        # the rows of the walk before and after that time
        turns = time_s / memory["walk_period_s"][..., None]
        row = (turns - xp.floor(turns)) * SAMPLES
        first = xp.clip(xp.astype(row, xp.int64), 0, SAMPLES - 1)
        share = (row - first)[..., None]
        walks = memory["walks"]
        before = walks[self._worlds, self._people, first]
        after = walks[self._worlds, self._people, first + 1]
        found = before + share * (after - before)
        # a person who has halted takes no steps
        return found * xp.where(is_walking[..., None, None], 1.0, self._standing)

    def _poses(self, now: Array, height_m: Array) -> tuple[Array, Array, Array]:
        """Returns the poses of people.

        Args:
            now: (n, M, 5) columns of their walks.
            height_m: (n, M) of the ground that they stand on.

        Returns:
            (n, M, 3) m, (n, M, 4) wxyz, and the rotations of trunks and limbs (n, 9 M, 4)
            wxyz.
        """
        xp = self._xp
        strides = now[..., STRIDES]
        phase = xp.astype((strides - xp.floor(strides)) * PHASES, xp.int64)
        size = xp.astype(now[..., AMPLITUDE] * (AMPLITUDES - 1) + 0.5, xp.int64)
        pose = size * PHASES + xp.clip(phase, 0, PHASES - 1)  # (n, M)

        z = height_m - self._sinking[pose]
        pos = xp.concat([now[..., :2], z[..., None]], axis=-1)
        half_yaw = now[..., HALF_YAW]
        zero = xp.zeros_like(half_yaw)
        quat = xp.stack([xp.cos(half_yaw), zero, zero, xp.sin(half_yaw)], axis=-1)
        body_quats = xp.reshape(self._quats[pose], (now.shape[0], -1, 4))
        return pos, quat, body_quats


def _geoms_of(model: mujoco.MjModel, person: str) -> dict[str, list[int]]:
    """Returns part -> ids of the geoms that show it, such as the vest's."""
    geoms: dict[str, list[int]] = {}
    for geom in range(model.ngeom):
        name = model.geom(geom).name
        if name.startswith(f"{person}_"):
            part = name.removeprefix(f"{person}_").rsplit("_", 1)[0]
            geoms.setdefault(part, []).append(geom)
    return geoms
