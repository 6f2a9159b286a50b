"""A controller that does in each world what demonstrations did, relative to its objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from embodied.arrays import dot
from embodied.core import PHYSICS_HZ, Array, Observation, Payload, PolicySpec
from embodied.envs.worlds import Worlds
from embodied.policies.generation.choosing import choose_demonstration, nearest
from embodied.policies.generation.library import Library, LibrarySegment
from embodied.policies.generation.scene import Scene, SceneReader
from embodied.policies.generation.servo import HandServo, HandTargets
from embodied.rotations import (
    quat_conjugate,
    quat_from_rotvec,
    quat_multiply,
    quat_rotate,
    quat_to_rotvec,
)

# The demonstrated path stands still while the hand is farther from it than a limit. On the
# way to an object, the limit is wide.
WAY_M = 0.05
# Near the object, it is narrow.
NEAR_M = 0.012
# At the step at which the hand arrives at the object, it is narrowest, and the rotation has
# a limit, too.
ARRIVED_M = 0.006
ARRIVED_RAD = 0.06
# The longest time in a segment for which the path stands still near the object or on
# arrival. It is limited, because a contact may keep the hand from coming any closer.
PATIENCE_S = 1.0
# The world gives up if its path has stood still for this long without a break, or has ended
# this long ago.
GIVE_UP_S = 6.0
NO_ROW = -1  # the row of a world without a segment
NO_OBJECT = -1  # the guided object of an empty hand


class Follower:
    """The controller of N worlds, which follows segments of demonstrations.

    It needs no plans. In each world, it goes through the rows of a segment (`Rows`), one per
    control step, and waits at a row while the hand is too far from it. The demonstrated path
    is moved along with its anchor: it guides a point, which is the object in the hand, or the
    hand itself if it is empty, to the same positions relative to the anchor. The path begins
    where the guided point is, and blends into the demonstrated one on the way to the anchor.
    """

    def __init__(self, worlds: Worlds, library: Library) -> None:
        """Begins without episodes; `library` has the demonstrations' segments."""
        n = worlds.num_worlds
        self.spec = PolicySpec(
            control_mode="ee_delta",
            control_hz=worlds.config.control_hz,
            privileged=True,
        )
        self._library = library
        self._rows = library.rows
        self._scene_reader = SceneReader(worlds)
        self._dt_s = 1 / worlds.config.control_hz
        self._servo = HandServo(worlds)

        # the names of the objects, once a world has shown them
        self._names: list[str] = []
        self._is_begun = np.zeros(n, bool)  # whether a world was ever reset
        # per world: the segments of the chosen demonstration, and those followed so far
        self._chosen: list[list[LibrarySegment]] = [[] for _ in range(n)]
        self._followed: list[list[LibrarySegment]] = [[] for _ in range(n)]

        # (N,) the current row of the library, and the row after the current segment
        self._row = np.full(n, NO_ROW)
        self._stop_row = np.zeros(n, np.int64)
        # (N,) indices into `_names`: the anchor, and the object in the hand
        self._anchor = np.zeros(n, np.int64)
        self._guided = np.full(n, NO_OBJECT)
        # (N,) numbers of control steps for which the path has stood still: without a break
        # until now; and in this segment, near the anchor or on arrival
        self._waited = np.zeros(n, np.int64)
        self._waited_near = np.zeros(n, np.int64)
        # (N, 3) at the start of the segment: from the demonstrated path to the guided
        # point, m; and from the demonstrated rotation to the hand's, a rotation vector
        self._start_offset_m = np.zeros((n, 3))
        self._start_offset_rad = np.zeros((n, 3))
        # (N, 4) the anchor's rotation until the hand arrives; from then on it is kept, as
        # the hand may turn the anchor
        self._anchor_quat = np.zeros((n, 4))
        # the objects at the last observation, for their velocities
        self._last_pos = np.zeros((n, 0, 3))  # (N, O, 3)
        self._last_tick = np.zeros(n, np.int64)
        self._velocity = np.zeros((n, 0, 3))  # (N, O, 3) m/s
        self._was_seen = np.zeros(n, bool)  # whether a last observation exists

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Forgets the paths of worlds `ids` (n,); new ones begin at the next observation."""
        for world in np.asarray(ids).tolist():
            self._chosen[world] = []
            self._followed[world] = []
        self._is_begun[ids] = True
        self._row[ids] = NO_ROW
        self._was_seen[ids] = False
        self._velocity[ids] = 0.0
        self._waited[ids] = 0

    def followed_segments(self, world: int) -> list[LibrarySegment]:
        """Returns the segments that a world has followed so far."""
        return self._followed[world]

    def act(self, observation: Observation, payload: Payload, age_s: Array) -> Array:
        """Returns actions (N, A) along the paths; NaN in worlds that give up."""
        ids = np.flatnonzero(self._is_begun)
        scene = self._scene_reader.read(observation)
        self._update_velocities(scene)
        if not len(ids):
            return self._servo.rest(observation)
        here = scene.rows(ids)
        self._begin_due_segments(ids, here)
        targets, is_waiting = self._targets(ids, here)

        # go on to the next row where the hand is on the path; stay at the path's last row
        is_over = self._row[ids] == self._stop_row[ids] - 1
        stays = is_waiting | is_over
        self._waited[ids] = np.where(stays, self._waited[ids] + 1, 0)
        self._row[ids] += ~stays  # by one row, or none
        actions = self._servo.rest(observation)
        actions[ids] = self._servo.act(observation.agent_pos[ids], targets)
        gives_up = self._waited * self._dt_s > GIVE_UP_S
        actions[gives_up & (self._row >= 0)] = np.nan
        return actions

    def _targets(self, ids: np.ndarray, scene: Scene) -> tuple[HandTargets, np.ndarray]:
        """Returns the targets of the hands, and whether each path (n,) must stand still."""
        rows = self._rows
        row = self._row[ids]
        each = np.arange(len(ids))
        share = rows.share[row]  # (n,) of the way to the anchor; 1 near it
        is_near = share >= 1
        turn = self._turn(ids, row)
        self._anchor_quat[ids] = np.where(
            is_near[:, None],
            self._anchor_quat[ids],
            scene.quat_wxyz[each, self._anchor[ids]],
        )

        # The target of the guided point is its demonstrated position relative to the anchor,
        # plus what remains of the offset at the segment's start. The offset fades to zero by
        # a smooth step, 3 s^2 - 2 s^3.
        remaining = (1 - share * share * (3 - 2 * share))[:, None]
        guided_w = self._moved_with_anchor(ids, scene, row, turn)
        guided_w += remaining * self._start_offset_m[ids]
        error_m = guided_w - self._guided_pos_w(ids, scene)
        quat = quat_multiply(turn, rows.hand_quat_wxyz[row])
        quat = quat_multiply(
            quat_from_rotvec(remaining * self._start_offset_rad[ids]), quat
        )
        error_rad = quat_to_rotvec(
            quat_multiply(quat, quat_conjugate(scene.hand_quat_wxyz))
        )

        # the path stands still until the hand is near enough; on arrival it must be nearest
        distance_m = np.sqrt(dot(error_m, error_m))
        angle_rad = np.sqrt(dot(error_rad, error_rad))
        next_row = np.minimum(row + 1, len(rows.share) - 1)
        is_arriving = ~is_near & (rows.share[next_row] >= 1)
        limit_m = np.where(is_near, NEAR_M, WAY_M)
        is_waiting = distance_m > np.where(is_arriving, ARRIVED_M, limit_m)
        # a hand that holds an object need not have the demonstrated rotation, because the
        # object may be turned by something else, as a drawer's handle is
        is_holding = self._guided[ids] != NO_OBJECT
        is_waiting |= is_arriving & (angle_rad > ARRIVED_RAD) & ~is_holding
        is_exact = is_near | is_arriving
        is_waiting &= ~is_exact | (self._waited_near[ids] * self._dt_s < PATIENCE_S)
        self._waited_near[ids] += is_waiting & is_exact

        # an empty hand moves along with an anchor that moves, such as a parcel on a belt
        goes_on = ~is_waiting[:, None]
        drift = np.where(
            is_holding[:, None], 0.0, self._velocity[ids][each, self._anchor[ids]]
        )
        targets = HandTargets(
            velocity=drift + goes_on * quat_rotate(turn, rows.velocity[row]),
            turning=goes_on * quat_rotate(turn, rows.turning[row]),
            error_m=error_m,
            error_rad=error_rad,
            grip=rows.grip[row],
            mount=rows.mount[row],
            mount_velocity=goes_on * rows.mount_velocity[row],
            hand_pos_w=scene.hand_pos_w,
        )
        return targets, is_waiting

    def _turn(self, ids: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Returns the rotations (n, 4) from the demonstrated anchors to the current ones."""
        demonstrated = self._rows.anchor_quat_wxyz[row]
        return quat_multiply(self._anchor_quat[ids], quat_conjugate(demonstrated))

    def _moved_with_anchor(
        self, ids: np.ndarray, scene: Scene, row: np.ndarray, turn: np.ndarray
    ) -> np.ndarray:
        """Returns the demonstrated guided points (n, 3) m, moved along with their anchors.

        Args:
            ids: (n,) the worlds.
            scene: the scene in these worlds.
            row: (n,) rows of the library.
            turn: (n, 4) the rotations from the demonstrated anchors to the current ones.
        """
        rows = self._rows
        anchor = scene.pos_w[np.arange(len(ids)), self._anchor[ids]]
        from_anchor = rows.guided_pos_w[row] - rows.anchor_pos_w[row]
        return anchor + quat_rotate(turn, from_anchor)

    def _guided_pos_w(self, ids: np.ndarray, scene: Scene) -> np.ndarray:
        """Returns the guided points (n, 3) m: the objects in the hands, or empty hands."""
        guided = self._guided[ids]
        objects = scene.pos_w[np.arange(len(ids)), np.maximum(guided, 0)]
        return np.where((guided != NO_OBJECT)[:, None], objects, scene.hand_pos_w)

    def _update_velocities(self, scene: Scene) -> None:
        """Updates the velocities of the objects in all worlds."""
        if not self._names:
            self._names = scene.names
            self._last_pos = np.zeros((len(self._row), len(scene.names), 3))
            self._velocity = np.zeros_like(self._last_pos)

        # a world that was observed at this tick before keeps its velocities
        passed_s = (scene.tick - self._last_tick) / PHYSICS_HZ
        is_later = (passed_s > 0) & self._was_seen
        period_s = np.where(is_later, passed_s, 1.0)[:, None, None]
        velocity = (scene.pos_w - self._last_pos) / period_s
        is_later = is_later[:, None, None]
        self._velocity = np.where(is_later, velocity, self._velocity)
        self._last_pos = scene.pos_w
        self._last_tick = scene.tick.copy()
        self._was_seen[:] = True

    def _begin_due_segments(self, ids: np.ndarray, scene: Scene) -> None:
        """Begins the next segment in worlds without one, and where one has ended."""
        is_due = (self._row[ids] < 0) | (self._row[ids] >= self._stop_row[ids] - 1)
        for k in np.flatnonzero(is_due).tolist():
            world = int(ids[k])
            object_states = scene.object_states(k)
            if not self._chosen[world]:
                self._chosen[world] = choose_demonstration(self._library, object_states)
            number = len(self._followed[world])
            if number < len(self._chosen[world]):
                chosen = self._chosen[world][number]
                segment = nearest(self._library, chosen, object_states)
                self._followed[world].append(segment)
                self._begin(world, segment, scene, k)

    def _begin(self, world: int, segment: LibrarySegment, scene: Scene, k: int) -> None:
        """Begins a segment in a world.

        Args:
            world: index of the world.
            segment: the segment to follow.
            scene: the scene in n worlds.
            k: the world's row in the scene.
        """
        self._row[world] = segment.first_row
        self._stop_row[world] = segment.stop_row
        self._anchor[world] = self._names.index(segment.anchor)
        self._guided[world] = NO_OBJECT
        if segment.carried:
            self._guided[world] = self._names.index(segment.carried)
        self._anchor_quat[world] = scene.quat_wxyz[k, self._anchor[world]]
        self._waited[world] = 0
        self._waited_near[world] = 0

        # the offset of the guided point from the beginning of the path
        ids = np.array([world])
        here = scene.rows(np.array([k]))
        row = self._row[ids]
        turn = self._turn(ids, row)
        guided_w = self._moved_with_anchor(ids, here, row, turn)
        self._start_offset_m[ids] = self._guided_pos_w(ids, here) - guided_w
        quat = quat_multiply(turn, self._rows.hand_quat_wxyz[row])
        self._start_offset_rad[ids] = quat_to_rotvec(
            quat_multiply(here.hand_quat_wxyz, quat_conjugate(quat))
        )
