"""What either side reads of the messages sent to it: the planner's inbox and the
controller's mailbox.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np

from embodied.core import Array, Observation, Payload, Plan
from embodied.errors import unknown
from embodied.policies.channel import Transit

MailboxMode = Literal["latest", "fifo", "predictive"]
MAILBOX_MODES: tuple[str, ...] = get_args(MailboxMode)


class Inbox:
    """Observations on their way to the planners of N worlds; a planner takes the
    newest, older ones are lost to it.
    """

    def __init__(self, num_worlds: int) -> None:
        self._transit = Transit(num_worlds)

    def reset(self, ids: Array) -> None:
        self._transit.clear(ids)

    @property
    def next_arrival(self) -> np.ndarray:
        """When the first observation that is not taken yet arrives, (N,) ticks; NEVER
        where there is none.
        """
        return self._transit.next_arrival

    def put(
        self,
        ids: Array,
        arrives: Array,
        number: Array,
        tick_frame: Array,
        rows: Observation,
    ) -> None:
        """Send the observation's n rows to the planners of n worlds."""
        message = {
            "tick_frame": tick_frame,
            "tick": rows.tick,
            "agent_pos": rows.agent_pos,
            "environment_state": rows.environment_state,
            "instruction": np.array(rows.instruction, object),
            **{f"pixels/{camera}": frames for camera, frames in rows.pixels.items()},
        }
        if rows.pixels_tick is not None:
            message["pixels_tick"] = rows.pixels_tick
        self._transit.put(ids, arrives, number, message)

    def take(self, ids: Array, tick: Array) -> tuple[Observation, np.ndarray]:
        """The newest observations that arrived by a tick, n rows, and their
        `tick_frame` (n,).
        """
        _, message = self._transit.take_newest(ids, tick)
        observation = Observation(
            tick=message["tick"],
            agent_pos=message["agent_pos"],
            environment_state=message["environment_state"],
            instruction=tuple(message["instruction"]),
            pixels={
                k.removeprefix("pixels/"): v
                for k, v in message.items()
                if k.startswith("pixels/")
            },
            pixels_tick=message.get("pixels_tick"),
        )
        return observation, message["tick_frame"]


class Mailbox:
    """Plans on their way to N controllers, and the one that each of them sees.

    latest: the newest plan (by seq) that arrived; an older one that comes late is
    ignored. fifo: every plan in the order of arrival, each for at least one planner
    period. predictive: latest, with the goal moved on by its own velocity for as long
    as the plan is old.
    """

    def __init__(
        self, num_worlds: int, mode: str, period_ticks: int, latent_size: int
    ) -> None:
        if mode not in MAILBOX_MODES:
            raise unknown("mailbox mode", mode, MAILBOX_MODES)
        self._mode = mode
        self._period = period_ticks
        self._transit = Transit(num_worlds)
        self._payload = Payload.empty(num_worlds, latent_size)
        self._shown_since = np.zeros(num_worlds, np.int64)
        self.seq = np.full(num_worlds, -1, np.int64)  # of the plan seen; -1 = none yet
        self.tick_frame = np.zeros(num_worlds, np.int64)  # of the plan seen

    def reset(self, ids: Array, tick_frame: Array) -> None:
        """Forget all plans of some worlds; `tick_frame` dates their empty payload."""
        self._transit.clear(ids)
        self._payload = self._payload.with_rows(
            ids, Payload.empty(len(ids), self._payload.latent.shape[1])
        )
        self._shown_since[ids] = -self._period
        self.seq[ids] = -1
        self.tick_frame[ids] = tick_frame

    def post(self, plan: Plan, now: Array) -> None:
        """Send plans, newer than all before, to the n worlds that they are for; `now`
        (n,).
        """
        message = {"tick_frame": plan.tick_frame, **vars(plan.payload)}
        if self._mode != "fifo" and (plan.tick_arrived <= now).all():
            self._transit.clear(plan.world)  # nothing that may still come is as new
            self._show(plan.world, plan.seq, message)
        else:
            self._transit.put(plan.world, plan.tick_arrived, plan.seq, message)

    def next_tick(self) -> np.ndarray:
        """When the plan seen may change next, (N,)."""
        arrival = self._transit.next_arrival
        return (
            np.maximum(arrival, self._shown_since + self._period)
            if self._mode == "fifo"
            else arrival
        )

    def deliver(self, now: Array) -> None:
        """Show what is due by `now` (N,)."""
        while (ids := ((due := self.next_tick()) <= now).nonzero()[0]).size:
            if self._mode == "fifo":
                self._shown_since[ids] = due[ids]
                self._show(ids, *self._transit.take_first(ids))
            else:
                self._show(ids, *self._transit.take_newest(ids, now[ids]))

    def payload(self, age_s: Array) -> Payload:
        """What the controllers see, N rows."""
        if self._mode != "predictive":
            return self._payload
        moved = self._payload.goal_pos_w + self._payload.goal_vel_w * age_s[:, None]
        return replace(self._payload, goal_pos_w=moved)

    def _show(self, ids: Array, seq: Array, message: dict[str, np.ndarray]) -> None:
        self.seq[ids] = seq
        self.tick_frame[ids] = message.pop("tick_frame")
        plans = Payload(**message)
        self._payload = (
            plans if len(ids) == len(self.seq) else self._payload.with_rows(ids, plans)
        )
