"""What may go wrong in the dual system: losses, freezes, stale plans, and wrong use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from embodied.core import Array, Observation
from embodied.errors import EmbodiedError
from embodied.plan import PLAN_FAULTS, Payload, PlanShape
from embodied.policies.channel import Interruption
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from tests.dual_fakes import FakeController, FakePlanner, FakeWorlds, delays, simulate

# Losses and freezes
# --------------------------------------------------------------------------------------


def test_dropped_plans_are_reported_and_never_shown() -> None:
    config = DualSystemConfig(planner_hz=30, drop=0.4, latency=delays(down_ms=20))

    log = simulate(config, seconds=20)

    seq, *_, arrived = log.times().T
    assert 0.3 < np.mean(arrived == -1) < 0.5
    arrived_in_time = (arrived >= 0) & (arrived < 400 * 20)
    shown = set(log.controller.shown_seqs[:, 0]) - {-1}
    assert shown == set(seq[arrived_in_time])


def test_when_every_plan_is_lost_the_body_never_moves() -> None:
    log = simulate(DualSystemConfig(drop=1))

    assert (log.times()[:, 4] == -1).all()
    rest = [0, 0, 1]
    np.testing.assert_array_equal(log.actions, np.tile(rest, (800, 1, 1)))
    assert np.isnan(log.system.mean_plan_age_s(0))
    assert np.isfinite(log.controller.ages_s).all()


def test_a_frozen_planner_neither_starts_nor_finishes() -> None:
    freeze = Interruption(duration_s=0.5, start_s=1.1)  # ticks 440 to 640

    # 40 ticks of computing: the plan of tick 400 is done as the freeze begins.
    latency = delays(compute_ms=100)
    log = simulate(DualSystemConfig(planner_hz=8, freeze=freeze, latency=latency))
    expected = [
        [350, 350, 390],
        [400, 400, 440],
        [600, 640, 680],
    ]
    np.testing.assert_array_equal(log.times()[7:10, 1:4], expected)

    # 41 ticks: one tick of work is left for after the freeze.
    latency = delays(compute_ms=102.5)
    log = simulate(DualSystemConfig(planner_hz=8, freeze=freeze, latency=latency))
    expected = [
        [400, 400, 641],
        [600, 641, 682],
    ]
    np.testing.assert_array_equal(log.times()[8:10, 1:4], expected)


# The safe stop
# --------------------------------------------------------------------------------------


def test_a_stale_plan_stops_the_body_in_time_and_a_fresh_one_sets_it_going() -> None:
    freeze = Interruption(duration_s=2, start_s=1)  # ticks 400 to 1200
    config = DualSystemConfig(freeze=freeze, stale_after_s=0.5, max_action_rate=10)

    log = simulate(config, seconds=5)
    ticks = log.ticks
    motion = log.actions[:, 0, :2]
    gripper = log.actions[:, 0, 2]
    speed = np.abs(motion).max(axis=1)

    # It moves until 0.5 s after the last frame before the freeze.
    frame = log.times()[:, 1]
    stale_tick = frame[frame < 400].max() + 200
    assert speed[(ticks > 100) & (ticks <= stale_tick)].min() > 0.2

    # |action| <= 1 ramps down at 10 per second: it takes 0.1 s.
    stopped = (ticks > stale_tick + 0.1 * 400) & (ticks < 1200)
    assert stopped.sum() > 200
    np.testing.assert_array_equal(motion[stopped], 0)
    np.testing.assert_array_equal(gripper[ticks < 1200], -1)  # holds on

    # It goes on after the freeze, and never jumped.
    assert speed[ticks > 1200 + 80].min() > 0.2
    assert np.abs(np.diff(motion, axis=0)).max() <= 10 / 200 + 1e-6


def test_an_absolute_mode_stops_at_its_hold_action() -> None:
    hold = np.float32([[0.25, -0.5, 0.75]])
    worlds = FakeWorlds(1)
    # All plans are lost, so the controller never has one to follow.
    system = DualSystem(
        FakePlanner(),
        FakeController(),
        DualSystemConfig(drop=1),
        hold_action=lambda observation: hold,
    )

    system.reset(np.arange(1), worlds.observe(), [0])
    for _ in range(5):
        np.testing.assert_array_equal(system.act(worlds.observe()), hold)


def test_nan_passes_through_and_the_other_worlds_do_not_notice() -> None:
    clean = actions_of_three_worlds(poisoned_from_step=None)
    poisoned = actions_of_three_worlds(poisoned_from_step=100)

    np.testing.assert_array_equal(poisoned[:, [0, 2]], clean[:, [0, 2]])
    np.testing.assert_array_equal(poisoned[:100, 1], clean[:100, 1])
    assert np.isnan(poisoned[100:, 1]).all()


def actions_of_three_worlds(poisoned_from_step: int | None) -> np.ndarray:
    """Actions (200, 3, 3); the controller's for world 1 are nan from some step on."""
    # Delays of all three kinds, so that plans are under way when the fault comes.
    controller = FakeController()
    config = DualSystemConfig(latency=delays(10, 20, 10))
    system = DualSystem(FakePlanner(), controller, config)
    worlds = FakeWorlds(3)
    worlds.reset(np.arange(3), [0, 1, 2])
    system.reset(np.arange(3), worlds.observe(), [0, 1, 2])

    actions = []
    for step in range(200):
        if step == poisoned_from_step:
            controller.poison = lambda action: action[1].fill(np.nan)
        action = system.act(worlds.observe())
        actions.append(action)
        worlds.advance(action)
    return np.array(actions)


# Plans that are not sound
# --------------------------------------------------------------------------------------


class FaultyPlanner(FakePlanner):
    """Gives bad plans from the third on, for world 1 only."""

    def __init__(self, spoil: Callable[[Payload, int], None]) -> None:
        super().__init__()
        self.spoil = spoil

    def plan(self, observation: Observation, ids: Array) -> Payload:
        payload = super().plan(observation, ids)
        for row, world in enumerate(ids.tolist()):
            if world == 1 and self.num_plans[world] >= 3:
                self.spoil(payload, row)
        return payload


SPOILT = {
    "goal_pos_w": np.nan,
    "goal_vel_w": np.inf,
    "gripper": np.nan,
    "completion": -np.inf,
    "latent": np.nan,
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_plan_that_is_not_finite_is_recorded_and_never_shown(name: str) -> None:
    def spoil(payload: Payload, row: int) -> None:
        getattr(payload, name)[row] = SPOILT[name]

    clean, _ = run_two_worlds(FakePlanner())
    actions, system = run_two_worlds(FaultyPlanner(spoil))

    # world 0 does not notice; world 1 stops once its second plan is too old
    np.testing.assert_array_equal(actions[:, 0], clean[:, 0])
    assert np.isfinite(actions).all()
    assert np.abs(actions[100:120, 1, 0]).min() > 0.1
    np.testing.assert_array_equal(actions[-20:, 1, :2], 0)

    faults = fault_table(system)
    words = [PLAN_FAULTS[k] for k in faults[1]]
    assert words == ["", "", *["not_finite"] * (len(words) - 2)]
    assert not any(faults[0])


def test_a_frame_from_the_future_is_recorded_and_never_shown() -> None:
    """As of a camera whose clock is ahead."""
    system = DualSystem(FakePlanner(), FakeController(cameras=("front",)))
    worlds = FakeWorlds(1, camera=True)
    system.reset(np.arange(1), worlds.observe(), [0])

    for _ in range(100):
        shown = worlds.observe()
        ahead = replace(shown, pixels_tick=shown.tick + 40)
        worlds.advance(system.act(ahead))

    assert {PLAN_FAULTS[k] for k in fault_table(system)[0]} == {"from_the_future"}
    assert np.isnan(system.mean_plan_age_s(0))  # none was ever shown


def run_two_worlds(planner: FakePlanner) -> tuple[np.ndarray, DualSystem]:
    """Returns the actions (500, 2, 3) of two worlds, and the system that gave them."""
    system = DualSystem(planner, FakeController())
    worlds = FakeWorlds(2)
    worlds.reset(np.arange(2), [0, 1])
    system.reset(np.arange(2), worlds.observe(), [0, 1])
    actions = []
    for _ in range(500):
        action = system.act(worlds.observe())
        actions.append(action)
        worlds.advance(action)
    return np.array(actions), system


def fault_table(system: DualSystem) -> dict[int, list[int]]:
    """Returns world -> the fault of each of its plans."""
    table: dict[int, list[int]] = {}
    for plan in system.take_plans():
        faults = np.zeros(len(plan.world), int) if plan.fault is None else plan.fault
        for world, fault in zip(plan.world.tolist(), faults, strict=True):
            table.setdefault(world, []).append(int(fault))
    return table


def test_a_plan_that_comes_too_late_moves_nothing() -> None:
    """It is stale when it arrives, so that the robot never begins to move."""
    config = DualSystemConfig(stale_after_s=0.5, latency=delays(down_ms=600))
    log = simulate(config)
    assert len(log.plans) > 20
    np.testing.assert_array_equal(log.actions[:, 0, :2], 0)


def test_what_a_planner_raises_is_not_hidden() -> None:
    """So that `embodied eval` records it as the fault of the episode."""

    def plan(observation: Observation, ids: Array) -> Payload:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        one_act(plan)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        (None, "returned a NoneType, expected a Payload"),
        (Payload.empty(1), r"latent of a plan must be an array of shape \(1, 2\)"),
        (
            Payload.empty(1, PlanShape(latent=2, chunk_steps=4, chunk_actions=3)),
            "a plan has chunk, which the planner's PlanShape.* does not name",
        ),
    ],
)
def test_what_is_no_such_plan_is_refused(given: Any, match: str) -> None:
    with pytest.raises(EmbodiedError, match=match):
        one_act(lambda observation, ids: given)


def one_act(plan: Callable[[Observation, Array], Any]) -> None:
    planner = FakePlanner()
    planner.plan = plan  # type: ignore[method-assign]
    system = DualSystem(planner, FakeController())
    worlds = FakeWorlds(1)
    system.reset(np.arange(1), worlds.observe(), [0])
    system.act(worlds.observe())


def test_the_shapes_of_later_plans_are_checked_as_well() -> None:
    def spoil(payload: Payload, row: int) -> None:
        object.__setattr__(payload, "gripper", np.zeros((2, 5)))

    with pytest.raises(EmbodiedError, match=r"gripper .* \(2, 1\), .* not of shape"):
        run_two_worlds(FaultyPlanner(spoil))


# Wrong use
# --------------------------------------------------------------------------------------


def test_worlds_reset_without_the_policy_are_noticed() -> None:
    log = simulate(DualSystemConfig(), seconds=1)
    worlds = FakeWorlds(1)

    with pytest.raises(ValueError, match="world 0 went back"):
        log.system.act(worlds.observe())


def test_a_planner_that_forgets_worlds_is_an_error() -> None:
    class Lazy(FakePlanner):
        def plan(self, observation: Observation, ids: Array) -> Payload:
            return super().plan(observation.rows(np.array([0])), ids[:1])

    system = DualSystem(Lazy(), FakeController())
    worlds = FakeWorlds(2)
    system.reset(np.arange(2), worlds.observe(), [0, 1])

    with pytest.raises(EmbodiedError, match="for 2 worlds .* not of shape"):
        system.act(worlds.observe())


def test_cameras_without_the_time_of_their_frame_are_an_error() -> None:
    system = DualSystem(FakePlanner(), FakeController(cameras=("front",)))
    worlds = FakeWorlds(1, camera=False)
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
    values: dict[str, Any], match: str
) -> None:
    with pytest.raises(EmbodiedError, match=match):
        DualSystemConfig(**values)
