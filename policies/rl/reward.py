"""What a learner is rewarded with instead of progress: a cost until the goal is reached.

Were rewards positive, a learner would rather go on earning than end the episode by
success. Were the end of a lost episode free, it would rather lose. So a step costs
something until the goal is reached, and losing costs as much as earning nothing for
ever would.
"""

from __future__ import annotations

from typing import Any

from embodied.core import Array

# What a step costs before the goal, however near the goal it is. With 0 the stage
# `reach` is learned slowly; with 0.5 the stage `lift` is.
STEP_COST = 0.2


def step_reward(xp: Any, progress: Array, goal: float) -> Array:
    """Returns what a step earns, (N,): 0 at the goal, -1 without any progress.

    Just before the goal it is -`STEP_COST`.

    Args:
        xp: numpy or torch.
        progress: (N,) in [0, 1], the reward of the worlds.
        goal: the progress at which the task, or its stage, is done.
    """
    before_goal = (1 - STEP_COST) * (progress / goal - 1) - STEP_COST
    return xp.where(progress < goal, before_goal, 0.0)


def losing_reward(discount: float) -> float:
    """Returns what losing earns: the return of -1 in every step for ever."""
    return -1 / (1 - discount)
