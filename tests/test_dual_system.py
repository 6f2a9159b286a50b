"""The dual system with a fake planner and a fake controller, against hand-made and slow
but obvious timelines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embodied.core import SKILLS, Array, Observation, Payload, Plan, PolicySpec
from embodied.errors import EmbodiedError
from embodied.policies.channel import Channel, Freeze
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from embodied.policies.latency import Constant, Latency, LogNormal, PlanLatency, Trace
from embodied.policies.mailbox import MailboxMode


class FakePlanner:
    """Says what it saw: the goal is at (tick, x, 0) and moves at (1, 2, 3) m/s;
    completion counts the plans so far.
    """

    latent_size = 2

    def __init__(self) -> None:
        self.calls: list[tuple[np.ndarray, Observation]] = []
        self.made = np.zeros(64)

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        self.made[ids] = 0

    def plan(self, observation: Observation, ids: Array) -> Payload:
        self.calls.append((ids, observation))
        n = len(ids)
        said = [len(text) for text in observation.instruction]
        goal = np.stack(
            [observation.tick, observation.agent_pos[:, 0], np.zeros(n)], axis=1
        ).astype(float)
        self.made[ids] += 1
        latent = np.stack([observation.environment_state[:, 0], said], axis=1).astype(
            np.float32
        )
        quat = np.tile([1.0, 0, 0, 0], (n, 1))
        velocity = np.tile([1.0, 2.0, 3.0], (n, 1))
        return Payload(
            np.zeros(n, np.int64),
            goal,
            quat,
            velocity,
            -np.ones(n),
            self.made[ids],
            latent,
        )


class FakeController:
    """Follows what it is told, and writes it down."""

    def __init__(self, control_hz: int = 200, cameras: tuple[str, ...] = ()) -> None:
        self.spec = PolicySpec(control_hz=control_hz, cameras=cameras)
        self.payloads: list[Payload] = []
        self.ages_s: list[np.ndarray] = []
        self.resets: list[tuple[list[int], list[int]]] = []
        self.poison: Callable[[np.ndarray], None] = lambda action: None

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        self.resets.append(([int(i) for i in ids], list(seeds)))

    def act(self, observation: Observation, payload: Payload, age_s: Array) -> Array:
        self.payloads.append(payload)
        self.ages_s.append(age_s)
        pull = np.tanh(payload.goal_pos_w[:, 1] - observation.agent_pos[:, 0] + 0.3)
        action = np.stack([pull, np.cos(age_s), payload.gripper], axis=1)
        self.poison(action)
        return action

    @property
    def seen(self) -> np.ndarray:
        """(steps, N): the tick of the observation that the plan shown was made from; 0
        without a plan.
        """
        return np.array([payload.goal_pos_w[:, 0] for payload in self.payloads]).astype(
            int
        )

    @property
    def shown(self) -> np.ndarray:
        """(steps, N): the seq of the plan shown, -1 without."""
        return np.array([payload.completion - 1 for payload in self.payloads]).astype(
            int
        )


@dataclass
class FakeWorlds:
    """N worlds of one joint each, which follow their actions. Each has its own clock."""

    num: int
    step: int
    camera: bool = False
    tick: np.ndarray = field(init=False)
    x: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.tick = np.zeros(self.num, np.int64)
        self.x = np.zeros(self.num)

    def observe(self) -> Observation:
        frame = self.tick // 40 * 40  # a 10 Hz camera
        return Observation(
            tick=self.tick.copy(),
            agent_pos=self.x[:, None].copy(),
            environment_state=np.sin(self.tick)[:, None],
            instruction=tuple("x" * (int(tick) % 7) for tick in self.tick),
            pixels={
                "front": np.tile(frame[:, None, None, None] % 251, (1, 2, 2, 3)).astype(
                    np.uint8
                )
            }
            if self.camera
            else {},
            pixels_tick=frame if self.camera else None,
        )

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        self.tick[ids] = 0
        self.x[ids] = np.array(seeds) % 10

    def advance(self, action: np.ndarray) -> None:
        self.x = self.x + 0.01 * np.nan_to_num(action[:, 0]).astype(float)
        self.tick = self.tick + self.step


@dataclass
class Run:
    system: DualSystem
    planner: FakePlanner
    controller: FakeController
    actions: np.ndarray  # (steps, N, 3)
    plans: list[Plan]
    ticks: np.ndarray  # (steps,)

    def times(self, world: int = 0) -> np.ndarray:
        """(plans, 5): seq, tick_frame, tick_start, tick_done, tick_arrived of a world's
        plans.
        """
        names = ("seq", "tick_frame", "tick_start", "tick_done", "tick_arrived")
        rows = [[getattr(p, n)[p.world == world] for n in names] for p in self.plans]
        return np.concatenate([np.array(row).T for row in rows]).astype(int)


def drive(  # one episode in each world, all from tick 0
    config: DualSystemConfig,
    seconds: float = 4,
    control_hz: int = 200,
    seeds: Sequence[int] = (0,),
    camera: bool = False,
) -> Run:
    planner = FakePlanner()
    controller = FakeController(control_hz, ("front",) if camera else ())
    system = DualSystem(planner, controller, config)
    worlds = FakeWorlds(len(seeds), 400 // control_hz, camera)
    ids = np.arange(len(seeds))
    worlds.reset(ids, seeds)
    system.reset(ids, worlds.observe(), seeds)
    actions = []
    plans = []
    ticks = []
    for _ in range(int(seconds * control_hz)):
        ticks.append(int(worlds.tick[0]))
        actions.append(system.act(worlds.observe()))
        plans += system.take_plans()
        worlds.advance(actions[-1])
    return Run(system, planner, controller, np.array(actions), plans, np.array(ticks))


def delays(up_ms: float = 0, compute_ms: float = 0, down_ms: float = 0) -> PlanLatency:
    return PlanLatency(Constant(compute_ms), Constant(up_ms), Constant(down_ms))


# When plans are made
# -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate_hz", [7, 8, 9, 30])
@pytest.mark.parametrize("control_hz", [400, 200, 50])
def test_plans_are_made_at_the_first_control_step_at_or_after_their_exact_time(
    rate_hz: int, control_hz: int
) -> None:
    run = drive(DualSystemConfig(planner_hz=rate_hz), seconds=10, control_hz=control_hz)
    exact = [Fraction(400 * k, rate_hz) for k in range(10 * rate_hz)]
    step = 400 // control_hz
    expected = [ceil(t / step) * step for t in exact]
    expected = [t for t in expected if t < 4000]
    times = run.times()
    np.testing.assert_array_equal(times[:, 0], np.arange(len(expected)))
    for column in times.T[1:]:  # without latency frame = start = done = arrived
        np.testing.assert_array_equal(column, expected)


def test_a_planner_faster_than_the_controller_plans_once_a_step() -> None:
    run = drive(DualSystemConfig(planner_hz=100), control_hz=20)
    np.testing.assert_array_equal(run.times()[:, 1], run.ticks)


def test_without_latency_the_plan_of_an_observation_is_usable_at_once() -> None:
    run = drive(DualSystemConfig(planner_hz=8))
    np.testing.assert_array_equal(run.controller.seen[:, 0], run.ticks // 50 * 50)
    np.testing.assert_array_equal(
        run.controller.ages_s, (run.ticks % 50)[:, None] / 400
    )


def test_age_is_latency_plus_phase() -> None:
    # 8 + 24 + 8 = 40 ticks, period 50
    run = drive(DualSystemConfig(planner_hz=8, latency=delays(20, 60, 20)))
    ticks = run.ticks[run.ticks >= 40]
    # of the newest plan whose arrival, 40 later, is past
    frame = (ticks - 40) // 50 * 50
    ages_s = np.array(run.controller.ages_s)[run.ticks >= 40, 0]
    np.testing.assert_array_equal(ages_s, (ticks - frame) / 400)
    assert ages_s.min() == 40 / 400
    assert ages_s.max() == 88 / 400  # one control step before the next plan
    assert run.system.mean_plan_age_s(0) == pytest.approx(ages_s.mean(), rel=1e-12)
    np.testing.assert_array_equal(
        run.times()[:3],
        [[0, 0, 8, 32, 40], [1, 50, 58, 82, 90], [2, 100, 108, 132, 140]],
    )


def test_compute_longer_than_the_period_blocks_the_planner() -> None:
    # 110 ticks
    run = drive(DualSystemConfig(planner_hz=8, latency=delays(compute_ms=275)))
    times = run.times()
    # back to back: 3.6 Hz
    np.testing.assert_array_equal(times[:4, 2], [0, 110, 220, 330])
    # each from the newest observation by then
    np.testing.assert_array_equal(times[:4, 1], [0, 100, 200, 300])
    np.testing.assert_array_equal(times[:4, 3], [110, 220, 330, 440])
    assert [int(o.tick[0]) for _, o in run.planner.calls[:4]] == [0, 100, 200, 300]


def test_transport_longer_than_the_period_does_not_block() -> None:
    run = drive(DualSystemConfig(planner_hz=8, latency=delays(up_ms=500, down_ms=1000)))
    times = run.times()
    np.testing.assert_array_equal(np.diff(times[:, 1]), 50)  # still 8 Hz
    np.testing.assert_array_equal(times[:, 2] - times[:, 1], 200)
    np.testing.assert_array_equal(times[:, 4] - times[:, 3], 400)
    assert (run.controller.shown[run.ticks < 600] == -1).all()
    np.testing.assert_array_equal(
        run.controller.seen[run.ticks >= 600, 0],
        (run.ticks[run.ticks >= 600] - 600) // 50 * 50,
    )


def test_the_planner_sees_all_of_the_observation_as_it_was() -> None:
    run = drive(
        DualSystemConfig(planner_hz=9, latency=delays(110, 90, 10)),
        camera=True,
        seeds=(3, 4),
    )
    worlds = FakeWorlds(2, 2, camera=True)
    worlds.reset(np.arange(2), (3, 4))
    history = []
    for action in run.actions:
        history.append(worlds.observe())
        worlds.advance(action)
    assert len(run.planner.calls) > 30
    for ids, got in run.planner.calls:
        past = history[int(got.tick[0]) // 2].rows(ids)
        for name in ("tick", "agent_pos", "environment_state", "pixels_tick"):
            np.testing.assert_array_equal(getattr(got, name), getattr(past, name))
        assert got.instruction == past.instruction
        assert list(got.pixels) == ["front"]
        np.testing.assert_array_equal(got.pixels["front"], past.pixels["front"])


def test_with_cameras_a_plan_is_as_old_as_its_image() -> None:
    run = drive(
        DualSystemConfig(planner_hz=8, latency=delays(compute_ms=50)), camera=True
    )
    times = run.times()
    captured = np.arange(len(times)) * 50
    # the 10 Hz camera's newest frame
    np.testing.assert_array_equal(times[:, 1], captured // 40 * 40)
    np.testing.assert_array_equal(times[:, 2], captured)
    frame = times[run.controller.shown[run.ticks >= 20, 0], 1]
    np.testing.assert_array_equal(
        np.array(run.controller.ages_s)[run.ticks >= 20, 0],
        (run.ticks[10:] - frame) / 400,
    )


def test_worlds_that_are_due_are_planned_in_one_call() -> None:
    run = drive(
        DualSystemConfig(planner_hz=8, latency=delays(50, 50, 50)), seeds=range(16)
    )
    assert [len(ids) for ids, _ in run.planner.calls] == [16] * 32
    assert len(run.plans) == 32


# What may go wrong
# ---------------------------------------------------------------------------------------------------


def test_dropped_plans_are_told_of_and_never_seen() -> None:
    run = drive(
        DualSystemConfig(planner_hz=30, drop=0.4, latency=delays(down_ms=20)),
        seconds=20,
    )
    times = run.times()
    lost = set(times[times[:, 4] == -1, 0])
    assert 0.3 < len(lost) / len(times) < 0.5
    shown = set(run.controller.shown[:, 0]) - {-1}
    arrived = times[(times[:, 4] >= 0) & (times[:, 4] < 8000), 0]
    assert shown == set(arrived)


def test_when_every_plan_is_lost_the_body_never_moves() -> None:
    run = drive(DualSystemConfig(drop=1))
    assert (run.times()[:, 4] == -1).all()
    np.testing.assert_array_equal(run.actions, np.tile([0, 0, 1], (800, 1, 1)))
    assert np.isnan(run.system.mean_plan_age_s(0))
    assert np.isfinite(run.controller.ages_s).all()


def test_a_frozen_planner_neither_starts_nor_finishes() -> None:
    freeze = Freeze(duration_s=0.5, start_s=1.1)  # ticks 440 to 640
    # 40 ticks
    run = drive(
        DualSystemConfig(planner_hz=8, freeze=freeze, latency=delays(compute_ms=100))
    )
    times = run.times()
    np.testing.assert_array_equal(
        times[7:10, 1:4], [[350, 350, 390], [400, 400, 440], [600, 640, 680]]
    )
    longer = drive(
        DualSystemConfig(planner_hz=8, freeze=freeze, latency=delays(compute_ms=102.5))
    ).times()
    # one tick left to do
    np.testing.assert_array_equal(longer[8:10, 1:4], [[400, 400, 641], [600, 641, 682]])


def test_a_stale_plan_stops_the_body_in_time_and_a_fresh_one_sets_it_going() -> None:
    config = DualSystemConfig(
        freeze=Freeze(duration_s=2, start_s=1), stale_after_s=0.5, max_action_rate=10
    )
    run = drive(config, seconds=5)
    last = run.times()[run.times()[:, 1] < 400, 1].max()
    speed = np.abs(run.actions[:, 0, :2]).max(axis=1)
    stale = last + 200  # 0.5 s after the last frame
    moving = speed[(run.ticks > 100) & (run.ticks <= stale)]
    assert moving.min() > 0.2
    # |action| <= 1 at 10 per s: 0.1 s of ramp
    stopped = (run.ticks > stale + 0.1 * 400) & (run.ticks < 1200)
    assert stopped.sum() > 200
    np.testing.assert_array_equal(run.actions[stopped, 0, :2], 0)
    # the gripper holds on
    np.testing.assert_array_equal(run.actions[run.ticks < 1200, 0, 2], -1)
    assert speed[run.ticks > 1200 + 80].min() > 0.2
    assert np.abs(np.diff(run.actions[:, 0, :2], axis=0)).max() <= 10 / 200 + 1e-6


def test_an_absolute_mode_stops_at_its_hold_action() -> None:
    controller = FakeController()
    worlds = FakeWorlds(1, 2)
    hold = np.float32([[0.25, -0.5, 0.75]])
    system = DualSystem(
        FakePlanner(),
        controller,
        DualSystemConfig(drop=1),
        hold_action=lambda observation: hold,
    )
    system.reset(np.arange(1), worlds.observe(), [0])
    for _ in range(5):
        np.testing.assert_array_equal(system.act(worlds.observe()), hold)


def test_nan_passes_through_and_the_other_worlds_do_not_notice() -> None:
    config = DualSystemConfig(latency=delays(10, 20, 10))

    def actions(poisoned: bool) -> np.ndarray:
        controller = FakeController()
        worlds = FakeWorlds(3, 2)
        system = DualSystem(FakePlanner(), controller, config)
        worlds.reset(np.arange(3), [0, 1, 2])
        system.reset(np.arange(3), worlds.observe(), [0, 1, 2])
        rows = []
        for step in range(200):
            if poisoned and step == 100:
                controller.poison = lambda action: action[1].fill(np.nan)
            rows.append(system.act(worlds.observe()))
            worlds.advance(rows[-1])
        return np.array(rows)

    clean = actions(False)
    bad = actions(True)
    np.testing.assert_array_equal(bad[:, [0, 2]], clean[:, [0, 2]])
    np.testing.assert_array_equal(bad[:100, 1], clean[:100, 1])
    assert np.isnan(bad[100:, 1]).all()


# The mailbox
# ---------------------------------------------------------------------------------------------------------


def test_predictive_moves_the_goal_on_by_its_own_velocity() -> None:
    latency = delays(50, 50, 50)
    still = drive(DualSystemConfig(latency=latency))
    moved = drive(DualSystemConfig(latency=latency, mailbox="predictive"))
    assert (
        np.array(moved.controller.ages_s) == np.array(still.controller.ages_s)
    ).all()
    planned = 0
    for a, b, age in zip(
        still.controller.payloads,
        moved.controller.payloads,
        still.controller.ages_s,
        strict=True,
    ):
        has_plan = b.subtask[0] != SKILLS.index("stop")
        planned += has_plan
        gain = np.array([1.0, 2.0, 3.0]) * age[0] * has_plan
        np.testing.assert_allclose(
            (b.goal_pos_w - a.goal_pos_w)[0, [0, 2]], gain[[0, 2]], atol=1e-9
        )
    assert planned > 700


@pytest.mark.parametrize("downlink", [LogNormal(100, 1.0), Trace([300, 0, 0, 500, 0])])
def test_latest_never_goes_back_though_plans_overtake_each_other(
    downlink: Latency,
) -> None:
    run = drive(
        DualSystemConfig(planner_hz=30, latency=PlanLatency(downlink=downlink)),
        seconds=20,
    )
    arrived = run.times()[:, 4]
    assert (np.diff(arrived) < 0).sum() > 50  # they do overtake
    shown = run.controller.shown[:, 0]
    assert (np.diff(shown) >= 0).all()
    for tick, seq in zip(run.ticks, shown, strict=True):
        assert seq == max(np.flatnonzero(arrived <= tick), default=-1)


def test_fifo_shows_all_in_order_of_arrival_each_for_a_period() -> None:
    jitter = PlanLatency(downlink=LogNormal(100, 1.0))
    run = drive(
        DualSystemConfig(planner_hz=7, latency=jitter, mailbox="fifo"), seconds=20
    )
    arrived = run.times()[:, 4]
    assert (np.diff(arrived) < 0).any()
    shown = run.controller.shown[:, 0]
    changes = np.flatnonzero(np.diff(shown) != 0) + 1
    order = shown[changes]
    np.testing.assert_array_equal(
        order, np.lexsort((np.arange(len(arrived)), arrived))[: len(order)]
    )
    assert len(order) > 120
    # 400 / 7 = 57.1; seen at control steps only
    assert np.diff(run.ticks[changes]).min() >= 57 - 1


def test_fifo_keeps_up_with_a_rate_that_is_no_whole_number_of_ticks() -> None:
    run = drive(
        DualSystemConfig(planner_hz=7, mailbox="fifo", latency=delays(down_ms=50)),
        seconds=30,
    )
    assert run.controller.ages_s[-1][0] <= 0.05 + 1 / 7 + 0.01


@pytest.mark.parametrize("mode", ["latest", "fifo", "predictive"])
def test_a_new_episode_begins_with_an_empty_mailbox(mode: MailboxMode) -> None:
    config = DualSystemConfig(planner_hz=1, mailbox=mode, latency=delays(down_ms=600))
    # one plan shown, one on its way
    run = drive(config, seconds=2.1)
    worlds = FakeWorlds(1, 2)
    run.system.reset(np.array([0]), worlds.observe(), [0])
    for _ in range(150):
        worlds.advance(run.system.act(worlds.observe()))
    shown = run.controller.shown[-150:, 0]
    np.testing.assert_array_equal(shown, np.where(np.arange(150) * 2 < 240, -1, 0))


# Against a slow but obvious timeline
# ---------------------------------------------------------------------------------


class SlowTimeline:
    """One world, tick by tick, in plain lists: `rows` of (seq, frame, start, done,
    arrived), and the seq `shown`.
    """

    def __init__(self, config: DualSystemConfig, seed: int, step: int) -> None:
        self.config = config
        self.step = step
        self.tick = -1
        # freezes are simulated here
        self.channel = Channel(1, config.latency, config.drop, Freeze())
        self.freezes = Channel(1, PlanLatency(), 0, config.freeze)
        for channel in (self.channel, self.freezes):
            channel.reset(np.array([0]), [seed])
        self.period = Fraction(400) / Fraction(config.planner_hz).limit_denominator(
            1000
        )
        self.event = self.number = self.work = 0
        self.busy = False
        self.showing = -1
        self.since = -(10**6)
        # observations: (number, frame, arrival)
        self.on_way: list[tuple[int, int, int]] = []
        self.posted: list[tuple[int, int]] = []  # plans: (arrival, seq)
        self.rows: list[list[int]] = []
        self.shown: list[int] = []  # at each control step

    def run(self, last_tick: int) -> None:
        awake = self.freezes.awake_at(np.arange(last_tick + 1))
        for self.tick in range(last_tick + 1):
            frozen = awake[self.tick] != self.tick
            if self.tick % self.step == 0 and self.event * self.period <= self.tick:
                self.capture()
            self.finish()
            while (
                not self.busy
                and not frozen
                and any(o[2] <= self.tick for o in self.on_way)
            ):
                self.start()
                self.finish()
            self.work -= self.busy and not frozen
            self.show()
            if self.tick % self.step == 0:
                self.shown.append(self.showing)

    def capture(self) -> None:
        self.on_way.append(
            (
                self.number,
                self.tick,
                self.ask(self.channel.received_at, self.tick, self.number),
            )
        )
        self.number += 1
        while self.event * self.period <= self.tick:
            self.event += 1

    def start(self) -> None:
        newest = max(o for o in self.on_way if o[2] <= self.tick)
        self.on_way = [o for o in self.on_way if o[0] > newest[0]]
        self.busy = True
        self.work = self.ask(self.channel.computed_at, 0, len(self.rows))
        self.rows.append([len(self.rows), newest[1], self.tick, -2, -2])

    def finish(self) -> None:
        if self.busy and self.work == 0:
            self.busy = False
            seq = self.rows[-1][0]
            arrived = self.ask(self.channel.arrived_at, self.tick, seq)
            self.rows[-1][3:] = [self.tick, arrived]
            self.posted += [(arrived, seq)] if arrived >= 0 else []

    def show(self) -> None:
        ready = sorted(p for p in self.posted if p[0] <= self.tick)
        if self.config.mailbox != "fifo":
            self.showing = max([self.showing, *(seq for _, seq in ready)])
        elif ready and self.tick - self.since >= int(self.period):
            self.showing = ready[0][1]
            self.since = self.tick
            self.posted.remove(ready[0])

    @staticmethod
    def ask(method: Callable[..., Array], tick: int, count: int) -> int:
        return int(
            np.broadcast_to(
                method(np.array([0]), np.array([tick]), np.array([count])), 1
            )[0]
        )


milliseconds = st.sampled_from([0.0, 2.5, 20.0, 61.0, 125.0, 300.0, 700.0])
sources: st.SearchStrategy[Latency] = st.one_of(
    milliseconds.map(Constant),
    st.lists(milliseconds, min_size=1, max_size=6).map(Trace),
    st.builds(
        LogNormal, st.sampled_from([10.0, 100.0, 300.0]), st.sampled_from([0.2, 0.8])
    ),
)
freezes = st.one_of(
    st.just(Freeze()),
    st.builds(Freeze, st.sampled_from([0.1, 0.6]), st.sampled_from([0.0, 0.4, 0.71])),
    st.builds(
        Freeze, st.sampled_from([0.0025, 0.1]), st.none(), st.sampled_from([1.0, 5.0])
    ),
)
configs = st.builds(
    DualSystemConfig,
    planner_hz=st.sampled_from([2.5, 7, 8, 9, 30, 150]),
    latency=st.builds(PlanLatency, sources, sources, sources),
    drop=st.sampled_from([0.0, 0.3]),
    freeze=freezes,
    mailbox=st.sampled_from(["latest", "fifo", "predictive"]),
    stale_after_s=st.sampled_from([0.2, 1.5]),
)
slowly = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@slowly
@given(
    config=configs,
    seed=st.integers(0, 99),
    control_hz=st.sampled_from([400, 200, 50, 20]),
)
def test_every_event_is_where_a_tick_by_tick_simulation_has_it(
    config: DualSystemConfig, seed: int, control_hz: int
) -> None:
    run = drive(config, seconds=2, control_hz=control_hz, seeds=(seed,))
    last = int(run.ticks[-1])
    slow = SlowTimeline(config, seed, 400 // control_hz)
    slow.run(last)
    expected = np.array(slow.rows).reshape(-1, 5)
    times = run.times() if run.plans else np.zeros((0, 5), int)
    np.testing.assert_array_equal(times[:, :3], expected[:, :3])
    known = expected[:, 3] >= 0  # the slow one does not look ahead
    np.testing.assert_array_equal(times[known, 3:], expected[known, 3:])
    assert (times[~known, 3] > last).all()
    if config.mailbox != "predictive":
        np.testing.assert_array_equal(run.controller.shown[:, 0], slow.shown)


@slowly
@given(config=configs, seed=st.integers(0, 99))
def test_every_plan_started_is_told_of_once_with_its_times_in_order(
    config: DualSystemConfig, seed: int
) -> None:
    run = drive(config, seconds=3, seeds=(seed, seed + 1))
    assert sum(len(ids) for ids, _ in run.planner.calls) == sum(
        len(p.world) for p in run.plans
    )
    assert run.system.take_plans() == []
    for world in range(2):
        times = run.times(world) if run.plans else np.zeros((0, 5), int)
        np.testing.assert_array_equal(times[:, 0], np.arange(len(times)))
        frame, start, done, arrived = times.T[1:]
        assert (frame <= start).all()
        assert (start <= done).all()
        assert ((arrived == -1) | (done <= arrived)).all()
        assert (start[1:] >= done[:-1]).all()  # one at a time
        # never an older observation after a newer one
        assert (np.diff(frame) > 0).all()


# Independence
# --------------------------------------------------------------------------------------------------------


@dataclass
class Episode:
    seed: int
    steps: int
    # action, age and goal at each step
    seen: list[tuple[float, ...]] = field(default_factory=list)
    plans: list[tuple[int, ...]] = field(default_factory=list)
    mean_age_s: float = 0.0


def play(config: DualSystemConfig, queues: list[list[Episode]]) -> None:
    """Each world plays its episodes one after the other; resets fall where they fall."""
    controller = FakeController()
    worlds = FakeWorlds(len(queues), 2)
    system = DualSystem(FakePlanner(), controller, config)
    queues = [list(queue) for queue in queues]
    running: dict[int, Episode] = {}
    while fresh_or_running(system, worlds, queues, running):
        action = system.act(worlds.observe())
        for plan in system.take_plans():
            times = (
                plan.world,
                plan.seq,
                plan.tick_frame,
                plan.tick_start,
                plan.tick_done,
                plan.tick_arrived,
            )
            for world, *row in np.array(times).T.tolist():
                if world in running:
                    running[world].plans.append(tuple(row))
        for i, episode in running.items():
            goal = controller.payloads[-1].goal_pos_w[i]
            age_s = controller.ages_s[-1][i]
            episode.seen.append((*action[i].tolist(), float(age_s), *goal.tolist()))
        worlds.advance(action)


def fresh_or_running(
    system: DualSystem,
    worlds: FakeWorlds,
    queues: list[list[Episode]],
    running: dict[int, Episode],
) -> bool:
    for i, episode in list(running.items()):
        if len(episode.seen) == episode.steps:
            running.pop(i).mean_age_s = system.mean_plan_age_s(i)
    fresh = [i for i in range(worlds.num) if i not in running and queues[i]]
    running.update({i: queues[i].pop(0) for i in fresh})
    if fresh:
        seeds = [running[i].seed for i in fresh]
        worlds.reset(np.array(fresh), seeds)
        system.reset(np.array(fresh), worlds.observe(), seeds)
    return bool(running)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(config=configs, data=st.data())
def test_a_world_does_the_same_alone_and_among_sixteen(
    config: DualSystemConfig, data: st.DataObject
) -> None:
    lengths = data.draw(st.lists(st.integers(1, 150), min_size=16, max_size=32))
    together = [Episode(seed, steps) for seed, steps in enumerate(lengths)]
    play(config, [together[i::16] for i in range(16)])
    for among in data.draw(st.lists(st.sampled_from(together), min_size=1, max_size=3)):
        alone = Episode(among.seed, among.steps)
        play(config, [[alone]])
        assert len(alone.seen) == among.steps
        # to the last bit; nan equals nan
        np.testing.assert_equal(vars(alone), vars(among))


def test_worlds_that_never_start_stop_and_are_not_planned_for() -> None:
    planner = FakePlanner()
    controller = FakeController()
    worlds = FakeWorlds(4, 2)
    system = DualSystem(planner, controller)
    system.reset(np.array([1, 3]), worlds.observe(), [7, 8])
    actions = []
    for _ in range(200):
        actions.append(system.act(worlds.observe()))
        worlds.advance(actions[-1])
    np.testing.assert_array_equal(
        np.array(actions)[:, [0, 2]], np.tile([0, 0, 1], (200, 2, 1))
    )
    assert {tuple(ids) for ids, _ in planner.calls} == {(1, 3)}
    assert np.abs(actions[-1][[1, 3], 0]).min() > 0.1
    assert np.isnan(system.mean_plan_age_s(0))


def test_another_number_of_worlds_begins_anew() -> None:
    system = DualSystem(FakePlanner(), FakeController())
    for num in (3, 1, 5):
        worlds = FakeWorlds(num, 2)
        system.reset(np.arange(num), worlds.observe(), range(num))
        assert system.act(worlds.observe()).shape == (num, 3)
        assert [len(plan.world) for plan in system.take_plans()] == [num]


def test_the_same_seed_gives_the_same_delays_and_another_seed_others() -> None:
    config = DualSystemConfig(latency=PlanLatency(LogNormal(80, 0.5)), drop=0.2)
    first, again, other = (drive(config, seeds=(seed,)).times() for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_planner_and_controller_are_reset_with_the_seeds_of_their_worlds() -> None:
    controller = FakeController()
    worlds = FakeWorlds(3, 2)
    system = DualSystem(FakePlanner(), controller)
    system.reset(np.arange(3), worlds.observe(), [7, 8, 9])
    system.reset([2, 0], worlds.observe(), [10, 11])
    assert controller.resets == [([0, 1, 2], [7, 8, 9]), ([2, 0], [10, 11])]


def test_what_a_planner_does_to_its_arrays_later_changes_no_plan() -> None:
    class Reusing(FakePlanner):
        def plan(self, observation: Observation, ids: Array) -> Payload:
            fresh = super().plan(observation, ids)
            if not hasattr(self, "kept"):
                self.kept = fresh
            for name, value in vars(fresh).items():
                getattr(self.kept, name)[:] = value
            return self.kept

    controller = FakeController()
    worlds = FakeWorlds(1, 2)
    system = DualSystem(
        Reusing(), controller, DualSystemConfig(latency=delays(down_ms=200))
    )
    system.reset(np.arange(1), worlds.observe(), [0])
    for _ in range(400):
        worlds.advance(system.act(worlds.observe()))
    goals = [int(plan.payload.goal_pos_w[0, 0]) for plan in system.take_plans()]
    assert goals == list(range(0, 800, 50))
    assert controller.seen[-1, 0] == 700  # arrived at 780


# Wrong use
# -----------------------------------------------------------------------------------------------------------


def test_worlds_reset_without_the_policy_are_noticed() -> None:
    run = drive(DualSystemConfig(), seconds=1)
    worlds = FakeWorlds(1, 2)
    with pytest.raises(ValueError, match="world 0 went back"):
        run.system.act(worlds.observe())


def test_a_planner_that_forgets_worlds_is_an_error() -> None:
    class Lazy(FakePlanner):
        def plan(self, observation: Observation, ids: Array) -> Payload:
            return super().plan(observation.rows(np.array([0])), ids[:1])

    system = DualSystem(Lazy(), FakeController())
    worlds = FakeWorlds(2, 2)
    system.reset(np.arange(2), worlds.observe(), [0, 1])
    with pytest.raises(ValueError, match="1 plans for 2 worlds"):
        system.act(worlds.observe())


def test_cameras_without_the_time_of_their_frame_are_an_error() -> None:
    system = DualSystem(FakePlanner(), FakeController(cameras=("front",)))
    worlds = FakeWorlds(1, 2)
    system.reset(np.arange(1), worlds.observe(), [0])
    with pytest.raises(ValueError, match="pixels_tick"):
        system.act(worlds.observe())


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"planner_hz": 0}, "rate"),
        ({"planner_hz": 500}, "rate"),
        ({"drop": 1.5}, "drop"),
        ({"drop": float("nan")}, "drop"),
        ({"mailbox": "lifo"}, "unknown mailbox mode 'lifo'.*fifo, latest, predictive"),
        ({"stale_after_s": 0}, "stale_after_s"),
        ({"max_action_rate": float("inf")}, "max_action_rate"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(
    values: dict[str, float], match: str
) -> None:
    with pytest.raises(EmbodiedError, match=match):
        DualSystemConfig(**values)  # type: ignore[arg-type]
