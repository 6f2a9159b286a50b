"""The rollout loop: order, hooks, when episodes end, and that none depends on its
neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from embodied.benchmark.failures import ENDING_TEXTS
from embodied.core import PHYSICS_HZ, SKILLS, Observation, PolicySpec
from embodied.envs.config import EnvConfig
from embodied.envs.safety import Safety
from embodied.envs.scoring import StepResult
from embodied.envs.task import TaskStage
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.plan import Payload, Plan
from embodied.policies.simple import RandomPolicy
from embodied.rollout.endings import describe_ending, describe_place
from embodied.rollout.rollout import EpisodeResult, Step, rollout
from embodied.sim.contact_force import WINDOW_TICKS

CONTROL_HZ = 20
TICKS = PHYSICS_HZ // CONTROL_HZ


@dataclass(frozen=True)
class Script:
    """What happens in an episode: control steps counted from 1."""

    lost_at: int = 10**6
    success_from: int = 10**6
    success_until: int = 10**6
    horizon: int = 100
    touches: tuple[int, ...] = ()
    has_fault: bool = True  # whether it is lost by a fault


class ScriptedWorlds:
    """Worlds in which each seed's episode goes by its script. The reward of a step is
    its number.
    """

    ticks_per_step: int = TICKS
    config = SimpleNamespace(control_mode="joint_delta", control_hz=CONTROL_HZ)
    # in no order, since nothing promises one
    spec = SimpleNamespace(
        stages=(TaskStage("far", 0.9, 1.0), TaskStage("near", 0.4, 1.0))
    )

    def __init__(self, scripts: dict[int, Script], num_worlds: int) -> None:
        self.scripts = scripts
        self.num_worlds = num_worlds
        self.seed = np.full(num_worlds, -1)
        self.step_number = np.zeros(num_worlds, np.int64)

    def reset(self, ids: np.ndarray, seeds: list[int]) -> None:
        self.seed[ids] = seeds
        self.step_number[ids] = 0

    def rest(self, ids: np.ndarray) -> None:
        """Does nothing: these worlds cost nothing."""

    def observe(self, privileged: bool) -> Observation:
        assert not privileged
        none = np.zeros((self.num_worlds, 0))
        return Observation(
            self.step_number * TICKS, none, none, tuple(f"seed {s}" for s in self.seed)
        )

    def step(self, actions: np.ndarray) -> StepResult:
        self.step_number += 1
        now = self.step_number
        scripts = [self.scripts.get(seed, Script()) for seed in self.seed.tolist()]
        pairs = list(zip(scripts, now.tolist(), strict=True))
        success = np.array([s.success_from <= k < s.success_until for s, k in pairs])
        lost = np.array([k >= s.lost_at for s, k in pairs])
        late = np.array([k >= s.horizon for s, k in pairs]) & ~lost

        # reward and progress tell the number of the step
        progress = 1.0 / now
        fault = np.where(lost & np.array([s.has_fault for s in scripts]), 1, 0)
        target = np.zeros((len(now), 1))
        reward = now.astype(float)
        return StepResult(
            reward, success, success, progress, lost, late, fault, target, 2 * lost
        )

    def safety(self, ticks: int) -> Safety:
        """A force of as many newtons as steps, and a margin that shrinks."""
        touching = [
            k in self.scripts.get(s, Script()).touches
            for s, k in zip(self.seed, self.step_number, strict=True)
        ]
        return Safety(
            self.step_number.astype(float),
            np.array(touching),
            1.0 / (1 + self.step_number),
        )

    def measures_of(self, world: int) -> dict[str, float]:
        return {}

    def variation_of(self, world: int) -> dict[str, Any]:
        return {"seed": int(self.seed[world])}


class Still:
    """A policy that does nothing; it remembers what it was told to forget."""

    spec: PolicySpec = PolicySpec()

    def __init__(self) -> None:
        self.resets: list[tuple[int, int]] = []

    def reset(
        self, ids: np.ndarray, observation: Observation, seeds: list[int]
    ) -> None:
        assert (observation.tick[ids] == 0).all()
        self.resets += zip(ids.tolist(), seeds, strict=True)

    def act(self, observation: Observation) -> np.ndarray:
        return np.zeros((len(observation.tick), 2))


@dataclass
class Watch:
    """Checks what hooks are promised, and keeps each episode's events."""

    running: dict[int, int] = field(default_factory=dict)  # world -> episode
    steps: dict[int, list[int]] = field(default_factory=dict)  # episode -> ticks seen
    ended: list[int] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)

    def on_start(
        self,
        worlds: Worlds,
        ids: np.ndarray,
        indices: np.ndarray,
        observation: Observation,
    ) -> None:
        assert (observation.tick[ids] == 0).all()
        for world, index in zip(ids.tolist(), indices.tolist(), strict=True):
            assert world not in self.running
            self.running[world] = index
            self.steps[index] = []

    def on_step(self, worlds: Worlds, step: Step) -> None:
        assert step.active.nonzero()[0].tolist() == sorted(self.running)
        assert step.action.dtype == np.float32
        for world, index in self.running.items():
            self.steps[index].append(int(step.before.tick[world]))
        self.plans += step.plans

    def on_end(self, worlds: Worlds, world: int, result: EpisodeResult) -> None:
        assert self.running.pop(world) == result.index
        assert worlds.seed[world] == result.seed
        self.ended.append(result.index)


SCRIPTS = {
    5: Script(lost_at=40),
    6: Script(lost_at=3),
    7: Script(success_from=7),
    8: Script(success_from=4, success_until=9),
    9: Script(horizon=30),
    10: Script(lost_at=1),
}


def run(num_worlds: int, *hooks: Watch, policy: Any = None) -> list[EpisodeResult]:
    worlds: Any = ScriptedWorlds(SCRIPTS, num_worlds)
    return rollout(worlds, policy or Still(), list(SCRIPTS), hooks)


def test_results_come_in_the_order_of_the_seeds() -> None:
    watch = Watch()
    reported: list[int] = []
    worlds: Any = ScriptedWorlds(SCRIPTS, 3)
    results = rollout(
        worlds,
        Still(),
        list(SCRIPTS),
        [watch],
        lambda result: reported.append(result.index),
    )
    assert [r.seed for r in results] == list(SCRIPTS)
    assert [r.index for r in results] == list(range(len(SCRIPTS)))

    # but they end in another order
    assert reported == watch.ended != sorted(watch.ended)


@pytest.mark.parametrize("num_worlds", [1, 2, 4, 6, 9])
def test_an_episode_does_not_depend_on_the_number_of_worlds(num_worlds: int) -> None:
    assert run(num_worlds) == run(3)


def test_hooks_see_every_step_of_every_episode_once() -> None:
    watch = Watch()
    policy = Still()
    results = run(2, watch, policy=policy)
    assert not watch.running
    assert sorted(watch.ended) == list(range(len(SCRIPTS)))
    for result in results:
        assert watch.steps[result.index] == list(
            range(0, round(result.duration_s * PHYSICS_HZ), TICKS)
        )
    assert sorted(seed for _, seed in policy.resets) == list(SCRIPTS)


def test_how_episodes_end() -> None:
    lost, _, lasting, passing, late, at_once = run(6)
    assert lost.duration_s == 40 / CONTROL_HZ
    assert lost.fault == "action_not_finite"
    assert lost.success_once is False
    assert at_once.duration_s == 1 / CONTROL_HZ
    assert at_once.reward_sum == 1.0

    # success that lasts, and success that passes
    assert lasting.time_to_success_s == 7 / CONTROL_HZ
    assert lasting.duration_s == 7 / CONTROL_HZ + 1.0
    assert (lasting.success_once, lasting.success_at_end) == (True, True)
    assert passing.time_to_success_s == 4 / CONTROL_HZ
    assert (passing.success_once, passing.success_at_end) == (True, False)

    # the horizon
    assert late.duration_s == 30 / CONTROL_HZ
    assert late.success_once is False
    assert late.time_to_success_s is None
    assert late.progress_max == 1.0
    assert late.progress_end == 1 / 30
    assert late.reward_sum == 30 * 31 / 2
    assert late.variation == {"seed": 9}
    assert late.instruction == "seed 9"
    assert late.mean_plan_age_s is None


def test_each_way_to_end_has_a_word_and_reads_differently() -> None:
    scripts = {
        0: Script(lost_at=4),
        1: Script(lost_at=4, has_fault=False),
        2: Script(success_from=2, success_until=4, lost_at=5, has_fault=False),
        3: Script(success_from=2, success_until=4),
        4: Script(horizon=4),
        5: Script(success_from=4),
    }
    results = rollout(ScriptedWorlds(scripts, 3), Still(), list(scripts))
    endings = ["fault", "lost", "lost", "undone", "time out", "success"]
    assert [result.ended for result in results] == endings
    assert set(endings) - {"success"} == set(ENDING_TEXTS) - {""}

    words = [describe_ending(result) for result in results]
    assert words == [
        f"fault action_not_finite at {4 / CONTROL_HZ:.1f} s",
        f"lost at {4 / CONTROL_HZ:.1f} s",
        f"lost at {5 / CONTROL_HZ:.1f} s",
        f"success at {2 / CONTROL_HZ:.1f} s, undone at {2 / CONTROL_HZ + 1:.1f} s",
        f"time out at {4 / CONTROL_HZ:.1f} s",
        f"success at {4 / CONTROL_HZ:.1f} s",
    ]


def test_results_tell_the_last_subtask_and_the_furthest_stage() -> None:
    class Planning(Still):
        """Plans in world 0 alone: to reach at first, to press from step 3 on."""

        def act(self, observation: Observation) -> np.ndarray:
            self.tick = int(observation.tick[0])
            return super().act(observation)

        def take_plans(self) -> list[Plan]:
            skill = "press" if self.tick >= 3 * TICKS else "reach"
            zeros = np.zeros(1, np.int64)
            subtask = np.array([SKILLS.index(skill)])
            payload = replace(Payload.empty(1), subtask=subtask)
            return [Plan(zeros, zeros, zeros, zeros, zeros, zeros, payload)]

        def mean_plan_age_s(self, world: int) -> float:
            return 0.1

    scripts = {0: Script(horizon=8), 1: Script(horizon=8), 2: Script(horizon=2)}
    results = rollout(ScriptedWorlds(scripts, 2), Planning(), list(scripts))
    assert [result.subtask for result in results] == ["press", "", "reach"]
    assert describe_place(results[2]) == "in reach, stage far reached"

    # progress is at most 1 / 1, at the first step
    assert [result.stage for result in results] == ["far"] * 3


def test_plans_reach_the_hooks_and_their_age_the_result() -> None:
    # World 0 has used plans; world 1 never got one.
    class Planning(Still):
        def take_plans(self) -> list[Plan]:
            zeros = np.zeros(1, np.int64)
            return [Plan(zeros, zeros, zeros, zeros, zeros, zeros, Payload.empty(1))]

        def mean_plan_age_s(self, world: int) -> float:
            return 0.25 if world == 0 else float("nan")

    watch = Watch()
    results = run(2, watch, policy=Planning())
    assert len(watch.plans) > 10
    assert {r.mean_plan_age_s for r in results} == {0.25, None}


def test_worlds_driven_otherwise_than_the_policy_asks() -> None:
    policy = Still()
    policy.spec = PolicySpec(control_mode="ee_delta", control_hz=200)
    with pytest.raises(
        EmbodiedError,
        match=r"'ee_delta' at 200 Hz, but the worlds take 'joint_delta' at 20 Hz",
    ):
        run(2, policy=policy)


def test_real_worlds_do_not_depend_on_their_neighbours() -> None:
    class Breaking(RandomPolicy):
        """Random, until it gives NaN at a step that depends on the seed.

        Episodes are short, and they end at different times.
        """

        def reset(
            self, ids: np.ndarray, observation: Observation, seeds: Sequence[int]
        ) -> None:
            super().reset(ids, observation, seeds)
            self.broken_at = getattr(self, "broken_at", {})
            for world, seed in zip(ids.tolist(), seeds, strict=True):
                self.broken_at[world] = TICKS * (5 + 3 * (seed % 4))

        def act(self, observation: Observation) -> np.ndarray:
            action = super().act(observation)
            limit = np.array([self.broken_at[i] for i in range(len(action))])
            action[observation.tick >= limit] = np.nan
            return action

    def play(num_worlds: int) -> list[EpisodeResult]:
        config = EnvConfig("ToteTransfer", level="L3", num_threads=1)
        worlds = Worlds(config, num_worlds)
        return rollout(worlds, Breaking(len(worlds.interface.low)), [3, 4, 5, 6, 7])

    alone = play(1)
    together = play(5)
    assert alone == together == play(2)

    # the episodes did differ
    assert {result.fault for result in alone} == {"action_not_finite"}
    assert len({result.duration_s for result in alone}) > 2
    assert len({result.reward_sum for result in alone}) == 5


def test_safety_signals_are_those_of_the_episode_alone() -> None:
    """In worlds that had another before, and at its last step too."""
    scripts = {
        0: Script(horizon=30),
        1: Script(horizon=7, touches=(2, 3, 5)),
        2: Script(lost_at=4),
    }
    for num in (1, 2):
        long, short, lost = rollout(ScriptedWorlds(scripts, num), Still(), [0, 1, 2])
        assert [r.peak_contact_force_n for r in (long, short, lost)] == [30, 7, 4]
        assert [r.collisions for r in (long, short, lost)] == [0, 2, 0]
        assert short.min_joint_margin_rad == 1 / 8
        assert [r.dropped for r in (long, short, lost)] == [0, 0, 2]


class ForceWorlds(ScriptedWorlds):
    """Worlds in which every physics step has a force of its own.

    Like real ones they keep the last 20 physics steps, or those of the control step.
    """

    def __init__(self, control_hz: int, force_n: np.ndarray) -> None:
        super().__init__(
            {0: Script(horizon=len(force_n) * control_hz // PHYSICS_HZ)}, 1
        )
        self.ticks_per_step = PHYSICS_HZ // control_hz
        self.config = SimpleNamespace(control_mode="joint_delta", control_hz=control_hz)
        self.force_n = force_n

    def safety(self, ticks: int) -> Safety:
        assert ticks <= max(WINDOW_TICKS, self.ticks_per_step)
        now = int(self.step_number[0]) * self.ticks_per_step
        recent = self.force_n[max(0, now - ticks) : now]
        return Safety(recent.max(keepdims=True), np.array([False]), np.ones(1))


@pytest.mark.parametrize(
    "control_hz", [hz for hz in range(1, PHYSICS_HZ + 1) if PHYSICS_HZ % hz == 0]
)
@pytest.mark.parametrize("peak_tick", [0, 3, 30, 41, 57, 399, 400, 799])
def test_no_physics_step_is_missed_at_any_control_rate(
    control_hz: int, peak_tick: int
) -> None:
    force_n = np.zeros(800)
    force_n[peak_tick] = 242.0
    worlds: Any = ForceWorlds(control_hz, force_n)
    policy = Still()
    policy.spec = PolicySpec(control_hz=control_hz)

    (result,) = rollout(worlds, policy, [0])

    assert result.peak_contact_force_n == 242.0
