"""A dual system on the wall clock, for one world.

Nothing of its planner is simulated: that runs in another process, and a plan arrives at
the control step at which it is there. How many ticks each plan took is kept. A
simulated dual system whose computing takes these times does the same, bit for bit,
since they hold all that the clock decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embodied.core import PHYSICS_HZ, Array, Observation, Payload, Plan
from embodied.policies.dual_system import DualSystem
from embodied.policies.plans import copied, faults_of
from embodied.policies.realtime.pacing import Pacer, Punctuality
from embodied.policies.realtime.planner_process import PlannerProcess
from embodied.policies.transit import NEVER

# What is noted for a plan that was not there when its episode ended: an hour, so that
# it does not arrive when the episode is played again either.
NEVER_MS = 3_600_000.0


@dataclass(frozen=True)
class RealTimeRecord:
    """What the clock did in one episode.

    Attributes:
        seed: of the episode.
        compute_ms: how long each plan took, in the order of their starts.
        punctuality: of the control steps.
        mean_age_s: of the plan that the controller saw.
        worst_age_s: the oldest plan that it saw.
    """

    seed: int
    compute_ms: tuple[float, ...]
    punctuality: Punctuality
    mean_age_s: float
    worst_age_s: float


@dataclass(frozen=True)
class _Begun:
    """The plan that is being made."""

    tick_frame: np.ndarray  # (1,)
    tick_start: np.ndarray  # (1,)


class RealTimeSystem(DualSystem):
    """A dual system whose planner is a process, and whose steps wait for the clock.

    Args:
        process: the planner.
        simulated: the same policy in simulated time: what it has beside its planner is
            used. Its channel must have no delays.
    """

    def __init__(self, process: PlannerProcess, simulated: DualSystem) -> None:
        super().__init__(
            process,
            simulated.controller,
            simulated.config,
            simulated.spec,
            simulated._hold_action,
            simulated._interface,
            simulated._coordinates,
        )

        self._process = process
        self._pacer = Pacer(self.spec.control_hz)
        self._begun: _Begun | None = None

        # of the present episode
        self._compute_ms: list[float] = []
        self._worst_age_ticks = 0
        self._seed = 0

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        super().reset(ids, observation, seeds)
        self._begun = None
        self._compute_ms = []
        self._worst_age_ticks = 0
        self._seed = int(seeds[0])
        self._pacer.reset()

    def act(self, observation: Observation) -> np.ndarray:
        self._pacer.wait()
        now = np.asarray(observation.tick)
        payload = self._process.take()
        if payload is not None:
            self._arrive(payload, now)

        action = super().act(observation)
        if self._mailbox.seq[0] >= 0:
            age_ticks = int(now[0] - self._mailbox.tick_frame[0])
            self._worst_age_ticks = max(self._worst_age_ticks, age_ticks)
        return action

    def record(self) -> RealTimeRecord:
        """Returns what the clock did in the episode so far."""
        compute_ms = list(self._compute_ms)
        if self._begun is not None:
            compute_ms.append(NEVER_MS)
        return RealTimeRecord(
            seed=self._seed,
            compute_ms=tuple(compute_ms),
            punctuality=self._pacer.punctuality(),
            mean_age_s=self.mean_plan_age_s(0),
            worst_age_s=self._worst_age_ticks / PHYSICS_HZ,
        )

    def _plan(self, ids: np.ndarray, start: np.ndarray, now: np.ndarray) -> None:
        """Lets the process begin a plan, which is not known before it arrives."""
        observation, tick_frame = self._inbox.take(ids, start)
        self._process.start(observation)
        self._begun = _Begun(tick_frame, start)
        self._free_at[ids] = NEVER

    def _arrive(self, payload: Payload, now: np.ndarray) -> None:
        """Takes in the plan that has been made; the planner is free again."""
        if self._begun is None:
            raise ValueError("a plan that was never begun has arrived")
        begun = self._begun
        ticks = int(now[0] - begun.tick_start[0])
        self._compute_ms.append(1000 * ticks / PHYSICS_HZ)

        fault = faults_of(self._process, payload, begun.tick_frame, begun.tick_start)
        seq = self._num_planned.copy()
        plan = Plan(
            world=np.zeros(1, np.int64),
            seq=seq,
            tick_frame=begun.tick_frame,
            tick_start=begun.tick_start,
            tick_done=now.copy(),
            tick_arrived=now.copy() if fault is None else np.array([-1]),
            payload=copied(payload),
            fault=fault,
        )
        self._plans.append(plan)
        if fault is None:
            self._mailbox.post(plan, now)

        self._begun = None
        self._num_planned = seq + 1
        self._free_at = now.copy()
        # so that the plan is shown, and the next one begun, in this control step
        self._next_event = now.copy()
