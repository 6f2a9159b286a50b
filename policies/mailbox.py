"""Where messages arrive: the planner's inbox and the controller's mailbox."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from embodied.core import Array, Observation, Payload, Plan, PlanShape
from embodied.errors import unknown
from embodied.policies.bridges.bridge import Arrival, Bridge
from embodied.policies.transit import Transit

MailboxMode = Literal["latest", "fifo", "predictive"]
MAILBOX_MODES: tuple[str, ...] = get_args(MailboxMode)

_PIXELS = "pixels/"  # prefix of a camera's frames in a message: "pixels/<camera>"


class Inbox:
    """Observations on their way to the planners of N worlds.

    A planner takes the newest one; older ones are discarded.
    """

    def __init__(self, num_worlds: int) -> None:
        self._transit = Transit(num_worlds)

    def reset(self, ids: Array) -> None:
        """Forgets all observations of worlds `ids`."""
        self._transit.clear(ids)

    @property
    def next_arrival(self) -> np.ndarray:
        """The tick at which the next observation arrives, (N,); NEVER without one."""
        return self._transit.next_arrival

    def put(
        self,
        ids: Array,
        arrives: Array,
        number: Array,
        tick_frame: Array,
        rows: Observation,
    ) -> None:
        """Sends an observation to the planner of each of n worlds.

        Args:
            ids: (n,) the worlds.
            arrives: (n,) ticks of arrival.
            number: (n,) of the capture in its episode, counted from 0.
            tick_frame: (n,) capture of the oldest image in each observation.
            rows: the n observations.
        """
        message = {
            "tick_frame": tick_frame,
            "tick": rows.tick,
            "agent_pos": rows.agent_pos,
            "environment_state": rows.environment_state,
            # as objects: a text array would cut later, longer sentences
            "instruction": np.array(rows.instruction, object),
        }
        for camera, frames in rows.pixels.items():
            message[_PIXELS + camera] = frames
        if rows.pixels_tick is not None:
            message["pixels_tick"] = rows.pixels_tick

        self._transit.put(ids, arrives, number, message)

    def take(self, ids: Array, tick: Array) -> tuple[Observation, np.ndarray]:
        """Takes the newest observations that arrived by a tick.

        Args:
            ids: (n,) the worlds.
            tick: (n,) the last tick at which an observation may have arrived.

        Returns:
            The n observations, and their `tick_frame` (n,).
        """
        _, message = self._transit.take_newest(ids, tick)

        # pictures travel under the names of their cameras
        pixels = {
            name.removeprefix(_PIXELS): frames
            for name, frames in message.items()
            if name.startswith(_PIXELS)
        }

        observation = Observation(
            tick=message["tick"],
            agent_pos=message["agent_pos"],
            environment_state=message["environment_state"],
            instruction=tuple(message["instruction"]),
            pixels=pixels,
            pixels_tick=message.get("pixels_tick"),
        )
        return observation, message["tick_frame"]


class Mailbox:
    """Plans on their way to N controllers, and the one that each of them sees.

    Modes:
        latest: shows the newest plan (by `seq`) that has arrived; an older plan that
            arrives later is ignored.
        fifo: shows every plan in the order of arrival, each for at least one planner
            period.
        predictive: like latest, but shows the plan as it is for now: each goal is moved
            by its velocity times the plan's age.

    An action chunk says for which time each of its rows is, so that it is played for
    now in all modes.

    Attributes:
        seq: (N,) of the plan that is shown; -1 before the first.
        tick_frame: (N,) of the plan that is shown.

    Args:
        num_worlds: N.
        mode: one of the above.
        period_ticks: ticks between two plans at the planner's rate.
        shape: sizes of the plans.
        bridge: decides what is shown of each plan.
    """

    def __init__(
        self,
        num_worlds: int,
        mode: str,
        period_ticks: int,
        shape: PlanShape,
        bridge: Bridge,
    ) -> None:
        if mode not in MAILBOX_MODES:
            raise unknown("mailbox mode", mode, MAILBOX_MODES)
        self._mode = mode
        self._period_ticks = period_ticks
        self._transit = Transit(num_worlds)
        self._bridge = bridge

        # The plans that are shown.
        self._payload = Payload.empty(num_worlds, shape)
        self._shown_since = np.zeros(num_worlds, np.int64)  # (N,) ticks
        self.seq = np.full(num_worlds, -1, np.int64)
        self.tick_frame = np.zeros(num_worlds, np.int64)

    def reset(self, ids: Array, tick_frame: Array) -> None:
        """Forgets all plans of worlds `ids`, and shows an empty payload there.

        Args:
            ids: (n,) the worlds.
            tick_frame: (n,) the tick from which the age of the empty payload counts.
        """
        self._transit.clear(ids)
        self._bridge.reset(ids)
        empty = Payload.empty(len(ids), self._payload.shape)
        self._payload = self._payload.with_rows(ids, empty)
        # So long ago that the first plan is shown as soon as it arrives.
        self._shown_since[ids] = -self._period_ticks
        self.seq[ids] = -1
        self.tick_frame[ids] = tick_frame

    def post(self, plan: Plan, now: Array) -> None:
        """Sends one plan, newer than all before, to each of n worlds.

        Args:
            plan: n rows.
            now: (n,) ticks.
        """
        message = {"tick_frame": plan.tick_frame, **plan.payload.given}

        # A plan that arrives at once is newer than all that are still on their way, so
        # these would never be shown.
        if self._mode != "fifo" and (plan.tick_arrived <= now).all():
            self._transit.clear(plan.world)
            self._show(plan.world, plan.seq, message, now)
        else:
            self._transit.put(plan.world, plan.tick_arrived, plan.seq, message)

    def next_tick(self) -> np.ndarray:
        """Returns the ticks (N,) at which the plans that are shown may change next."""
        arrival = self._transit.next_arrival
        if self._mode == "fifo":
            return np.maximum(arrival, self._shown_since + self._period_ticks)
        return arrival

    def deliver(self, now: Array) -> None:
        """Shows the plans that are due by `now`, (N,) ticks."""
        due = self.next_tick()
        ids = (due <= now).nonzero()[0]
        while ids.size:
            if self._mode == "fifo":
                # A plan counts as shown from when it was due, however late we look.
                self._shown_since[ids] = due[ids]
                seq, message = self._transit.take_first(ids)
            else:
                seq, message = self._transit.take_newest(ids, now[ids])
            self._show(ids, seq, message, now[ids])

            # With `fifo` more plans may have been due since.
            due = self.next_tick()
            ids = (due <= now).nonzero()[0]

    def payload(self, age_s: Array) -> Payload:
        """Returns the payload that the controllers see, N rows.

        Args:
            age_s: (N,) of the plans that are shown.
        """
        if self._mode != "predictive":
            return self._payload
        payload = self._payload
        moved_m = payload.goal_vel_w * age_s[:, None, None]  # (N, E, 3)
        return replace(payload, goal_pos_w=payload.goal_pos_w + moved_m)

    def _show(
        self, ids: Array, seq: Array, message: dict[str, np.ndarray], now: Array
    ) -> None:
        """Shows one plan in each of n worlds, as the bridge has it.

        Args:
            ids: (n,) the worlds.
            seq: (n,) of the plans.
            message: `tick_frame` and the fields of the payload, n rows; it is used up.
            now: (n,) ticks.
        """
        tick_frame = message.pop("tick_frame")
        all_worlds = len(ids) == len(self.seq)
        arrival = Arrival(
            ids=ids,
            now=now,
            plan=Payload(**message),
            tick_frame=tick_frame,
            shown=self._payload if all_worlds else self._payload.rows(ids),
            shown_frame=self.tick_frame[ids],
            is_first=self.seq[ids] < 0,
        )
        plans = self._bridge.merge(arrival)

        self.seq[ids] = seq
        self.tick_frame[ids] = tick_frame
        self._payload = plans if all_worlds else self._payload.with_rows(ids, plans)
