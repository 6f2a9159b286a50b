"""The rules of success, termination and truncation, the same on both engines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embodied.arrays import array_namespace
from embodied.core import PHYSICS_HZ, Array, seconds_to_ticks
from embodied.envs.config import EnvConfig
from embodied.envs.task import Outcome
from embodied.step_data import step_data

SUCCESS_HOLD_S = 0.5


@step_data
class StepResult:
    """The result of one control step in N worlds.

    Attributes:
        reward: (N,) in [0, 1], equal to the progress.
        success: (N,) bool, whether the task has been done for SUCCESS_HOLD_S without
            interruption.
        success_now: (N,) bool, whether the task is done in this state.
        progress: (N,) in [0, 1].
        terminated: (N,) bool, whether the task is lost, or the world has a fault, or, if
            `terminate_on_success`, the episode is a success.
        truncated: (N,) bool, whether the horizon is reached by an episode that is not
            terminated.
        fault: (N,) int64, index into `embodied.sim.engine.FAULTS`; 0 for no fault.
        joint_target: (N, T) the servo targets for the action, rad and m.
        dropped: (N,) int64, the number of dropped objects.
    """

    reward: Array
    success: Array
    success_now: Array
    progress: Array
    terminated: Array
    truncated: Array
    fault: Array
    joint_target: Array
    dropped: Array


@dataclass(frozen=True)
class ScoringRules:
    """The parameters of scoring. Durations are in ticks, which are physics steps.

    Attributes:
        step_ticks: the duration of a control step.
        hold_ticks: how long the task must be done without interruption for a success.
        horizon_ticks: the duration of an episode until truncation.
        goal_progress: the progress from which on the task counts as done.
        terminate_on_success: whether a success terminates an episode.
    """

    step_ticks: int
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
        rules: the parameters of scoring.
        outcome: the task's judgement of the state after the step. The result may share
            arrays with it.
        fault: (N,) int64, index into FAULTS; 0 for no fault.
        tick: (N,) int64, the time of each world's episode after the step.
        held_ticks: (N,) int64, how long the task had been done without interruption
            before the step.
        joint_target: (N, T) the servo targets for the action.
        all_sound: whether the caller knows that no world has a fault, which saves work.

    Returns:
        The result, and (N,) int64, `held_ticks` after the step.
    """
    xp = array_namespace(outcome.progress)
    progress = outcome.progress
    lost = outcome.lost
    success_now = outcome.success

    # if only a stage of the task is learned, the stage's progress counts as done
    if rules.goal_progress < 1:
        success_now = success_now | (progress >= rules.goal_progress)

    if not all_sound:
        # `where` instead of a product, because values of a world with a fault may be NaN
        is_sound = fault == 0
        progress = xp.where(is_sound, progress, 0.0)
        success_now = success_now & is_sound
        lost = lost | ~is_sound

    # a product with False is 0, so that an interruption resets the duration
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
    """Returns the number of dropped objects in each world, (N,) int64 like `tick`."""
    if isinstance(outcome.dropped, int):  # the default of tasks without such objects
        return array_namespace(tick).zeros_like(tick) + outcome.dropped
    return outcome.dropped


class HostScorer:
    """Keeps the clocks and faults of N worlds on the CPU, and scores their steps."""

    def __init__(self, rules: ScoringRules, num_worlds: int) -> None:
        """Begins with all clocks at 0."""
        self.rules = rules
        self.tick = np.zeros(num_worlds, np.int64)  # each world's clock
        self._held_ticks = np.zeros(num_worlds, np.int64)
        self._fault = np.zeros(num_worlds, np.int64)  # index into FAULTS
        self._all_sound = True
        # how far each world's clock advances in a step; 0 for a world that rests
        self._step_ticks = np.full(num_worlds, rules.step_ticks, np.int64)

    def begin(self, ids: np.ndarray) -> None:
        """Starts new episodes in worlds `ids` (n,)."""
        self.tick[ids] = 0
        self._held_ticks[ids] = 0
        self._fault[ids] = 0
        self.recall(ids)

    def rest(self, ids: np.ndarray) -> None:
        """Stops the clocks of worlds `ids` (n,) until their next episodes."""
        self._step_ticks[ids] = 0

    def memory(self) -> dict[str, np.ndarray]:
        """Returns the state of the episodes: arrays (N,) by name, not copies."""
        return {
            "tick": self.tick,
            "held_ticks": self._held_ticks,
            "fault": self._fault,
        }

    def recall(self, ids: np.ndarray) -> None:
        """Updates derived values after the arrays of `memory` were written.

        Args:
            ids: (n,) the worlds whose rows were written.
        """
        self._step_ticks[ids] = self.rules.step_ticks
        self._all_sound = not self._fault.any()

    def advance(self) -> None:
        """Advances all clocks by one control step."""
        self.tick += self._step_ticks

    def add_faults(self, fault: np.ndarray) -> None:
        """Records each world's first fault, from this step's faults (N,) int."""
        self._fault = np.where(self._fault == 0, fault, self._fault)
        self._all_sound = not self._fault.any()

    def is_sound(self) -> np.ndarray:
        """Returns (N,) bool, whether each world's episode has no fault."""
        return self._fault == 0

    def score(self, outcome: Outcome, joint_target: np.ndarray) -> StepResult:
        """Scores the current step, as the function `score` documents it."""
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
