"""The scripted planner of ToteTransfer for two hands, which carry a wide tote together.

The hands go down together once both are above their walls, and close once both are at
their grips. From then on, the goals of both hands follow from one goal of the tote. The
robot drives along the belt to meet the tote, and to the rack with the tote in its
hands.

Each plan follows from the present state alone, so the expert recovers from whatever
happens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from embodied.arrays import dot
from embodied.core import Array, Layout, Observation
from embodied.envs.skills.driving import STAND_POSE_W, DrivingPlanner, stand_of_mount
from embodied.envs.skills.goal_servo import GoalServo
from embodied.envs.skills.scripted import (
    Readings,
    Row,
    completion_of,
    is_skill,
    last_row,
    pointing_down,
    with_z,
)
from embodied.envs.skills.two_hand_carry import carried_hand
from embodied.envs.skills.two_hands import HandPlan, TwoHandsPlanner
from embodied.envs.tasks.tote_transfer.expert_facts import GRASP_DEPTH_M
from embodied.envs.tasks.tote_transfer.scene import sides_of, station_of
from embodied.envs.tasks.tote_transfer.two_handed_facts import (
    CARRY_Z_W,
    TwoHandedFacts,
)
from embodied.plan import Controller, Payload, Planner
from embodied.robots.mount import MountPose
from embodied.robots.parts.arm import Arm
from embodied.robots.robot import Robot

# The task's skills, first to last.
ORDER = ("reach", "grasp", "lift", "carry", "place", "release", "retreat")
# The hands' height above their grips before they go down.
HOVER_M = 0.10
# The hands' height above their grips after they have let go.
CLEAR_M = 0.08
# A tote is set down towards a goal this far below the slot's floor.
PRESS_M = 0.004
# A tote within this horizontal distance of its slot is at the rack.
AT_RACK_M = 0.9
# A robot at the rack stands so that the middle of the slot is this far ahead of its
# shoulders: in the lower row, which is near, and in the upper row, which is farther away.
ROW_AHEAD_M = (0.50, 0.72)
# A slot whose floor is higher than this is in the upper row.
UPPER_Z_W = 0.73
# The robot stands still and its hands follow the tote while the tote's y, relative to the
# robot, is in this range. For a tote that moves, the range ends earlier, by the distance
# that the tote rides within LEAD_S.
MEET_Y_M = (-0.28, 0.26)
LEAD_S = 2.0
# If its hands have reached the tote, the robot stands still up to this y of the tote.
FOLLOW_Y_M = 0.33
# A robot that must drive goes to where the tote will have this y, relative to the robot,
# when the robot arrives, which is about ARRIVAL_S later.
AIM_Y_M = -0.10
ARRIVAL_S = 1.0


def two_handed_expert(
    agent_layout: Layout, state_layout: Layout, robot: Robot
) -> tuple[Planner, Controller]:
    """Returns planner and controller of the expert, for a robot with two hands."""
    # the stand depends on where the mount is now, because the robot waits for a tote
    # there
    expert = TwoHandedExpert(robot)
    mount = MountPose(robot, agent_layout)
    planner = TwoHandsPlanner(agent_layout, state_layout, robot, expert.decide)

    def stand(observation: Observation, payload: Payload) -> Array:
        """Returns where the first arm should stand (n, 4): x, y, z in m and yaw in rad.

        The pose depends on the observation only; DrivingPlanner passes the plan, too.
        """
        xp, hands, state = planner.read(observation)
        pose = mount.read(observation.agent_pos)
        return expert.stand(xp, hands, state, pose)

    return DrivingPlanner(planner, agent_layout, robot, stand), GoalServo(
        agent_layout, robot
    )


class TwoHandedExpert:
    """Decides what both hands do next, and where the robot should stand for that."""

    def __init__(self, robot: Robot) -> None:
        self._station = station_of(robot)
        self._sides = sides_of(robot)
        # a grip deeper than a palm is above the TCP would push the palm onto the rim
        palms_m = [robot.gripper_of(hand).palm_m for hand in robot.effectors[:2]]
        self._depth_m = min(GRASP_DEPTH_M, *palms_m)
        arm = robot.part(robot.effectors[0].arm)
        self._as_if_at = arm.as_if_at if isinstance(arm, Arm) else (0.0, 0.0, 0.0)

    def _facts(
        self, xp: Any, hands: Sequence[Readings], state: Readings
    ) -> TwoHandedFacts:
        """Returns the facts of an observation at this robot's station."""
        return TwoHandedFacts.read(
            xp,
            hands,
            state,
            sides=self._sides,
            depth_m=self._depth_m,
            rack_yaw=self._station.facing,
        )

    def stand(
        self, xp: Any, hands: Sequence[Readings], state: Readings, pose: Array
    ) -> Array:
        """Returns where the first arm should stand (n, 4): x, y, z in m and yaw in rad.

        The robot stands so that the tote on the belt, or the slot in the rack, is ahead
        of the middle between its shoulders.

        Args:
            xp: the array namespace.
            hands: proprioception of both hands.
            state: the privileged state.
            pose: (n, 4) the present pose of the robot's mount.
        """
        facts = self._facts(xp, hands, state)
        forwards, _, upwards = self._as_if_at

        # the goal of the mount at the belt
        belt_x = xp.zeros_like(facts.yaw) - forwards
        belt_y = _meeting_y(xp, facts, state["tote_vel_w"][:, 1], pose[:, 1])

        # the goal at the rack, once the tote is near its slot, or held and lifted
        offset = (facts.tote - facts.slot)[:, :2]
        is_at_rack = dot(offset, offset) < AT_RACK_M**2
        is_at_rack = is_at_rack | (facts.is_holding & ~facts.is_low)
        is_upper = facts.slot[:, 2] > UPPER_Z_W
        ahead_m = xp.where(is_upper, ROW_AHEAD_M[1], ROW_AHEAD_M[0])
        rack_y = facts.slot[:, 1] - ahead_m - forwards

        # `stand_of_mount` converts the mount's goal to the arm's
        x = xp.where(is_at_rack, facts.slot[:, 0], belt_x)
        y = xp.where(is_at_rack, rack_y, belt_y)
        z = xp.full_like(x, STAND_POSE_W[2] - upwards)
        yaw = xp.where(is_at_rack, self._station.facing, 0.0)
        mount_goal = xp.stack([x, y, z, yaw], axis=1)
        return stand_of_mount(xp, mount_goal, self._as_if_at)

    def decide(
        self, xp: Any, hands: Sequence[Readings], state: Readings
    ) -> tuple[Sequence[HandPlan], Array]:
        """Returns the plans of both hands in n worlds, and the task's completion (n,).

        Args:
            xp: the array namespace.
            hands: proprioception of both hands.
            state: the privileged state.
        """
        facts = self._facts(xp, hands, state)
        skill, goal_w, goal_yaw = self._choose(xp, facts)

        # empty hands go to their grips, or to `height_m` above their grips
        is_down = is_skill(skill, "grasp")
        height_m = xp.where(is_down, 0.0, HOVER_M)
        height_m = xp.where(is_skill(skill, "retreat"), CLEAR_M, height_m)
        # the goals of empty hands move with the tote that rides on the belt
        is_riding = ~facts.is_any_holding & ~facts.is_standing
        moves = (is_riding | is_down)[:, None]
        velocity = xp.where(moves, state["tote_vel_w"], xp.zeros_like(goal_w))

        # both hands close in the same plan, and open in the same plan
        is_closing = (is_down & facts.are_on_grips) | facts.is_holding
        is_closing = is_closing & ~is_skill(skill, "release")
        gripper = xp.where(is_closing, -1.0, 1.0)

        # hands with the tote follow the tote's goal; hands that let go stay where they
        # are
        plans = []
        stays = is_skill(skill, "release")[:, None]
        follows = facts.is_holding[:, None]
        for hand, grip, side in zip(facts.hands, facts.grips, self._sides, strict=True):
            empty_w = with_z(xp, grip, grip[:, 2] + height_m)
            carried_w, carried_quat = carried_hand(
                xp, facts.held, hand, side=side, goal_w=goal_w, goal_yaw=goal_yaw
            )
            pos_w = xp.where(follows, carried_w, empty_w)
            pos_w = xp.where(stays, hand, pos_w)
            quat = xp.where(follows, carried_quat, pointing_down(xp, facts.yaw))
            plans.append(HandPlan(skill, pos_w, quat, gripper, velocity))
        return plans, completion_of(xp, ORDER, skill)

    def _choose(self, xp: Any, facts: TwoHandedFacts) -> tuple[Array, Array, Array]:
        """Returns the skill of both hands, and the goal of the tote.

        Returns:
            The skill (n,), an index into SKILLS; the position (n, 3) m of the tote's
            goal, and its yaw (n,) rad.
        """
        # the tote is carried so high that the mean height of the hands is CARRY_Z_W
        hand_z = (facts.hands[0][:, 2] + facts.hands[1][:, 2]) / 2
        carry_z = facts.tote[:, 2] + CARRY_Z_W - hand_z
        lifted = with_z(xp, facts.tote, carry_z)
        carried = with_z(xp, facts.slot, carry_z)
        set_down = facts.slot - xp.asarray([0.0, 0.0, PRESS_M])

        # once a tote is being lowered, a small drift does not stop the lowering
        is_held = facts.is_holding
        may_lower = facts.is_above_slot | facts.is_being_lowered
        must_release = facts.is_standing & facts.is_any_holding
        rows = [  # the last row that applies wins
            Row("grasp", when=~is_held & facts.are_near, goal_w=facts.tote),
            Row("lift", when=is_held & facts.is_low, goal_w=lifted),
            Row("carry", when=is_held & ~facts.is_low, goal_w=carried),
            Row("place", when=is_held & may_lower, goal_w=set_down),
            Row("release", when=must_release, goal_w=facts.tote),
            Row("retreat", when=~must_release & facts.is_standing, goal_w=facts.tote),
        ]
        skill, goal_w = last_row(xp, rows, otherwise_w=facts.tote)
        # a tote keeps its yaw while it is lifted
        yaw = xp.where(is_skill(skill, "lift"), facts.yaw, self._station.facing)
        return skill, goal_w, yaw


def _meeting_y(
    xp: Any, facts: TwoHandedFacts, tote_vel_y: Array, mount_y: Array
) -> Array:
    """Returns the y (n,) m where the mount should stand to take the tote off the belt.

    The mount stays where it is while the tote is in front of it. Otherwise it drives to
    where it will meet the tote.

    Args:
        xp: the array namespace.
        facts: what the expert knows.
        tote_vel_y: (n,) m/s, the tote's velocity along the belt.
        mount_y: (n,) m, the mount's present y.
    """
    # a tote that moves backwards, for example after a push, counts as standing
    speed = xp.maximum(tote_vel_y, xp.zeros_like(tote_vel_y))
    # the mount stays while the tote's y, relative to the mount, is within this range; the
    # range ends later once the hands are at the tote, which they then follow
    tote_y = facts.tote[:, 1] - mount_y
    latest_y = xp.where(
        facts.are_near | facts.is_any_holding, FOLLOW_Y_M, MEET_Y_M[1] - LEAD_S * speed
    )
    is_before = (tote_y > MEET_Y_M[0]) & (tote_y < latest_y)
    # else the mount drives to where the tote will be in front of the mount at its arrival
    ahead_y = facts.tote[:, 1] + ARRIVAL_S * speed - AIM_Y_M
    return xp.where(is_before, mount_y, ahead_y)
