"""When an expert takes over from a policy that strays, and when it hands back.

The rule is HG-DAgger's, with a scripted expert in place of the person (Kelly et al.,
HG-DAgger: Interactive Imitation Learning with Human Experts, ICRA 2019): the policy drives
until it strays, the expert brings it back on course, and the policy continues.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from embodied.core import PHYSICS_HZ, Array
from embodied.errors import EmbodiedError
from embodied.plain import make_fields_plain

NO_SUBTASK = -1
# Larger differences of two actions count as this. Opposite gripper commands differ by 2,
# motions rarely by more than 1; the cap gives them about the same weight.
MAX_DIFFERENCE = 1.0


@dataclass(frozen=True)
class TakeoverRule:
    """When the expert takes over, and when it hands back.

    The rule compares the policy's action with the expert's. The difference of two actions
    is the difference of the element that differs most, capped at 1; an action of 1 is the
    robot's top speed. It is averaged over the recent past (exponential decay).

    - The expert takes over if the policy *strays*: the average is above `stray`.
    - It also takes over if the policy *stalls*: the policy has been driving for
      `stall_s`, and the expert's subtask has not changed in that time.
    - It hands back when it has driven for `least_s` and the average is below `back`.
      After a stall, its subtask must have changed, too.

    Attributes:
        stray: the average difference above which the expert takes over.
        back: the average difference below which the expert hands back.
        mean_s: the time constant of the average's decay.
        stall_s: the longest duration of a subtask while the policy drives.
        least_s: the shortest duration of a take-over.
        after_s: if given, it replaces all of the above: the expert takes over at this
            time of an episode, and drives to its end.

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
        """Raises EmbodiedError for a threshold or a time that is impossible."""
        make_fields_plain(self)
        if not 0 < self.stray <= 1:
            raise EmbodiedError(
                "the difference at which a policy strays must be above 0 and at most 1, "
                f"not {self.stray}"
            )

        # with a threshold above `stray`, the driver would change back and forth
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
    """Decides at each step, for each of N worlds, who drives."""

    def __init__(self, num_worlds: int, rule: TakeoverRule, step_s: float) -> None:
        """Prepares the switch; the policy drives in all worlds.

        Args:
            num_worlds: N.
            rule: when to switch.
            step_s: the duration of a control step.
        """
        self._rule = rule
        # the weight of the old average after one control step
        self._decay = math.exp(-step_s / rule.mean_s)

        # All arrays are (N,).
        self._expert_drives = np.zeros(num_worlds, bool)
        self._mean_difference = np.zeros(
            num_worlds
        )  # the average difference of the two actions
        self._since_s = np.zeros(num_worlds)  # when the current driver began
        self._subtask = np.full(num_worlds, NO_SUBTASK)  # the expert's current subtask
        self._subtask_since_s = np.zeros(num_worlds)  # when that subtask began
        # the subtask in which the policy stalled, until the subtask changes
        self._stalled_in = np.full(num_worlds, NO_SUBTASK)

    def reset(self, ids: Array) -> None:
        """Begins episodes in worlds `ids`, in which the policy drives."""
        self._expert_drives[ids] = False
        self._mean_difference[ids] = 0
        self._since_s[ids] = 0
        self._subtask[ids] = NO_SUBTASK
        self._subtask_since_s[ids] = 0
        self._stalled_in[ids] = NO_SUBTASK

    def update(
        self, difference: np.ndarray, subtask: np.ndarray, tick: np.ndarray
    ) -> np.ndarray:
        """Returns (N,) bool, whether the expert drives now.

        Args:
            difference: (N,) the largest difference of an element of the two actions; not
                finite if the policy's action is not.
            subtask: (N,) the subtask of the expert's newest plan; -1 before its first plan.
            tick: (N,) ticks since the episode's start.
        """
        now_s = tick / PHYSICS_HZ
        if self._rule.after_s is not None:
            self._expert_drives = now_s >= self._rule.after_s
            return self._expert_drives.copy()

        self._update_subtask(subtask, now_s)

        # update the average; an invalid action counts as the largest difference
        is_invalid = ~np.isfinite(difference)
        capped = np.where(is_invalid, MAX_DIFFERENCE, difference)
        capped = np.minimum(capped, MAX_DIFFERENCE)
        self._mean_difference = (
            self._decay * self._mean_difference + (1 - self._decay) * capped
        )

        # decide where the driver changes
        stalls = self._stalls(now_s)
        strays = self._mean_difference > self._rule.stray
        takes_over = ~self._expert_drives & (stalls | is_invalid | strays)
        hands_back = self._expert_drives & self._may_hand_back(now_s) & ~is_invalid
        self._stalled_in = np.where(
            takes_over & stalls, self._subtask, self._stalled_in
        )

        # change the driver: xor with True turns False into True, and True into False
        changes = takes_over | hands_back
        self._expert_drives = self._expert_drives ^ changes
        self._since_s = np.where(changes, now_s, self._since_s)
        return self._expert_drives.copy()

    def _update_subtask(self, subtask: np.ndarray, now_s: np.ndarray) -> None:
        """Sets the expert's current subtasks (N,); a new one ends a stall."""
        is_new = subtask != self._subtask
        self._subtask = np.array(subtask)
        self._subtask_since_s = np.where(is_new, now_s, self._subtask_since_s)
        self._stalled_in = np.where(is_new, NO_SUBTASK, self._stalled_in)

    def _stalls(self, now_s: np.ndarray) -> np.ndarray:
        """Returns (N,) bool, whether the policy drives, and has been in one subtask too long."""
        begun_s = np.maximum(self._since_s, self._subtask_since_s)
        return ~self._expert_drives & (now_s - begun_s > self._rule.stall_s)

    def _may_hand_back(self, now_s: np.ndarray) -> np.ndarray:
        """Returns (N,) bool, whether an expert that drives may hand back to the policy."""
        is_long_enough = now_s - self._since_s >= self._rule.least_s
        agrees = self._mean_difference < self._rule.back
        return is_long_enough & agrees & (self._stalled_in == NO_SUBTASK)
