"""A dual system on the wall clock, for one world.

Its planner is not simulated, but runs in another process. A plan arrives at the first
control step after it is done. The number of ticks that each plan took is recorded. With
these numbers as its computing times, a simulated dual system repeats the episode bit for
bit, since nothing else depends on the wall clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embodied.core import PHYSICS_HZ, Array, Observation
from embodied.plan import Payload, Plan
from embodied.policies.dual_system import DualSystem
from embodied.policies.plans import copy_of, planner_faults
from embodied.policies.realtime.pacing import Pacer, Punctuality
from embodied.policies.realtime.planner_process import PlannerProcess
from embodied.policies.transit import NEVER

# Recorded for a plan that was not done when its episode ended: an hour, so that it does
# not arrive in a replay either.
NEVER_MS = 3_600_000.0


@dataclass(frozen=True)
class RealTimeRecord:
    """The timing of one episode on the wall clock.

    Attributes:
        seed: the seed of the episode.
        compute_ms: the computing time of each plan, in the order of their starts.
        punctuality: the punctuality of the control steps.
        mean_age_s: the mean age of the controller's plan.
        worst_age_s: the largest age of the controller's plan.
    """

    seed: int
    compute_ms: tuple[float, ...]
    punctuality: Punctuality
    mean_age_s: float
    worst_age_s: float


@dataclass(frozen=True)
class _StartedPlan:
    """The times of the plan that is being made (see `Plan`)."""

    tick_frame: np.ndarray  # (1,) when its oldest image was captured
    tick_start: np.ndarray  # (1,) when planning started


class RealTimeSystem(DualSystem):
    """A dual system whose planner is a process, and whose steps wait for the clock.

    Args:
        process: the planner.
        simulated: the same policy in simulated time, of which everything except the
            planner is used. Its channel must have no delays.
    """

    def __init__(self, process: PlannerProcess, simulated: DualSystem) -> None:
        """Takes everything from the simulated system, except for its planner."""
        super().__init__(
            planner=process,
            controller=simulated.controller,
            config=simulated.config,
            spec=simulated.spec,
            hold_action=simulated._hold_action,
            interface=simulated._interface,
            coordinates=simulated._coordinates,
        )

        self._process = process
        self._pacer = Pacer(self.spec.control_hz)
        self._started: _StartedPlan | None = None

        # of the current episode: the computing times of the plans that are done, the largest
        # age of a plan, and the seed
        self._compute_ms: list[float] = []
        self._worst_age_ticks = 0
        self._seed = 0

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        super().reset(ids, observation, seeds)
        self._started = None
        self._compute_ms = []
        self._worst_age_ticks = 0
        self._seed = int(seeds[0])
        self._pacer.reset()

    def act(self, observation: Observation) -> np.ndarray:
        """Waits for the step's time, takes a finished plan, and returns the action (1, A)."""
        self._pacer.wait()
        now = np.asarray(observation.tick)
        payload = self._process.take()
        if payload is not None:
            self._arrive(payload, now)

        action = super().act(observation)
        # before the first plan, the number of the shown plan is -1
        if self._mailbox.seq[0] >= 0:
            age_ticks = int(now[0] - self._mailbox.tick_frame[0])
            self._worst_age_ticks = max(self._worst_age_ticks, age_ticks)
        return action

    def record(self) -> RealTimeRecord:
        """Returns the timing of the episode so far."""
        compute_ms = list(self._compute_ms)
        # a plan that is still being made
        if self._started is not None:
            compute_ms.append(NEVER_MS)
        return RealTimeRecord(
            seed=self._seed,
            compute_ms=tuple(compute_ms),
            punctuality=self._pacer.punctuality(),
            mean_age_s=self.mean_plan_age_s(0),
            worst_age_s=self._worst_age_ticks / PHYSICS_HZ,
        )

    def _plan(self, ids: np.ndarray, start: np.ndarray, now: np.ndarray) -> None:
        """Starts a plan in the process, without waiting for it."""
        observation, tick_frame = self._inbox.take(ids, start)
        self._process.start(observation)
        self._started = _StartedPlan(tick_frame, start)
        # the planner is busy until `_arrive` sets another tick
        self._free_at[ids] = NEVER

    def _arrive(self, payload: Payload, now: np.ndarray) -> None:
        """Posts the plan that has arrived, and lets the planner start the next one.

        Args:
            payload: the payload of the plan, one row.
            now: (1,) the current tick.
        """
        if self._started is None:
            raise ValueError("a plan that was never begun has arrived")
        started = self._started
        ticks = int(now[0] - started.tick_start[0])
        self._compute_ms.append(1000 * ticks / PHYSICS_HZ)

        fault = planner_faults(
            self._process, payload, started.tick_frame, started.tick_start
        )
        seq = self._num_planned.copy()
        plan = Plan(
            world=np.zeros(1, np.int64),
            seq=seq,
            tick_frame=started.tick_frame,
            tick_start=started.tick_start,
            tick_done=now.copy(),
            # -1 stands for a plan that never arrives: a plan with a fault is discarded
            tick_arrived=now.copy() if fault is None else np.array([-1]),
            payload=copy_of(payload),
            fault=fault,
        )
        self._plans.append(plan)
        if fault is None:
            self._mailbox.post(plan, now)

        self._started = None
        self._num_planned = seq + 1
        self._free_at = now.copy()
        # an event is due now, so that `act` shows the plan and starts the next one
        self._next_event = now.copy()
