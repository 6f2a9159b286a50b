"""Corrections by hand: a policy drives until a person takes over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from embodied.core import ACTORS, Array, Observation, Policy
from embodied.plan import Plan
from embodied.policies.corrected import MAX_ACTION_RATE, corrected_spec
from embodied.policies.limits import ReferenceLimits
from embodied.policies.teleop.device import Command
from embodied.policies.teleop.operator import Operator
from embodied.rollout.rollout import PlanSource

BY_POLICY = ACTORS.index("policy")
BY_PERSON = ACTORS.index("person")


class SharedOperator:
    """A person who watches a policy, takes over by moving, and hands back by an event.

    The recorded intention is the current driver's. Unlike an expert, a person cannot also
    say, while the policy drives, which action they would take. The plans are those of the
    task's scripted planner, as in any take.
    """

    def __init__(self, policy: Policy, operator: Operator, name: str) -> None:
        """Combines policy and person.

        Args:
            policy: the policy, which drives at first.
            operator: the person, as a policy that executes their commands.
            name: the name of the policy, for the error message.

        Raises:
            EmbodiedError: the policy has another control mode or rate than a person.
        """
        self.spec = corrected_spec(policy.spec, operator.spec, name, by="person")
        self._policy = policy
        self._operator = operator
        self._person_drives = False
        self._limits = ReferenceLimits(
            num_worlds=1,
            max_step=MAX_ACTION_RATE / self.spec.control_hz,
            gripper_elements=operator.gripper_elements,
            hold_action=None,
        )
        # (E,) the last commands for the grippers, which begin open: 1
        self._last_grip = np.ones(len(operator.gripper_elements))

    @property
    def is_marked(self) -> bool:
        """Whether the person marked this take."""
        return self._operator.is_marked

    @property
    def intended_by(self) -> np.ndarray:
        """(1,) the current driver, index into ACTORS."""
        return self.executed_by

    @property
    def executed_by(self) -> np.ndarray:
        """(1,) the current driver, index into ACTORS."""
        driver = BY_PERSON if self._person_drives else BY_POLICY
        return np.array([driver], np.uint8)

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        self._policy.reset(ids, self._seen_by_policy(observation), seeds)
        self._operator.reset(ids, observation, seeds)
        self._limits.reset(ids)
        self._person_drives = False
        self._last_grip[:] = 1  # open

    def act(self, observation: Observation) -> np.ndarray:
        """Returns the action (1, A) of the current driver.

        Raises:
            TakeStopped: the person has stopped the take.
        """
        command = self._operator.read_command()
        self._operator.collect_plans(observation)
        action = np.asarray(self._policy.act(self._seen_by_policy(observation)))
        if isinstance(self._policy, PlanSource):
            # if the plans were not taken, the policy would collect them without end
            self._policy.take_plans()

        if self._takes_over(command):
            # the grippers keep the policy's last command
            self._operator.set_grip(self._last_grip)
            self._person_drives = True
        elif "take_over" in command.events:
            # the person drives already, so this event hands back to the policy
            self._person_drives = False
        if self._person_drives:
            action = self._operator.execute(command, observation)

        # the limits only limit the rate of change, so that a change of driver is smooth
        no_stop = np.zeros(1, bool)
        action = self._limits.apply(action, no_stop, observation)
        self._last_grip = action[0, list(self._operator.gripper_elements)]
        return action

    def take_plans(self) -> list[Plan]:
        """Returns the planner's plans since the last call."""
        return self._operator.take_plans()

    def mean_plan_age_s(self, world: int) -> float:
        """Returns NaN, since nobody follows the recorded plans."""
        return self._operator.mean_plan_age_s(world)

    def _takes_over(self, command: Command) -> bool:
        """Returns whether the person begins to drive, by moving or by an event."""
        moves = any((*command.move, *command.turn, *command.drive))
        has_event = bool({"take_over", "grip"} & command.events)
        return not self._person_drives and (moves or has_event)

    def _seen_by_policy(self, observation: Observation) -> Observation:
        """Returns the observation without the privileged state, unless the policy uses it."""
        if self._policy.spec.privileged:
            return observation
        no_state = observation.environment_state[:, :0]
        return replace(observation, environment_state=no_state)
