"""Worlds for the tests of recording and replay, whose every number tells whose it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from embodied.core import (
    PHYSICS_HZ,
    ActionGroup,
    ActionInterface,
    Observation,
    Payload,
    Plan,
    PolicySpec,
)
from embodied.envs.episodes import EpisodeStart
from embodied.envs.safety import Safety
from embodied.envs.scoring import StepResult
from embodied.envs.worlds import Worlds
from tests.datasets_fakes import IMAGE_SHAPE, JOINTS, METADATA


class FakeWorlds:
    """Points that are pushed about. What a world does depends on its seed and actions
    alone, and every observation, reward and frame names the seed and the tick, so that
    a mix-up shows.
    """

    def __init__(
        self,
        lengths: Mapping[int, int],
        num_worlds: int = 1,
        control_hz: int = 50,
        pixels: bool = True,
    ) -> None:
        self.num_worlds = num_worlds
        self.ticks_per_step = PHYSICS_HZ // control_hz
        self._lengths = lengths
        self.config = SimpleNamespace(control_mode="joint_delta", control_hz=control_hz)
        joints = ActionGroup(
            "arm", ("a", "b", "c"), "rad", "joint", (-2.0,) * JOINTS, (2.0,) * JOINTS
        )
        self.joint_interface = ActionInterface("joint", (joints,))
        self._pixels = pixels
        self.model_hash = "abc"
        self._tick = np.zeros(num_worlds, np.int64)
        self._seed = np.zeros(num_worlds, np.int64)
        self._x = np.zeros((num_worlds, JOINTS))
        self._drag = np.zeros(num_worlds)

    def reset(self, ids: np.ndarray, seeds: Sequence[int]) -> None:
        for world, seed in zip(np.asarray(ids).tolist(), seeds, strict=True):
            rng = np.random.default_rng(seed)
            self._seed[world] = seed
            self._tick[world] = 0
            self._x[world] = rng.uniform(-1, 1, JOINTS)
            self._drag[world] = rng.random()

    def observe(self, privileged: bool = True) -> Observation:
        name = np.stack([self._seed, self._tick], axis=1)
        frames = np.broadcast_to(
            (self._seed * 7 + self._tick)[:, None, None, None] % 256,
            (self.num_worlds, *IMAGE_SHAPE),
        )
        return Observation(
            tick=self._tick.copy(),
            agent_pos=np.concatenate([name, self._x], axis=1),
            environment_state=name * 2.0
            if privileged
            else np.zeros((self.num_worlds, 0)),
            instruction=tuple(f"seed {seed}" for seed in self._seed),
            pixels={"front": frames.astype(np.uint8)} if self._pixels else {},
            pixels_tick=self._tick - self._tick % 16 if self._pixels else None,
        )

    def step(self, actions: np.ndarray) -> StepResult:
        self._x = np.clip(
            self._x * (1 - 0.01 * self._drag[:, None])
            + 0.1 * np.asarray(actions, np.float64),
            -2,
            2,
        )
        self._tick += self.ticks_per_step
        over = np.array(
            [
                self._tick[i] >= self.ticks_per_step * self._length(i)
                for i in range(self.num_worlds)
            ]
        )
        none = np.zeros(self.num_worlds, bool)
        share = self._seed + self._tick / 1e4
        zeros = np.zeros(self.num_worlds, int)
        return StepResult(
            share, none, none, share, none, over, zeros, self._x.copy(), zeros
        )

    def safety(self, ticks: int) -> Safety:
        """A force that names the seed and the tick."""
        return Safety(
            self._seed + self._tick / 1e4,
            self._tick % 40 == 0,
            np.ones(self.num_worlds),
        )

    def _length(self, world: int) -> int:
        return self._lengths.get(int(self._seed[world]), 10**9)

    def physics_state(self) -> np.ndarray:
        return np.concatenate([self._tick[:, None] / PHYSICS_HZ, self._x], axis=1)

    def checksum(self) -> np.ndarray:
        return self._x.view(np.uint64).sum(axis=1, dtype=np.uint64)

    def episode_start(self, world: int) -> EpisodeStart:
        drag = np.array(self._drag[world])
        return EpisodeStart(
            int(self._seed[world]),
            self._x[world].copy(),
            {"task/drag": drag},
            self.variation_of(world),
        )

    def restore(self, world: int, start: EpisodeStart) -> None:
        self._seed[world] = start.seed
        self._tick[world] = 0
        self._x[world] = start.state
        self._drag[world] = start.fields["task/drag"]

    def variation_of(self, world: int) -> dict[str, Any]:
        return {"drag": float(self._drag[world])}

    def metadata(self) -> dict[str, Any]:
        return {**METADATA, "model_hash": self.model_hash}

    def close(self) -> None: ...


class FakePolicy:
    """Pushes each world by a rule of its own observation, and plans every `plan_every`
    control steps (0: never).
    """

    def __init__(self, plan_every: int = 0, gain: float = 1.0) -> None:
        self.spec = PolicySpec(control_mode="joint_delta", control_hz=50)
        self._every = plan_every
        self._gain = gain
        self._plans = list[Plan]()

    def reset(
        self, ids: np.ndarray, observation: Observation, seeds: Sequence[int]
    ) -> None: ...

    def act(self, observation: Observation) -> np.ndarray:
        step = observation.tick // 8
        if self._every:
            ids = np.flatnonzero(step % self._every == 0)
            tick = observation.tick[ids]
            payload = Payload.empty(len(ids))
            payload.goal_pos_w[:, 0] = observation.agent_pos[ids, 0]
            self._plans.append(
                Plan(ids, step[ids] // self._every, tick, tick, tick, tick, payload)
            )
        return self._gain * np.sin(observation.agent_pos[:, 2:] * 3 + step[:, None])

    def take_plans(self) -> list[Plan]:
        plans = self._plans
        self._plans = []
        return plans

    def mean_plan_age_s(self, world: int) -> float:
        return 0.0


def fake_worlds(lengths: Mapping[int, int], **settings: Any) -> Worlds:
    """A `FakeWorlds` for those who ask for `Worlds`."""
    return cast(Worlds, FakeWorlds(lengths, **settings))
