"""A controller that does in each world what demonstrations did, relative to its objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from embodied.arrays import dot
from embodied.core import PHYSICS_HZ, Array, Observation, Payload, PolicySpec
from embodied.envs.worlds import Worlds
from embodied.policies.generation.choosing import choose_demonstration, nearest
from embodied.policies.generation.library import Library, Way
from embodied.policies.generation.scene import Eyes, Scene
from embodied.policies.generation.servo import HandServo, Wanted
from embodied.rotations import (
    quat_conjugate,
    quat_from_rotvec,
    quat_multiply,
    quat_rotate,
    quat_to_rotvec,
)

# The path waits where the hand is farther than this from it: on the way to an object,
# near it, and before the hand goes from the one to the other.
WAY_M = 0.05
NEAR_M = 0.012
ARRIVED_M = 0.006
ARRIVED_RAD = 0.06
# Near an object, which may not let the hand come nearer, it waits no longer than this in
# a segment. A hand that has waited this long on its way, or has nothing more to do, gives
# up.
PATIENCE_S = 1.0
GIVE_UP_S = 6.0
NO_WAY = -1


class Follower:
    """The controller of N worlds; plans tell it nothing.

    A path is followed by its own clock, which waits for the hand. Its way to an object
    begins where the hand is, and from there on nears the demonstrated one.
    """

    def __init__(self, worlds: Worlds, library: Library) -> None:
        n = worlds.num_worlds
        self.spec = PolicySpec(
            control_mode="ee_delta",
            control_hz=worlds.config.control_hz,
            privileged=True,
        )
        self._library = library
        self._rows = library.rows
        self._eyes = Eyes(worlds)
        self._dt_s = 1 / worlds.config.control_hz
        self._servo = HandServo(worlds)

        # the names of the objects, once a world has shown them
        self._names: list[str] = []
        self._is_begun = np.zeros(n, bool)  # whether a world was ever reset
        # of each world: what it does, one segment after the other, and which it has done
        self._plan: list[list[Way]] = [[] for _ in range(n)]
        self._done: list[list[Way]] = [[] for _ in range(n)]

        # (N,) the row of the library at which each world is, and the one after its
        # segment
        self._row = np.full(n, NO_WAY)
        self._stop_row = np.zeros(n, np.int64)
        self._anchor = np.zeros(n, np.int64)  # places in `_names`
        self._led = np.full(n, NO_WAY)  # of the object in the hand; -1 for none
        # (N,) control steps: how many in a row the hand has waited just now, and how
        # many in all near, or when arriving at, the object of its segment
        self._waited = np.zeros(n, np.int64)
        self._waited_near = np.zeros(n, np.int64)
        # how far the hand (or the object in it) and the hand's rotation were off the
        # path when the segment began
        self._off_m = np.zeros((n, 3))
        self._off_rad = np.zeros((n, 3))
        # how the object was turned when the hand arrived; and where it was just now
        self._anchor_quat = np.zeros((n, 4))
        self._last_pos = np.zeros((n, 0, 3))  # (N, O, 3)
        self._last_tick = np.zeros(n, np.int64)
        self._velocity = np.zeros((n, 0, 3))
        self._is_known = np.zeros(n, bool)

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Forgets the paths of worlds `ids` (n,); the next observation begins others."""
        for world in np.asarray(ids).tolist():
            self._plan[world] = []
            self._done[world] = []
        self._is_begun[ids] = True
        self._row[ids] = NO_WAY
        self._is_known[ids] = False
        self._velocity[ids] = 0.0
        self._waited[ids] = 0

    def followed_segments(self, world: int) -> list[Way]:
        """Returns the segments that a world has followed so far."""
        return self._done[world]

    def act(self, observation: Observation, payload: Payload, age_s: Array) -> Array:
        """Returns actions (N, A) along the paths; not a number where one gives up."""
        ids = np.flatnonzero(self._is_begun)
        scene = self._eyes.look(observation)
        self._measure(scene)
        if not len(ids):
            return self._servo.rest(observation)
        here = scene.rows(ids)
        self._begin(ids, here)
        wanted, is_waiting = self._wanted(ids, here)

        # the path's clock goes on where the hand is on it, and stops at its end
        is_over = self._row[ids] == self._stop_row[ids] - 1
        stays = is_waiting | is_over
        self._waited[ids] = np.where(stays, self._waited[ids] + 1, 0)
        self._row[ids] += ~stays  # by one row, or none
        actions = self._servo.rest(observation)
        actions[ids] = self._servo.act(observation.agent_pos[ids], wanted)
        gives_up = self._waited * self._dt_s > GIVE_UP_S
        actions[gives_up & (self._row >= 0)] = np.nan
        return actions

    def _wanted(self, ids: np.ndarray, scene: Scene) -> tuple[Wanted, np.ndarray]:
        """Returns what the hands are to do now, and which (n,) must wait for it."""
        rows = self._rows
        row = self._row[ids]
        num = np.arange(len(ids))
        share = rows.share[row]
        is_near = share >= 1
        turn = self._turn(ids, row)
        self._anchor_quat[ids] = np.where(
            is_near[:, None],
            self._anchor_quat[ids],
            scene.quat_wxyz[num, self._anchor[ids]],
        )

        # What is led is to be where it was relative to the object, plus what is left of
        # the first offset: that fades smoothly from all to none on the way.
        left = (1 - share * share * (3 - 2 * share))[:, None]
        led = self._taken_along(ids, scene, row, turn, rows.led_pos_w[row])
        error_m = led + left * self._off_m[ids] - self._led_pos_w(ids, scene)
        quat = quat_multiply(turn, rows.hand_quat_wxyz[row])
        quat = quat_multiply(quat_from_rotvec(left * self._off_rad[ids]), quat)
        error_rad = quat_to_rotvec(
            quat_multiply(quat, quat_conjugate(scene.hand_quat_wxyz))
        )

        # whether the hand must wait: it arrives more exactly than it comes
        away_m = np.sqrt(dot(error_m, error_m))
        away_rad = np.sqrt(dot(error_rad, error_rad))
        is_arriving = ~is_near & (
            rows.share[np.minimum(row + 1, len(rows.share) - 1)] >= 1
        )
        limit_m = np.where(is_near, NEAR_M, WAY_M)
        is_waiting = away_m > np.where(is_arriving, ARRIVED_M, limit_m)
        # what is in the hand may be turned by something else, as a drawer's handle is
        is_led = self._led[ids] >= 0
        is_waiting |= is_arriving & (away_rad > ARRIVED_RAD) & ~is_led
        is_exact = is_near | is_arriving
        is_waiting &= ~is_exact | (self._waited_near[ids] * self._dt_s < PATIENCE_S)
        self._waited_near[ids] += is_waiting & is_exact

        goes = ~is_waiting[:, None]
        is_led = is_led[:, None]
        drift = np.where(is_led, 0.0, self._velocity[ids][num, self._anchor[ids]])
        wanted = Wanted(
            velocity=drift + goes * quat_rotate(turn, rows.velocity[row]),
            turning=goes * quat_rotate(turn, rows.turning[row]),
            error_m=error_m,
            error_rad=error_rad,
            grip=rows.grip[row],
            mount=rows.mount[row],
            mount_velocity=goes * rows.mount_velocity[row],
            hand_pos_w=scene.hand_pos_w,
        )
        return wanted, is_waiting

    def _turn(self, ids: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Returns the rotations (n, 4) by which the demonstrated paths are turned."""
        then = self._rows.anchor_quat_wxyz[row]
        return quat_multiply(self._anchor_quat[ids], quat_conjugate(then))

    def _taken_along(
        self,
        ids: np.ndarray,
        scene: Scene,
        row: np.ndarray,
        turn: np.ndarray,
        points: np.ndarray,
    ) -> np.ndarray:
        """Returns points (n, 3) of the demonstrations, moved with their objects."""
        anchor = scene.pos_w[np.arange(len(ids)), self._anchor[ids]]
        return anchor + quat_rotate(turn, points - self._rows.anchor_pos_w[row])

    def _led_pos_w(self, ids: np.ndarray, scene: Scene) -> np.ndarray:
        """Returns where (n, 3) the object in the hand is, or without one the hand."""
        led = self._led[ids]
        things = scene.pos_w[np.arange(len(ids)), np.maximum(led, 0)]
        return np.where((led >= 0)[:, None], things, scene.hand_pos_w)

    def _measure(self, scene: Scene) -> None:
        """Measures how fast the objects of all worlds move."""
        if not self._names:
            self._names = scene.names
            self._last_pos = np.zeros((len(self._row), len(scene.names), 3))
            self._velocity = np.zeros_like(self._last_pos)

        # a world that was seen at this tick before keeps its velocity
        passed_s = (scene.tick - self._last_tick) / PHYSICS_HZ
        is_later = (passed_s > 0) & self._is_known
        period_s = np.where(is_later, passed_s, 1.0)[:, None, None]
        velocity = (scene.pos_w - self._last_pos) / period_s
        is_later = is_later[:, None, None]
        self._velocity = np.where(is_later, velocity, self._velocity)
        self._last_pos = scene.pos_w
        self._last_tick = scene.tick.copy()
        self._is_known[:] = True

    def _begin(self, ids: np.ndarray, scene: Scene) -> None:
        """Begins the next segment in those of worlds `ids` that have none, or ended it."""
        is_due = (self._row[ids] < 0) | (self._row[ids] >= self._stop_row[ids] - 1)
        for k in np.flatnonzero(is_due).tolist():
            world = int(ids[k])
            sights = scene.sights(k)
            if not self._plan[world]:
                self._plan[world] = choose_demonstration(self._library, sights)
            number = len(self._done[world])
            if number < len(self._plan[world]):
                way = nearest(self._library, self._plan[world][number], sights)
                self._done[world].append(way)
                self._start(world, way, scene, k)

    def _start(self, world: int, way: Way, scene: Scene, k: int) -> None:
        """Puts a world at the beginning of a segment; `k` is its row in the scene."""
        self._row[world] = way.first_row
        self._stop_row[world] = way.stop_row
        self._anchor[world] = self._names.index(way.anchor)
        self._led[world] = self._names.index(way.carried) if way.carried else NO_WAY
        self._anchor_quat[world] = scene.quat_wxyz[k, self._anchor[world]]
        self._waited[world] = 0
        self._waited_near[world] = 0

        # how far hand or object are from where the path begins
        ids = np.array([world])
        here = scene.rows(np.array([k]))
        row = self._row[ids]
        turn = self._turn(ids, row)
        led = self._taken_along(ids, here, row, turn, self._rows.led_pos_w[row])
        self._off_m[ids] = self._led_pos_w(ids, here) - led
        quat = quat_multiply(turn, self._rows.hand_quat_wxyz[row])
        self._off_rad[ids] = quat_to_rotvec(
            quat_multiply(here.hand_quat_wxyz, quat_conjugate(quat))
        )
