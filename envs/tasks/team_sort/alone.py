"""TeamSort with one hand, to compare two with: it picks, turns, scans and sorts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from embodied.arrays import any_of, dot
from embodied.core import Array, Layout
from embodied.envs.skills.parcel_grip import MOSTLY_COS, Hand, quat_of_axes
from embodied.envs.skills.scripted import Readings
from embodied.envs.skills.two_hands import HandPlan, TwoHandsPlanner
from embodied.envs.tasks.team_sort.picker import FREE_M, must_back_off, plan_picker
from embodied.envs.tasks.team_sort.scene import BELT
from embodied.envs.tasks.team_sort.seen import Seen
from embodied.envs.tasks.team_sort.sorter import plan_sorter
from embodied.robots.robot import Robot


def decide_alone(
    xp: Any, hands: Sequence[Readings], state: Readings
) -> tuple[Sequence[HandPlan], Array]:
    """Returns plans with which the first hand does all of the work by itself.

    It turns a label that is underneath by way of the rest; one on an end it turns up
    right away. The other hand stays where it is.
    """
    hand, other = (Hand.read(readings) for readings in hands)
    seen = Seen.read(xp, hand, hand, state, is_alone=True)
    sorts = _sorts(seen)
    plan = _either(xp, sorts, plan_sorter(seen), plan_picker(seen))
    still = HandPlan(
        skill=plan.skill,
        pos_w=other.pos_w,
        quat_wxyz=quat_of_axes(other.x, other.z),
        gripper=xp.ones_like(other.reading),
    )
    return (plan, still), seen.share_done


def planner_alone(
    agent_layout: Layout, state_layout: Layout, robot: Robot
) -> TwoHandsPlanner:
    """Returns the planner of one hand alone, for a robot with two hands."""
    return TwoHandsPlanner(agent_layout, state_layout, robot, decide_alone)


def _sorts(seen: Seen) -> Array:
    """Returns (n,) bool, whether the hand sorts now; otherwise it picks."""
    hand = seen.sorter
    parcels = seen.parcels
    # with a parcel that is off the belt, its label not at the fingers' tips
    is_at_tips = dot(parcels.label_direction(), hand.z[:, None]) > MOSTLY_COS
    y = parcels.pos_w[..., 1]
    is_low = (parcels.bottom_z() < BELT.top_z + FREE_M) & (y < BELT.y_end)
    brings = any_of(seen.is_sorters & ~is_at_tips & ~is_low)

    # or without one, if there is one on the rest, from which it has backed off
    is_level = hand.z[:, 2] > -MOSTLY_COS
    takes = any_of(seen.is_on_rest) & ~(must_back_off(seen) & is_level)
    return brings | (takes & ~any_of(seen.is_sorters))


def _either(xp: Any, when: Array, one: HandPlan, other: HandPlan) -> HandPlan:
    """Returns the plan `one` in the worlds `when` (n,), the other one elsewhere."""
    rows = when[:, None]
    return HandPlan(
        skill=xp.where(when, one.skill, other.skill),
        pos_w=xp.where(rows, one.pos_w, other.pos_w),
        quat_wxyz=xp.where(rows, one.quat_wxyz, other.quat_wxyz),
        gripper=xp.where(when, one.gripper, other.gripper),
    )
