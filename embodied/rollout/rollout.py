"""The one loop that runs a policy through episodes in a batch of worlds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from embodied.core import PHYSICS_HZ, SKILLS, Array, Observation, Policy
from embodied.envs.scoring import StepResult
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.plan import Plan
from embodied.rollout.endings import ending_of
from embodied.rollout.episode_stats import IDLE, NO_SUBTASK, EpisodeStats
from embodied.rollout.plan_use import PlanUser
from embodied.sim.engine import FAULTS
from embodied.step_data import step_data

# Episodes start at multiples of this. Planners at 8 Hz are then due at the same time in
# all worlds, and run as one batch.
START_GRID_TICKS = 50  # 1/8 s
NO_WORLDS = np.zeros(0, np.int64)
OnResult = Callable[["EpisodeResult"], None]


@step_data
class Step:
    """One control step of all worlds, as hooks see it."""

    before: Observation  # what the policy observed
    action: Array  # (N, A) float32
    result: StepResult
    active: Array  # (N,) bool, worlds in which an episode runs
    plans: list[Plan]  # plans that were begun since the previous step
    # (N, A) float32, actions of a disturbed policy before the disturbance; None for a
    # policy without disturbance
    intended: Array | None = None
    # (N,) uint8, indices into ACTORS (policy, expert, person): who chose `intended`, and
    # who chose `action`; None for a policy with a single actor
    intended_by: Array | None = None
    executed_by: Array | None = None


@dataclass(frozen=True)
class EpisodeResult:
    """The result of an episode."""

    index: int  # the episode's number in its rollout, from 0
    seed: int
    instruction: str
    success_once: bool
    success_at_end: bool
    progress_max: float  # in [0, 1]
    progress_end: float
    time_to_success_s: float | None  # None without success
    duration_s: float  # simulated
    fault: str  # one of FAULTS; "" for none
    reward_sum: float
    variation: dict[str, Any] = field(default_factory=dict)  # variable -> sampled value
    mean_plan_age_s: float | None = None  # None for a policy that does not plan
    peak_contact_force_n: float = 0.0  # over all physics steps
    # how often the robot started to touch an object that is fixed to the world
    collisions: int = 0
    min_joint_margin_rad: float = 0.0  # smallest distance of a joint from its limits
    dropped: int = 0  # largest number of dropped objects at one time
    # one of the endings in `rollout.endings`; "" in old results without an ending
    ended: str = ""
    subtask: str = ""  # subtask of the last plan, one of SKILLS; "" for none
    stage: str = ""  # furthest stage of the task that was reached; "" for none
    error: str = ""  # error that the policy raised, in one line; "" for none
    # number of plans that were discarded because they were invalid
    plan_faults: int = 0
    # fields of `PlanUse`; None if the policy does not report them
    stale_share: float | None = None
    plan_jump: float | None = None
    # see `rollout.motion`; None if not measured, or after a fault; smoothness is also
    # None if no tool point moved
    energy_j: float | None = None  # work of the servos
    smoothness: float | None = None  # log dimensionless jerk; values near 0 are smooth
    # see `rollout.near_misses`; None if they were not counted, or after a fault
    near_misses: int | None = None
    # what the task reports besides success: name -> number; empty after a fault
    measures: dict[str, float] = field(default_factory=dict)


class Hook(Protocol):
    """Watches a rollout: records, films, counts."""

    def on_start(
        self, worlds: Worlds, ids: Array, indices: Array, observation: Observation
    ) -> None:
        """Called when episodes `indices` (n,) begin in worlds `ids` (n,).

        The observation has the rows of all N worlds.
        """

    def on_step(self, worlds: Worlds, step: Step) -> None:
        """Called after each control step."""

    def on_end(self, worlds: Worlds, world: int, result: EpisodeResult) -> None:
        """Called when the episode of one world has ended, before its next reset."""


@runtime_checkable
class IntentionHook(Protocol):
    """A hook that sees the undisturbed action before each control step."""

    def before_step(self, worlds: Worlds, intended: Array) -> None:
        """Called before each control step of a disturbed policy.

        `intended` (N, A) is its action before the disturbance.
        """


@runtime_checkable
class PlanSource(Protocol):
    """A policy that makes plans and reports them."""

    def take_plans(self) -> list[Plan]:
        """Returns the plans begun since the last call, each once.

        Their times of completion and arrival may still lie in the future.
        """

    def mean_plan_age_s(self, world: int) -> float:
        """Returns the mean age of the plan in use over the episode so far."""


@runtime_checkable
class Disturbed(Protocol):
    """A policy whose actions are disturbed, e.g. by noise."""

    @property
    def intended(self) -> Array:
        """(N, A) the actions of the last `act` before the disturbance."""


@runtime_checkable
class SharedControl(Protocol):
    """A policy in which several actors take turns, such as a policy and an expert."""

    @property
    def intended_by(self) -> Array:
        """(N,) uint8, index into ACTORS: who chose `intended` in the last `act`."""

    @property
    def executed_by(self) -> Array:
        """(N,) uint8, index into ACTORS: whose action the last `act` returned."""


def rollout(
    worlds: Worlds,
    policy: Policy,
    seeds: Sequence[int],
    hooks: Sequence[Hook] = (),
    on_result: OnResult | None = None,
) -> list[EpisodeResult]:
    """Runs one episode per seed, N at a time.

    An episode ends when it is terminated or truncated, or 1 s after its first success.
    Its outcome depends only on its seed, not on N or on the other worlds.

    Args:
        worlds: N worlds.
        policy: the policy that acts in all worlds.
        seeds: one seed for each episode.
        hooks: observers of the episodes; they are called in this order.
        on_result: called with each result as soon as it is known.

    Returns:
        The results, in the order of `seeds`.

    Raises:
        EmbodiedError: the policy needs another control mode or rate than the worlds have.
    """
    _check_control(worlds, policy)
    return _Rollout(worlds, policy, seeds=seeds, hooks=hooks, on_result=on_result).run()


def _check_control(worlds: Worlds, policy: Policy) -> None:
    """Raises EmbodiedError unless worlds and policy have the same control mode and rate."""
    wanted = policy.spec
    config = worlds.config
    if (wanted.control_mode, wanted.control_hz) != (
        config.control_mode,
        config.control_hz,
    ):
        raise EmbodiedError(
            f"the policy acts in control mode {wanted.control_mode!r} at "
            f"{wanted.control_hz} Hz, but the worlds take {config.control_mode!r} at "
            f"{config.control_hz} Hz: make them with the policy's spec"
        )


class _Rollout:
    """The loop over control steps, one method for each phase of a step."""

    def __init__(
        self,
        worlds: Worlds,
        policy: Policy,
        seeds: Sequence[int],
        hooks: Sequence[Hook],
        on_result: OnResult | None,
    ) -> None:
        """Prepares the rollout; the arguments are those of `rollout`."""
        self._worlds = worlds
        self._policy = policy
        self._seeds = seeds
        self._hooks = hooks
        self._on_result = on_result

        self._clock = 0  # ticks since the first step
        self._num_started = 0
        self._stats = EpisodeStats(worlds.num_worlds, worlds.ticks_per_step)
        self._results: dict[int, EpisodeResult] = {}

        # abilities of the policy; checked once, because runtime protocols are slow to check
        self._planner = policy if isinstance(policy, PlanSource) else None
        self._plan_user = policy if isinstance(policy, PlanUser) else None
        self._disturbed = policy if isinstance(policy, Disturbed) else None
        self._shared = policy if isinstance(policy, SharedControl) else None
        self._intention_hooks = [h for h in hooks if isinstance(h, IntentionHook)]

    def run(self) -> list[EpisodeResult]:
        """Runs all episodes; returns their results, in the order of the seeds."""
        while len(self._results) < len(self._seeds):
            # begin episodes in idle worlds, if this is a start time
            started = self._reset_idle_worlds()
            observation = self._worlds.observe(self._policy.spec.privileged)
            self._announce_start(started, observation)

            # make a step; a world whose episode ends here idles until the next start time
            step = self._step(observation)
            ending = self._stats.add(step.result, self._worlds)
            self._end_episodes(np.flatnonzero(ending), step)
        return [self._results[k] for k in range(len(self._seeds))]

    def _reset_idle_worlds(self) -> np.ndarray:
        """Starts the next episodes in idle worlds; returns the ids of these worlds (n,)."""
        # A start time is the first step at or after a multiple of START_GRID_TICKS: worlds
        # that start together need their plans at the same time, as one batch.
        ticks_per_step = self._worlds.ticks_per_step
        is_start_time = self._clock % START_GRID_TICKS < ticks_per_step
        self._clock += ticks_per_step
        num_waiting = len(self._seeds) - self._num_started
        if not is_start_time or not num_waiting:
            return NO_WORLDS

        ids = np.flatnonzero(~self._stats.active)[:num_waiting]
        if not len(ids):
            return NO_WORLDS

        # the episodes with the next indices begin in these worlds
        indices = self._num_started + np.arange(len(ids))
        self._num_started += len(ids)
        self._worlds.reset(ids, self._seeds_of(indices))
        self._stats.start(ids, indices)
        return ids

    def _announce_start(self, ids: np.ndarray, observation: Observation) -> None:
        """Informs the policy and the hooks about the episodes that begin."""
        if not len(ids):
            return

        indices = self._stats.index[ids]
        self._policy.reset(ids, observation, self._seeds_of(indices))
        for hook in self._hooks:
            hook.on_start(self._worlds, ids, indices, observation)

    def _step(self, observation: Observation) -> Step:
        """Makes one control step in all worlds, and informs the hooks."""
        # with noise on the actions, some hooks need the intended actions before the step
        action = np.asarray(self._policy.act(observation), np.float32)
        intended = None
        if self._disturbed is not None:
            intended = self._disturbed.intended
            for intention_hook in self._intention_hooks:
                intention_hook.before_step(self._worlds, intended)
        result = self._worlds.step(action)

        # the plans that arrived in this step; policies without a planner have none
        plans = self._planner.take_plans() if self._planner is not None else []
        self._stats.add_plans(plans)
        step = Step(
            before=observation,
            action=action,
            result=result,
            active=self._stats.active,
            plans=plans,
            intended=intended,
            intended_by=self._shared.intended_by if self._shared else None,
            executed_by=self._shared.executed_by if self._shared else None,
        )
        for hook in self._hooks:
            hook.on_step(self._worlds, step)
        return step

    def _end_episodes(self, ids: np.ndarray, step: Step) -> None:
        """Reports the results of episodes that end, and makes their worlds idle."""
        for world in ids.tolist():
            result = self._episode_result(world, step)
            self._results[result.index] = result
            for hook in self._hooks:
                hook.on_end(self._worlds, world, result)
            if self._on_result is not None:
                self._on_result(result)
        # idle worlds stand still until the next start time
        self._stats.index[ids] = IDLE
        if len(ids):
            self._worlds.rest(ids)

    def _episode_result(self, world: int, step: Step) -> EpisodeResult:
        """Returns the result of the episode that ends in a world with this step."""
        stats = self._stats
        index = int(stats.index[world])
        fault = int(step.result.fault[world])
        success_tick = int(stats.success_tick[world])
        has_succeeded = success_tick >= 0
        # The margin of a robot without joint limits is infinite, which JSON cannot store:
        # record a full turn instead.
        joint_margin_rad = float(min(stats.joint_margin_rad[world], 2 * np.pi))
        success_at_end = bool(step.result.success[world])
        subtask = int(stats.subtask[world])
        terminated = bool(step.result.terminated[world])
        plan_use = self._plan_user.plan_use(world) if self._plan_user else None

        return EpisodeResult(
            index=index,
            seed=int(self._seeds[index]),
            instruction=step.before.instruction[world],
            success_once=has_succeeded and not fault,
            success_at_end=success_at_end,
            progress_max=float(stats.progress[world]),
            progress_end=float(step.result.progress[world]),
            time_to_success_s=success_tick / PHYSICS_HZ if has_succeeded else None,
            duration_s=int(stats.tick[world]) / PHYSICS_HZ,
            fault=FAULTS[fault],
            reward_sum=float(stats.reward[world]),
            variation=self._worlds.variation_of(world),
            mean_plan_age_s=self._mean_plan_age_s(world),
            peak_contact_force_n=float(stats.contact_force_n[world]),
            collisions=int(stats.collisions[world]),
            min_joint_margin_rad=joint_margin_rad,
            dropped=int(stats.dropped[world]),
            ended=ending_of(success_at_end, FAULTS[fault], terminated, has_succeeded),
            subtask="" if subtask == NO_SUBTASK else SKILLS[subtask],
            stage=self._stage_reached(float(stats.progress[world])),
            plan_faults=int(stats.plan_faults[world]),
            stale_share=plan_use.stale_share if plan_use else None,
            plan_jump=plan_use.plan_jump if plan_use else None,
            measures={} if fault else self._worlds.measures_of(world),
        )

    def _stage_reached(self, progress: float) -> str:
        """Returns the furthest stage of the task whose goal the progress has reached."""
        reached = ""
        for stage in sorted(self._worlds.spec.stages, key=lambda s: s.goal_progress):
            if progress >= stage.goal_progress:
                reached = stage.name
        return reached

    def _mean_plan_age_s(self, world: int) -> float | None:
        if self._planner is None:
            return None
        age_s = self._planner.mean_plan_age_s(world)
        return age_s if np.isfinite(age_s) else None

    def _seeds_of(self, indices: np.ndarray) -> list[int]:
        return [int(self._seeds[k]) for k in indices.tolist()]
