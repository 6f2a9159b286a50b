"""The segments of all demonstrations, laid one after the other, ready to be followed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from embodied.arrays import dot
from embodied.policies.generation.motion import Motion, Segment
from embodied.rotations import quat_conjugate, quat_multiply, quat_to_rotvec

# Velocities are means over this time.
SMOOTH_S = 0.025
# A pause is longer than PAUSE_S, with hand, gripper and mount all slower than STILL_*.
# Only its first KEPT_OF_PAUSE_S are kept.
PAUSE_S = 0.25
KEPT_OF_PAUSE_S = 0.1
STILL_M_S = 0.004
STILL_RAD_S = 0.03
# The choice of a segment compares objects by a difference in m. An angle of 1 rad between
# two objects counts as TURN_COST_M, a difference of 1 in a trait as TRAIT_COST.
TURN_COST_M = 0.15
TRAIT_COST = 3.0


@dataclass(frozen=True)
class Rows:
    """R control steps of segments.

    Attributes:
        hand_pos_w: (R, 3) m.
        hand_quat_wxyz: (R, 4)
        guided_pos_w: (R, 3) m, the position of the guided point: the object in the hand,
            or the hand itself if it is empty.
        anchor_pos_w: (R, 3) m, the position of the anchor, the object to which the hand's
            path is relative.
        anchor_quat_wxyz: (R, 4) the rotation of the anchor; from the hand's arrival on
            it keeps its value at that moment.
        velocity: (R, 3) m/s, the velocity of the hand relative to the anchor.
        turning: (R, 3) rad/s, the angular velocity of the hand.
        share: (R,) the share of the way to the anchor that is done; 1 near it.
        grip: (R,) the gripper's command.
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
    share: np.ndarray
    grip: np.ndarray
    mount: np.ndarray
    mount_velocity: np.ndarray


@dataclass(frozen=True)
class ObjectState:
    """The pose and the traits of an object at a moment.

    Attributes:
        pos_w: (3,) m.
        quat_wxyz: (4,)
        traits: (k,), see `ObjectPose`.
    """

    pos_w: np.ndarray
    quat_wxyz: np.ndarray
    traits: np.ndarray

    def difference_m(self, other: ObjectState) -> float:
        """Returns how different two objects are, in m."""
        turn = quat_to_rotvec(
            quat_multiply(self.quat_wxyz, quat_conjugate(other.quat_wxyz))
        )
        distance_m = _norm(self.pos_w - other.pos_w)
        traits = float(np.abs(self.traits - other.traits).sum())
        return distance_m + TURN_COST_M * _norm(turn) + TRAIT_COST * traits


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
        """Segments of the same kind can be followed in each other's stead."""
        return self.index, self.anchor, self.carried

    def difference_m(self, object_states: Mapping[str, ObjectState]) -> float:
        """Returns how different its objects were from those of another episode, in m.

        Only the anchor and the carried object are compared.
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
        demonstrations: the segments of each demonstration, in their order.
    """

    rows: Rows
    demonstrations: Sequence[Sequence[LibrarySegment]]

    def substitutes(self, segment: LibrarySegment) -> list[LibrarySegment]:
        """Returns all segments of the same kind, the given one included."""
        every = [known for segments in self.demonstrations for known in segments]
        return [known for known in every if known.kind == segment.kind]


def segment_library(
    cut_demonstrations: Sequence[tuple[Motion, Sequence[Segment]]],
) -> Library:
    """Returns the library of some demonstrations.

    The rows of all segments stand in one table, so that many worlds can look up rows of
    different segments at once.

    Args:
        cut_demonstrations: (motion, its segments) of each demonstration.
    """
    parts: list[Rows] = []
    demonstrations = []
    first_row = 0
    for motion, segments in cut_demonstrations:
        library_segments = []
        for index, segment in enumerate(segments):
            rows = _rows(motion, segment)
            stop_row = first_row + len(rows.share)
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
            parts.append(rows)
            first_row = stop_row
        demonstrations.append(library_segments)

    # join the tables of all segments, column by column
    joined = {}
    for f in fields(Rows):
        joined[f.name] = np.concatenate([getattr(part, f.name) for part in parts])
    return Library(Rows(**joined), demonstrations)


def object_states_at(motion: Motion, step: int) -> dict[str, ObjectState]:
    """Returns the objects of a demonstration at one of its steps."""
    return {
        name: ObjectState(path.pos_w[step], path.quat_wxyz[step], path.traits)
        for name, path in motion.objects.items()
    }


def _rows(motion: Motion, segment: Segment) -> Rows:
    """Returns the control steps of a segment, without its pauses."""
    steps = slice(segment.start, segment.stop)
    anchor = motion.objects[segment.anchor]
    # From the hand's arrival on, the anchor's rotation is kept: the hand may turn the
    # anchor, and its path must not turn with it.
    anchor_quat = anchor.quat_wxyz.copy()
    if segment.contact < segment.stop:
        anchor_quat[segment.contact :] = anchor_quat[segment.contact]
    guided_pos_w = motion.hand_pos_w
    if segment.carried:
        guided_pos_w = motion.objects[segment.carried].pos_w

    hand_velocity = _smoothed_rate(motion.hand_pos_w, motion.dt_s)
    anchor_velocity = _smoothed_rate(anchor.pos_w, motion.dt_s)
    mount = np.column_stack([motion.mount[:, :3], np.unwrap(motion.mount[:, 3])])
    steps_to_anchor = max(segment.contact - segment.start, 1)
    whole = Rows(
        hand_pos_w=motion.hand_pos_w[steps],
        hand_quat_wxyz=motion.hand_quat_wxyz[steps],
        guided_pos_w=guided_pos_w[steps],
        anchor_pos_w=anchor.pos_w[steps],
        anchor_quat_wxyz=anchor_quat[steps],
        velocity=(hand_velocity - anchor_velocity)[steps],
        turning=_turning(motion.hand_quat_wxyz, motion.dt_s)[steps],
        share=np.minimum(
            np.arange(segment.stop - segment.start) / steps_to_anchor, 1.0
        ),
        grip=motion.grip[steps],
        mount=motion.mount[steps],
        mount_velocity=_smoothed_rate(mount, motion.dt_s)[steps],
    )
    kept = _without_pauses(whole, motion.width_m[steps], motion.dt_s)
    return Rows(**{f.name: getattr(whole, f.name)[kept] for f in fields(Rows)})


def _without_pauses(rows: Rows, width_m: np.ndarray, dt_s: float) -> np.ndarray:
    """Returns the indices of the rows to keep, so that the copies do not pause.

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

    # of each pause only the beginning is kept, and the segment's last row in any case;
    # `changes` are the first row of each still interval and the row after its last, in turn
    kept = np.ones(len(is_still), bool)
    padded = np.concatenate([[False], is_still, [False]])
    changes = np.flatnonzero(np.diff(padded)).tolist()
    for start, stop in zip(changes[::2], changes[1::2], strict=True):
        if (stop - start) * dt_s > PAUSE_S:
            kept[start + int(KEPT_OF_PAUSE_S / dt_s) : stop] = False
    kept[-1] = True
    return np.flatnonzero(kept)


def _smoothed_rate(values: np.ndarray, dt_s: float) -> np.ndarray:
    """Returns the rates of change (T, k) per s of values (T, k), means over SMOOTH_S."""
    if len(values) < 2:
        return np.zeros_like(values)
    rate = np.gradient(values, axis=0) / dt_s
    half = int(SMOOTH_S / dt_s / 2)
    if not half:
        return rate
    # the mean over a window around each step, as a difference of cumulative sums
    window = 2 * half + 1
    padded = np.pad(rate, ((half, half), (0, 0)), mode="edge")
    sums = np.cumsum(np.pad(padded, ((1, 0), (0, 0))), axis=0)
    return (sums[window:] - sums[:-window]) / window


def _turning(quat_wxyz: np.ndarray, dt_s: float) -> np.ndarray:
    """Returns the angular velocities (T, 3) rad/s of rotations (T, 4); 0 at the end."""
    turning = np.zeros((len(quat_wxyz), 3))
    steps = quat_multiply(quat_wxyz[1:], quat_conjugate(quat_wxyz[:-1]))
    turning[:-1] = quat_to_rotvec(steps) / dt_s
    return turning


def _norm(vector: np.ndarray) -> float:
    return float(np.sqrt(dot(vector, vector)))
