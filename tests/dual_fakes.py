"""A fake planner, controller and worlds for the tests of the dual system.

Every number tells where it comes from, so a test can read off which observation a plan
was made from, and which plan the controller saw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from embodied.core import PHYSICS_HZ, Array, Observation, PolicySpec
from embodied.plan import Payload, Plan, PlanShape
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from embodied.policies.latency import Constant, PlanLatency

MAX_WORLDS = 64
GOAL_VEL_W = (1.0, 2.0, 3.0)  # m/s, of every goal
CAMERA_PERIOD_TICKS = 40  # a 10 Hz camera


class FakePlanner:
    """Plans from which one can read what it observed.

    The goal is at (tick, x, 0) and `completion` counts the plans of the episode from 1.
    """

    plan_shape = PlanShape(latent=2)

    def __init__(self) -> None:
        self.calls: list[tuple[np.ndarray, Observation]] = []  # (ids, observation)
        self.num_plans = np.zeros(MAX_WORLDS)  # of each world's episode

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        self.num_plans[ids] = 0

    def plan(self, observation: Observation, ids: Array) -> Payload:
        self.calls.append((ids, observation))
        self.num_plans[ids] += 1

        n = len(ids)
        payload = Payload.empty(n, self.plan_shape)
        # The plan repeats what the planner was shown, so that a test can tell which
        # observation it is made of.
        payload.subtask[:] = 0
        payload.goal_pos_w[:, 0, 0] = observation.tick
        payload.goal_pos_w[:, 0, 1] = observation.agent_pos[:, 0]
        payload.goal_vel_w[:] = GOAL_VEL_W
        payload.gripper[:] = -1
        payload.completion[:] = self.num_plans[ids]
        payload.latent[:, 0] = observation.environment_state[:, 0]
        payload.latent[:, 1] = [len(text) for text in observation.instruction]
        return payload


class FakeController:
    """Moves towards the goal, and keeps what it was given."""

    def __init__(self, control_hz: int = 200, cameras: tuple[str, ...] = ()) -> None:
        self.spec = PolicySpec(control_hz=control_hz, cameras=cameras)
        self.payloads: list[Payload] = []
        self.ages_s: list[np.ndarray] = []
        self.resets: list[tuple[list[int], list[int]]] = []  # (ids, seeds)
        # What is done to each action before it is returned.
        self.poison: Callable[[np.ndarray], None] = lambda action: None

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        self.resets.append(([int(i) for i in ids], list(seeds)))

    def act(self, observation: Observation, payload: Payload, age_s: Array) -> Array:
        self.payloads.append(payload)
        self.ages_s.append(age_s)

        x = observation.agent_pos[:, 0]
        pull = np.tanh(payload.goal_pos_w[:, 0, 1] - x + 0.3)
        action = np.stack([pull, np.cos(age_s), payload.gripper[:, 0]], axis=1)
        self.poison(action)
        return action

    @property
    def seen_ticks(self) -> np.ndarray:
        """When the observation behind the plan shown was captured, (steps, N) ticks.

        It is 0 without a plan.
        """
        ticks = [payload.goal_pos_w[:, 0, 0] for payload in self.payloads]
        return np.array(ticks).astype(int)

    @property
    def shown_seqs(self) -> np.ndarray:
        """The seq of the plan shown, (steps, N); -1 without a plan."""
        seqs = [payload.completion - 1 for payload in self.payloads]
        return np.array(seqs).astype(int)


@dataclass
class FakeWorlds:
    """N worlds of one joint each, which follow their actions, on clocks of their own."""

    num: int
    ticks_per_step: int = 2
    camera: bool = False
    tick: np.ndarray = field(init=False)  # (N,)
    x: np.ndarray = field(init=False)  # (N,)

    def __post_init__(self) -> None:
        self.tick = np.zeros(self.num, np.int64)
        self.x = np.zeros(self.num)

    def observe(self) -> Observation:
        frame_tick = self.tick // CAMERA_PERIOD_TICKS * CAMERA_PERIOD_TICKS
        pixels = {}
        if self.camera:
            # The grey level of a frame tells when it was taken.
            grey = frame_tick[:, None, None, None] % 251
            pixels["front"] = np.tile(grey, (1, 2, 2, 3)).astype(np.uint8)

        return Observation(
            tick=self.tick.copy(),
            agent_pos=self.x[:, None].copy(),
            environment_state=np.sin(self.tick)[:, None],
            instruction=tuple("x" * (int(tick) % 7) for tick in self.tick),
            pixels=pixels,
            pixels_tick=frame_tick if self.camera else None,
        )

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        self.tick[ids] = 0
        self.x[ids] = np.array(seeds) % 10

    def advance(self, action: np.ndarray) -> None:
        self.x = self.x + 0.01 * np.nan_to_num(action[:, 0]).astype(float)
        self.tick = self.tick + self.ticks_per_step


@dataclass
class Log:
    """What happened in one episode of each world; all begin at tick 0."""

    system: DualSystem
    planner: FakePlanner
    controller: FakeController
    actions: np.ndarray  # (steps, N, 3)
    plans: list[Plan]
    ticks: np.ndarray  # (steps,)

    def times(self, world: int = 0) -> np.ndarray:
        """The plans of a world as rows, (plans, 5) int.

        The columns are seq, tick_frame, tick_start, tick_done and tick_arrived.
        """
        # An empty table first: a world may have no plan at all.
        tables = [np.zeros((0, 5), int)]
        for plan in self.plans:
            columns = (
                plan.seq,
                plan.tick_frame,
                plan.tick_start,
                plan.tick_done,
                plan.tick_arrived,
            )
            table = np.stack(columns, axis=1)
            tables.append(table[plan.world == world])

        return np.concatenate(tables).astype(int)

    def ages_s(self, world: int = 0) -> np.ndarray:
        """The age of the plan that the controller saw, (steps,)."""
        return np.array(self.controller.ages_s)[:, world]


def simulate(
    config: DualSystemConfig,
    seconds: float = 4,
    control_hz: int = 200,
    seeds: Sequence[int] = (0,),
    camera: bool = False,
) -> Log:
    """Runs one episode per seed, each in its own world."""
    planner = FakePlanner()
    controller = FakeController(control_hz, ("front",) if camera else ())
    system = DualSystem(planner, controller, config)
    worlds = FakeWorlds(len(seeds), PHYSICS_HZ // control_hz, camera)

    ids = np.arange(len(seeds))
    worlds.reset(ids, seeds)
    system.reset(ids, worlds.observe(), seeds)

    # The order is that of a rollout: observe, act, collect the plans of this step, move
    # on.
    actions = []
    plans = []
    ticks = []
    for _ in range(int(seconds * control_hz)):
        ticks.append(int(worlds.tick[0]))
        action = system.act(worlds.observe())
        actions.append(action)
        plans += system.take_plans()
        worlds.advance(action)
    return Log(system, planner, controller, np.array(actions), plans, np.array(ticks))


def delays(up_ms: float = 0, compute_ms: float = 0, down_ms: float = 0) -> PlanLatency:
    """Constant delays, in the order in which they pass."""
    return PlanLatency(
        compute=Constant(compute_ms),
        uplink=Constant(up_ms),
        downlink=Constant(down_ms),
    )
