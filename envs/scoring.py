"""Scores control steps by one set of rules for both engines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embodied.arrays import array_namespace
from embodied.core import PHYSICS_HZ, Array, seconds_to_ticks
from embodied.envs.config import EnvConfig
from embodied.envs.task import Outcome

SUCCESS_HOLD_S = 0.5


@dataclass(frozen=True)
class StepResult:
    """The result of one control step in N worlds."""

    reward: Array  # (N,) in [0, 1]: the progress
    success: Array  # (N,) bool, held for 0.5 s
    success_now: Array  # (N,) bool
    progress: Array  # (N,) in [0, 1]
    # (N,) bool: lost or faulty; or a success, where that terminates
    terminated: Array
    truncated: Array  # (N,) bool: past the horizon
    fault: Array  # (N,) int64, index into FAULTS
    # (N, T) the T servo targets that the action was turned into, rad and m
    joint_target: Array
    dropped: Array  # (N,) int64, things that lie where they should not


@dataclass(frozen=True)
class ScoringRules:
    """When an episode has succeeded and when it is over; times in physics ticks."""

    step_ticks: int  # of one control step
    hold_ticks: int
    horizon_ticks: int
    goal_progress: float
    terminate_on_success: bool

    @classmethod
    def of(cls, config: EnvConfig, horizon_s: float) -> ScoringRules:
        """Returns the rules of a config, with the horizon of its task and robot."""
        return cls(
            step_ticks=PHYSICS_HZ // config.control_hz,
            hold_ticks=seconds_to_ticks(SUCCESS_HOLD_S),
            horizon_ticks=seconds_to_ticks(horizon_s),
            goal_progress=config.goal_progress,
            terminate_on_success=bool(config.terminate_on_success),
        )


def score(
    rules: ScoringRules,
    outcome: Outcome,
    fault: Array,
    tick: Array,
    held_ticks: Array,
    joint_target: Array,
    all_sound: bool = False,
) -> tuple[StepResult, Array]:
    """Scores a control step of N worlds, as numpy arrays or torch tensors.

    Args:
        rules: durations and goals.
        outcome: the task's judgement of the state after the step; the result may share
            its arrays.
        fault: (N,) int64, index into FAULTS.
        tick: (N,) int64, each world's clock after the step.
        held_ticks: (N,) int64, for how long success had been held before the step.
        joint_target: (N, T) the servo targets that the action was turned into.
        all_sound: True if the caller knows that no world has a fault; saves work.

    Returns:
        The result, and (N,) int64 for how long success has been held after the step.
    """
    xp = array_namespace(outcome.progress)
    progress = outcome.progress
    lost = outcome.lost
    success_now = outcome.success

    # where a stage is learned by itself, its progress is success
    if rules.goal_progress < 1:
        success_now = success_now | (progress >= rules.goal_progress)

    if not all_sound:
        # `where` rather than a product: values of a broken world may be NaN
        sound = fault == 0
        progress = xp.where(sound, progress, 0.0)
        success_now = success_now & sound
        lost = lost | ~sound

    # a product with False is 0: where success is interrupted, the time begins anew
    held_ticks = (held_ticks + rules.step_ticks) * success_now
    success = held_ticks >= rules.hold_ticks
    terminated = lost | success if rules.terminate_on_success else lost
    truncated = (tick >= rules.horizon_ticks) & ~terminated

    result = StepResult(
        reward=xp.asarray(progress, copy=True),
        success=success,
        success_now=success_now,
        progress=progress,
        terminated=terminated,
        truncated=truncated,
        fault=fault,
        joint_target=joint_target,
        dropped=_dropped_per_world(outcome, tick),
    )
    return result, held_ticks


def _dropped_per_world(outcome: Outcome, tick: Array) -> Array:
    """Returns how many things were dropped in each world, (N,) int64 like `tick`."""
    if isinstance(outcome.dropped, int):  # a task in which nothing can fall
        return array_namespace(tick).zeros_like(tick) + outcome.dropped
    return outcome.dropped


class HostScorer:
    """Keeps the clocks and faults of N worlds on the CPU, and scores their steps."""

    def __init__(self, rules: ScoringRules, num_worlds: int) -> None:
        self.rules = rules
        self.tick = np.zeros(num_worlds, np.int64)  # each world's clock
        self._held_ticks = np.zeros(num_worlds, np.int64)
        self._fault = np.zeros(num_worlds, np.int64)  # index into FAULTS
        self._all_sound = True
        # how far each clock moves in a step: 0 where a world rests
        self._step_ticks = np.full(num_worlds, rules.step_ticks, np.int64)

    def begin(self, ids: np.ndarray) -> None:
        """Starts new episodes in worlds `ids` (n,)."""
        self.tick[ids] = 0
        self._held_ticks[ids] = 0
        self._fault[ids] = 0
        self.recall(ids)

    def rest(self, ids: np.ndarray) -> None:
        """Stops the clocks of worlds `ids` (n,) until other episodes are there."""
        self._step_ticks[ids] = 0

    def memory(self) -> dict[str, np.ndarray]:
        """Returns what is kept of the episodes: live (N,) arrays by name."""
        return {
            "tick": self.tick,
            "held_ticks": self._held_ticks,
            "fault": self._fault,
        }

    def recall(self, ids: np.ndarray) -> None:
        """Takes notice of what was written to `memory` of worlds `ids` (n,)."""
        self._step_ticks[ids] = self.rules.step_ticks
        self._all_sound = not self._fault.any()

    def advance(self) -> None:
        """Moves all clocks on by one control step."""
        self.tick += self._step_ticks

    def add_faults(self, fault: np.ndarray) -> None:
        """Keeps the first fault of each world, from (N,) int of the present step."""
        self._fault = np.where(self._fault == 0, fault, self._fault)
        self._all_sound = not self._fault.any()

    def is_sound(self) -> np.ndarray:
        """Returns (N,) bool, whether a world's episode is without a fault."""
        return self._fault == 0

    def score(self, outcome: Outcome, joint_target: np.ndarray) -> StepResult:
        """Scores the present step, see `score`."""
        result, self._held_ticks = score(
            self.rules,
            outcome,
            fault=self._fault.copy(),
            tick=self.tick,
            held_ticks=self._held_ticks,
            joint_target=joint_target,
            all_sound=self._all_sound,
        )
        return result
