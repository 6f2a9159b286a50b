"""The planner's inbox of observations, and the controller's mailbox of plans."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from embodied.core import Array, Observation
from embodied.errors import unknown
from embodied.plan import Payload, Plan, PlanShape
from embodied.policies.bridges.bridge import Arrival, Bridge
from embodied.policies.transit import Transit

MailboxMode = Literal["latest", "fifo", "predictive"]
MAILBOX_MODES: tuple[str, ...] = get_args(MailboxMode)

_PIXELS = "pixels/"  # prefix of a camera's frames in a message: "pixels/<camera>"


class Inbox:
    """Observations on their way to the planners of N worlds.

    A planner takes the newest observation that has arrived; older ones are discarded.
    """

    def __init__(self, num_worlds: int) -> None:
        self._transit = Transit(num_worlds)

    def reset(self, ids: Array) -> None:
        """Discards all observations of worlds `ids`."""
        self._transit.clear(ids)

    @property
    def next_arrival(self) -> np.ndarray:
        """(N,) the tick at which the next observation arrives; NEVER if there is none."""
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
            number: (n,) the number of each observation in its episode, from 0.
            tick_frame: (n,) the ticks at which their oldest images were captured.
            rows: the observations, n rows.
        """
        message = {
            "tick_frame": tick_frame,
            "tick": rows.tick,
            "agent_pos": rows.agent_pos,
            "environment_state": rows.environment_state,
            # an array of objects, since a text array would truncate longer sentences
            "instruction": np.array(rows.instruction, object),
        }
        for camera, frames in rows.pixels.items():
            message[_PIXELS + camera] = frames
        if rows.pixels_tick is not None:
            message["pixels_tick"] = rows.pixels_tick

        self._transit.put(ids, arrives, number, rows=message)

    def take(self, ids: Array, tick: Array) -> tuple[Observation, np.ndarray]:
        """Takes the newest observations that arrived by a tick.

        Args:
            ids: (n,) the worlds.
            tick: (n,) the last tick at which an observation may have arrived.

        Returns:
            The n observations, and their `tick_frame` (n,).
        """
        _, message = self._transit.take_newest(ids, tick)

        # collect the cameras' frames, which `put` has stored under names with a prefix
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
    """Plans on their way to the controllers of N worlds, and the current plan of each.

    A plan is shown if it is the one that the controller reads.

    Modes:
        latest: shows the newest plan (by `seq`) that has arrived; an older plan that
            arrives later is ignored.
        fifo: shows every plan in the order of arrival, each for at least one planner
            period.
        predictive: like latest, but extrapolates each goal to the present, by its
            velocity times the plan's age.

    The mode does not affect how action chunks are played, since each of their rows
    belongs to a point in time.

    Attributes:
        seq: (N,) number of the shown plan; -1 before the first.
        tick_frame: (N,) the tick at which the shown plan's oldest image was captured.

    Args:
        num_worlds: N.
        mode: one of the modes above.
        period_ticks: the number of ticks between two plans at the planner's rate.
        shape: the sizes of the plans.
        bridge: corrects each plan before it is shown.
    """

    def __init__(
        self,
        num_worlds: int,
        mode: str,
        period_ticks: int,
        shape: PlanShape,
        bridge: Bridge,
    ) -> None:
        """Begins without plans."""
        if mode not in MAILBOX_MODES:
            raise unknown("mailbox mode", mode, MAILBOX_MODES)
        self._mode = mode
        self._period_ticks = period_ticks
        self._transit = Transit(num_worlds)
        self._bridge = bridge

        # the shown plans, and since when they are shown
        self._payload = Payload.empty(num_worlds, shape)
        self._shown_since = np.zeros(num_worlds, np.int64)  # (N,) ticks
        self.seq = np.full(num_worlds, -1, np.int64)
        self.tick_frame = np.zeros(num_worlds, np.int64)

    def reset(self, ids: Array, tick_frame: Array) -> None:
        """Discards all plans of worlds `ids`, and shows an empty payload there.

        Args:
            ids: (n,) the worlds.
            tick_frame: (n,) the `tick_frame` of the empty payload, for its age.
        """
        self._transit.clear(ids)
        self._bridge.reset(ids)
        empty = Payload.empty(len(ids), self._payload.shape)
        self._payload = self._payload.with_rows(ids, empty)
        # one period ago, so that the first plan is shown as soon as it arrives
        self._shown_since[ids] = -self._period_ticks
        self.seq[ids] = -1
        self.tick_frame[ids] = tick_frame

    def post(self, plan: Plan, now: Array) -> None:
        """Sends one plan, newer than all plans before, to each of n worlds.

        Args:
            plan: the plans, n rows.
            now: (n,) the current ticks.
        """
        # `given` are the fields of the payload that are not None
        message = {"tick_frame": plan.tick_frame, **plan.payload.given}

        # A plan that arrives without delay is newer than all plans on their way. Except
        # in mode `fifo`, the plans on their way would never be shown, so discard them.
        if self._mode != "fifo" and (plan.tick_arrived <= now).all():
            self._transit.clear(plan.world)
            self._show(plan.world, plan.seq, message, now=now)
        else:
            self._transit.put(plan.world, plan.tick_arrived, plan.seq, rows=message)

    def next_change(self) -> np.ndarray:
        """Returns the ticks (N,) at which other plans may be shown next."""
        arrival = self._transit.next_arrival
        if self._mode == "fifo":
            return np.maximum(arrival, self._shown_since + self._period_ticks)
        return arrival

    def deliver(self, now: Array) -> None:
        """Shows the plans that are due.

        Args:
            now: (N,) the current ticks.
        """
        due = self.next_change()
        ids = (due <= now).nonzero()[0]
        while ids.size:
            if self._mode == "fifo":
                # the plan's period counts from its due tick, which may be before `now`
                self._shown_since[ids] = due[ids]
                seq, message = self._transit.take_first(ids)
            else:
                seq, message = self._transit.take_newest(ids, now[ids])
            self._show(ids, seq, message, now=now[ids])

            # in mode `fifo` the period of this plan may be over already, too
            due = self.next_change()
            ids = (due <= now).nonzero()[0]

    def payload(self, age_s: Array) -> Payload:
        """Returns the payload for the controllers, N rows.

        Args:
            age_s: (N,) the ages of the shown plans, by which goals are extrapolated in the
                mode `predictive`.
        """
        if self._mode != "predictive":
            return self._payload
        payload = self._payload
        moved_m = payload.goal_vel_w * age_s[:, None, None]  # (N, E, 3)
        return replace(payload, goal_pos_w=payload.goal_pos_w + moved_m)

    def _show(
        self, ids: Array, seq: Array, message: dict[str, np.ndarray], now: Array
    ) -> None:
        """Shows one plan in each of n worlds, after the bridge has corrected it.

        Args:
            ids: (n,) the worlds.
            seq: (n,) numbers of the plans.
            message: `tick_frame` and the fields of the payload, n rows. Its entry
                `tick_frame` is removed.
            now: (n,) the current ticks.
        """
        # if all worlds are concerned, rows need not be selected, which saves time
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
        corrected = self._bridge.merge(arrival)

        self.seq[ids] = seq
        self.tick_frame[ids] = tick_frame
        if all_worlds:
            self._payload = corrected
        else:
            self._payload = self._payload.with_rows(ids, corrected)
