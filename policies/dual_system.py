"""A slow planner and a fast controller as one policy, on one simulated clock.

Nothing here waits for a real clock: each world counts physics ticks, delays are
sampled from the episode's seed, and events happen at ticks. This is the life of a plan,
also drawn in docs/architecture.md; names on the left are fields of `Plan`:

    tick_frame      the camera takes the oldest image of the observation
                    the observation is captured, at the planner's rate
                        | uplink
                    it is received: it waits in the planner's inbox
                        | until the planner is awake and free
    tick_start      the planner takes the newest observation and discards older ones
                        | compute, which blocks the planner and pauses in freezes
    tick_done       the plan is computed; one that is not sound is thrown away
                        | downlink, on which the plan may be lost
    tick_arrived    the plan lies in the controller's mailbox
                        | until the mailbox shows it (see `Mailbox`), as the bridge has it
                    the controller sees it, until it sees a newer one

The controller acts on the live observation at every control step. The age of its plan
is `now - tick_frame`; when the plan is too old, the robot stops. docs/dual_system.md
tells all of it on one page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from embodied.core import (
    PHYSICS_HZ,
    ActionInterface,
    Array,
    Controller,
    Observation,
    Plan,
    Planner,
    PolicySpec,
    seconds_to_ticks,
)
from embodied.errors import EmbodiedError, unknown
from embodied.plain import make_fields_plain
from embodied.policies.bridges.bridge import Bridge, ReadCoordinates, Setting
from embodied.policies.bridges.registry import find_bridge, make_bridge
from embodied.policies.channel import Channel, Interruption
from embodied.policies.clock import Clock
from embodied.policies.latency import PlanLatency
from embodied.policies.limits import HoldAction, ReferenceLimits
from embodied.policies.mailbox import MAILBOX_MODES, Inbox, Mailbox, MailboxMode
from embodied.policies.plan_counts import PlanCounts
from embodied.policies.plans import ask, check_kinds, copied, faults_of, plan_rows
from embodied.policies.transit import NEVER
from embodied.rollout.plan_use import PlanUse


@dataclass(frozen=True)
class DualSystemConfig:
    """How the planner and the controller work together.

    Attributes:
        planner_hz: how many observations per second are captured for the planner.
        latency: how long observations and plans take.
        drop: probability that a plan is lost on its way to the controller.
        freeze: when the planner freezes.
        outage: when no message gets through, in either direction.
        mailbox: which of the plans that arrived the controller sees (see `Mailbox`).
        bridge: what is done about stale plans: a name that `find_bridge` knows.
        stale_after_s: the robot stops when its plan is older than this.
        max_action_rate: the largest change of an action element per second.
        gripper_elements: the action elements that command grippers. They may change at
            once, and a stop leaves them as they are.

    Raises:
        EmbodiedError: a value is out of its range.
    """

    planner_hz: float = 8.0
    latency: PlanLatency = field(default_factory=PlanLatency)
    drop: float = 0.0
    freeze: Interruption = field(default_factory=Interruption)
    outage: Interruption = field(default_factory=Interruption)
    mailbox: MailboxMode = "latest"
    bridge: str = "hold"
    stale_after_s: float = 1.5
    max_action_rate: float = 20.0
    gripper_elements: tuple[int, ...] = (-1,)

    def __post_init__(self) -> None:
        make_fields_plain(self)
        Clock(self.planner_hz)  # checks the rate
        if not 0 <= self.drop <= 1:
            raise EmbodiedError(f"drop is a probability in [0, 1], not {self.drop}")
        if self.mailbox not in MAILBOX_MODES:
            raise unknown("mailbox mode", self.mailbox, MAILBOX_MODES)
        find_bridge(self.bridge)  # refuses a wrong name at once
        for name in ("stale_after_s", "max_action_rate"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise EmbodiedError(f"{name} must be finite and above 0, not {value}")


class DualSystem:
    """A policy made of a planner and a controller.

    Each of the N worlds has its own clock, delays and plans, so what happens in a world
    never depends on the others.

    Args:
        planner: System 2, called once for all worlds that are due at the same time.
        controller: System 1, called at every control step.
        config: how the two work together.
        spec: what both together need of the worlds; by default what the controller
            needs.
        hold_action: returns the actions that keep the robot where it is. Absolute
            control modes need it (see `ReferenceLimits`).
        interface: what the action elements mean, for bridges that need it.
        coordinates: reads what they move, for bridges that need it.

    Raises:
        EmbodiedError: the controller takes what the planner does not give, or the
            bridge would have no effect or cannot be made.
    """

    def __init__(
        self,
        planner: Planner,
        controller: Controller,
        config: DualSystemConfig | None = None,
        spec: PolicySpec | None = None,
        hold_action: HoldAction | None = None,
        interface: ActionInterface | None = None,
        coordinates: ReadCoordinates | None = None,
    ) -> None:
        self.planner = planner
        self.controller = controller
        self.config = config or DualSystemConfig()
        self.spec = spec or controller.spec
        self._hold_action = hold_action
        self._interface = interface
        self._coordinates = coordinates
        check_kinds(planner, controller)

        self._clock = Clock(self.config.planner_hz)
        self._stale_ticks = seconds_to_ticks(self.config.stale_after_s)
        self._plans: list[Plan] = []  # since the last `take_plans`
        self._is_checked = False  # whether the values of its first plans were checked
        self._allocate(num_worlds=0)

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        """Begins episodes in worlds `ids`, each with the random numbers of its seed.

        If the number of worlds N has changed, all of them are forgotten first. A world
        that was never reset has no plans, and stands still.

        Args:
            ids: (n,) the worlds.
            observation: of all N worlds.
            seeds: n episode seeds.
        """
        ids = np.asarray(ids, np.int64)
        num_worlds = len(observation.tick)
        if num_worlds != len(self._free_at):
            self._allocate(num_worlds)
        now = np.asarray(observation.tick)[ids]

        self.planner.reset(ids, seeds)
        self.controller.reset(ids, seeds)
        self._channel.reset(ids, seeds)
        self._inbox.reset(ids)
        self._mailbox.reset(ids, self._stale_frame(now))
        self._limits.reset(ids)

        # The first capture is due at the first event of the rate, at `now` or after it.
        first_capture = self._clock.next_tick(now - 1)
        self._next_capture[ids] = first_capture
        self._next_event[ids] = first_capture
        self._free_at[ids] = now

        self._num_captured[ids] = 0
        self._num_planned[ids] = 0
        self._counts.reset(ids)

    def act(self, observation: Observation) -> np.ndarray:
        """Returns the actions of all worlds, (N, A) float32.

        Raises:
            ValueError: the clock of a world went back without a `reset`.
        """
        now = np.asarray(observation.tick)  # (N,)

        # Capture, plan and deliver what is due; at most control steps nothing is.
        # (`count_nonzero` is four times as fast as `any`, and this is called often.)
        if np.count_nonzero(now >= self._next_event):
            self._run_events(observation, now)
            self._counts.show(self._mailbox.seq)

        # A plan is as old as the oldest image it was made from. A world without a plan
        # is treated as if it had one that is just too old.
        age_ticks = now - self._mailbox.tick_frame
        if np.count_nonzero(age_ticks < 0):
            raise ValueError(
                f"the clock of world {age_ticks.argmin()} went back: reset the policy with the world"
            )

        # The controller sees the plan, its age, and the worlds as they are now.
        age_s = age_ticks / PHYSICS_HZ
        payload = self._mailbox.payload(age_s)
        action = self.controller.act(observation, payload, age_s)
        action = self._bridge.correct(observation, payload, age_s, action)

        # Actions change at a limited pace, and the robot stops without a fresh plan.
        stop = age_ticks > self._stale_ticks
        self._counts.add(action, age_ticks, stop)
        return self._limits.apply(action, stop, observation)

    def take_plans(self) -> list[Plan]:
        """Returns the plans started since the last call, in the order of their start.

        All their times are known from the start: `tick_done` and `tick_arrived` may lie
        in the future, even after the episode's end, and `tick_arrived` is -1 for a plan
        that is lost. Plans are kept until this is called.
        """
        plans = self._plans
        self._plans = []
        return plans

    def mean_plan_age_s(self, world: int) -> float:
        """Returns the mean age of the plan that the controller saw in this episode.

        The mean is over the control steps that had a plan; nan when there were none.
        """
        age_s = self._counts.of(world).mean_age_s
        return float("nan") if age_s is None else age_s

    def plan_use(self, world: int) -> PlanUse:
        """Returns how fresh the plans of this episode were, and how smooth."""
        return self._counts.of(world)

    def _allocate(self, num_worlds: int) -> None:
        """Sets the state of N worlds in which no episode has started."""
        config = self.config
        self._channel = Channel(
            num_worlds, config.latency, config.drop, config.freeze, config.outage
        )
        self._inbox = Inbox(num_worlds)
        self._bridge = self._make_bridge(num_worlds)
        self._mailbox = Mailbox(
            num_worlds,
            config.mailbox,
            self._clock.period_ticks,
            self.planner.plan_shape,
            self._bridge,
        )
        self._limits = ReferenceLimits(
            num_worlds,
            config.max_action_rate / self.spec.control_hz,
            config.gripper_elements,
            self._hold_action,
        )

        start = np.zeros(num_worlds, np.int64)
        self._mailbox.reset(np.arange(num_worlds), self._stale_frame(start))

        # Ticks of what comes next, (N,); an event is a capture, a start or an arrival.
        self._next_event = np.full(num_worlds, NEVER)
        self._next_capture = np.full(num_worlds, NEVER)
        self._free_at = np.full(num_worlds, NEVER)  # the planner is idle from then on

        # Counts of the episode, (N,).
        self._num_captured = np.zeros(num_worlds, np.int64)
        self._num_planned = np.zeros(num_worlds, np.int64)
        self._counts = PlanCounts(num_worlds, config.gripper_elements)

    def _make_bridge(self, num_worlds: int) -> Bridge:
        """Returns the bridge; raises EmbodiedError if it would have no effect."""
        name = self.config.bridge
        setting = Setting(
            num_worlds, self.spec.control_hz, self._interface, self._coordinates
        )
        bridge = make_bridge(name, setting)

        followed = set(self.planner.plan_shape.kinds)
        takes = getattr(self.controller, "takes", ())
        if takes:
            followed &= set(takes)
        if bridge.kinds and not followed & set(bridge.kinds):
            raise EmbodiedError(
                f"the bridge {name!r} works on {' and '.join(bridge.kinds)} of plans, "
                f"but the controller follows their {' and '.join(sorted(followed)) or 'subtask'}: "
                "choose a policy whose plans are action chunks, or the bridge hold"
            )
        return bridge

    def _stale_frame(self, now: np.ndarray) -> np.ndarray:
        """Returns the `tick_frame` (n,) of no plan: that of a plan just too old."""
        return now - self._stale_ticks - 1

    def _run_events(self, observation: Observation, now: np.ndarray) -> None:
        """Runs all events up to `now` (N,): captures, then plans, then deliveries.

        In this order a plan without any delay is seen at the tick of its observation.
        """
        ids = (now >= self._next_capture).nonzero()[0]
        if ids.size:
            self._capture(ids, observation, now[ids])

        # A planner may be due several times, if a plan takes less than a control step.
        start = self._next_start()
        ids = (start <= now).nonzero()[0]
        while ids.size:
            self._plan(ids, start[ids], now[ids])
            start = self._next_start()
            ids = (start <= now).nonzero()[0]

        self._mailbox.deliver(now)

        next_event = np.minimum(self._next_capture, start)
        self._next_event = np.minimum(next_event, self._mailbox.next_tick())

    def _capture(
        self, ids: np.ndarray, observation: Observation, now: np.ndarray
    ) -> None:
        """Sends what worlds `ids` (n,) observe at `now` (n,) to their planners."""
        # The observation is as old as its images.
        tick_frame = now
        if self.spec.cameras:
            if observation.pixels_tick is None:
                raise ValueError(
                    f"the policy uses cameras {self.spec.cameras}, but the observation has no pixels_tick"
                )
            tick_frame = np.asarray(observation.pixels_tick)[ids]

        all_worlds = len(ids) == len(self._free_at)
        rows = observation if all_worlds else observation.rows(ids)  # (n, ...)
        number = self._num_captured[ids]
        received = self._channel.received_at(ids, now, number)
        self._inbox.put(ids, received, number, tick_frame, rows)

        # Captures that fell between two control steps are skipped.
        self._num_captured[ids] = number + 1
        self._next_capture[ids] = self._clock.next_tick(now)

    def _next_start(self) -> np.ndarray:
        """Returns the ticks (N,) at which planners can take what was captured so far."""
        free_with_observation = np.maximum(self._free_at, self._inbox.next_arrival)
        return self._channel.awake_at(free_with_observation)

    def _plan(self, ids: np.ndarray, start: np.ndarray, now: np.ndarray) -> None:
        """Makes one plan for each of worlds `ids` (n,), started at ticks `start` (n,)."""
        observation, tick_frame = self._inbox.take(ids, start)
        # of the first plans the values are checked, too; of later ones the shapes alone
        payload = ask(self.planner, observation, ids, check_all=not self._is_checked)
        self._is_checked = True
        fault = faults_of(self.planner, payload, tick_frame, start)

        # All times of the plan are known at once; the controller sees it when it arrives.
        seq = self._num_planned[ids]
        done = self._channel.computed_at(ids, start, seq)
        arrived = self._channel.arrived_at(ids, done, seq)
        if fault is not None:
            arrived = np.where(fault > 0, -1, arrived)
        plan = Plan(
            world=ids,
            seq=seq,
            tick_frame=tick_frame,
            tick_start=start,
            tick_done=done,
            tick_arrived=arrived,
            payload=copied(payload),
            fault=fault,
        )
        self._plans.append(plan)
        self._num_planned[ids] = seq + 1
        self._free_at[ids] = done

        # `take_plans` reports lost plans, too, but they are never posted.
        kept = (arrived >= 0).nonzero()[0]
        if kept.size == ids.size:
            self._mailbox.post(plan, now)
        elif kept.size:
            self._mailbox.post(plan_rows(plan, kept), now[kept])
