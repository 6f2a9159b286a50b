"""TeamSort with one hand, as a comparison with two: it picks, turns, scans and sorts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from embodied.arrays import any_of, dot
from embodied.core import Array, Layout
from embodied.envs.skills.parcel_grip import MOSTLY_COS, Hand, quat_of_axes
from embodied.envs.skills.scripted import Readings
from embodied.envs.skills.two_hands import HandPlan, TwoHandsPlanner
from embodied.envs.tasks.team_sort.expert_facts import ExpertFacts
from embodied.envs.tasks.team_sort.picker import FREE_M, must_back_off, plan_picker
from embodied.envs.tasks.team_sort.scene import BELT
from embodied.envs.tasks.team_sort.sorter import plan_sorter
from embodied.robots.robot import Robot


def decide_alone(
    xp: Any, hands: Sequence[Readings], state: Readings
) -> tuple[Sequence[HandPlan], Array]:
    """Returns plans with which the first hand does all of the work by itself.

    A parcel with its label underneath is set down on the stand so that the label faces
    sideways, taken again, and turned so that the label is up. A label on an end is turned
    up without the stand. The other hand stays where it is.

    Returns:
        The plans of the hand that works and of the hand that stays; and the share of the
        parcels that are sorted, (n,).
    """
    working, idle = (Hand.read(readings) for readings in hands)
    # one hand has both parts, the sorter's and the picker's
    facts = ExpertFacts.read(
        xp, sorter=working, picker=working, state=state, is_alone=True
    )
    working_plan = _plan_where(
        xp, _is_sorting(facts), plan_sorter(facts), otherwise=plan_picker(facts)
    )
    # the robot's subtask is that of the hand that works
    idle_plan = HandPlan(
        skill=working_plan.skill,
        pos_w=idle.pos_w,
        quat_wxyz=quat_of_axes(idle.x, idle.z),
        gripper=xp.ones_like(idle.reading),
    )
    return (working_plan, idle_plan), facts.share_done


def planner_alone(
    agent_layout: Layout, state_layout: Layout, robot: Robot
) -> TwoHandsPlanner:
    """Returns the planner of one hand alone, for a robot with two hands."""
    return TwoHandsPlanner(agent_layout, state_layout, robot, decide_alone)


def _is_sorting(facts: ExpertFacts) -> Array:
    """Returns (n,) bool, whether the hand does the sorter's work now, not the picker's."""
    hand = facts.sorter  # the same hand as facts.picker
    parcels = facts.parcels
    is_held = facts.is_held_by_sorter

    # The hand sorts while it holds a parcel that is off the belt, unless the parcel's label
    # is at the fingertips. A label there was underneath on the belt, so that the picker's
    # work, which brings the parcel to the stand, comes first.
    is_label_at_tips = dot(parcels.label_direction(), hand.z[:, None]) > MOSTLY_COS
    y = parcels.pos_w[..., 1]
    is_on_belt = (parcels.bottom_z() < BELT.top_z + FREE_M) & (y < BELT.y_end)
    holds_to_sort = any_of(is_held & ~is_label_at_tips & ~is_on_belt)

    # The hand also sorts while it is empty and a parcel is on the stand. But a level hand
    # has just set this parcel down, and must back off first.
    is_level = hand.z[:, 2] > -MOSTLY_COS  # the hand does not point down
    is_backing_off = must_back_off(facts) & is_level
    may_take = any_of(facts.is_on_stand) & ~is_backing_off
    return holds_to_sort | (may_take & ~any_of(is_held))


def _plan_where(
    xp: Any, condition: Array, plan: HandPlan, otherwise: HandPlan
) -> HandPlan:
    """Returns `plan` in the worlds where a condition (n,) holds, else `otherwise`.

    Args:
        xp: the array namespace.
        condition: (n,) bool, one value per world.
        plan: the plan where the condition holds.
        otherwise: the plan in all other worlds.
    """
    column = condition[:, None]  # (n, 1), for vectors
    return HandPlan(
        skill=xp.where(condition, plan.skill, otherwise.skill),
        pos_w=xp.where(column, plan.pos_w, otherwise.pos_w),
        quat_wxyz=xp.where(column, plan.quat_wxyz, otherwise.quat_wxyz),
        gripper=xp.where(condition, plan.gripper, otherwise.gripper),
    )
