"""The dual system against a slow but obvious simulation, one tick after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from embodied.core import Array
from embodied.policies.channel import Channel, Interruption
from embodied.policies.dual_system import DualSystemConfig
from embodied.policies.latency import PlanLatency
from tests.dual_fakes import simulate
from tests.dual_strategies import CONFIGS

UNKNOWN = -2  # a time that lies behind the end of the simulation

slowly = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@dataclass(frozen=True, order=True)
class SentObservation:
    """An observation on its way to the planner, ordered by its number."""

    number: int
    frame: int
    arrives: int


class SlowTimeline:
    """One world, tick by tick, in plain lists.

    Attributes:
        rows: of each plan, [seq, frame, start, done, arrived].
        shown: the seq of the plan shown at each control step.
    """

    def __init__(
        self, config: DualSystemConfig, seed: int, ticks_per_step: int
    ) -> None:
        self.config = config
        self.ticks_per_step = ticks_per_step
        rate = Fraction(config.planner_hz).limit_denominator(1000)
        self.period = Fraction(400) / rate

        # The delays come from a channel without freezes: those are simulated here.
        self.channel = Channel(
            1, config.latency, config.drop, Interruption(), config.outage
        )
        self.freezes = Channel(1, PlanLatency(), 0, config.freeze)
        for channel in (self.channel, self.freezes):
            channel.reset(np.array([0]), [seed])

        self.tick = -1
        self.event = 0  # of the planner's rate
        self.num_captured = 0
        self.sent: list[SentObservation] = []

        self.busy = False
        self.work_left = 0  # ticks
        self.rows: list[list[int]] = []

        self.posted: list[tuple[int, int]] = []  # (arrival, seq)
        self.showing = -1
        self.showing_since = -(10**6)
        self.shown: list[int] = []

    def run(self, last_tick: int) -> None:
        awake_at = self.freezes.awake_at(np.arange(last_tick + 1))
        for self.tick in range(last_tick + 1):
            is_step = self.tick % self.ticks_per_step == 0
            frozen = awake_at[self.tick] != self.tick

            if is_step and self.event * self.period <= self.tick:
                self.capture()
            self.finish()
            # A frozen planner neither starts nor works. A plan that takes no time is
            # finished at once, and the next one may start in the same tick.
            while not self.busy and not frozen and self.received():
                self.start()
                self.finish()
            if self.busy and not frozen:
                self.work_left -= 1

            self.show()
            if is_step:
                self.shown.append(self.showing)

    def received(self) -> list[SentObservation]:
        return [message for message in self.sent if message.arrives <= self.tick]

    def capture(self) -> None:
        arrives = one(self.channel.received_at, self.tick, self.num_captured)
        self.sent.append(SentObservation(self.num_captured, self.tick, arrives))
        self.num_captured += 1
        while self.event * self.period <= self.tick:
            self.event += 1

    def start(self) -> None:
        newest = max(self.received())
        self.sent = [message for message in self.sent if message > newest]

        seq = len(self.rows)
        self.busy = True
        self.work_left = one(self.channel.computed_at, 0, seq)
        self.rows.append([seq, newest.frame, self.tick, UNKNOWN, UNKNOWN])

    def finish(self) -> None:
        if not self.busy or self.work_left > 0:
            return
        self.busy = False
        seq = self.rows[-1][0]
        arrived = one(self.channel.arrived_at, self.tick, seq)
        self.rows[-1][3:] = [self.tick, arrived]
        if arrived >= 0:
            self.posted.append((arrived, seq))

    def show(self) -> None:
        ready = sorted(plan for plan in self.posted if plan[0] <= self.tick)
        if self.config.mailbox != "fifo":
            self.showing = max([self.showing, *(seq for _, seq in ready)])
            return
        if ready and self.tick - self.showing_since >= int(self.period):
            self.showing = ready[0][1]
            self.showing_since = self.tick
            self.posted.remove(ready[0])


def one(method: Callable[..., Array], tick: int, number: int) -> int:
    """Asks a method of the channel about one message of world 0."""
    ticks = method(np.array([0]), np.array([tick]), np.array([number]))
    return int(np.broadcast_to(ticks, 1)[0])


@slowly
@given(
    config=CONFIGS,
    seed=st.integers(0, 99),
    control_hz=st.sampled_from([400, 200, 50, 20]),
)
def test_every_event_is_where_a_tick_by_tick_simulation_has_it(
    config: DualSystemConfig, seed: int, control_hz: int
) -> None:
    log = simulate(config, seconds=2, control_hz=control_hz, seeds=(seed,))
    last_tick = int(log.ticks[-1])

    slow = SlowTimeline(config, seed, 400 // control_hz)
    slow.run(last_tick)

    times = log.times()
    expected = np.array(slow.rows).reshape(-1, 5)
    np.testing.assert_array_equal(times[:, :3], expected[:, :3])

    # The slow one does not look ahead.
    known = expected[:, 3] != UNKNOWN
    np.testing.assert_array_equal(times[known, 3:], expected[known, 3:])
    assert (times[~known, 3] > last_tick).all()

    if config.mailbox != "predictive":
        np.testing.assert_array_equal(log.controller.shown_seqs[:, 0], slow.shown)


@slowly
@given(config=CONFIGS, seed=st.integers(0, 99))
def test_every_plan_started_is_reported_once_with_its_times_in_order(
    config: DualSystemConfig, seed: int
) -> None:
    log = simulate(config, seconds=3, seeds=(seed, seed + 1))

    num_asked = sum(len(ids) for ids, _ in log.planner.calls)
    num_told = sum(len(plan.world) for plan in log.plans)
    assert num_told == num_asked
    assert log.system.take_plans() == []

    for world in range(2):
        seq, frame, start, done, arrived = log.times(world).T
        np.testing.assert_array_equal(seq, np.arange(len(seq)))
        assert (frame <= start).all()
        assert (start <= done).all()
        assert ((arrived == -1) | (done <= arrived)).all()
        # One plan at a time, and never an older observation after a newer one.
        assert (start[1:] >= done[:-1]).all()
        assert (np.diff(frame) > 0).all()
