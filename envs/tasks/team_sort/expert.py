"""The scripted expert of TeamSort, which plans for both hands at once.

The robot's first hand, the sorter, takes parcels from the stand to the scanner and into
their bins. Its second hand, the picker, brings them from the belt to the stand. At the
stand each hand waits for the other: the picker brings a parcel once the stand is free and
the sorter is away; the sorter takes the parcel once the picker has left.

Each plan follows from the present state alone, so the expert recovers from whatever
happens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from embodied.core import Array, Layout
from embodied.envs.skills.driving import DrivingPlanner
from embodied.envs.skills.goal_servo import GoalServo
from embodied.envs.skills.parcel_grip import Hand
from embodied.envs.skills.scripted import Readings
from embodied.envs.skills.two_hands import HandPlan, TwoHandsPlanner
from embodied.envs.tasks.team_sort.expert_facts import ExpertFacts
from embodied.envs.tasks.team_sort.picker import plan_picker
from embodied.envs.tasks.team_sort.sorter import plan_sorter
from embodied.plan import Controller, Planner
from embodied.robots.robot import Robot


def decide(
    xp: Any, hands: Sequence[Readings], state: Readings
) -> tuple[Sequence[HandPlan], Array]:
    """Returns the plans of both hands in n worlds, and the share of sorted parcels (n,).

    Args:
        xp: the array namespace.
        hands: proprioception of the robot's first and second hand.
        state: the privileged state.
    """
    sorter, picker = (Hand.read(hand) for hand in hands)
    facts = ExpertFacts.read(xp, sorter=sorter, picker=picker, state=state)
    return (plan_sorter(facts), plan_picker(facts)), facts.share_done


def team_expert(
    agent_layout: Layout, state_layout: Layout, robot: Robot
) -> tuple[Planner, Controller]:
    """Returns planner and controller of the expert, for a robot with two hands."""
    planner = TwoHandsPlanner(agent_layout, state_layout, robot, decide)
    return DrivingPlanner(planner, agent_layout, robot), GoalServo(agent_layout, robot)
