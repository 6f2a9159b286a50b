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
# In the choice of a segment: what a difference is worth in m, per rad of an object's
# turn, and per unit of its traits.
TURN_COST_M = 0.15
TRAIT_COST = 3.0


@dataclass(frozen=True)
class Rows:
    """R control steps of segments.

    Attributes:
        hand_pos_w: (R, 3) m.
        hand_quat_wxyz: (R, 4)
        led_pos_w: (R, 3) m, of what is led along the path: the object in the hand, or
            the hand itself.
        anchor_pos_w: (R, 3) m, of the object that the segment is about.
        anchor_quat_wxyz: (R, 4) of the same; near the object it stays as it was when
            the hand arrived.
        velocity: (R, 3) m/s of the hand against that object.
        turning: (R, 3) rad/s of the hand.
        share: (R,) of the way to the object that is done; 1 near it.
        grip: (R,) the gripper's command.
        mount: (R, 4) x, y, z in m and yaw in rad of what carries the arm.
        mount_velocity: (R, 4) of the same, per s.
    """

    hand_pos_w: np.ndarray
    hand_quat_wxyz: np.ndarray
    led_pos_w: np.ndarray
    anchor_pos_w: np.ndarray
    anchor_quat_wxyz: np.ndarray
    velocity: np.ndarray
    turning: np.ndarray
    share: np.ndarray
    grip: np.ndarray
    mount: np.ndarray
    mount_velocity: np.ndarray


@dataclass(frozen=True)
class Sight:
    """One object as it is at a moment.

    Attributes:
        pos_w: (3,) m.
        quat_wxyz: (4,)
        traits: (k,)
    """

    pos_w: np.ndarray
    quat_wxyz: np.ndarray
    traits: np.ndarray

    def unlike(self, other: Sight) -> float:
        """Returns how different two objects are, in m."""
        turn = quat_to_rotvec(
            quat_multiply(self.quat_wxyz, quat_conjugate(other.quat_wxyz))
        )
        away_m = _norm(self.pos_w - other.pos_w)
        traits = float(np.abs(self.traits - other.traits).sum())
        return away_m + TURN_COST_M * _norm(turn) + TRAIT_COST * traits


@dataclass(frozen=True)
class Way:
    """A segment in the library.

    Attributes:
        episode: number of the demonstration that it is from.
        place: the index of the segment in that demonstration, from 0.
        anchor: the object that it is about.
        carried: the object in the hand; "" for none.
        first_row: the first row of `Rows`.
        stop_row: after its last.
        sights: the objects when it began.
    """

    episode: int
    place: int
    anchor: str
    carried: str
    first_row: int
    stop_row: int
    sights: Mapping[str, Sight]

    @property
    def kind(self) -> tuple[int, str, str]:
        """What another segment must have in common to stand in for this one."""
        return self.place, self.anchor, self.carried

    def unlike(self, sights: Mapping[str, Sight]) -> float:
        """Returns how different its objects were from those of another episode, in m."""
        names = {self.anchor, self.carried} - {""}
        return sum(self.sights[name].unlike(sights[name]) for name in sorted(names))


@dataclass(frozen=True)
class Library:
    """All segments of the demonstrations of one file.

    Attributes:
        rows: the rows of all segments, one after the other.
        demonstrations: the segments of each demonstration, in their order.
    """

    rows: Rows
    demonstrations: Sequence[Sequence[Way]]

    def stand_ins(self, way: Way) -> list[Way]:
        """Returns all segments of a kind, its own included."""
        ways = [one for ways in self.demonstrations for one in ways]
        return [one for one in ways if one.kind == way.kind]


def segment_library(found: Sequence[tuple[Motion, Sequence[Segment]]]) -> Library:
    """Returns the library of some demonstrations, each with its segments."""
    parts: list[Rows] = []
    demonstrations = []
    first_row = 0
    for motion, segments in found:
        ways = []
        for place, segment in enumerate(segments):
            rows = _rows(motion, segment)
            stop_row = first_row + len(rows.share)
            ways.append(
                Way(
                    episode=motion.episode,
                    place=place,
                    anchor=segment.anchor,
                    carried=segment.carried,
                    first_row=first_row,
                    stop_row=stop_row,
                    sights=sights_at(motion, segment.start),
                )
            )
            parts.append(rows)
            first_row = stop_row
        demonstrations.append(ways)

    joined = {}
    for f in fields(Rows):
        joined[f.name] = np.concatenate([getattr(part, f.name) for part in parts])
    return Library(Rows(**joined), demonstrations)


def sights_at(motion: Motion, step: int) -> dict[str, Sight]:
    """Returns the objects of a demonstration at one of its steps."""
    return {
        name: Sight(path.pos_w[step], path.quat_wxyz[step], path.traits)
        for name, path in motion.objects.items()
    }


def _rows(motion: Motion, segment: Segment) -> Rows:
    """Returns the control steps of a segment, without its pauses."""
    steps = slice(segment.start, segment.stop)
    anchor = motion.objects[segment.anchor]
    # near the object its rotation counts as it was when the hand arrived
    anchor_quat = anchor.quat_wxyz.copy()
    if segment.contact < segment.stop:
        anchor_quat[segment.contact :] = anchor_quat[segment.contact]
    led_pos_w = motion.hand_pos_w
    if segment.carried:
        led_pos_w = motion.objects[segment.carried].pos_w

    hand_velocity = _smoothed_rate(motion.hand_pos_w, motion.dt_s)
    anchor_velocity = _smoothed_rate(anchor.pos_w, motion.dt_s)
    mount = np.column_stack([motion.mount[:, :3], np.unwrap(motion.mount[:, 3])])
    steps_to_it = max(segment.contact - segment.start, 1)
    whole = Rows(
        hand_pos_w=motion.hand_pos_w[steps],
        hand_quat_wxyz=motion.hand_quat_wxyz[steps],
        led_pos_w=led_pos_w[steps],
        anchor_pos_w=anchor.pos_w[steps],
        anchor_quat_wxyz=anchor_quat[steps],
        velocity=(hand_velocity - anchor_velocity)[steps],
        turning=_turning(motion.hand_quat_wxyz, motion.dt_s)[steps],
        share=np.minimum(np.arange(segment.stop - segment.start) / steps_to_it, 1.0),
        grip=motion.grip[steps],
        mount=motion.mount[steps],
        mount_velocity=_smoothed_rate(mount, motion.dt_s)[steps],
    )
    kept = _without_pauses(whole, motion.width_m[steps], motion.dt_s)
    return Rows(**{f.name: getattr(whole, f.name)[kept] for f in fields(Rows)})


def _without_pauses(rows: Rows, width_m: np.ndarray, dt_s: float) -> np.ndarray:
    """Returns the indices of the rows to keep.

    Args:
        rows: R of them, of one segment.
        width_m: (R,) of the gripper.
        dt_s: between two rows.
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

    # of each pause only the beginning is kept, and the segment's last row in any case
    kept = np.ones(len(is_still), bool)
    padded = np.concatenate([[False], is_still, [False]])
    changes = np.flatnonzero(np.diff(padded)).tolist()
    for start, stop in zip(changes[::2], changes[1::2], strict=True):
        if (stop - start) * dt_s > PAUSE_S:
            kept[start + int(KEPT_OF_PAUSE_S / dt_s) : stop] = False
    kept[-1] = True
    return np.flatnonzero(kept)


def _smoothed_rate(values: np.ndarray, dt_s: float) -> np.ndarray:
    """Returns the rates of change (T, k) per s of values (T, k), over SMOOTH_S."""
    if len(values) < 2:
        return np.zeros_like(values)
    rate = np.gradient(values, axis=0) / dt_s
    half = int(SMOOTH_S / dt_s / 2)
    if not half:
        return rate
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
