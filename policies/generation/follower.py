"""A controller that repeats demonstrated paths of the hand relative to a world's objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from embodied.arrays import dot
from embodied.core import PHYSICS_HZ, Array, Observation, PolicySpec
from embodied.envs.worlds import Worlds
from embodied.plan import Payload
from embodied.policies.generation.choosing import (
    choose_demonstration,
    nearest_substitute,
)
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

# The demonstrated path waits at its current row while the hand is farther than a limit from
# that row's position. This is the limit on the way to an object, where precision is not
# needed.
WAY_M = 0.05
# The limit near the object, where the hand grasps, inserts or sets down.
NEAR_M = 0.012
# The limits at the step at which the hand arrives at the object, for its position and for
# its rotation. They are the narrowest, because errors of the grasp remain afterwards.
ARRIVED_M = 0.006
ARRIVED_RAD = 0.06
# In each segment, the path waits near the object or on arrival for at most this long in
# total, because a contact may keep the hand from coming any closer.
PATIENCE_S = 1.0
# The world gives up if its path has waited for this long without a break, or has ended this
# long ago: then the episode is lost, and would only take time.
GIVE_UP_S = 6.0
NO_ROW = -1  # the row of a world that follows no segment
NO_OBJECT = -1  # the guided object of an empty hand


class Follower:
    """The controller of N worlds, which follows segments of demonstrations.

    It ignores the plans. In each world, it goes through the rows of a segment (`Rows`), one
    per control step, and waits at a row while the hand is too far from its target. It moves
    the guided point, which is the object in the hand, or the hand itself if it is empty, to
    the same positions relative to the anchor as in the demonstration. The path begins where
    the guided point is, and blends into the demonstrated path on the way to the anchor.
    """

    def __init__(self, worlds: Worlds, library: Library) -> None:
        """Creates the state of worlds in which no episode has begun.

        Args:
            worlds: the worlds to act in.
            library: the segments of all demonstrations.
        """
        n = worlds.num_worlds  # N
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
        self._was_reset = np.zeros(n, bool)  # whether a world was ever reset
        # per world: the segments of the chosen demonstration, and the segments that the
        # world has followed so far
        self._chosen: list[list[LibrarySegment]] = [[] for _ in range(n)]
        self._followed: list[list[LibrarySegment]] = [[] for _ in range(n)]

        # (N,) the current row of the library, and the row after the current segment's last
        self._row = np.full(n, NO_ROW)
        self._stop_row = np.zeros(n, np.int64)
        # (N,) indices into `_names`: the anchor, and the object in the hand
        self._anchor = np.zeros(n, np.int64)
        self._guided = np.full(n, NO_OBJECT)
        # (N,) numbers of control steps for which the path has waited: without a break until
        # now; and in total near the anchor or on arrival, in this segment
        self._waited = np.zeros(n, np.int64)
        self._waited_near = np.zeros(n, np.int64)
        # (N, 3) at the start of the segment: from the demonstrated path to the guided
        # point, m; and from the demonstrated rotation to the hand's, a rotation vector
        self._start_offset_m = np.zeros((n, 3))
        self._start_offset_rad = np.zeros((n, 3))
        # (N, 4) the anchor's current rotation; from the hand's arrival on it is kept,
        # because the hand may turn the anchor, and its path must not turn with it
        self._anchor_quat = np.zeros((n, 4))
        # the O objects at the last observation, from which their velocities are computed
        self._last_pos = np.zeros((n, 0, 3))  # (N, O, 3) m
        self._last_tick = np.zeros(n, np.int64)
        self._velocity = np.zeros((n, 0, 3))  # (N, O, 3) m/s
        self._was_seen = np.zeros(n, bool)  # whether this episode was observed before

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Begins episodes in worlds `ids` (n,).

        Their demonstrations are chosen at the next observation, which shows the objects.
        """
        for world in np.asarray(ids).tolist():
            self._chosen[world] = []
            self._followed[world] = []
        self._was_reset[ids] = True
        self._row[ids] = NO_ROW
        self._was_seen[ids] = False
        self._velocity[ids] = 0.0
        self._waited[ids] = 0

    def followed_segments(self, world: int) -> list[LibrarySegment]:
        """Returns the segments that a world has followed so far."""
        return self._followed[world]

    def act(self, observation: Observation, payload: Payload, age_s: Array) -> Array:
        """Returns actions (N, A) along the paths; NaN in worlds that give up."""
        ids = np.flatnonzero(self._was_reset)
        all_scenes = self._scene_reader.read(observation)
        self._update_velocities(all_scenes)
        if not len(ids):
            return self._servo.rest(observation)
        scene = all_scenes.rows(ids)
        self._begin_due_segments(ids, scene)
        targets, is_waiting = self._targets(ids, scene)

        # take the next row, except where the hand is off the path, or the path is over
        is_over = self._row[ids] == self._stop_row[ids] - 1
        stays = is_waiting | is_over
        self._waited[ids] = np.where(stays, self._waited[ids] + 1, 0)
        self._row[ids] += ~stays  # adds 1 for True

        # worlds without an episode rest; NaN ends the episodes of worlds that give up
        actions = self._servo.rest(observation)
        actions[ids] = self._servo.act(observation.agent_pos[ids], targets)
        gives_up = self._waited * self._dt_s > GIVE_UP_S
        actions[gives_up & (self._row != NO_ROW)] = np.nan
        return actions

    def _targets(self, ids: np.ndarray, scene: Scene) -> tuple[HandTargets, np.ndarray]:
        """Returns the targets of the hands, and whether each path must wait, (n,) bool.

        Args:
            ids: (n,) the worlds.
            scene: the scene in these worlds.
        """
        rows = self._rows
        row = self._row[ids]
        world_rows = np.arange(len(ids))
        way_share = rows.way_share[row]  # (n,) done share of the way to the anchor
        is_near = way_share >= 1
        # the anchor's rotation follows the scene until the hand is near
        self._anchor_quat[ids] = np.where(
            is_near[:, None],
            self._anchor_quat[ids],
            scene.quat_wxyz[world_rows, self._anchor[ids]],
        )
        turn = self._turn(ids, row)  # from the demonstrated axes to the present ones

        # The target of the guided point is its demonstrated position relative to the anchor,
        # plus what remains of the offset at the segment's start. The offset fades to zero by
        # a smooth step, 3 s^2 - 2 s^3.
        remaining = (1 - way_share * way_share * (3 - 2 * way_share))[:, None]
        guided_w = self._moved_with_anchor(ids, scene, row, turn)
        guided_w += remaining * self._start_offset_m[ids]
        error_m = guided_w - self._guided_pos_w(ids, scene)
        quat = quat_multiply(turn, rows.hand_quat_wxyz[row])
        start_rotation = quat_from_rotvec(remaining * self._start_offset_rad[ids])
        quat = quat_multiply(start_rotation, quat)
        error_rad = quat_to_rotvec(
            quat_multiply(quat, quat_conjugate(scene.hand_quat_wxyz))
        )

        # a path that waits adds no velocity of its own; an empty hand still moves along with
        # an anchor that moves, such as a parcel on a belt
        is_waiting = self._update_waiting(ids, row, error_m, error_rad)
        moves = ~is_waiting[:, None]
        is_holding = self._guided[ids] != NO_OBJECT
        anchor_velocity = self._velocity[ids][world_rows, self._anchor[ids]]
        anchor_velocity = np.where(is_holding[:, None], 0.0, anchor_velocity)
        targets = HandTargets(
            velocity=anchor_velocity + moves * quat_rotate(turn, rows.velocity[row]),
            turning=moves * quat_rotate(turn, rows.turning[row]),
            error_m=error_m,
            error_rad=error_rad,
            grip=rows.grip[row],
            mount=rows.mount[row],
            mount_velocity=moves * rows.mount_velocity[row],
            hand_pos_w=scene.hand_pos_w,
        )
        return targets, is_waiting

    def _update_waiting(
        self,
        ids: np.ndarray,
        row: np.ndarray,
        error_m: np.ndarray,
        error_rad: np.ndarray,
    ) -> np.ndarray:
        """Counts the steps of waiting, and returns whether each path must wait, (n,) bool.

        A path waits until the hand is near enough to its target; on arrival at the anchor
        the hand must be nearest.

        Args:
            ids: (n,) the worlds.
            row: (n,) rows of the library.
            error_m: (n, 3) the vectors from the guided points to their targets.
            error_rad: (n, 3) the rotation vectors from the hands to their targets.
        """
        # (R,) the share of the way to the anchor that is done, 1 from the arrival on
        way_share = self._rows.way_share
        next_row = np.minimum(row + 1, len(way_share) - 1)
        is_near = way_share[row] >= 1
        is_arriving = ~is_near & (way_share[next_row] >= 1)

        distance_m = np.sqrt(dot(error_m, error_m))
        limit_m = np.where(is_near, NEAR_M, WAY_M)
        is_waiting = distance_m > np.where(is_arriving, ARRIVED_M, limit_m)
        # a hand that holds an object need not have the demonstrated rotation, because the
        # object may be turned by something else, as a drawer's handle is
        angle_rad = np.sqrt(dot(error_rad, error_rad))
        is_empty = self._guided[ids] == NO_OBJECT
        is_waiting |= is_arriving & (angle_rad > ARRIVED_RAD) & is_empty

        # where the limits are narrow, the time of waiting is limited, too
        is_limited = is_near | is_arriving
        has_patience = self._waited_near[ids] * self._dt_s < PATIENCE_S
        is_waiting &= ~is_limited | has_patience
        self._waited_near[ids] += is_waiting & is_limited
        return is_waiting

    def _turn(self, ids: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Returns the rotations (n, 4) from the demonstrated to the current anchors.

        Args:
            ids: (n,) the worlds.
            row: (n,) rows of the library.
        """
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
            turn: (n, 4) the rotations from the demonstrated to the current anchors.
        """
        rows = self._rows
        anchor = scene.pos_w[np.arange(len(ids)), self._anchor[ids]]
        from_anchor = rows.guided_pos_w[row] - rows.anchor_pos_w[row]
        return anchor + quat_rotate(turn, from_anchor)

    def _guided_pos_w(self, ids: np.ndarray, scene: Scene) -> np.ndarray:
        """Returns the guided points (n, 3) m: the objects in the hands, or empty hands."""
        guided = self._guided[ids]
        # the maximum only makes NO_OBJECT a valid index; its result is not used below
        objects = scene.pos_w[np.arange(len(ids)), np.maximum(guided, 0)]
        return np.where((guided != NO_OBJECT)[:, None], objects, scene.hand_pos_w)

    def _update_velocities(self, scene: Scene) -> None:
        """Updates the velocities of the objects in all worlds.

        A velocity is the change of position since the last observation.
        """
        if not self._names:
            self._names = scene.names
            self._last_pos = np.zeros((len(self._row), len(scene.names), 3))
            self._velocity = np.zeros_like(self._last_pos)

        # A world that was observed at this tick before keeps its velocities. Where no time
        # has passed, the period 1 s only avoids a division by zero.
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
        """Begins the next segment in worlds without a segment, or at a segment's last row.

        Args:
            ids: (n,) the worlds.
            scene: the scene in these worlds.
        """
        is_at_end = self._row[ids] >= self._stop_row[ids] - 1
        is_due = (self._row[ids] == NO_ROW) | is_at_end
        for k in np.flatnonzero(is_due).tolist():
            world = int(ids[k])
            object_states = scene.object_states(k)
            if not self._chosen[world]:
                self._chosen[world] = choose_demonstration(self._library, object_states)

            # after the last segment, the path stays at its last row
            next_index = len(self._followed[world])
            if next_index < len(self._chosen[world]):
                chosen = self._chosen[world][next_index]
                segment = nearest_substitute(self._library, chosen, object_states)
                self._followed[world].append(segment)
                self._begin(world, segment, scene, k)

    def _begin(self, world: int, segment: LibrarySegment, scene: Scene, k: int) -> None:
        """Begins a segment in a world.

        Args:
            world: the index of the world.
            segment: the segment to follow.
            scene: the scene in n worlds.
            k: the world's row in `scene`.
        """
        # the rows and objects of the segment; an empty hand guides itself
        self._row[world] = segment.first_row
        self._stop_row[world] = segment.stop_row
        self._anchor[world] = self._names.index(segment.anchor)
        self._guided[world] = NO_OBJECT
        if segment.carried:
            self._guided[world] = self._names.index(segment.carried)
        self._anchor_quat[world] = scene.quat_wxyz[k, self._anchor[world]]
        self._waited[world] = 0
        self._waited_near[world] = 0

        # the offsets of the guided point and of the hand's rotation from the path's start
        ids = np.array([world])
        own_scene = scene.rows(np.array([k]))
        row = self._row[ids]
        turn = self._turn(ids, row)
        path_start_w = self._moved_with_anchor(ids, own_scene, row, turn)
        self._start_offset_m[ids] = self._guided_pos_w(ids, own_scene) - path_start_w
        path_quat = quat_multiply(turn, self._rows.hand_quat_wxyz[row])
        self._start_offset_rad[ids] = quat_to_rotvec(
            quat_multiply(own_scene.hand_quat_wxyz, quat_conjugate(path_quat))
        )
