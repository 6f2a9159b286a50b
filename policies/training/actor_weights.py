"""Sampling weights of plans in episodes in which an expert corrected a policy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embodied.core import ACTORS
from embodied.datasets.schema import Episode


@dataclass(frozen=True)
class ActorWeights:
    """Relative frequencies of sampling; plans of demonstrations have a weight of 1.

    Attributes:
        takeover: weight of plans made while the expert drove.
        shadow: weight of the expert's plans made while the policy drove.
    """

    takeover: float = 1.0
    shadow: float = 1.0


def weights_of_plans(
    episode: Episode, step: np.ndarray, weights: ActorWeights
) -> np.ndarray:
    """Returns the sampling weights (k,) float32 of an episode's plans.

    Plans of the policy itself get 0, since it must not learn from itself.

    Args:
        episode: the episode with the plans.
        step: (k,) the control step of each plan.
        weights: the weights of plans in episodes in which an expert corrected a policy.
    """
    # a demonstration, in which a single actor drove
    if "executed_by" not in episode.streams or episode.meta.takeovers is None:
        return np.ones(len(step), np.float32)

    policy = ACTORS.index("policy")
    policy_drove = episode.streams["executed_by"].value[step] == policy
    policy_planned = episode.streams["intended_by"].value[step] == policy
    weight = np.where(policy_drove, weights.shadow, weights.takeover)
    return np.where(policy_planned, 0.0, weight).astype(np.float32)
