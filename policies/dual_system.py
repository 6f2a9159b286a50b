"""A slow planner and a fast controller as one policy, on one simulated clock.

Nothing here waits for a real clock: each world counts physics ticks, delays are
sampled from the episode's seed, and events happen at ticks. This is the life of a plan,
also drawn in docs/architecture.md; names on the left are fields of `Plan`:

    tick_frame      the oldest image of the observation is captured
                    the observation is captured, at the planner's rate
                        | uplink
                    the observation waits in the planner's inbox
                        | until the planner is neither frozen nor busy
    tick_start      the planner takes the newest observation, and discards older ones
                        | computing, which blocks the planner and pauses in freezes
    tick_done       the plan is computed; a plan with a fault is discarded
                        | downlink, on which the plan may be lost
    tick_arrived    the plan is in the controller's mailbox
                        | until the mailbox shows it (see `Mailbox`), changed by the bridge
                    the controller reads it, until a newer one is shown

The controller acts on the live observation at every control step. The age of its plan is
`now - tick_frame`; if that is too old, the robot stops. See docs/dual_system.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from embodied.core import (
    PHYSICS_HZ,
    ActionInterface,
    Array,
    Observation,
    PolicySpec,
    seconds_to_ticks,
)
from embodied.errors import EmbodiedError, unknown
from embodied.plain import make_fields_plain
from embodied.plan import Controller, Plan, Planner
from embodied.policies.bridges.bridge import Bridge, ReadCoordinates, Setting
from embodied.policies.bridges.registry import find_bridge, make_bridge
from embodied.policies.channel import Channel, Interruption
from embodied.policies.clock import Clock
from embodied.policies.latency import PlanLatency
from embodied.policies.limits import HoldAction, ReferenceLimits
from embodied.policies.mailbox import MAILBOX_MODES, Inbox, Mailbox, MailboxMode
from embodied.policies.plan_counts import PlanCounts
from embodied.policies.plans import (
    check_bridge,
    check_kinds,
    copy_of,
    plan_rows,
    planner_faults,
    request_plans,
)
from embodied.policies.transit import NEVER
from embodied.rollout.plan_use import PlanUse


@dataclass(frozen=True)
class DualSystemConfig:
    """The timing between planner and controller, and the limits on actions.

    Attributes:
        planner_hz: the number of observations per second captured for the planner.
        latency: the latency of computing and of transport.
        drop: the probability that a plan is lost on its way to the controller.
        freeze: the freezes of the planner.
        outage: the outages of the link, in both directions.
        mailbox: the rule by which the controller picks a plan (see `Mailbox`).
        bridge: the name of the bridge that handles stale plans (see `find_bridge`).
        stale_after_s: the robot stops if its plan is older than this.
        max_action_rate: the largest change of an action element per second.
        gripper_elements: the indices of the action elements that command grippers. Their
            rate of change is not limited, and a stop does not change them.

    Raises:
        EmbodiedError: a value is out of its range, or there is no such bridge.
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
        Clock(self.planner_hz)  # raises for an invalid rate
        if not 0 <= self.drop <= 1:
            raise EmbodiedError(f"drop is a probability in [0, 1], not {self.drop}")
        if self.mailbox not in MAILBOX_MODES:
            raise unknown("mailbox mode", self.mailbox, MAILBOX_MODES)
        find_bridge(self.bridge)  # raises for an unknown name
        for name in ("stale_after_s", "max_action_rate"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise EmbodiedError(f"{name} must be finite and above 0, not {value}")


class DualSystem:
    """A policy made of a planner and a controller.

    Each of the N worlds has its own clock, delays and plans.

    Args:
        planner: the slow planner (System 2); it is called once for all worlds whose
            planning starts together.
        controller: the fast controller (System 1); it is called at every control step.
        config: the timing, and the limits on actions.
        spec: the requirements of planner and controller on the worlds; by default the
            controller's.
        hold_action: returns the actions that keep the robot where it is. Control modes
            whose actions are positions need it (see `ReferenceLimits`).
        interface: the action interface of the worlds, which some bridges need.
        coordinates: reads the coordinates that actions move, which some bridges need.

    Raises:
        EmbodiedError: the controller follows a kind of payload that the planner does not
            give, or the bridge has no effect on these plans or cannot be made.
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
        self._plans: list[Plan] = []  # plans started since the last `take_plans`
        self._is_checked = False  # whether the values of the first plans were checked
        self._allocate(num_worlds=0)

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        """Begins episodes in worlds `ids`.

        If the number of worlds N has changed, the state of all worlds is dropped first. A
        world that was never reset makes no plans, and its robot stands still.

        Args:
            ids: (n,) the worlds.
            observation: the observation of all N worlds.
            seeds: the n episode seeds, which determine the random delays and losses.
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

        # capture first at the planner's first event at or after `now`
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

        # at most control steps nothing is due; `count_nonzero` is 4 times as fast as `any`
        if np.count_nonzero(now >= self._next_event):
            self._run_events(observation, now)
            self._counts.show(self._mailbox.seq)

        # The age counts from the capture of the plan's oldest image. A world without a
        # plan has an empty one that is just too old.
        age_ticks = now - self._mailbox.tick_frame
        if np.count_nonzero(age_ticks < 0):
            raise ValueError(
                f"the clock of world {age_ticks.argmin()} went back: reset the policy "
                "with the world"
            )

        # the controller gets the plan, its age, and the live observation
        age_s = age_ticks / PHYSICS_HZ
        payload = self._mailbox.payload(age_s)
        action = self.controller.act(observation, payload, age_s)
        action = self._bridge.correct(observation, payload, age_s, action)

        # limit the rate of change, and stop robots whose plan is stale
        is_stale = age_ticks > self._stale_ticks
        self._counts.add(action, age_ticks, is_stale)
        return self._limits.apply(action, is_stale, observation)

    def take_plans(self) -> list[Plan]:
        """Returns the plans started since the last call, in the order of their starts.

        All times of a plan are computed at its start, so `tick_done` and `tick_arrived`
        may be in the future. `tick_arrived` is -1 for a lost plan.
        """
        plans = self._plans
        self._plans = []
        return plans

    def mean_plan_age_s(self, world: int) -> float:
        """Returns the mean plan age over the episode's steps with a plan; NaN without any."""
        age_s = self._counts.plan_use(world).mean_age_s
        return float("nan") if age_s is None else age_s

    def plan_use(self, world: int) -> PlanUse:
        """Returns figures on the age and the smoothness of this episode's plans."""
        return self._counts.plan_use(world)

    def _allocate(self, num_worlds: int) -> None:
        """Creates the state of N worlds in which no episode has begun."""
        config = self.config
        self._channel = Channel(
            num_worlds,
            config.latency,
            drop=config.drop,
            freeze=config.freeze,
            outage=config.outage,
        )
        self._inbox = Inbox(num_worlds)
        self._bridge = self._make_bridge(num_worlds)
        self._mailbox = Mailbox(
            num_worlds,
            mode=config.mailbox,
            period_ticks=self._clock.period_ticks,
            shape=self.planner.plan_shape,
            bridge=self._bridge,
        )
        self._limits = ReferenceLimits(
            num_worlds,
            max_step=config.max_action_rate / self.spec.control_hz,
            gripper_elements=config.gripper_elements,
            hold_action=self._hold_action,
        )
        start = np.zeros(num_worlds, np.int64)
        self._mailbox.reset(np.arange(num_worlds), self._stale_frame(start))

        # (N,) ticks; an event is a capture, the start of a plan or its arrival
        self._next_event = np.full(num_worlds, NEVER)
        self._next_capture = np.full(num_worlds, NEVER)
        self._free_at = np.full(num_worlds, NEVER)  # when the planner is free again

        # (N,) counts since the start of the episode
        self._num_captured = np.zeros(num_worlds, np.int64)
        self._num_planned = np.zeros(num_worlds, np.int64)
        self._counts = PlanCounts(num_worlds, config.gripper_elements)

    def _make_bridge(self, num_worlds: int) -> Bridge:
        """Returns the bridge for N worlds; raises EmbodiedError if it has no effect."""
        setting = Setting(
            num_worlds=num_worlds,
            control_hz=self.spec.control_hz,
            interface=self._interface,
            coordinates=self._coordinates,
        )
        bridge = make_bridge(self.config.bridge, setting)
        check_bridge(self.config.bridge, bridge, self.planner, self.controller)
        return bridge

    def _stale_frame(self, now: np.ndarray) -> np.ndarray:
        """Returns the `tick_frame` (n,) of an empty plan, which is just too old."""
        return now - self._stale_ticks - 1

    def _run_events(self, observation: Observation, now: np.ndarray) -> None:
        """Runs all events up to `now`: captures, then plans, then deliveries.

        With this order a plan without delay is shown at the tick of its observation.

        Args:
            observation: the observation of all N worlds.
            now: (N,) the current ticks.
        """
        ids = (now >= self._next_capture).nonzero()[0]
        if ids.size:
            self._capture(ids, observation, now[ids])

        # a planner may start several times, if a plan takes less than a control step
        start = self._next_start()
        ids = (start <= now).nonzero()[0]
        while ids.size:
            self._plan(ids, start[ids], now[ids])
            start = self._next_start()
            ids = (start <= now).nonzero()[0]

        self._mailbox.deliver(now)
        next_event = np.minimum(self._next_capture, start)
        self._next_event = np.minimum(next_event, self._mailbox.next_change())

    def _capture(
        self, ids: np.ndarray, observation: Observation, now: np.ndarray
    ) -> None:
        """Sends the observations of some worlds to their planners.

        Args:
            ids: (n,) the worlds.
            observation: the observation of all N worlds.
            now: (n,) the current ticks of these worlds.
        """
        # the age of an observation counts from the capture of its oldest image
        tick_frame = now
        if self.spec.cameras:
            if observation.pixels_tick is None:
                raise ValueError(
                    f"the policy uses cameras {self.spec.cameras}, but the observation "
                    "has no pixels_tick"
                )
            tick_frame = np.asarray(observation.pixels_tick)[ids]

        all_worlds = len(ids) == len(self._free_at)
        rows = observation if all_worlds else observation.rows(ids)  # (n, ...)
        number = self._num_captured[ids]
        received = self._channel.received_at(ids, now, number)
        self._inbox.put(ids, received, number, tick_frame=tick_frame, rows=rows)

        # captures that were due between two control steps are skipped
        self._num_captured[ids] = number + 1
        self._next_capture[ids] = self._clock.next_tick(now)

    def _next_start(self) -> np.ndarray:
        """Returns the ticks (N,) at which planners can start on captured observations.

        A planner must be free, have received an observation, and not be frozen.
        """
        free_with_observation = np.maximum(self._free_at, self._inbox.next_arrival)
        return self._channel.awake_at(free_with_observation)

    def _plan(self, ids: np.ndarray, start: np.ndarray, now: np.ndarray) -> None:
        """Makes one plan for each of some worlds.

        Args:
            ids: (n,) the worlds.
            start: (n,) ticks at which their planners start.
            now: (n,) the current ticks of these worlds.
        """
        observation, tick_frame = self._inbox.take(ids, start)
        # checking values takes long, so it is done for the first plans only
        payload = request_plans(
            self.planner, observation, ids, check_all=not self._is_checked
        )
        self._is_checked = True
        fault = planner_faults(self.planner, payload, tick_frame, start=start)

        # all times of the plans can be computed now
        seq = self._num_planned[ids]
        done = self._channel.computed_at(ids, start, seq)
        arrived = self._channel.arrived_at(ids, done, seq)
        if fault is not None:  # a plan with a fault (0 stands for none) is lost
            arrived = np.where(fault > 0, -1, arrived)
        plan = Plan(
            world=ids,
            seq=seq,
            tick_frame=tick_frame,
            tick_start=start,
            tick_done=done,
            tick_arrived=arrived,
            payload=copy_of(payload),
            fault=fault,
        )
        self._plans.append(plan)
        self._num_planned[ids] = seq + 1
        self._free_at[ids] = done

        # lost plans are returned by `take_plans`, but not sent to the mailbox
        kept = (arrived >= 0).nonzero()[0]
        if kept.size == ids.size:
            self._mailbox.post(plan, now)
        elif kept.size:
            self._mailbox.post(plan_rows(plan, kept), now[kept])
