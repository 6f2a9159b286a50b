"""Running figures of the episodes of a rollout, from their starts to their ends."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from embodied.core import Plan, seconds_to_ticks
from embodied.envs.scoring import StepResult
from embodied.envs.worlds import Worlds
from embodied.sim.contact_force import WINDOW_TICKS

IDLE = -1  # the episode index of a world in which none runs
NEVER = -1  # the tick of what has not happened
NO_SUBTASK = -1  # of an episode without a plan
# how long an episode goes on after its first success, to see whether it lasts
AFTER_SUCCESS_S = 1.0
AFTER_SUCCESS_TICKS = seconds_to_ticks(AFTER_SUCCESS_S)


class EpisodeStats:
    """Running figures of the episode in each world, all (N,)."""

    def __init__(self, num_worlds: int, ticks_per_step: int) -> None:
        self.index = np.full(num_worlds, IDLE)
        self.tick = np.zeros(num_worlds, np.int64)  # since the episode's start
        self.success_tick = np.full(num_worlds, NEVER)  # of the first success
        self.reward = np.zeros(num_worlds)  # the sum
        self.progress = np.zeros(num_worlds)  # the maximum
        self.dropped = np.zeros(num_worlds, np.int64)  # the maximum
        self.subtask = np.full(num_worlds, NO_SUBTASK)  # of the last plan
        self.plan_faults = np.zeros(num_worlds, np.int64)  # plans that are not sound

        # safety signals
        self.contact_force_n = np.zeros(num_worlds)  # the maximum
        self.joint_margin_rad = np.full(num_worlds, np.inf)  # the minimum
        self.collisions = np.zeros(num_worlds, np.int64)
        self._in_collision = np.zeros(num_worlds, bool)
        # The sensors' history holds WINDOW_TICKS. So it is read only once in as many
        # control steps as fit into that, or at each step if none does.
        steps_held = max(1, WINDOW_TICKS // ticks_per_step)
        self._safety_ticks = steps_held * ticks_per_step

    @property
    def active(self) -> np.ndarray:
        return self.index >= 0

    def start(self, ids: np.ndarray, indices: np.ndarray) -> None:
        """Resets the figures of worlds `ids`, where episodes `indices` begin."""
        self.index[ids] = indices
        self.tick[ids] = 0
        self.success_tick[ids] = NEVER
        self.reward[ids] = 0
        self.progress[ids] = 0
        self.dropped[ids] = 0
        self.subtask[ids] = NO_SUBTASK
        self.plan_faults[ids] = 0

        self.contact_force_n[ids] = 0
        self.joint_margin_rad[ids] = np.inf
        self.collisions[ids] = 0
        self._in_collision[ids] = False

    def add_plans(self, plans: Sequence[Plan]) -> None:
        """Adds the plans that were begun, oldest first."""
        for plan in plans:
            self.subtask[plan.world] = plan.payload.subtask
            if plan.fault is not None:
                self.plan_faults[plan.world] += plan.fault > 0

    def add(self, result: StepResult, worlds: Worlds) -> np.ndarray:
        """Adds a control step; returns (N,) bool, in which worlds an episode ends."""
        self.tick += worlds.ticks_per_step
        self.reward += result.reward
        self.progress = np.maximum(self.progress, result.progress)
        self.dropped = np.maximum(self.dropped, result.dropped)
        is_first = result.success & (self.success_tick < 0)
        self.success_tick = np.where(is_first, self.tick, self.success_tick)

        ending = self._ending(result)
        self._add_safety(worlds, ending)
        return ending

    def _ending(self, result: StepResult) -> np.ndarray:
        """Returns in which worlds (N,) an episode ends with this step."""
        has_succeeded = self.success_tick >= 0
        settled = has_succeeded & (self.tick >= self.success_tick + AFTER_SUCCESS_TICKS)
        return self.active & (settled | result.terminated | result.truncated)

    def _add_safety(self, worlds: Worlds, ending: np.ndarray) -> None:
        """Adds the safety signals, where they are due or an episode ends.

        Forces and collisions cover all physics steps since they were last due; joint
        margins are those of the moment.
        """
        due = (self.tick % self._safety_ticks == 0) | ending
        if not due.any():
            return

        safety = worlds.safety(self._safety_ticks)
        force = np.maximum(self.contact_force_n, safety.contact_force_n)
        margin = np.minimum(self.joint_margin_rad, safety.joint_margin_rad)
        self.contact_force_n = np.where(due, force, self.contact_force_n)
        self.joint_margin_rad = np.where(due, margin, self.joint_margin_rad)

        # a touch that lasts is one collision
        self.collisions += due & safety.collision & ~self._in_collision
        self._in_collision = np.where(due, safety.collision, self._in_collision)
