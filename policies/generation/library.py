"""The library: the segments of all demonstrations in one table, ready to be followed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from embodied.arrays import dot
from embodied.policies.generation.motion import Motion, Segment
from embodied.rotations import quat_conjugate, quat_multiply, quat_to_rotvec

# Velocities are averaged over this time, because differences of single steps are noisy.
SMOOTH_S = 0.025
# In a pause, hand, gripper and mount are all slower than STILL_M_S and STILL_RAD_S for longer
# than PAUSE_S. Only its first KEPT_OF_PAUSE_S are kept.
PAUSE_S = 0.25
KEPT_OF_PAUSE_S = 0.1
STILL_M_S = 0.004
STILL_RAD_S = 0.03
# The choice of a segment compares objects by a difference in m: their distance, plus
# TURN_COST_M per rad of angle between them, plus TRAIT_COST_M per unit (m, or m/s) of
# difference in a trait. Traits weigh most, because a path for another size does not fit.
TURN_COST_M = 0.15
TRAIT_COST_M = 3.0


@dataclass(frozen=True)
class Rows:
    """A table of R control steps of segments.

    Attributes:
        hand_pos_w: (R, 3) m, the position of the hand.
        hand_quat_wxyz: (R, 4) the rotation of the hand.
        guided_pos_w: (R, 3) m, the position of the guided point: the object in the hand,
            or the hand itself if it is empty.
        anchor_pos_w: (R, 3) m, the position of the anchor, the object to which the hand's
            path is relative.
        anchor_quat_wxyz: (R, 4) the rotation of the anchor; from the hand's arrival on
            it keeps its value at that moment.
        velocity: (R, 3) m/s, the velocity of the hand relative to the anchor.
        turning: (R, 3) rad/s, the angular velocity of the hand.
        way_share: (R,) the share of the way to the anchor that is done; 1 from the hand's
            arrival on.
        grip: (R,) the gripper's command in [-1, 1].
        mount: (R, 4) x, y, z in m and yaw in rad of the part that carries the arm.
        mount_velocity: (R, 4) the change of `mount` per s.
    """

    hand_pos_w: np.ndarray
    hand_quat_wxyz: np.ndarray
    guided_pos_w: np.ndarray
    anchor_pos_w: np.ndarray
    anchor_quat_wxyz: np.ndarray
    velocity: np.ndarray
    turning: np.ndarray
    way_share: np.ndarray
    grip: np.ndarray
    mount: np.ndarray
    mount_velocity: np.ndarray


@dataclass(frozen=True)
class ObjectState:
    """The pose and the traits of an object at a moment.

    Attributes:
        pos_w: (3,) m, its position.
        quat_wxyz: (4,) its rotation.
        traits: (k,) other values that influence how it is handled (see `ObjectPose`).
    """

    pos_w: np.ndarray
    quat_wxyz: np.ndarray
    traits: np.ndarray

    def difference_m(self, other: ObjectState) -> float:
        """Returns how different two states are: a weighted sum, as if it were a distance.

        The weights TURN_COST_M and TRAIT_COST_M are explained above.
        """
        rotation = quat_multiply(self.quat_wxyz, quat_conjugate(other.quat_wxyz))
        angle_rad = _norm(quat_to_rotvec(rotation))
        distance_m = _norm(self.pos_w - other.pos_w)
        trait_change = float(np.abs(self.traits - other.traits).sum())
        return distance_m + TURN_COST_M * angle_rad + TRAIT_COST_M * trait_change


@dataclass(frozen=True)
class LibrarySegment:
    """A segment in the library.

    Attributes:
        episode: the number of the demonstration that the segment is from.
        index: the index of the segment in that demonstration, from 0.
        anchor: the object to which the hand's path is relative.
        carried: the object in the hand; "" for none.
        first_row: the segment's first row in the library's `Rows`.
        stop_row: the row after the segment's last one.
        object_states: the objects at the segment's first step, by name.
    """

    episode: int
    index: int
    anchor: str
    carried: str
    first_row: int
    stop_row: int
    object_states: Mapping[str, ObjectState]

    @property
    def kind(self) -> tuple[int, str, str]:
        """The segment's index and objects; segments of one kind can replace each other."""
        return self.index, self.anchor, self.carried

    def difference_m(self, object_states: Mapping[str, ObjectState]) -> float:
        """Returns how different the segment's objects are from an episode's objects.

        It is a weighted sum in m (see `ObjectState`) over the anchor and the carried object
        only.

        Args:
            object_states: the objects of the episode, by name.
        """
        names = {self.anchor, self.carried} - {""}
        return sum(
            self.object_states[name].difference_m(object_states[name])
            for name in sorted(names)
        )


@dataclass(frozen=True)
class Library:
    """All segments of the demonstrations of one file.

    Attributes:
        rows: the rows of all segments, one after the other.
        demonstrations: the segments of each demonstration, in the order of time.
    """

    rows: Rows
    demonstrations: Sequence[Sequence[LibrarySegment]]

    def substitutes(self, segment: LibrarySegment) -> list[LibrarySegment]:
        """Returns all segments of the same kind, the given one included."""
        return [
            candidate
            for segments in self.demonstrations
            for candidate in segments
            if candidate.kind == segment.kind
        ]


def segment_library(
    cut_demonstrations: Sequence[tuple[Motion, Sequence[Segment]]],
) -> Library:
    """Returns the library of some demonstrations.

    The rows of all segments stand in one table, so that many worlds can look up rows of
    different segments at once.

    Args:
        cut_demonstrations: for each demonstration, its motion and its segments.
    """
    segment_tables: list[Rows] = []
    demonstrations = []
    first_row = 0
    for motion, segments in cut_demonstrations:
        library_segments = []
        for index, segment in enumerate(segments):
            rows = _segment_rows(motion, segment)
            stop_row = first_row + len(rows.way_share)
            library_segments.append(
                LibrarySegment(
                    episode=motion.episode,
                    index=index,
                    anchor=segment.anchor,
                    carried=segment.carried,
                    first_row=first_row,
                    stop_row=stop_row,
                    object_states=object_states_at(motion, segment.start),
                )
            )
            segment_tables.append(rows)
            first_row = stop_row
        demonstrations.append(library_segments)

    # join the tables of all segments, column by column
    columns = {}
    for column in fields(Rows):
        values = [getattr(table, column.name) for table in segment_tables]
        columns[column.name] = np.concatenate(values)
    return Library(Rows(**columns), demonstrations)


def object_states_at(motion: Motion, step: int) -> dict[str, ObjectState]:
    """Returns the states of a demonstration's objects at one of its steps, by name."""
    return {
        name: ObjectState(path.pos_w[step], path.quat_wxyz[step], path.traits)
        for name, path in motion.objects.items()
    }


def _segment_rows(motion: Motion, segment: Segment) -> Rows:
    """Returns the control steps of one segment of a motion, without its pauses."""
    steps = slice(segment.start, segment.stop)
    anchor = motion.objects[segment.anchor]
    # From the hand's arrival on, the anchor's rotation is kept: the hand may turn the
    # anchor, and its path must not turn with it.
    anchor_quat = anchor.quat_wxyz.copy()
    if segment.contact < segment.stop:
        anchor_quat[segment.contact :] = anchor_quat[segment.contact]

    # the guided point is the object in the hand, or the empty hand itself
    guided_pos_w = motion.hand_pos_w
    if segment.carried:
        guided_pos_w = motion.objects[segment.carried].pos_w

    # velocities; the yaw is unwrapped first, since a jump of 2 pi is no motion
    hand_velocity = _smoothed_rate(motion.hand_pos_w, motion.dt_s)
    anchor_velocity = _smoothed_rate(anchor.pos_w, motion.dt_s)
    mount = np.column_stack([motion.mount[:, :3], np.unwrap(motion.mount[:, 3])])

    steps_to_anchor = max(segment.contact - segment.start, 1)
    with_pauses = Rows(
        hand_pos_w=motion.hand_pos_w[steps],
        hand_quat_wxyz=motion.hand_quat_wxyz[steps],
        guided_pos_w=guided_pos_w[steps],
        anchor_pos_w=anchor.pos_w[steps],
        anchor_quat_wxyz=anchor_quat[steps],
        velocity=(hand_velocity - anchor_velocity)[steps],
        turning=_angular_velocity(motion.hand_quat_wxyz, motion.dt_s)[steps],
        way_share=np.minimum(
            np.arange(segment.stop - segment.start) / steps_to_anchor, 1.0
        ),
        grip=motion.grip[steps],
        mount=motion.mount[steps],
        mount_velocity=_smoothed_rate(mount, motion.dt_s)[steps],
    )
    kept = _rows_without_pauses(with_pauses, motion.width_m[steps], motion.dt_s)
    columns = {
        column.name: getattr(with_pauses, column.name)[kept] for column in fields(Rows)
    }
    return Rows(**columns)


def _rows_without_pauses(rows: Rows, width_m: np.ndarray, dt_s: float) -> np.ndarray:
    """Returns the indices of the rows to keep, so that generated episodes do not pause.

    Args:
        rows: the R rows of one segment.
        width_m: (R,) the width of the gripper.
        dt_s: the time between two rows.
    """
    width_rate = np.gradient(width_m) / dt_s if len(width_m) > 1 else np.zeros(1)
    grip_changes = np.abs(np.diff(rows.grip, prepend=rows.grip[:1])) > 0
    speeds_m_s = [
        np.linalg.norm(rows.velocity, axis=1),
        np.linalg.norm(rows.mount_velocity, axis=1),
        np.abs(width_rate),
    ]
    is_still = np.max(speeds_m_s, axis=0) < STILL_M_S
    is_still &= (np.linalg.norm(rows.turning, axis=1) < STILL_RAD_S) & ~grip_changes

    # `changes` are, in turn, the first row of a still interval and the row after its last
    padded = np.concatenate([[False], is_still, [False]])
    changes = np.flatnonzero(np.diff(padded)).tolist()

    # of each pause only the beginning is kept; the segment's last row is always kept,
    # because the next segment begins there
    is_kept = np.ones(len(is_still), bool)
    for start, stop in zip(changes[::2], changes[1::2], strict=True):
        if (stop - start) * dt_s > PAUSE_S:
            is_kept[start + int(KEPT_OF_PAUSE_S / dt_s) : stop] = False
    is_kept[-1] = True
    return np.flatnonzero(is_kept)


def _smoothed_rate(values: np.ndarray, dt_s: float) -> np.ndarray:
    """Returns the rates of change (T, k) of values per second, averaged over SMOOTH_S.

    Args:
        values: (T, k) the values at T steps.
        dt_s: the time between two steps.
    """
    if len(values) < 2:
        return np.zeros_like(values)
    rate = np.gradient(values, axis=0) / dt_s
    half_window = int(SMOOTH_S / dt_s / 2)  # in steps
    if not half_window:
        return rate

    # the mean over a window around each step, as a difference of cumulative sums
    window = 2 * half_window + 1
    padded = np.pad(rate, ((half_window, half_window), (0, 0)), mode="edge")
    sums = np.cumsum(np.pad(padded, ((1, 0), (0, 0))), axis=0)
    return (sums[window:] - sums[:-window]) / window


def _angular_velocity(quat_wxyz: np.ndarray, dt_s: float) -> np.ndarray:
    """Returns the angular velocities (T, 3) rad/s that lead from each rotation to the next.

    The last rotation, which has no next, gets 0.

    Args:
        quat_wxyz: (T, 4) the rotations.
        dt_s: the time between two rotations.
    """
    velocity = np.zeros((len(quat_wxyz), 3))
    # the rotations (T - 1, 4) from each step to the next
    rotations = quat_multiply(quat_wxyz[1:], quat_conjugate(quat_wxyz[:-1]))
    velocity[:-1] = quat_to_rotvec(rotations) / dt_s
    return velocity


def _norm(vector: np.ndarray) -> float:
    return float(np.sqrt(dot(vector, vector)))
