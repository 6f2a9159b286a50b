"""Accumulates the figures of the running episodes of a rollout."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from embodied.core import seconds_to_ticks
from embodied.envs.scoring import StepResult
from embodied.envs.worlds import Worlds
from embodied.plan import Plan
from embodied.sim.contact_force import WINDOW_TICKS

IDLE = -1  # episode index of a world without a running episode
NEVER = -1  # tick of an event that has not happened
NO_SUBTASK = -1  # subtask of an episode without a plan
# an episode goes on this long after its first success, to see whether success lasts
AFTER_SUCCESS_S = 1.0
AFTER_SUCCESS_TICKS = seconds_to_ticks(AFTER_SUCCESS_S)


class EpisodeStats:
    """Figures of the running episode in each world; all arrays are (N,)."""

    def __init__(self, num_worlds: int, ticks_per_step: int) -> None:
        """Begins with N idle worlds."""
        self.index = np.full(num_worlds, IDLE)
        self.tick = np.zeros(num_worlds, np.int64)  # ticks since the episode's start
        self.success_tick = np.full(num_worlds, NEVER)  # tick of the first success
        self.reward = np.zeros(num_worlds)  # sum of the rewards
        self.progress = np.zeros(num_worlds)  # highest progress
        self.dropped = np.zeros(num_worlds, np.int64)  # most objects dropped at a time
        self.subtask = np.full(num_worlds, NO_SUBTASK)  # subtask of the last plan
        self.plan_faults = np.zeros(num_worlds, np.int64)  # number of invalid plans

        # safety signals
        self.contact_force_n = np.zeros(num_worlds)  # largest contact force
        self.joint_margin_rad = np.full(num_worlds, np.inf)  # smallest joint margin
        self.collisions = np.zeros(num_worlds, np.int64)  # number of collisions
        self._in_collision = np.zeros(num_worlds, bool)
        # The contact sensors cover the last WINDOW_TICKS. To save time, the safety signals
        # are read only once in that window, or at every step if a step takes longer.
        steps_in_history = max(1, WINDOW_TICKS // ticks_per_step)
        self._safety_ticks = steps_in_history * ticks_per_step

    @property
    def active(self) -> np.ndarray:
        return self.index >= 0

    def start(self, ids: np.ndarray, indices: np.ndarray) -> None:
        """Resets the figures of worlds `ids` (n,), in which episodes `indices` begin."""
        self.index[ids] = indices
        self.tick[ids] = 0
        self.success_tick[ids] = NEVER
        self.reward[ids] = 0
        self.progress[ids] = 0
        self.dropped[ids] = 0
        self.subtask[ids] = NO_SUBTASK
        self.plan_faults[ids] = 0

        # safety signals; the smallest joint margin starts at infinity
        self.contact_force_n[ids] = 0
        self.joint_margin_rad[ids] = np.inf
        self.collisions[ids] = 0
        self._in_collision[ids] = False

    def add_plans(self, plans: Sequence[Plan]) -> None:
        """Counts invalid plans and notes the last subtask; plans are oldest first."""
        for plan in plans:
            self.subtask[plan.world] = plan.payload.subtask
            if plan.fault is not None:
                self.plan_faults[plan.world] += plan.fault > 0

    def add(self, result: StepResult, worlds: Worlds) -> np.ndarray:
        """Adds a control step; returns (N,) bool, whether an episode ends with it."""
        self.tick += worlds.ticks_per_step
        self.reward += result.reward
        self.progress = np.maximum(self.progress, result.progress)
        self.dropped = np.maximum(self.dropped, result.dropped)
        is_first = result.success & (self.success_tick < 0)  # NEVER is negative
        self.success_tick = np.where(is_first, self.tick, self.success_tick)

        ending = self._ending(result)
        self._add_safety(worlds, ending)
        return ending

    def _ending(self, result: StepResult) -> np.ndarray:
        """Returns (N,) bool, whether an episode ends with this step."""
        has_succeeded = self.success_tick >= 0
        success_is_old = self.tick >= self.success_tick + AFTER_SUCCESS_TICKS
        is_over = (has_succeeded & success_is_old) | result.terminated
        return self.active & (is_over | result.truncated)

    def _add_safety(self, worlds: Worlds, ending: np.ndarray) -> None:
        """Adds the safety signals of worlds where they are due, or an episode ends.

        Forces and collisions cover all physics steps since the last reading. Joint
        margins are those of the current state.
        """
        due = (self.tick % self._safety_ticks == 0) | ending
        if not due.any():
            return

        safety = worlds.safety(self._safety_ticks)
        force = np.maximum(self.contact_force_n, safety.contact_force_n)
        margin = np.minimum(self.joint_margin_rad, safety.joint_margin_rad)
        self.contact_force_n = np.where(due, force, self.contact_force_n)
        self.joint_margin_rad = np.where(due, margin, self.joint_margin_rad)

        # a contact that lasts over several readings is one collision
        self.collisions += due & safety.collision & ~self._in_collision
        self._in_collision = np.where(due, safety.collision, self._in_collision)
