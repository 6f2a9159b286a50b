"""The reward of a learner, computed from progress: a cost until the goal is reached.

With positive rewards, a learner would rather continue an episode than end it by success.
If losing cost nothing, it would rather lose than pay for further steps. So each step has
a cost until the goal is reached, and losing costs as much as making no progress for ever.
"""

from __future__ import annotations

from typing import Any

from embodied.core import Array

# The cost of a step just before the goal. With 0 the stage `reach` is learned slowly, with
# 0.5 the stage `lift`.
STEP_COST = 0.2


def step_reward(xp: Any, progress: Array, goal: float) -> Array:
    """Returns the rewards (N,) of a step.

    They rise from -1 without progress to -`STEP_COST` just before the goal, and are 0 at
    the goal.

    Args:
        xp: the module of the arrays, numpy or torch.
        progress: (N,) in [0, 1], the progress of the tasks, which the worlds give as reward.
        goal: the progress at which the task or its stage is done.
    """
    before_goal = (1 - STEP_COST) * (progress / goal - 1) - STEP_COST
    return xp.where(progress < goal, before_goal, 0.0)


def losing_reward(discount: float) -> float:
    """Returns the reward of losing: the return of a reward of -1 per step for ever."""
    return -1 / (1 - discount)
