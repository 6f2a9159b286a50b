"""Worlds for the tests of recording, whose every number tells whose it is."""

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
    PolicySpec,
)
from embodied.envs.episodes import EpisodeStart
from embodied.envs.safety import Safety
from embodied.envs.scoring import StepResult
from embodied.envs.worlds import Worlds
from embodied.plan import Payload, Plan
from tests.datasets_fakes import IMAGE_SHAPE, JOINTS, METADATA

CAMERA_PERIOD_TICKS = 16
NO_END = 10**9  # steps


class FakeControl:
    """Servo targets that actions push about, with the interface of `RobotControl`."""

    def __init__(self, num_worlds: int) -> None:
        self.joint_target = np.zeros((num_worlds, JOINTS))

    def follow(self, other: FakeControl, which: np.ndarray) -> None:
        self.joint_target[which] = other.joint_target[which]

    def update_joint_target(self, action: np.ndarray) -> None:
        self.joint_target = np.clip(self.joint_target + 0.1 * action, -2, 2)


class FakeWorlds:
    """Points that are pushed about, with the interface of `Worlds`.

    What a world does depends on its seed and actions alone. Every observation, reward
    and frame names the seed and the tick, so that a mix-up shows.

    Args:
        lengths: seed -> control steps of its episode; without end for other seeds.
        num_worlds: N.
        control_hz: rate of the steps.
        pixels: whether there is a camera, `front`.
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
        self.config = SimpleNamespace(control_mode="joint_delta", control_hz=control_hz)
        self.spec = SimpleNamespace(stages=())

        # The writer asks the worlds for no more than these: no robot or engine is
        # behind them.
        joints = ActionGroup(
            name="arm",
            labels=("a", "b", "c"),
            unit="rad",
            frame="joint",
            low=(-2.0,) * JOINTS,
            high=(2.0,) * JOINTS,
        )
        self.joint_interface = ActionInterface("joint", (joints,))
        self.interface = self.joint_interface
        self.control = FakeControl(num_worlds)
        self.position_units = ("rad",) * JOINTS
        self.model_hash = "abc"
        self._lengths = lengths
        self._pixels = pixels

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
            self.control.joint_target[world] = self._x[world]

    def rest(self, ids: np.ndarray) -> None:
        """Does nothing: these worlds cost nothing."""

    def observe(self, privileged: bool = True) -> Observation:
        # Every value names the seed and the tick that it belongs to, so that a sample
        # in the wrong place shows.
        name = np.stack([self._seed, self._tick], axis=1)
        environment_state = np.zeros((self.num_worlds, 0))
        if privileged:
            environment_state = name * 2.0

        pixels = {}
        pixels_tick = None
        if self._pixels:
            # Grey levels repeat after 256 seeds and ticks, enough to tell neighbours
            # apart.
            grey = (self._seed * 7 + self._tick)[:, None, None, None] % 256
            frames = np.broadcast_to(grey, (self.num_worlds, *IMAGE_SHAPE))
            pixels["front"] = frames.astype(np.uint8)
            pixels_tick = self._tick - self._tick % CAMERA_PERIOD_TICKS

        return Observation(
            tick=self._tick.copy(),
            agent_pos=np.concatenate([name, self._x], axis=1),
            environment_state=environment_state,
            instruction=tuple(f"seed {seed}" for seed in self._seed),
            pixels=pixels,
            pixels_tick=pixels_tick,
        )

    def step(self, actions: np.ndarray) -> StepResult:
        # The state depends on every action before it; drag makes it depend on the
        # start, too.
        slowed = self._x * (1 - 0.01 * self._drag[:, None])
        pushed = slowed + 0.1 * np.asarray(actions, np.float64)
        self._x = np.clip(pushed, -2, 2)
        self._tick += self.ticks_per_step
        self.control.update_joint_target(np.asarray(actions, np.float64))

        lengths = [self._length(world) for world in range(self.num_worlds)]

        # An episode is truncated at its length; nothing else ever ends one.
        no = np.zeros(self.num_worlds, bool)
        zeros = np.zeros(self.num_worlds, int)
        return StepResult(
            reward=self._named_value(),
            success=no,
            success_now=no,
            progress=self._named_value(),
            terminated=no,
            truncated=self._tick >= self.ticks_per_step * np.array(lengths),
            fault=zeros,
            joint_target=self.control.joint_target.copy(),
            dropped=zeros,
        )

    def second_control(self) -> FakeControl:
        control = FakeControl(self.num_worlds)
        control.follow(self.control, np.ones(self.num_worlds, bool))
        return control

    def safety(self, ticks: int) -> Safety:
        return Safety(
            contact_force_n=self._named_value(),
            collision=self._tick % 40 == 0,
            joint_margin_rad=np.ones(self.num_worlds),
        )

    def _named_value(self) -> np.ndarray:  # (N,)
        """Values that name the seed and the tick."""
        return self._seed + self._tick / 1e4

    def _length(self, world: int) -> int:
        return self._lengths.get(int(self._seed[world]), NO_END)

    def physics_state(self) -> np.ndarray:
        return np.concatenate([self._tick[:, None] / PHYSICS_HZ, self._x], axis=1)

    def checksum(self) -> np.ndarray:
        return self._x.view(np.uint64).sum(axis=1, dtype=np.uint64)

    def episode_start(self, world: int) -> EpisodeStart:
        return EpisodeStart(
            seed=int(self._seed[world]),
            state=self._x[world].copy(),
            fields={"task/drag": np.array(self._drag[world])},
            variation=self.variation_of(world),
        )

    def begin_recorded(self, world: int, start: EpisodeStart) -> None:
        self._seed[world] = start.seed
        self._tick[world] = 0
        self._x[world] = start.state
        self.control.joint_target[world] = start.state
        self._drag[world] = start.fields["task/drag"]

    def measures_of(self, world: int) -> dict[str, float]:
        return {}

    def variation_of(self, world: int) -> dict[str, Any]:
        return {"drag": float(self._drag[world])}

    def metadata(self) -> dict[str, Any]:
        return {**METADATA, "model_hash": self.model_hash}

    def close(self) -> None: ...


class FakePolicy:
    """Pushes each world by a rule of its own observation.

    It plans every `plan_every` control steps of 8 ticks; 0 = never.
    """

    def __init__(self, plan_every: int = 0, gain: float = 1.0) -> None:
        self.spec = PolicySpec(control_mode="joint_delta", control_hz=50)
        self._plan_every = plan_every
        self._gain = gain
        self._plans: list[Plan] = []

    def reset(
        self, ids: np.ndarray, observation: Observation, seeds: Sequence[int]
    ) -> None: ...

    def act(self, observation: Observation) -> np.ndarray:
        step = observation.tick // 8
        if self._plan_every:
            ids = np.flatnonzero(step % self._plan_every == 0)
            seq = step[ids] // self._plan_every
            self._plans.append(self._plan(observation.rows(ids), ids, seq))
        return self._gain * np.sin(observation.agent_pos[:, 2:] * 3 + step[:, None])

    def _plan(self, rows: Observation, ids: np.ndarray, seq: np.ndarray) -> Plan:
        """A plan without delays, whose goal names the seed."""
        payload = Payload.empty(len(ids))
        payload.goal_pos_w[:, 0, 0] = rows.agent_pos[:, 0]
        return Plan(
            world=ids,
            seq=seq,
            tick_frame=rows.tick,
            tick_start=rows.tick,
            tick_done=rows.tick,
            tick_arrived=rows.tick,
            payload=payload,
        )

    def take_plans(self) -> list[Plan]:
        plans = self._plans
        self._plans = []
        return plans

    def mean_plan_age_s(self, world: int) -> float:
        return 0.0


def fake_worlds(lengths: Mapping[int, int], **settings: Any) -> Worlds:
    """A `FakeWorlds` for those who ask for `Worlds`."""
    return cast(Worlds, FakeWorlds(lengths, **settings))
