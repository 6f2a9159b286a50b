"""The one loop that runs a policy through episodes in a batch of worlds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np

from embodied.core import PHYSICS_HZ, Array, Observation, Plan, Policy, seconds_to_ticks
from embodied.envs.scoring import StepResult
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.sim.contact_force import WINDOW_TICKS
from embodied.sim.engine import FAULTS

# episodes start on a common grid, so that planners at 8 Hz are due together and run as
# one batch
START_GRID_TICKS = 50
NOBODY = np.zeros(0, np.int64)
# an episode goes on for so long after its first success, to see whether it lasts
AFTER_SUCCESS_S = 1.0


@dataclass(frozen=True)
class Step:
    """One control step of all worlds, as hooks see it."""

    before: Observation  # what the policy saw
    action: Array  # (N, A) float32
    result: StepResult
    active: Array  # (N,) bool, worlds in which an episode runs
    plans: list[Plan]  # that became known since the step before
    # (N, A) float32, what a disturbed policy wanted; None where that is the action
    intended: Array | None = None


@dataclass(frozen=True)
class EpisodeResult:
    """What came of one episode."""

    index: int
    seed: int
    instruction: str
    success_once: bool
    success_at_end: bool
    progress_max: float
    progress_end: float
    time_to_success_s: float | None
    duration_s: float
    fault: str
    reward_sum: float
    variation: dict[str, Any] = field(default_factory=dict)
    mean_plan_age_s: float | None = None
    peak_contact_force_n: float = 0.0  # of every physics step
    # times at which the robot began to touch what is fixed to the world
    collisions: int = 0
    min_joint_margin_rad: float = 0.0
    dropped: int = 0  # at most, at one time


class Hook(Protocol):
    """Watches a rollout: records, films, counts."""

    def on_start(
        self, worlds: Worlds, ids: Array, indices: Array, observation: Observation
    ) -> None:
        """Episodes `indices` (n,) begin in worlds `ids` (n,); the observation has all N
        rows.
        """

    def on_step(self, worlds: Worlds, step: Step) -> None:
        """After each control step."""

    def on_end(self, worlds: Worlds, world: int, result: EpisodeResult) -> None:
        """The episode of one world is over; the world is not yet reset."""


@runtime_checkable
class PlanSource(Protocol):
    """A policy that makes plans and tells of them."""

    def take_plans(self) -> list[Plan]:
        """Plans begun since the last call, each once, with the times at which they will
        have been done and arrived.
        """

    def mean_plan_age_s(self, world: int) -> float:
        """Mean age of the plan in use over the episode so far."""


@runtime_checkable
class Disturbed(Protocol):
    """A policy whose actions are not quite what it wanted."""

    @property
    def intended(self) -> Array:
        """(N, A) what it wanted at the last `act`."""


class _Tally:
    """Running figures of each world's episode."""

    def __init__(self, num: int) -> None:
        self.index = np.full(num, -1)
        self.reward = np.zeros(num)
        self.progress = np.zeros(num)
        self.tick = np.zeros(num, np.int64)
        self.success_tick = np.full(num, -1)
        self.force = np.zeros(num)
        self.margin = np.full(num, np.inf)
        self.touching = np.zeros(num, bool)
        self.collisions = np.zeros(num, np.int64)
        self.dropped = np.zeros(num, np.int64)

    @property
    def active(self) -> np.ndarray:
        return self.index >= 0

    def start(self, ids: np.ndarray, indices: np.ndarray) -> None:
        self.index[ids] = indices
        self.reward[ids] = self.progress[ids] = self.tick[ids] = 0
        self.success_tick[ids] = -1
        self.force[ids] = self.collisions[ids] = self.dropped[ids] = self.touching[
            ids
        ] = 0
        self.margin[ids] = np.inf

    def add(self, result: StepResult, ticks: int) -> None:
        self.tick += ticks
        self.reward += result.reward
        self.progress = np.maximum(self.progress, result.progress)
        first = result.success & (self.success_tick < 0)
        self.success_tick = np.where(first, self.tick, self.success_tick)
        self.dropped = np.maximum(self.dropped, result.dropped)

    def feel(self, worlds: Worlds, ending: np.ndarray) -> None:
        """Notes the safety signals, by each episode's own clock, once in the time that
        they cover, and at its end.
        """
        due = (self.tick % WINDOW_TICKS < worlds.ticks_per_step) | ending
        if not due.any():
            return
        felt = worlds.safety(WINDOW_TICKS)
        self.force = np.where(
            due, np.maximum(self.force, felt.contact_force_n), self.force
        )
        self.margin = np.where(
            due, np.minimum(self.margin, felt.joint_margin_rad), self.margin
        )
        self.collisions += due & felt.collision & ~self.touching
        self.touching = np.where(due, felt.collision, self.touching)

    def over(self, result: StepResult) -> np.ndarray:
        settled = (self.success_tick >= 0) & (
            self.tick >= self.success_tick + seconds_to_ticks(AFTER_SUCCESS_S)
        )
        return self.active & (settled | result.terminated | result.truncated)


def rollout(
    worlds: Worlds,
    policy: Policy,
    seeds: Sequence[int],
    hooks: Sequence[Hook] = (),
    on_result: Callable[[EpisodeResult], None] | None = None,
) -> list[EpisodeResult]:
    """Runs one episode a seed, N at a time, and returns their results in the order of
    `seeds`.

    An episode ends when it is terminated or truncated, or 1 s after its first success.
    What an episode does depends on its seed alone, not on N or on its neighbours.
    Raises EmbodiedError where the worlds are driven otherwise than the policy asks.
    """
    _check_fit(worlds, policy)
    waiting = iter(enumerate(seeds))
    tally = _Tally(worlds.num_worlds)
    results: dict[int, EpisodeResult] = {}
    # asked once: protocols are slow to check
    planner = policy if isinstance(policy, PlanSource) else None
    disturbed = policy if isinstance(policy, Disturbed) else None
    clock = 0
    while len(results) < len(seeds):
        on_grid = clock % START_GRID_TICKS < worlds.ticks_per_step
        started = (
            _start(worlds, tally, np.flatnonzero(~tally.active), waiting)
            if on_grid
            else NOBODY
        )
        clock += worlds.ticks_per_step
        observation = worlds.observe(policy.spec.privileged)
        if len(started):
            policy.reset(started, observation, [seeds[k] for k in tally.index[started]])
            for hook in hooks:
                hook.on_start(worlds, started, tally.index[started], observation)
        action = np.asarray(policy.act(observation), np.float32)
        result = worlds.step(action)
        plans = planner.take_plans() if planner is not None else []
        intended = disturbed.intended if disturbed is not None else None
        for hook in hooks:
            hook.on_step(
                worlds, Step(observation, action, result, tally.active, plans, intended)
            )
        tally.add(result, worlds.ticks_per_step)
        ending = tally.over(result)
        tally.feel(worlds, ending)
        over = np.flatnonzero(ending)
        for world in over.tolist():
            outcome = _outcome(worlds, policy, tally, result, world, observation, seeds)
            results[outcome.index] = outcome
            for hook in hooks:
                hook.on_end(worlds, world, outcome)
            if on_result is not None:
                on_result(outcome)
        tally.index[over] = -1
    return [results[k] for k in range(len(seeds))]


def _check_fit(worlds: Worlds, policy: Policy) -> None:
    wanted = policy.spec
    config = worlds.config
    if (wanted.control_mode, wanted.control_hz) != (
        config.control_mode,
        config.control_hz,
    ):
        raise EmbodiedError(
            f"the policy drives in mode {wanted.control_mode!r} at {wanted.control_hz} Hz, "
            f"the worlds take {config.control_mode!r} at {config.control_hz} Hz"
        )


def _start(
    worlds: Worlds, tally: _Tally, idle: np.ndarray, waiting: Iterator[tuple[int, int]]
) -> np.ndarray:
    """Fills idle worlds with the next seeds; returns the worlds that start."""
    pairs = [
        (world, *item) for world, item in zip(idle.tolist(), waiting, strict=False)
    ]
    if not pairs:
        return NOBODY
    ids, indices, seeds = (np.array(column) for column in zip(*pairs, strict=True))
    worlds.reset(ids, seeds.tolist())
    tally.start(ids, indices)
    return ids


def _outcome(
    worlds: Worlds,
    policy: Policy,
    tally: _Tally,
    result: StepResult,
    world: int,
    seen: Observation,
    seeds: Sequence[int],
) -> EpisodeResult:
    succeeded = int(tally.success_tick[world])
    index = int(tally.index[world])
    return EpisodeResult(
        index=index,
        seed=int(seeds[index]),
        instruction=seen.instruction[world],
        success_once=succeeded >= 0 and not result.fault[world],
        success_at_end=bool(result.success[world]),
        progress_max=float(tally.progress[world]),
        progress_end=float(result.progress[world]),
        time_to_success_s=succeeded / PHYSICS_HZ if succeeded >= 0 else None,
        duration_s=int(tally.tick[world]) / PHYSICS_HZ,
        fault=FAULTS[int(result.fault[world])],
        reward_sum=float(tally.reward[world]),
        variation=worlds.variation_of(world),
        mean_plan_age_s=_plan_age_s(policy, world),
        peak_contact_force_n=float(tally.force[world]),
        collisions=int(tally.collisions[world]),
        min_joint_margin_rad=float(min(tally.margin[world], 2 * np.pi)),
        dropped=int(tally.dropped[world]),
    )


def _plan_age_s(policy: Policy, world: int) -> float | None:
    age = (
        policy.mean_plan_age_s(world)
        if isinstance(policy, PlanSource)
        else float("nan")
    )
    return age if np.isfinite(age) else None
