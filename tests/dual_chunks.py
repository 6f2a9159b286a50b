"""Planners of action chunks, for the tests of chunks and bridges."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from embodied.core import (
    PHYSICS_HZ,
    ActionGroup,
    ActionInterface,
    Array,
    Observation,
    PolicySpec,
)
from embodied.plan import Payload, PlanShape
from embodied.policies.chunks import ChunkPlayer
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from tests.dual_fakes import FakeWorlds

STEPS = 40
CHUNK_HZ = 50.0
ACTIONS = 3  # two joints and a gripper

# Returns what to do (n, H) at times (n, H) in s, as a plan sees it that was made from an
# observation at times (n, 1) in s.
Intention = Callable[[np.ndarray, np.ndarray], np.ndarray]


def interface(mode: str = "joint_delta") -> ActionInterface:
    """Returns the meaning of three elements: two joints and a gripper."""
    # as fast as `FakeWorlds` moves
    joints = ActionGroup("arm", ("a", "b"), "rad/s", "joint", (-2, -2), (2, 2))
    hand = ActionGroup("hand", ("width",), "m", "gripper", (0,), (0.08,))
    return ActionInterface(mode, (joints, hand))


class ChunkPlanner:
    """Gives chunks of what an intention says, the same for each action element."""

    plan_shape = PlanShape(effectors=0, chunk_steps=STEPS, chunk_actions=ACTIONS)

    def __init__(self, intention: Intention) -> None:
        self._intention = intention

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Does nothing."""

    def plan(self, observation: Observation, ids: Array) -> Payload:
        made_s = np.asarray(observation.tick)[:, None] / PHYSICS_HZ
        times_s = made_s + np.arange(STEPS) / CHUNK_HZ
        wanted = self._intention(times_s, made_s)
        payload = Payload.empty(len(ids), self.plan_shape)
        payload.chunk[:] = wanted[:, :, None]
        payload.chunk_hz[:] = CHUNK_HZ
        return payload


def read_x(agent_pos: Array) -> np.ndarray:
    """Returns what the actions of `FakeWorlds` move, (N, 3): the first one its joint."""
    coordinates = np.full((len(agent_pos), ACTIONS), np.nan)
    coordinates[:, 0] = agent_pos[:, 0]
    return coordinates


def chunk_system(
    intention: Intention, config: DualSystemConfig, mode: str = "joint_delta"
) -> DualSystem:
    """Returns a dual system that plays chunks in fake worlds."""
    spec = PolicySpec(control_mode=mode, control_hz=200)
    return DualSystem(
        ChunkPlanner(intention),
        ChunkPlayer(interface(mode), spec),
        config,
        hold_action=lambda observation: np.zeros((len(observation.tick), ACTIONS)),
        interface=interface(mode),
        coordinates=None if mode == "joint" else read_x,
    )


def play(system: DualSystem, steps: int, num_worlds: int = 1) -> np.ndarray:
    """Returns the actions (steps, N, 3) of fake worlds."""
    worlds = FakeWorlds(num_worlds)
    ids = np.arange(num_worlds)
    worlds.reset(ids, [0] * num_worlds)
    system.reset(ids, worlds.observe(), ids.tolist())
    actions = []
    for _ in range(steps):
        action = system.act(worlds.observe())
        actions.append(action)
        worlds.advance(action)
    return np.array(actions)
