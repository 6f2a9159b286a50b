"""A policy that an expert corrects: rounds of corrections, as DAgger collects them.

A policy that learned from an expert's demonstrations comes into states that the expert
never shows, because it errs. Here it drives, and so shows these states; the expert says
at each step what it would do there, and takes over when the policy strays (Ross et al., A
Reduction of Imitation Learning and Structured Prediction to No-Regret Online Learning,
AISTATS 2011). docs/corrections.md tells how to train on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from embodied.core import ACTORS, Array, Observation, Plan, Policy, PolicySpec
from embodied.errors import EmbodiedError, unknown
from embodied.policies.limits import ReferenceLimits
from embodied.policies.takeover import NO_SUBTASK, TakeoverRule, TakeoverSwitch
from embodied.rollout.plan_use import PlanUse, PlanUser
from embodied.rollout.rollout import PlanSource

CORRECTORS = ("expert",)
BY_POLICY = ACTORS.index("policy")
BY_EXPERT = ACTORS.index("expert")
# The largest change of an action element per second, as in `DualSystemConfig`: where two
# drivers want different things, the robot is not jerked from the one to the other.
MAX_ACTION_RATE = 20.0


@dataclass(frozen=True)
class Correction:
    """Who corrects a policy, and when.

    Attributes:
        by: one of `CORRECTORS`.
        rule: when it takes over, and when it hands back.

    Raises:
        EmbodiedError: nobody of that name corrects.
    """

    by: str = "expert"
    rule: TakeoverRule = field(default_factory=TakeoverRule)

    def __post_init__(self) -> None:
        if self.by not in CORRECTORS:
            raise unknown("corrector", self.by, CORRECTORS)

    def to_json(self) -> dict[str, Any]:
        """Returns what a dataset's header says of it.

        With `after_s` the rule uses no other number, so the others are left out.
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
    """Returns what a policy and who corrects it together need of the worlds.

    That is what the policy needs, and the privileged state, by which the corrector acts.

    Args:
        policy: what the policy needs.
        corrector: what its expert, or a person, needs.
        name: of the policy, for the error message.
        by: who corrects it, for the error message.

    Raises:
        EmbodiedError: they do not act alike, so that neither can stand in for the other.
    """
    own = (policy.control_mode, policy.control_hz)
    wanted = (corrector.control_mode, corrector.control_hz)
    if own != wanted:
        raise EmbodiedError(
            f"the {by} acts in control mode {wanted[0]!r} at {wanted[1]} Hz, but {name} "
            f"in {own[0]!r} at {own[1]} Hz: it can only correct a policy that acts as it "
            "does, such as one trained on the expert's demonstrations"
        )
    return replace(policy, privileged=True)


class CorrectedPolicy:
    """A policy that drives until an expert takes over.

    `intended`, which a learner imitates, is always the expert's action, also while the
    policy drives. The plans are the expert's, too.
    """

    def __init__(
        self,
        policy: Policy,
        expert: Policy,
        rule: TakeoverRule,
        gripper_elements: Sequence[int] = (-1,),
    ) -> None:
        """Puts the two together.

        Args:
            policy: the one that drives at first.
            expert: the one that takes over.
            rule: when.
            gripper_elements: which action elements are grippers.
        """
        self.spec = corrected_spec(policy.spec, expert.spec, "the policy")
        self._policy = policy
        self._expert = expert
        self._rule = rule
        self._grippers = tuple(gripper_elements)
        self._plans: list[Plan] = []  # the expert's, since the last `take_plans`
        # (N,) of the expert's newest plan
        self._subtask = np.zeros(0, np.int64)
        self._allocate(num_worlds=0)

    @property
    def intended(self) -> np.ndarray:
        """(N, A) what the expert wanted at the last `act`."""
        return self._intended.copy()

    @property
    def intended_by(self) -> np.ndarray:
        """(N,) the expert everywhere."""
        return np.full(len(self._executed_by), BY_EXPERT, np.uint8)

    @property
    def executed_by(self) -> np.ndarray:
        """(N,) who drove at the last `act`."""
        return self._executed_by.copy()

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        num_worlds = len(observation.tick)
        if num_worlds != len(self._executed_by):
            self._allocate(num_worlds)
        self._policy.reset(ids, self._seen_by_policy(observation), seeds)
        self._expert.reset(ids, observation, seeds)
        self._switch.reset(ids)
        self._limits.reset(ids)
        self._subtask[ids] = NO_SUBTASK

    def act(self, observation: Observation) -> np.ndarray:
        # Both are asked at every step: the one that does not drive knows what goes on.
        wanted = np.asarray(self._policy.act(self._seen_by_policy(observation)))
        self._intended = np.array(self._expert.act(observation), np.float32)
        self._note_plans()

        # (N,); not finite where the policy's action is not
        difference = np.abs(wanted - self._intended).max(axis=1)
        expert_drives = self._switch.update(
            difference, self._subtask, np.asarray(observation.tick)
        )
        self._executed_by = np.where(expert_drives, BY_EXPERT, BY_POLICY)
        self._executed_by = self._executed_by.astype(np.uint8)

        chosen = np.where(expert_drives[:, None], self._intended, wanted)
        stop_nowhere = np.zeros(len(chosen), bool)
        return self._limits.apply(chosen, stop_nowhere, observation)

    def take_plans(self) -> list[Plan]:
        """Returns the plans that the expert has begun since the last call."""
        plans = self._plans
        self._plans = []
        return plans

    def mean_plan_age_s(self, world: int) -> float:
        """Returns the mean age of the expert's plans in the episode so far."""
        if isinstance(self._expert, PlanSource):
            return self._expert.mean_plan_age_s(world)
        return float("nan")

    def plan_use(self, world: int) -> PlanUse | None:
        """Returns how the expert's plans were used in the episode so far."""
        if isinstance(self._expert, PlanUser):
            return self._expert.plan_use(world)
        return None

    def _allocate(self, num_worlds: int) -> None:
        """Sets the state of N worlds in which no episode has started."""
        step_s = 1 / self.spec.control_hz
        self._switch = TakeoverSwitch(num_worlds, self._rule, step_s)
        self._limits = ReferenceLimits(
            num_worlds, MAX_ACTION_RATE * step_s, self._grippers, hold_action=None
        )
        self._intended = np.zeros((num_worlds, 0), np.float32)
        self._executed_by = np.zeros(num_worlds, np.uint8)
        self._subtask = np.full(num_worlds, NO_SUBTASK)

    def _seen_by_policy(self, observation: Observation) -> Observation:
        """Returns what the policy may see: without the state that only experts see."""
        if self._policy.spec.privileged:
            return observation
        nothing = observation.environment_state[:, :0]
        return replace(observation, environment_state=nothing)

    def _note_plans(self) -> None:
        """Keeps the expert's new plans and its subtasks.

        The policy's plans are taken too, as it would keep them for ever, and dropped.
        """
        if isinstance(self._policy, PlanSource):
            self._policy.take_plans()
        if not isinstance(self._expert, PlanSource):
            return
        for plan in self._expert.take_plans():
            self._subtask[plan.world] = plan.payload.subtask
            self._plans.append(plan)
