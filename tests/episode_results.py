"""Results of episodes, for the tests of what is made of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from embodied.rollout.rollout import EpisodeResult


def episode_result(seed: int, success: bool = True, **changes: Any) -> EpisodeResult:
    """Returns the result of an episode of 5 s that succeeds after 4 s, or fails half-way.

    Args:
        seed: also the episode's index.
        success: whether it succeeds, and ends as a success.
        changes: fields with other values.
    """
    progress = 1.0 if success else 0.5
    result = EpisodeResult(
        index=seed,
        seed=seed,
        instruction="put the red tote into slot 2",
        success_once=success,
        success_at_end=success,
        progress_max=progress,
        progress_end=progress,
        time_to_success_s=4.0 if success else None,
        duration_s=5.0,
        fault="",
        reward_sum=0.0,
        variation={},
        mean_plan_age_s=0.1,
        ended="success" if success else "time out",
    )
    return replace(result, **changes)
