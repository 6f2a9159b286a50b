"""A scripted planner for two hands: a function plans for each, in one payload."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from embodied.arrays import array_namespace, dot
from embodied.core import Array, Layout, Observation
from embodied.envs.skills.hand_view import HandView
from embodied.envs.skills.scripted import Readings
from embodied.plan import Payload, PlanShape
from embodied.robots.robot import Robot


class HandPlan(NamedTuple):
    """What one hand does next, in n worlds."""

    skill: Array  # (n,) int64, index into SKILLS
    pos_w: Array  # (n, 3) m, the goal of its tool centre point
    quat_wxyz: Array  # (n, 4) the hand's rotation at the goal
    gripper: Array  # (n,) in [-1, 1], -1 closed
    vel_w: Array | None = None  # (n, 3) m/s of a goal that moves; None for one at rest


# A function that returns a plan for each hand, and the share (n,) of the task that is
# done. Its arguments are the array namespace, the readings of both hands, and the
# privileged state. The readings of a hand are `tcp_pos_w`, `tcp_rot6d`, and
# `gripper_width` for fingers or `gripper_vacuum` for a suction cup.
DecideTwo = Callable[
    [Any, Sequence[Readings], Readings], tuple[Sequence[HandPlan], Array]
]


class TwoHandsPlanner:
    """A planner for a robot's first two hands that gets its plans from a function.

    The planner sees the privileged state, and remembers nothing from one plan to the
    next.
    """

    plan_shape = PlanShape(effectors=2)

    def __init__(
        self,
        agent_layout: Layout,
        state_layout: Layout,
        robot: Robot,
        decide: DecideTwo,
    ) -> None:
        """Prepares to read observations, and keeps the function that decides.

        Args:
            agent_layout: The layout of proprioception.
            state_layout: The layout of privileged state.
            robot: The robot, or the team of robots, that has the two hands.
            decide: The function that returns the plans.
        """
        self._agent = agent_layout.slices()
        self._state = state_layout.slices()
        self._effectors = robot.effectors[:2]
        self._views = [HandView.of(robot, effector) for effector in self._effectors]
        self._decide = decide

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Does nothing: the planner keeps no state."""

    def plan(self, observation: Observation, ids: Array) -> Payload:
        xp, hands, readings = self.read(observation)
        plans, completion = self._decide(xp, hands, readings)
        return self._joint_payload(xp, hands, plans, completion)

    def read(self, observation: Observation) -> tuple[Any, list[Readings], Readings]:
        """Returns the array namespace, both hands, and the privileged state."""
        xp: Any = array_namespace(observation.agent_pos)
        state = observation.environment_state
        readings = {name: state[:, part] for name, part in self._state.items()}
        return xp, self._hand_readings(observation.agent_pos), readings

    def _hand_readings(self, agent_pos: Array) -> list[Readings]:
        """Returns TCP, axes and gripper width or vacuum of both hands, (n, width) each.

        The TCP of a hand that differs from the reference hand is the virtual one that
        `HandView` explains.
        """
        hands = []
        for effector, view in zip(self._effectors, self._views, strict=True):
            # name of a reading -> name of its entry in the layout
            entries = {
                "tcp_pos_w": f"{effector.name}_pos_w",
                "tcp_rot6d": f"{effector.name}_rot6d",
            }
            # fingers have a width, a suction cup has a vacuum instead
            for kind in ("width", "vacuum"):
                name = f"{effector.gripper}_{kind}"
                if name in self._agent:
                    entries[f"gripper_{kind}"] = name
            hand = {
                key: agent_pos[:, self._agent[name]] for key, name in entries.items()
            }
            if view:
                hand["tcp_pos_w"] = view.virtual_tcp(
                    hand["tcp_pos_w"], hand["tcp_rot6d"]
                )
            hands.append(hand)
        return hands

    def _joint_payload(
        self,
        xp: Any,
        hands: Sequence[Readings],
        plans: Sequence[HandPlan],
        completion: Array,
    ) -> Payload:
        """Returns the plans of both hands as one payload.

        A payload has a single subtask: the skill of the hand that is farther from its
        goal.

        Args:
            xp: The array namespace.
            hands: The readings of both hands.
            plans: The plans of both hands.
            completion: (n,) the share of the task that is done.
        """
        to_goals = [  # (n, 3) m each
            plan.pos_w - hand["tcp_pos_w"]
            for plan, hand in zip(plans, hands, strict=True)
        ]
        is_second_farther = dot(to_goals[1], to_goals[1]) > dot(
            to_goals[0], to_goals[0]
        )
        subtask = xp.where(is_second_farther, plans[1].skill, plans[0].skill)

        # goals and commands of the reference hand -> those of the robot's own hands
        pos_w = []
        vel_w = []
        gripper = []
        for plan, view in zip(plans, self._views, strict=True):
            goal = view.own_goal(plan.pos_w, plan.quat_wxyz) if view else plan.pos_w
            pos_w.append(goal)
            at_rest = xp.zeros_like(goal)
            vel_w.append(at_rest if plan.vel_w is None else plan.vel_w)
            gripper.append(view.own_command(plan.gripper) if view else plan.gripper)
        goal_pos_w = xp.stack(pos_w, axis=1)
        num = goal_pos_w.shape[0]
        return Payload(
            subtask=subtask,
            goal_pos_w=goal_pos_w,
            goal_quat_wxyz=xp.stack([plan.quat_wxyz for plan in plans], axis=1),
            goal_vel_w=xp.stack(vel_w, axis=1),
            gripper=xp.stack(gripper, axis=1),
            completion=completion,
            latent=xp.zeros((num, 0)),
            base_goal_w=xp.zeros((num, 0, 4)),
        )
