"""TeamSort with one hand, to compare two with: it picks, turns, scans and sorts."""

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

    A label that is underneath is brought onto a side by setting the parcel down on the
    stand, and then turned up; a label on an end is turned up right away. The other hand
    stays where it is.
    """
    hand, other = (Hand.read(readings) for readings in hands)
    facts = ExpertFacts.read(xp, hand, hand, state, is_alone=True)
    plan = _plan_where(
        xp, _is_sorting(facts), plan_sorter(facts), otherwise=plan_picker(facts)
    )
    stay = HandPlan(
        skill=plan.skill,
        pos_w=other.pos_w,
        quat_wxyz=quat_of_axes(other.x, other.z),
        gripper=xp.ones_like(other.reading),
    )
    return (plan, stay), facts.share_done


def planner_alone(
    agent_layout: Layout, state_layout: Layout, robot: Robot
) -> TwoHandsPlanner:
    """Returns the planner of one hand alone, for a robot with two hands."""
    return TwoHandsPlanner(agent_layout, state_layout, robot, decide_alone)


def _is_sorting(facts: ExpertFacts) -> Array:
    """Returns (n,) bool, whether the hand does the sorter's work now, not the picker's."""
    hand = facts.sorter
    parcels = facts.parcels
    is_held = facts.is_held_by_sorter

    # it holds a parcel that it has lifted off the belt and that need not be set down on
    # the stand, which only a label at the fingertips must be
    is_label_at_tips = dot(parcels.label_direction(), hand.z[:, None]) > MOSTLY_COS
    y = parcels.pos_w[..., 1]
    is_on_belt = (parcels.bottom_z() < BELT.top_z + FREE_M) & (y < BELT.y_end)
    holds_to_sort = any_of(is_held & ~is_label_at_tips & ~is_on_belt)

    # or it is empty, and there is a parcel on the stand, from which it has backed off
    is_level = hand.z[:, 2] > -MOSTLY_COS
    is_backing_off = must_back_off(facts) & is_level
    may_take = any_of(facts.is_on_stand) & ~is_backing_off
    return holds_to_sort | (may_take & ~any_of(is_held))


def _plan_where(
    xp: Any, condition: Array, plan: HandPlan, otherwise: HandPlan
) -> HandPlan:
    """Returns `plan` in the worlds where a condition (n,) holds, else `otherwise`."""
    in_rows = condition[:, None]
    return HandPlan(
        skill=xp.where(condition, plan.skill, otherwise.skill),
        pos_w=xp.where(in_rows, plan.pos_w, otherwise.pos_w),
        quat_wxyz=xp.where(in_rows, plan.quat_wxyz, otherwise.quat_wxyz),
        gripper=xp.where(condition, plan.gripper, otherwise.gripper),
    )
