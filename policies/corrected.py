"""A policy that an expert corrects, to collect data as DAgger does.

Because of its errors, a policy that learned from an expert's demonstrations gets into
states that the demonstrations do not contain. Here the policy drives, so that such
states are recorded. At each step the expert gives the action that it would take, and it takes over
when the policy strays (Ross et al., A Reduction of Imitation Learning and Structured
Prediction to No-Regret Online Learning, AISTATS 2011). docs/corrections.md explains how
to train on such data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from embodied.core import ACTORS, Array, Observation, Policy, PolicySpec
from embodied.errors import EmbodiedError, unknown
from embodied.plan import Plan
from embodied.policies.limits import ReferenceLimits
from embodied.policies.takeover import NO_SUBTASK, TakeoverRule, TakeoverSwitch
from embodied.rollout.plan_use import PlanUse, PlanUser
from embodied.rollout.rollout import PlanSource

CORRECTORS = ("expert",)
BY_POLICY = ACTORS.index("policy")
BY_EXPERT = ACTORS.index("expert")
# The largest change of an action element per second, as in `DualSystemConfig`, so that the
# robot does not jerk when the driver changes.
MAX_ACTION_RATE = 20.0


@dataclass(frozen=True)
class Correction:
    """Who corrects a policy, and when.

    Attributes:
        by: one of `CORRECTORS`.
        rule: when the corrector takes over, and when it hands back.

    Raises:
        EmbodiedError: there is no such corrector.
    """

    by: str = "expert"
    rule: TakeoverRule = field(default_factory=TakeoverRule)

    def __post_init__(self) -> None:
        if self.by not in CORRECTORS:
            raise unknown("corrector", self.by, CORRECTORS)

    def to_json(self) -> dict[str, Any]:
        """Returns the correction as JSON values, for a dataset's header.

        A rule with `after_s` does not use its other numbers, so these are left out.
        """
        rule = asdict(self.rule)
        if self.rule.after_s is None:
            rule.pop("after_s")
        else:
            rule = {"after_s": self.rule.after_s}
        return {"by": self.by, **rule}


def corrected_spec(
    policy: PolicySpec, corrector: PolicySpec, name: str, by: str = "expert"
) -> PolicySpec:
    """Returns the requirements of a policy and its corrector together.

    These are the requirements of the policy, plus the privileged state for the corrector.

    Args:
        policy: the requirements of the policy.
        corrector: the requirements of the expert or person that corrects the policy.
        name: the name of the policy, for the error message.
        by: the corrector in a word, for the error message.

    Raises:
        EmbodiedError: policy and corrector differ in control mode or rate, so the
            corrector's actions cannot replace the policy's.
    """
    is_same_mode = policy.control_mode == corrector.control_mode
    if not is_same_mode or policy.control_hz != corrector.control_hz:
        raise EmbodiedError(
            f"the {by} acts in control mode {corrector.control_mode!r} at "
            f"{corrector.control_hz} Hz, but {name} in {policy.control_mode!r} at "
            f"{policy.control_hz} Hz: it can only correct a policy that acts as it "
            "does, such as one trained on the expert's demonstrations"
        )
    return replace(policy, privileged=True)


class CorrectedPolicy:
    """A policy that drives until an expert takes over.

    The action to learn, `intended`, is always the expert's, even while the policy drives.
    The plans are the expert's, too.
    """

    def __init__(
        self,
        policy: Policy,
        expert: Policy,
        rule: TakeoverRule,
        gripper_elements: Sequence[int] = (-1,),
    ) -> None:
        """Combines policy and expert.

        Args:
            policy: the policy, which drives at first.
            expert: the expert, which takes over.
            rule: when the expert takes over, and when it hands back.
            gripper_elements: the indices of the action elements that command grippers.
        """
        self.spec = corrected_spec(policy.spec, expert.spec, "the policy")
        self._policy = policy
        self._expert = expert
        self._rule = rule
        self._grippers = tuple(gripper_elements)
        self._plans: list[Plan] = []  # the expert's, since the last `take_plans`
        # (N,) the subtask of the expert's newest plan
        self._subtask = np.zeros(0, np.int64)
        self._allocate(num_worlds=0)

    @property
    def intended(self) -> np.ndarray:
        """(N, A) the expert's actions at the last `act`."""
        return self._intended.copy()

    @property
    def intended_by(self) -> np.ndarray:
        """(N,) who intended the actions: the expert in every world."""
        return np.full(len(self._executed_by), BY_EXPERT, np.uint8)

    @property
    def executed_by(self) -> np.ndarray:
        """(N,) who executed the last action: an index into `ACTORS`."""
        return self._executed_by.copy()

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        """Begins episodes in worlds `ids` (n,); the policy drives first."""
        num_worlds = len(observation.tick)
        if num_worlds != len(self._executed_by):
            self._allocate(num_worlds)
        self._policy.reset(ids, self._seen_by_policy(observation), seeds)
        self._expert.reset(ids, observation, seeds)
        self._switch.reset(ids)
        self._limits.reset(ids)
        self._subtask[ids] = NO_SUBTASK

    def act(self, observation: Observation) -> np.ndarray:
        """Returns the actions (N, A): the expert's where it has taken over."""
        # Policy and expert both act at every step, because the actor that does not drive
        # now may drive at the next step, and must keep its state up to date.
        policy_action = np.asarray(self._policy.act(self._seen_by_policy(observation)))
        self._intended = np.array(self._expert.act(observation), np.float32)
        self._collect_plans()

        # (N,) the largest difference of an action element; it is not finite if the policy's
        # action is not
        difference = np.abs(policy_action - self._intended).max(axis=1)
        expert_drives = self._switch.update(
            difference, self._subtask, np.asarray(observation.tick)
        )
        self._executed_by = np.where(expert_drives, BY_EXPERT, BY_POLICY)
        self._executed_by = self._executed_by.astype(np.uint8)

        chosen = np.where(expert_drives[:, None], self._intended, policy_action)
        # the limits only limit the rate of change here: no robot is stopped
        no_stop = np.zeros(len(chosen), bool)
        return self._limits.apply(chosen, no_stop, observation)

    def take_plans(self) -> list[Plan]:
        """Returns the expert's plans that were started since the last call."""
        plans = self._plans
        self._plans = []
        return plans

    def mean_plan_age_s(self, world: int) -> float:
        """Returns the mean age of the expert's plans in the episode so far."""
        if isinstance(self._expert, PlanSource):
            return self._expert.mean_plan_age_s(world)
        return float("nan")

    def plan_use(self, world: int) -> PlanUse | None:
        """Returns figures on the expert's plans in the episode so far; None without."""
        if isinstance(self._expert, PlanUser):
            return self._expert.plan_use(world)
        return None

    def _allocate(self, num_worlds: int) -> None:
        """Creates the state of N worlds in which no episode has begun."""
        step_s = 1 / self.spec.control_hz
        self._switch = TakeoverSwitch(num_worlds, self._rule, step_s)
        self._limits = ReferenceLimits(
            num_worlds, MAX_ACTION_RATE * step_s, self._grippers, hold_action=None
        )
        self._intended = np.zeros((num_worlds, 0), np.float32)
        self._executed_by = np.zeros(num_worlds, np.uint8)
        self._subtask = np.full(num_worlds, NO_SUBTASK)

    def _seen_by_policy(self, observation: Observation) -> Observation:
        """Returns the observation without the privileged state, unless the policy uses it."""
        if self._policy.spec.privileged:
            return observation
        no_state = observation.environment_state[:, :0]
        return replace(observation, environment_state=no_state)

    def _collect_plans(self) -> None:
        """Takes the new plans of both; keeps the expert's plans and their subtasks.

        The policy's own plans are dropped. If they were not taken, the policy would collect
        them without end.
        """
        if isinstance(self._policy, PlanSource):
            self._policy.take_plans()
        if not isinstance(self._expert, PlanSource):
            return
        for plan in self._expert.take_plans():
            self._subtask[plan.world] = plan.payload.subtask
            self._plans.append(plan)
