"""How often plans are sampled where an expert corrected a policy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embodied.core import ACTORS
from embodied.datasets.schema import Episode


@dataclass(frozen=True)
class ActorWeights:
    """How often plans are sampled; those of demonstrations have a weight of 1.

    Attributes:
        takeover: of plans that were made while the expert drove.
        shadow: of plans that the expert made while the policy drove.
    """

    takeover: float = 1.0
    shadow: float = 1.0


def plan_weights_of(
    episode: Episode, step: np.ndarray, weights: ActorWeights
) -> np.ndarray:
    """Returns how often the plans of an episode are sampled, (k,) float32.

    A policy does not learn from itself: what it intended weighs nothing.

    Args:
        episode: where the plans are from.
        step: (k,) the control step of each plan.
        weights: where an expert corrected a policy.
    """
    # One actor drove all the time: all of it is a demonstration.
    if "executed_by" not in episode.streams or episode.meta.takeovers is None:
        return np.ones(len(step), np.float32)

    policy = ACTORS.index("policy")
    policy_drove = episode.streams["executed_by"].value[step] == policy
    policy_planned = episode.streams["intended_by"].value[step] == policy
    weight = np.where(policy_drove, weights.shadow, weights.takeover)
    return np.where(policy_planned, 0.0, weight).astype(np.float32)
