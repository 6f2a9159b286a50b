"""Each world of the dual system is on its own: its seed decides, and nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embodied.core import Array, Observation
from embodied.plan import Payload
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from embodied.policies.latency import LogNormal, PlanLatency
from embodied.rollout.plan_use import PlanUse
from tests.dual_fakes import FakeController, FakePlanner, FakeWorlds, delays, simulate
from tests.dual_strategies import CONFIGS


@dataclass
class Episode:
    """What one world did in one episode."""

    seed: int
    length: int  # control steps
    # of each step: action, age and goal
    steps: list[tuple[float, ...]] = field(default_factory=list)
    # of each plan: seq, tick_frame, tick_start, tick_done, tick_arrived
    plans: list[tuple[int, ...]] = field(default_factory=list)
    use: PlanUse | None = None


class Players:
    """Worlds that play their episodes one after the other, each at its own pace."""

    def __init__(
        self, config: DualSystemConfig, queues: Sequence[Sequence[Episode]]
    ) -> None:
        self.queues = [list(queue) for queue in queues]  # a queue per world
        self.running: dict[int, Episode] = {}  # by world
        self.worlds = FakeWorlds(len(queues))
        self.controller = FakeController()
        self.system = DualSystem(FakePlanner(), self.controller, config)

    def play(self) -> None:
        while True:
            self.finish_episodes()
            self.start_episodes()
            if not self.running:
                return
            action = self.system.act(self.worlds.observe())
            self.keep_plans()
            self.keep_step(action)
            self.worlds.advance(action)

    def finish_episodes(self) -> None:
        for world, episode in list(self.running.items()):
            if len(episode.steps) == episode.length:
                episode.use = self.system.plan_use(world)
                del self.running[world]

    def start_episodes(self) -> None:
        ids = []
        for world, queue in enumerate(self.queues):
            if world not in self.running and queue:
                self.running[world] = queue.pop(0)
                ids.append(world)
        if ids:
            seeds = [self.running[world].seed for world in ids]
            self.worlds.reset(np.array(ids), seeds)
            self.system.reset(np.array(ids), self.worlds.observe(), seeds)

    def keep_plans(self) -> None:
        for plan in self.system.take_plans():
            columns = (
                plan.world,
                plan.seq,
                plan.tick_frame,
                plan.tick_start,
                plan.tick_done,
                plan.tick_arrived,
            )

            # A plan may come in after its episode has ended.
            for world, *times in np.stack(columns, axis=1).tolist():
                if world in self.running:
                    self.running[world].plans.append(tuple(times))

    def keep_step(self, action: np.ndarray) -> None:
        goals = self.controller.payloads[-1].goal_pos_w[:, 0]
        ages_s = self.controller.ages_s[-1]
        for world, episode in self.running.items():
            values = np.hstack([action[world], ages_s[world], goals[world].ravel()])
            episode.steps.append(tuple(values.tolist()))


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(config=CONFIGS, data=st.data())
def test_a_world_does_the_same_alone_and_among_sixteen(
    config: DualSystemConfig, data: st.DataObject
) -> None:
    lengths = data.draw(st.lists(st.integers(1, 150), min_size=16, max_size=32))
    together = [Episode(seed, length) for seed, length in enumerate(lengths)]
    Players(config, [together[world::16] for world in range(16)]).play()

    some = data.draw(st.lists(st.sampled_from(together), min_size=1, max_size=3))
    for among in some:
        alone = Episode(among.seed, among.length)
        Players(config, [[alone]]).play()

        assert len(alone.steps) == among.length
        # Equal to the last bit; nan equals nan.
        np.testing.assert_equal(vars(alone), vars(among))


def test_worlds_that_never_start_stand_still_and_are_not_planned_for() -> None:
    planner = FakePlanner()
    system = DualSystem(planner, FakeController())
    worlds = FakeWorlds(4)
    # Worlds 0 and 2 are not reset.
    system.reset(np.array([1, 3]), worlds.observe(), [7, 8])

    actions = []
    for _ in range(200):
        action = system.act(worlds.observe())
        actions.append(action)
        worlds.advance(action)

    rest = [0, 0, 1]
    never_started = np.array(actions)[:, [0, 2]]
    np.testing.assert_array_equal(never_started, np.tile(rest, (200, 2, 1)))
    assert {tuple(ids) for ids, _ in planner.calls} == {(1, 3)}
    assert np.abs(actions[-1][[1, 3], 0]).min() > 0.1
    assert np.isnan(system.mean_plan_age_s(0))


def test_another_number_of_worlds_begins_anew() -> None:
    system = DualSystem(FakePlanner(), FakeController())

    for num in (3, 1, 5):
        worlds = FakeWorlds(num)
        system.reset(np.arange(num), worlds.observe(), range(num))

        assert system.act(worlds.observe()).shape == (num, 3)
        assert [len(plan.world) for plan in system.take_plans()] == [num]


def test_the_same_seed_gives_the_same_delays_and_another_seed_others() -> None:
    config = DualSystemConfig(latency=PlanLatency(LogNormal(80, 0.5)), drop=0.2)

    first = simulate(config, seeds=(5,)).times()
    again = simulate(config, seeds=(5,)).times()
    other = simulate(config, seeds=(6,)).times()

    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_planner_and_controller_are_reset_with_the_seeds_of_their_worlds() -> None:
    controller = FakeController()
    system = DualSystem(FakePlanner(), controller)
    worlds = FakeWorlds(3)

    system.reset(np.arange(3), worlds.observe(), [7, 8, 9])
    system.reset([2, 0], worlds.observe(), [10, 11])

    assert controller.resets == [([0, 1, 2], [7, 8, 9]), ([2, 0], [10, 11])]


class ReusingPlanner(FakePlanner):
    """Gives the same arrays again and again, with new content."""

    reused: Payload | None = None

    def plan(self, observation: Observation, ids: Array) -> Payload:
        fresh = super().plan(observation, ids)
        if self.reused is None:
            self.reused = fresh
        for name, value in fresh.given.items():
            getattr(self.reused, name)[:] = value
        return self.reused


def test_what_a_planner_does_to_its_arrays_later_changes_no_plan() -> None:
    controller = FakeController()
    config = DualSystemConfig(latency=delays(down_ms=200))
    system = DualSystem(ReusingPlanner(), controller, config)
    worlds = FakeWorlds(1)
    system.reset(np.arange(1), worlds.observe(), [0])

    # The planner writes each plan into the same arrays, while older ones are under way.
    for _ in range(400):
        worlds.advance(system.act(worlds.observe()))

    goals = [int(plan.payload.goal_pos_w[0, 0, 0]) for plan in system.take_plans()]
    assert goals == list(range(0, 800, 50))
    assert controller.seen_ticks[-1, 0] == 700  # it arrived at 780
