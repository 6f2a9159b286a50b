"""Finding the segments of a demonstration.

Where the hand holds an object is told by the recorded plans, else by the gripper. It is
all that is needed: before it takes an object, the hand's path is relative to that
object; while it holds it, to where the object is brought; and after that, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from embodied.core import SKILLS
from embodied.envs.objects import Objects
from embodied.policies.generation.motion import Hold, Motion, Segment

# Plans with these skills are for an object in the hand, and these bring the hand to what
# it touches or sets down.
HOLDING = ("lift", "carry", "place", "release", "push", "turn", "open", "wipe", "pour")
ARRIVING = ("grasp", "press", "place")
# Shorter than this, a change between holding and not holding is no segment.
SHORTEST_S = 0.25

# A gripper has closed or opened if its width has changed by this much, and it has closed
# on something once its width changes no faster than this.
WIDTH_CHANGE_M = 0.004
STEADY_M_S = 0.01
# An object is in the hand if it comes along: if the hand went this far, and the object
# stayed this near to where it was in the hand, as a share of the way and in m.
CARRIED_M = 0.01
SLIP_SHARE = 0.5
SLIP_M = 0.03

# Without plans the hand arrives on the last straight way to its place, at least this
# long and within this distance of a line.
ARRIVAL_M = 0.08
LINE_M = 0.02
DIRECTION_M = 0.03  # of the way's end, which says where the line leads
# At least this share of a segment is the way to its object.
LEAST_WAY = 0.3


def find_segments(motion: Motion, objects: Objects, by_plans: bool) -> list[Segment]:
    """Returns the segments of a demonstration, which follow one another.

    Args:
        motion: the demonstration.
        objects: the objects of the demonstration's task.
        by_plans: whether its plans tell what is held and when the hand arrives, or else
            the gripper and the path.
    """
    find = holds_by_plans if by_plans else holds_by_gripper
    holds = find(motion, list(objects.brought_to))
    first_object = next(iter(motion.objects))  # which it is about if nothing is held

    # In turn: without an object towards the next one, and with it to its place.
    # Contacts are found below; until then they are the starts.
    segments: list[Segment] = []
    begun = 0
    for hold in holds:
        goal = objects.brought_to[hold.thing]
        to_it = Segment(begun, begun, hold.start, hold.thing)
        with_it = Segment(hold.start, hold.start, hold.stop, goal, hold.thing)
        segments += [to_it, with_it]
        begun = hold.stop
    last = segments[-1].anchor if segments else first_object
    segments.append(Segment(begun, begun, len(motion), last))

    # when the hand arrives
    arrival = _arrival_by_plans if by_plans else _arrival_by_path
    found = []
    for segment in segments:
        if segment.stop > segment.start:
            # what is only touched is left again before the segment ends
            stop = segment.stop if holds else _nearest_step(motion, segment) + 1
            contact = arrival(motion, replace(segment, stop=stop))
            earliest = segment.start + int(LEAST_WAY * (stop - segment.start))
            found.append(replace(segment, contact=max(contact, earliest)))
    return found


def holds_by_plans(motion: Motion, things: Sequence[str]) -> list[Hold]:
    """Returns when which of `things` was held, by the skills and targets of the plans.

    The thing is the one nearest to the target of the last plan before.
    """
    if not things:
        return []
    skill = motion.plans["subtask"]
    holding = np.isin(skill, [SKILLS.index(name) for name in HOLDING])
    shortest = int(SHORTEST_S / motion.dt_s)

    holds = []
    for start, stop in _intervals(holding, shortest):
        before = max(start - 1, 0)
        target = motion.plans["goal_pos_w"][before, 0]
        holds.append(Hold(start, stop, _nearest(motion, things, before, target)))
    return holds


def holds_by_gripper(motion: Motion, things: Sequence[str]) -> list[Hold]:
    """Returns when which of `things` was held: the gripper closed, and it came along."""
    holds = []
    for start, stop in closed_intervals(motion.width_m, motion.dt_s):
        thing = _carried(motion, things, start, stop)
        if thing:
            holds.append(Hold(start, stop, thing))
    return holds


def closed_intervals(width_m: np.ndarray, dt_s: float) -> list[tuple[int, int]]:
    """Returns from when until when a gripper was closed on something, or empty.

    Args:
        width_m: (T,) as measured.
        dt_s: between two of them.
    """
    is_steady = np.abs(np.gradient(width_m)) / dt_s < STEADY_M_S
    intervals = []
    started = -1  # where it closed
    level = width_m[0]  # the widest since it opened, or the width at which it closed
    narrowest = width_m[0]  # since it closed
    for step, width in enumerate(width_m.tolist()):
        narrowest = min(narrowest, width)
        if started < 0:
            level = max(level, width)
        elif width > narrowest + WIDTH_CHANGE_M:
            intervals.append((started, step))
            started = -1
            level = width

        # it may close further, as a hand does that comes with its fingers ajar
        if is_steady[step] and width < level - WIDTH_CHANGE_M:
            if started >= 0:
                intervals.append((started, step))
            started = step
            level = width
            narrowest = width
    if started >= 0:
        intervals.append((started, len(width_m)))
    return intervals


def _carried(motion: Motion, things: Sequence[str], start: int, stop: int) -> str:
    """Returns which thing came along with the hand from a step to another; "" if none.

    Of several, such as a drawer and what is in it, it is the one nearest to the hand.
    """
    hand = motion.hand_pos_w[start:stop]
    way_m = np.linalg.norm(hand - hand[0], axis=1).max()
    if way_m < CARRIED_M:
        return ""

    slip_m = min(SLIP_M, SLIP_SHARE * way_m)
    along = []
    for name in things:
        in_hand = motion.objects[name].pos_w[start:stop] - hand
        if np.linalg.norm(in_hand - in_hand[0], axis=1).max() < slip_m:
            along.append(name)
    return _nearest(motion, along, start, hand[0]) if along else ""


def _intervals(flags: np.ndarray, shortest: int) -> list[tuple[int, int]]:
    """Returns the intervals (start, stop) of steps at which flags (T,) are set.

    A run of equal flags shorter than `shortest` steps counts as what came before it.
    """
    edges = [0, *(np.flatnonzero(np.diff(flags)) + 1).tolist(), len(flags)]
    steady = flags.copy()
    for start, stop in pairwise(edges):
        if start > 0 and stop - start < shortest:
            steady[start:stop] = steady[start - 1]

    padded = np.concatenate([[False], steady, [False]])
    changes = np.flatnonzero(np.diff(padded)).tolist()
    return list(zip(changes[::2], changes[1::2], strict=True))


def _nearest(motion: Motion, things: Sequence[str], step: int, pos: np.ndarray) -> str:
    """Returns the thing that was nearest to a point at a step."""

    def distance_m(name: str) -> float:
        return float(np.linalg.norm(motion.objects[name].pos_w[step] - pos))

    return min(things, key=distance_m)


def _nearest_step(motion: Motion, segment: Segment) -> int:
    """Returns the step of a segment at which the hand was nearest to its object."""
    steps = slice(segment.start, segment.stop)
    away = motion.hand_pos_w[steps] - motion.objects[segment.anchor].pos_w[steps]
    return segment.start + int(np.argmin(np.linalg.norm(away, axis=1)))


def _arrival_by_plans(motion: Motion, segment: Segment) -> int:
    """Returns the first step of the last skill that brings the hand to its place."""
    skill = motion.plans["subtask"][segment.start : segment.stop]
    arriving = np.isin(skill, [SKILLS.index(name) for name in ARRIVING])
    if not arriving.any():
        return segment.stop
    last = int(np.flatnonzero(arriving)[-1])
    before = np.flatnonzero(~arriving[:last])
    return segment.start + (int(before[-1]) + 1 if len(before) else 0)


def _arrival_by_path(motion: Motion, segment: Segment) -> int:
    """Returns where the last straight way to the segment's end begins."""
    steps = slice(segment.start, segment.stop)
    path = motion.hand_pos_w[steps] - motion.objects[segment.anchor].pos_w[steps]
    back = path - path[-1]
    distance_m = np.linalg.norm(back, axis=1)
    far = np.flatnonzero(distance_m > DIRECTION_M)
    if not len(far):
        return segment.start

    # the line through the end, and how far each point is beside it
    direction = back[far[-1]] / distance_m[far[-1]]
    along_m = back @ direction
    beside_m = np.linalg.norm(back - along_m[:, None] * direction, axis=1)
    off = np.flatnonzero((beside_m > LINE_M) & (distance_m > ARRIVAL_M))
    return segment.start + (int(off[-1]) + 1 if len(off) else 0)
