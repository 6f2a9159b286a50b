"""When an expert takes over from a policy that strays, and when it hands back.

The rule is that of HG-DAgger with a scripted expert in the place of the person (Kelly et
al., HG-DAgger: Interactive Imitation Learning with Human Experts, ICRA 2019): the policy
drives until it strays, the expert brings it back on course, and the policy goes on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from embodied.core import PHYSICS_HZ, Array
from embodied.errors import EmbodiedError
from embodied.plain import make_fields_plain

NO_SUBTASK = -1
# The most that two actions count as different. Grippers that want opposite things
# differ by 2, motions seldom by more than 1: capped, a gripper weighs no more than a
# motion.
MAX_DIFFERENCE = 1.0


@dataclass(frozen=True)
class TakeoverRule:
    """When the expert takes over, and when it hands back.

    The difference of two actions is that of the elements that differ most, at most 1; an
    action of 1 is a robot's top speed. The rule looks at its mean over the last moments.

    - The policy *strays* when this mean rises above `stray`.
    - It *stalls* when the expert's subtask has been the same for `stall_s` seconds while
      the policy drove.
    - The expert hands back after `least_s` seconds or more, when the mean is below
      `back`; after a stall also not before its subtask has changed.

    Attributes:
        stray: the mean difference above which the expert takes over.
        back: the mean difference below which it hands back.
        mean_s: over how long the mean is taken (the time constant of its decay).
        stall_s: how long a subtask may last while the policy drives.
        least_s: how long a take-over lasts at least.
        after_s: a schedule in place of all this: the expert takes over when an episode
            is so old, and goes on to its end.

    Raises:
        EmbodiedError: a number is out of its range.
    """

    stray: float = 0.6
    back: float = 0.3
    mean_s: float = 1.0
    stall_s: float = 5.0
    least_s: float = 1.0
    after_s: float | None = None

    def __post_init__(self) -> None:
        make_fields_plain(self)
        if not 0 < self.stray <= 1:
            raise EmbodiedError(
                "the difference at which a policy strays must be above 0 and at most 1, "
                f"not {self.stray}"
            )

        # a smaller difference than the one that took over, or it would go to and fro
        if not 0 < self.back <= self.stray:
            raise EmbodiedError(
                "the difference at which the expert hands back must be above 0 and at "
                f"most that at which it takes over, {self.stray}, not {self.back}"
            )

        for name in ("mean_s", "stall_s", "least_s"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise EmbodiedError(f"{name} must be above 0 and finite, not {value}")
        if self.after_s is not None and not 0 <= self.after_s < math.inf:
            raise EmbodiedError(
                f"after_s must be at least 0 and finite, not {self.after_s}"
            )


class TakeoverSwitch:
    """Decides in each of N worlds at each step who drives."""

    def __init__(self, num_worlds: int, rule: TakeoverRule, step_s: float) -> None:
        """Prepares the switch; the policy drives in all worlds.

        Args:
            num_worlds: N.
            rule: when to switch.
            step_s: the duration of a control step.
        """
        self._rule = rule
        # the share of the old mean that is left after a control step
        self._fading = math.exp(-step_s / rule.mean_s)

        # All (N,).
        self._expert_drives = np.zeros(num_worlds, bool)
        self._mean = np.zeros(num_worlds)  # the recent difference of the two actions
        self._since_s = np.zeros(num_worlds)  # when the present driver began
        self._subtask = np.full(num_worlds, NO_SUBTASK)  # the expert's, at present
        self._subtask_since_s = np.zeros(num_worlds)
        # the subtask in which the policy stalled, until another one comes
        self._stalled_in = np.full(num_worlds, NO_SUBTASK)

    def reset(self, ids: Array) -> None:
        """Begins episodes in worlds `ids`, in which the policy drives."""
        self._expert_drives[ids] = False
        self._mean[ids] = 0
        self._since_s[ids] = 0
        self._subtask[ids] = NO_SUBTASK
        self._subtask_since_s[ids] = 0
        self._stalled_in[ids] = NO_SUBTASK

    def update(
        self, difference: np.ndarray, subtask: np.ndarray, tick: np.ndarray
    ) -> np.ndarray:
        """Returns (N,) bool, in which worlds the expert drives now.

        Args:
            difference: (N,) of the two actions; nan where the policy's is not finite.
            subtask: (N,) of the expert's newest plan; -1 before its first.
            tick: (N,) ticks since the episode's start.
        """
        now_s = tick / PHYSICS_HZ
        if self._rule.after_s is not None:
            self._expert_drives = now_s >= self._rule.after_s
            return self._expert_drives.copy()

        self._note_subtask(subtask, now_s)
        is_broken = ~np.isfinite(difference)
        capped = np.where(is_broken, MAX_DIFFERENCE, difference)
        capped = np.minimum(capped, MAX_DIFFERENCE)
        self._mean = self._fading * self._mean + (1 - self._fading) * capped

        stalls = self._stalls(now_s)
        takes = ~self._expert_drives & (
            stalls | is_broken | (self._mean > self._rule.stray)
        )
        self._stalled_in = np.where(takes & stalls, self._subtask, self._stalled_in)
        hands_back = self._expert_drives & self._is_back(now_s) & ~is_broken

        changes = takes | hands_back
        self._expert_drives = self._expert_drives ^ changes  # the other one drives now
        self._since_s = np.where(changes, now_s, self._since_s)
        return self._expert_drives.copy()

    def _note_subtask(self, subtask: np.ndarray, now_s: np.ndarray) -> None:
        """Notes the expert's subtasks (N,); a new one ends a stall in the last one."""
        is_new = subtask != self._subtask
        self._subtask = np.array(subtask)
        self._subtask_since_s = np.where(is_new, now_s, self._subtask_since_s)
        self._stalled_in = np.where(is_new, NO_SUBTASK, self._stalled_in)

    def _stalls(self, now_s: np.ndarray) -> np.ndarray:
        """Returns (N,) bool, where the policy has driven in one subtask for too long."""
        begun_s = np.maximum(self._since_s, self._subtask_since_s)
        return ~self._expert_drives & (now_s - begun_s > self._rule.stall_s)

    def _is_back(self, now_s: np.ndarray) -> np.ndarray:
        """Returns (N,) bool, where the expert may hand back, if it drives."""
        is_long_enough = now_s - self._since_s >= self._rule.least_s
        agrees = self._mean < self._rule.back
        return is_long_enough & agrees & (self._stalled_in == NO_SUBTASK)
