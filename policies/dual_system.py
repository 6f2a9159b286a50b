"""A slow planner and a fast controller as one policy, on one simulated clock.

The life of a plan, in ticks of its world's clock (design.md, section 7):

    captured --uplink--> received ... start --compute--> done --downlink--> arrived ...
    seen by the controller

The planner's rate says when observations are captured. A planner that is busy or frozen
when one is received takes the newest when it gets free; older ones are lost to it.
Nothing here waits for a real clock: delays are simulated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from embodied.core import (
    PHYSICS_HZ,
    Array,
    Controller,
    Observation,
    Payload,
    Plan,
    Planner,
    PolicySpec,
    seconds_to_ticks,
)
from embodied.errors import EmbodiedError, unknown
from embodied.policies.channel import NEVER, Channel, Freeze
from embodied.policies.clock import Clock
from embodied.policies.latency import PlanLatency
from embodied.policies.limits import HoldAction, ReferenceLimits
from embodied.policies.mailbox import MAILBOX_MODES, Inbox, Mailbox, MailboxMode


@dataclass(frozen=True)
class DualSystemConfig:
    """How planner and controller work together. EmbodiedError for values that make no
    sense.
    """

    planner_hz: float = 8.0
    latency: PlanLatency = field(default_factory=PlanLatency)
    drop: float = 0.0  # probability that a plan is lost on its way to the controller
    freeze: Freeze = field(default_factory=Freeze)
    mailbox: MailboxMode = "latest"
    # age at which the controller no longer follows a plan, but stops
    stale_after_s: float = 1.5
    max_action_step: float = 20.0  # largest change of an action element, per second
    # action elements that may jump, and that a stop leaves as they are
    grippers: tuple[int, ...] = (-1,)

    def __post_init__(self) -> None:
        Clock(self.planner_hz)
        if not 0 <= self.drop <= 1:
            raise EmbodiedError(f"drop is a probability in [0, 1], not {self.drop}")
        if self.mailbox not in MAILBOX_MODES:
            raise unknown("mailbox mode", self.mailbox, MAILBOX_MODES)
        for name in ("stale_after_s", "max_action_step"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise EmbodiedError(f"{name} must be finite and above 0, not {value}")


class DualSystem:
    """A policy of two systems. Each world has its own clock, delays and plans: what it
    does never depends on others.

    `spec` says what both systems together need of the worlds; by default it is the
    controller's. `hold_action` is needed in absolute control modes only (see
    ReferenceLimits). Plans are kept until `take_plans` is called.
    """

    def __init__(
        self,
        planner: Planner,
        controller: Controller,
        config: DualSystemConfig | None = None,
        spec: PolicySpec | None = None,
        hold_action: HoldAction | None = None,
    ) -> None:
        self.planner = planner
        self.controller = controller
        self.config = config or DualSystemConfig()
        self.spec = spec or controller.spec
        self._hold_action = hold_action
        self._clock = Clock(self.config.planner_hz)
        self._stale_ticks = seconds_to_ticks(self.config.stale_after_s)
        self._plans: list[Plan] = []
        self._allocate(0)

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        """Episodes start in worlds `ids`, each with the random numbers of its own seed.

        With another number of worlds than before all is forgotten. A world that never
        started has no plans and stops.
        """
        ids = np.asarray(ids, np.int64)
        if len(observation.tick) != len(self._free):
            self._allocate(len(observation.tick))
        self.planner.reset(ids, seeds)
        self.controller.reset(ids, seeds)
        self._channel.reset(ids, seeds)
        self._inbox.reset(ids)
        self._limits.reset(ids)
        now = np.asarray(observation.tick)[ids]
        # no plan is a plan too old
        self._mailbox.reset(ids, now - self._stale_ticks - 1)
        self._next_capture[ids] = self._next[ids] = self._clock.next_tick(now - 1)
        self._free[ids] = now
        for count in (self._captures, self._started, self._age_ticks, self._age_steps):
            count[ids] = 0

    def act(self, observation: Observation) -> np.ndarray:
        """Actions (N, A) float32. Raises ValueError when a world's clock went back
        without a `reset`.
        """
        now = np.asarray(observation.tick)
        if (now >= self._next).any():
            self._run_events(observation, now)
        age_ticks = now - self._mailbox.tick_frame
        if age_ticks.min() < 0:
            raise ValueError(
                f"the clock of world {age_ticks.argmin()} went back: reset the policy with the world"
            )
        planned = self._mailbox.seq >= 0
        self._age_ticks += age_ticks * planned
        self._age_steps += planned
        age_s = age_ticks / PHYSICS_HZ
        action = self.controller.act(observation, self._mailbox.payload(age_s), age_s)
        return self._limits.apply(action, age_ticks > self._stale_ticks, observation)

    def take_plans(self) -> list[Plan]:
        """The plans started since the last call, each once, in order of their start.

        Their whole fate is known then: `tick_done` and `tick_arrived` may lie ahead,
        even behind the episode's end, and `tick_arrived` is -1 for a plan that is lost.
        """
        plans = self._plans
        self._plans = []
        return plans

    def mean_plan_age_s(self, world: int) -> float:
        """Mean age of the plan that the controller saw, over the steps of the episode
        that had one; nan without.
        """
        steps = int(self._age_steps[world])
        return (
            float(self._age_ticks[world]) / steps / PHYSICS_HZ
            if steps
            else float("nan")
        )

    def _allocate(self, num_worlds: int) -> None:
        c = self.config
        self._channel = Channel(num_worlds, c.latency, c.drop, c.freeze)
        self._inbox = Inbox(num_worlds)
        self._mailbox = Mailbox(
            num_worlds, c.mailbox, self._clock.period_ticks, self.planner.latent_size
        )
        max_step = c.max_action_step / self.spec.control_hz
        self._limits = ReferenceLimits(
            num_worlds, max_step, c.grippers, self._hold_action
        )
        self._mailbox.reset(
            np.arange(num_worlds), np.full(num_worlds, -self._stale_ticks - 1)
        )
        # ticks; free = planner idle
        self._next, self._next_capture, self._free = np.full((3, num_worlds), NEVER)
        self._captures, self._started, self._age_ticks, self._age_steps = np.zeros(
            (4, num_worlds), np.int64
        )

    def _run_events(self, observation: Observation, now: np.ndarray) -> None:
        captured = (now >= self._next_capture).nonzero()[0]
        if captured.size:
            self._capture(captured, observation, now[captured])
        while (due := ((start := self._next_start()) <= now).nonzero()[0]).size:
            self._plan(due, start[due], now[due])
        self._mailbox.deliver(now)
        self._next = np.minimum(
            np.minimum(self._next_capture, start), self._mailbox.next_tick()
        )

    def _capture(
        self, ids: np.ndarray, observation: Observation, now: np.ndarray
    ) -> None:
        frame = now
        if self.spec.cameras:
            if observation.pixels_tick is None:
                raise ValueError(
                    f"the policy uses cameras {self.spec.cameras}, but the observation has no pixels_tick"
                )
            frame = np.asarray(observation.pixels_tick)[ids]
        number = self._captures[ids]
        rows = observation if len(ids) == len(self._free) else observation.rows(ids)
        self._inbox.put(
            ids, self._channel.received(ids, now, number), number, frame, rows
        )
        self._captures[ids] = number + 1
        self._next_capture[ids] = self._clock.next_tick(now)

    def _next_start(self) -> np.ndarray:
        """When each planner can begin with what was captured so far, (N,)."""
        return self._channel.awake_at(np.maximum(self._free, self._inbox.next_arrival))

    def _plan(self, ids: np.ndarray, start: np.ndarray, now: np.ndarray) -> None:
        observation, frame = self._inbox.take(ids, start)
        payload = self.planner.plan(observation, ids)
        if len(payload.subtask) != len(ids):
            raise ValueError(
                f"the planner gave {len(payload.subtask)} plans for {len(ids)} worlds"
            )
        # the planner may reuse its arrays
        payload = Payload(**{k: np.array(v) for k, v in vars(payload).items()})
        seq = self._started[ids]
        done = self._channel.done(ids, start, seq)
        plan = Plan(
            ids, seq, frame, start, done, self._channel.arrived(ids, done, seq), payload
        )
        self._started[ids] = seq + 1
        self._free[ids] = done
        self._plans.append(plan)
        kept = (plan.tick_arrived >= 0).nonzero()[0]
        if kept.size == ids.size:
            self._mailbox.post(plan, now)
        elif kept.size:
            self._mailbox.post(_rows(plan, kept), now[kept])


def _rows(plan: Plan, rows: np.ndarray) -> Plan:
    return Plan(
        **{
            k: v.rows(rows) if isinstance(v, Payload) else v[rows]
            for k, v in vars(plan).items()
        }
    )
