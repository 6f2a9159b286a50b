"""A policy that drives until a person takes over: corrections by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from embodied.core import ACTORS, Array, Observation, Plan, Policy
from embodied.policies.corrected import MAX_ACTION_RATE, corrected_spec
from embodied.policies.limits import ReferenceLimits
from embodied.policies.teleop.device import Command
from embodied.policies.teleop.operator import Operator
from embodied.rollout.rollout import PlanSource

BY_POLICY = ACTORS.index("policy")
BY_PERSON = ACTORS.index("person")


class SharedOperator:
    """A person who looks on, takes over by moving, and hands back by an event.

    What is intended is the wish of whoever drives: a person cannot say at each step what
    they would do, as an expert can. The plans are those of the task's planner, as in any
    take.
    """

    def __init__(self, policy: Policy, operator: Operator, name: str) -> None:
        """Puts the two together.

        Args:
            policy: the one that drives at first.
            operator: the person.
            name: of the policy, for the error message.

        Raises:
            EmbodiedError: the policy does not act as a person does.
        """
        self.spec = corrected_spec(policy.spec, operator.spec, name, "person")
        self._policy = policy
        self._operator = operator
        self._person_drives = False
        self._limits = ReferenceLimits(
            1,
            MAX_ACTION_RATE / self.spec.control_hz,
            operator.gripper_elements,
            hold_action=None,
        )
        self._last_grip = np.ones(len(operator.gripper_elements))

    @property
    def is_marked(self) -> bool:
        """Whether the person marked this take."""
        return self._operator.is_marked

    @property
    def intended_by(self) -> np.ndarray:
        """(1,) who drives."""
        return self.executed_by

    @property
    def executed_by(self) -> np.ndarray:
        """(1,) who drives."""
        driver = BY_PERSON if self._person_drives else BY_POLICY
        return np.array([driver], np.uint8)

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        self._policy.reset(ids, self._seen_by_policy(observation), seeds)
        self._operator.reset(ids, observation, seeds)
        self._limits.reset(ids)
        self._person_drives = False
        self._last_grip[:] = 1

    def act(self, observation: Observation) -> np.ndarray:
        """Returns the action (1, A) of whoever drives.

        Raises:
            TakeStopped: the person does not want to go on.
        """
        command = self._operator.listen()
        self._operator.look_on(observation)
        action = np.asarray(self._policy.act(self._seen_by_policy(observation)))
        if isinstance(self._policy, PlanSource):
            self._policy.take_plans()  # dropped: it would keep them for ever

        if self._takes_over(command):
            # the hand stays as the policy had it
            self._operator.hold_grip(self._last_grip)
            self._person_drives = True
        elif "take_over" in command.events:  # the person drives, and hands back
            self._person_drives = False
        if self._person_drives:
            action = self._operator.do(command, observation)

        action = self._limits.apply(action, np.zeros(1, bool), observation)
        self._last_grip = action[0, list(self._operator.gripper_elements)]
        return action

    def take_plans(self) -> list[Plan]:
        """Returns the planner's plans since the last call."""
        return self._operator.take_plans()

    def mean_plan_age_s(self, world: int) -> float:
        """Returns nan: what is recorded is not the plans that were followed."""
        return self._operator.mean_plan_age_s(world)

    def _takes_over(self, command: Command) -> bool:
        """Returns whether the person begins to drive, by moving or by an event."""
        moves = any((*command.move, *command.turn, *command.drive))
        says = bool({"take_over", "grip"} & command.events)
        return not self._person_drives and (moves or says)

    def _seen_by_policy(self, observation: Observation) -> Observation:
        """Returns what the policy may see: without the state that only experts see."""
        if self._policy.spec.privileged:
            return observation
        nothing = observation.environment_state[:, :0]
        return replace(observation, environment_state=nothing)
