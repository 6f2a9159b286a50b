"""Weights for sampling plans of episodes in which an expert corrected a policy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embodied.core import ACTORS


@dataclass(frozen=True)
class ActorWeights:
    """Relative frequencies at which plans are sampled; demonstrations' plans have 1.

    Attributes:
        takeover: the weight of plans made while the expert drove.
        shadow: the weight of the expert's plans made while the policy drove.
    """

    takeover: float = 1.0
    shadow: float = 1.0


def weights_of_plans(
    executed_by: np.ndarray | None,
    intended_by: np.ndarray | None,
    step: np.ndarray,
    weights: ActorWeights,
) -> np.ndarray:
    """Returns the sampling weights (k,) float32 of an episode's plans.

    Plans of the policy itself get 0, since it must not learn from itself.

    Args:
        executed_by: (T,) who drove at each control step, an index into ACTORS; None for
            a demonstration, in which a single actor drove.
        intended_by: (T,) who planned at each control step, an index into ACTORS; None for
            a demonstration.
        step: (k,) the control step of each plan.
        weights: the weights of plans in episodes in which an expert corrected a policy.
    """
    if executed_by is None or intended_by is None:
        return np.ones(len(step), np.float32)

    policy = ACTORS.index("policy")
    policy_drove = executed_by[step] == policy  # (k,) bool
    policy_planned = intended_by[step] == policy  # (k,) bool
    weight = np.where(policy_drove, weights.shadow, weights.takeover)
    return np.where(policy_planned, 0.0, weight).astype(np.float32)
