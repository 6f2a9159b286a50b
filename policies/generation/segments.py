"""Finds the segments of a demonstration.

The recorded plans show when the hand holds an object; without plans, the gripper's width
shows it. Until the hand takes an object, its path is relative to that object. While the hand
holds the object, and after it lets go, its path is relative to the goal: the object to which
the held object is brought.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from embodied.core import SKILLS
from embodied.envs.objects import Objects
from embodied.policies.generation.motion import Hold, Motion, Segment

# The skills that are carried out with an object in the hand.
HOLDING = ("lift", "carry", "place", "release", "push", "turn", "open", "wipe", "pour")
# The skills that bring the hand to an object that it touches, or to where it sets one down.
ARRIVING = ("grasp", "press", "place")
# If holding, or not holding, lasts for less than this, it is ignored and begins no segment,
# because planners may change skills for a moment.
SHORTEST_S = 0.25

# A gripper counts as closed or opened once its width has changed by this much.
WIDTH_CHANGE_M = 0.004
# A gripper that closes counts as steady once its width changes no faster than this.
STEADY_M_S = 0.01
# The hand must move this far before it can be seen which object moves along with it.
CARRIED_M = 0.01
# A carried object may slip in the hand by this share of the distance that the hand moves.
SLIP_SHARE = 0.5
# The largest distance that a carried object may slip.
SLIP_M = 0.03

# Without plans, the hand arrives at the beginning of the last straight part of its path.
# Points nearer to the end of the path than this always belong to that part.
ARRIVAL_M = 0.08
# Other points of the straight part are at most this far from a line through the end.
LINE_M = 0.02
# The line leads to the end from the last point that is farther from it than this; the
# direction from a nearer point would depend on small motions.
DIRECTION_M = 0.03
# At least this share of a segment counts as the way to its anchor, so that the offset of the
# hand at the start of a generated segment has time to fade.
LEAST_WAY_SHARE = 0.3


def find_segments(motion: Motion, objects: Objects, by_plans: bool) -> list[Segment]:
    """Returns the segments of a demonstration, which follow one another.

    Args:
        motion: the demonstration.
        objects: the objects of the demonstration's task.
        by_plans: whether holds and arrivals are found in the plans; else they are found in
            the gripper's width and the hand's path.
    """
    find_holds = holds_by_plans if by_plans else holds_by_gripper
    holds = find_holds(motion, list(objects.brought_to))
    first_object = next(iter(motion.objects))  # the anchor if nothing is ever held

    # The hand approaches an object, then carries it to its goal, then approaches the next
    # object. Contacts are found below; until then each is set to the segment's start.
    segments: list[Segment] = []
    start = 0
    for hold in holds:
        approach = Segment(
            start=start, contact=start, stop=hold.start, anchor=hold.object_name
        )
        carry = Segment(
            start=hold.start,
            contact=hold.start,
            stop=hold.stop,
            anchor=objects.brought_to[hold.object_name],
            carried=hold.object_name,
        )
        segments += [approach, carry]
        start = hold.stop
    # after the last hold, the hand moves away from the last goal
    last_anchor = segments[-1].anchor if segments else first_object
    segments.append(
        Segment(start=start, contact=start, stop=len(motion), anchor=last_anchor)
    )

    # find the step of each segment at which the hand arrives at the anchor
    find_arrival = _arrival_by_plans if by_plans else _arrival_by_path
    with_contacts = []
    for segment in segments:
        if segment.stop > segment.start:
            # the hand leaves an object that is only touched, such as a button, before the
            # segment ends, so the arrival is searched up to the step nearest to the object
            stop = segment.stop if holds else _nearest_step(motion, segment) + 1
            contact = find_arrival(motion, replace(segment, stop=stop))
            earliest = segment.start + int(LEAST_WAY_SHARE * (stop - segment.start))
            with_contacts.append(replace(segment, contact=max(contact, earliest)))
    return with_contacts


def holds_by_plans(motion: Motion, names: Sequence[str]) -> list[Hold]:
    """Returns the intervals in which an object was held, found by the skills of the plans.

    The held object is the object nearest to the goal position of the plan before the
    interval, which led the hand to it.

    Args:
        motion: the demonstration.
        names: the names of the objects that may be held.
    """
    if not names:
        return []
    skill = motion.plans["subtask"]
    is_holding = np.isin(skill, [SKILLS.index(name) for name in HOLDING])
    shortest = int(SHORTEST_S / motion.dt_s)

    holds = []
    for start, stop in _intervals(is_holding, shortest):
        step_before = max(start - 1, 0)
        goal_pos_w = motion.plans["goal_pos_w"][step_before, 0]  # of the first effector
        held = _nearest_object(motion, names, step=step_before, pos=goal_pos_w)
        holds.append(Hold(start, stop, held))
    return holds


def holds_by_gripper(motion: Motion, names: Sequence[str]) -> list[Hold]:
    """Returns the intervals in which an object was held, found without plans.

    An object is held if the gripper is closed and the object moves along with the hand.

    Args:
        motion: the demonstration.
        names: the names of the objects that may be held.
    """
    holds = []
    for start, stop in closed_intervals(motion.width_m, motion.dt_s):
        held = _carried_object(motion, names, start=start, stop=stop)
        if held:
            holds.append(Hold(start, stop, held))
    return holds


def closed_intervals(width_m: np.ndarray, dt_s: float) -> list[tuple[int, int]]:
    """Returns the intervals (start, stop) of steps in which a gripper was closed.

    The gripper may have closed on an object or on nothing.

    Args:
        width_m: (T,) the measured width of the gripper.
        dt_s: the time between two measurements.
    """
    is_steady = np.abs(np.gradient(width_m)) / dt_s < STEADY_M_S
    intervals = []
    closed_at = -1  # the step at which the gripper closed; -1 while it is open
    # while open, the widest width since it opened; while closed, the width at `closed_at`
    reference_m = width_m[0]
    narrowest_m = width_m[0]  # the narrowest width since it closed
    for step, width in enumerate(width_m.tolist()):
        narrowest_m = min(narrowest_m, width)
        if closed_at < 0:
            reference_m = max(reference_m, width)
        elif width > narrowest_m + WIDTH_CHANGE_M:
            # the gripper has opened again
            intervals.append((closed_at, step))
            closed_at = -1
            reference_m = width

        # The gripper has closed. If it was closed before, it has closed further, as a
        # gripper does that arrives half closed and then grasps: a new interval begins.
        if is_steady[step] and width < reference_m - WIDTH_CHANGE_M:
            if closed_at >= 0:
                intervals.append((closed_at, step))
            closed_at = step
            reference_m = width
            narrowest_m = width
    if closed_at >= 0:
        intervals.append((closed_at, len(width_m)))
    return intervals


def _carried_object(motion: Motion, names: Sequence[str], start: int, stop: int) -> str:
    """Returns the name of the object that moved along with the hand; "" for none.

    If several objects did, such as a drawer and an object in it, the object nearest to the
    hand is returned.

    Args:
        motion: the demonstration.
        names: the names of the objects that may be carried.
        start: the first step of the interval to look at.
        stop: the step after the last step of the interval.
    """
    # a hand that hardly moves does not show what moves along with it
    hand = motion.hand_pos_w[start:stop]
    moved_m = np.linalg.norm(hand - hand[0], axis=1).max()
    if moved_m < CARRIED_M:
        return ""

    # the position of a carried object relative to the hand changes by no more than a slip
    slip_m = min(SLIP_M, SLIP_SHARE * moved_m)
    carried = []
    for name in names:
        from_hand = motion.objects[name].pos_w[start:stop] - hand
        if np.linalg.norm(from_hand - from_hand[0], axis=1).max() < slip_m:
            carried.append(name)
    if not carried:
        return ""
    return _nearest_object(motion, carried, step=start, pos=hand[0])


def _intervals(flags: np.ndarray, shortest: int) -> list[tuple[int, int]]:
    """Returns the intervals (start, stop) of steps at which flags are set.

    Args:
        flags: (T,) bool.
        shortest: a run of equal flags that is shorter than this number of steps takes the
            value of the run before it.
    """
    # overwrite the short runs
    edges = [0, *(np.flatnonzero(np.diff(flags)) + 1).tolist(), len(flags)]
    steady = flags.copy()
    for start, stop in pairwise(edges):
        if start > 0 and stop - start < shortest:
            steady[start:stop] = steady[start - 1]

    # the flags change at the start and at the stop of each interval, in turn
    padded = np.concatenate([[False], steady, [False]])
    changes = np.flatnonzero(np.diff(padded)).tolist()
    return list(zip(changes[::2], changes[1::2], strict=True))


def _nearest_object(
    motion: Motion, names: Sequence[str], step: int, pos: np.ndarray
) -> str:
    """Returns the name of the object that was nearest to a point at a step.

    Args:
        motion: the demonstration.
        names: the names of the objects to choose from.
        step: the step.
        pos: (3,) m, the point in the world.
    """

    def distance_m(name: str) -> float:
        return float(np.linalg.norm(motion.objects[name].pos_w[step] - pos))

    return min(names, key=distance_m)


def _nearest_step(motion: Motion, segment: Segment) -> int:
    """Returns the step of a segment at which the hand was nearest to its anchor."""
    steps = slice(segment.start, segment.stop)
    offset = motion.hand_pos_w[steps] - motion.objects[segment.anchor].pos_w[steps]
    return segment.start + int(np.argmin(np.linalg.norm(offset, axis=1)))


def _arrival_by_plans(motion: Motion, segment: Segment) -> int:
    """Returns the step at which the hand arrives at a segment's anchor, by its plans.

    It is the first step of the last run of skills in ARRIVING; without such skills, it is
    the step after the segment's last one.
    """
    skill = motion.plans["subtask"][segment.start : segment.stop]
    is_arriving = np.isin(skill, [SKILLS.index(name) for name in ARRIVING])
    if not is_arriving.any():
        return segment.stop
    # the run begins after the last step with another skill, or with the segment
    last_step = int(np.flatnonzero(is_arriving)[-1])
    other_steps = np.flatnonzero(~is_arriving[:last_step])
    return segment.start + (int(other_steps[-1]) + 1 if len(other_steps) else 0)


def _arrival_by_path(motion: Motion, segment: Segment) -> int:
    """Returns the step at which the hand arrives at a segment's anchor, by its path.

    It is the step at which the last straight part of the path, relative to the anchor,
    begins.
    """
    # (T, 3) the path relative to the anchor, and to the path's last point
    steps = slice(segment.start, segment.stop)
    path = motion.hand_pos_w[steps] - motion.objects[segment.anchor].pos_w[steps]
    from_end = path - path[-1]
    distance_m = np.linalg.norm(from_end, axis=1)
    # steps at which the hand is far enough from the end to give the line's direction
    far_steps = np.flatnonzero(distance_m > DIRECTION_M)
    if not len(far_steps):
        return segment.start

    # the distance of each point from the line through the end
    last_far_step = far_steps[-1]
    direction = from_end[last_far_step] / distance_m[last_far_step]
    along_m = from_end @ direction
    off_line_m = np.linalg.norm(from_end - along_m[:, None] * direction, axis=1)

    # the straight part begins after the last point that is off the line, or with the segment
    off_steps = np.flatnonzero((off_line_m > LINE_M) & (distance_m > ARRIVAL_M))
    return segment.start + (int(off_steps[-1]) + 1 if len(off_steps) else 0)
