"""N worlds of one task and robot: what environments, rollouts and replays are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from embodied.core import PHYSICS_HZ, Array, Layout, Observation, seconds_to_ticks
from embodied.envs.common_factors import CommonFactors, SensorNoise
from embodied.envs.config import EnvConfig
from embodied.envs.proprioception import Proprioception
from embodied.envs.registry import get_robot, get_task
from embodied.envs.safety import Safety, SafetySignals, with_safety_sensors
from embodied.envs.variation import Variation
from embodied.errors import EmbodiedError, unknown
from embodied.robots.control import RobotControl
from embodied.robots.robot import Robot
from embodied.sim.cameras import Camera, CameraFeed
from embodied.sim.cpu import CpuEngine
from embodied.sim.engine import FAULTS
from embodied.sim.model_facts import model_facts

SUCCESS_HOLD_S = 0.5


@dataclass(frozen=True)
class StepResult:
    """What one control step did to N worlds."""

    reward: Array  # (N,) in [0, 1]
    success: Array  # (N,) bool, held for 0.5 s
    success_now: Array  # (N,) bool
    progress: Array  # (N,) in [0, 1]
    terminated: Array  # (N,) bool: lost or faulty
    truncated: Array  # (N,) bool: past the task's horizon
    fault: Array  # (N,) int, index into FAULTS
    joint_target: Array  # (N, J + 1) rad and m, what the action was resolved to
    dropped: Array  # (N,) int, things that lie where they should not


@dataclass(frozen=True)
class EpisodeStart:
    """All that is needed to begin an episode again, bit for bit."""

    seed: int
    state: np.ndarray  # (S,) float64, the integration state
    # varied model fields, and the task's parameters under `task/`
    fields: dict[str, np.ndarray]
    variation: dict[str, Any] = field(default_factory=dict)


class Worlds:
    """A batch of worlds that are reset, observed and stepped together; each has its own
    clock.

    Raises EmbodiedError for unknown names and for a robot that the task does not suit.
    """

    def __init__(self, config: EnvConfig, num_worlds: int = 1) -> None:
        if config.engine != "cpu":
            raise EmbodiedError(
                f"the engine {config.engine!r} runs many worlds at once: use gymnasium.make_vec"
            )
        self.config = config
        self.num_worlds = num_worlds
        self.spec = get_task(config.task)
        self.robot = self._choose_robot(config.robot)
        self._task_cameras = self.spec.cameras_for(self.robot)
        self.model = with_safety_sensors(
            self.spec.build(self.robot), self.robot
        ).compile()
        self.engine = CpuEngine(self.model, num_worlds, config.num_threads)
        self.task = self.spec.bind(self.engine, self.robot)
        self.variation = Variation(
            self.spec.table, config.level, config.split, config.factors
        )
        self.control = RobotControl(
            self.robot, self.engine, config.control_mode, config.control_hz
        )
        self.interface = self.control.interface
        self.joint_interface = self.control.joint_interface
        self._action_shape = (num_worlds, len(self.interface.labels))
        self.ticks_per_step = PHYSICS_HZ // config.control_hz
        self.proprioception = Proprioception(self.engine, self.robot)
        self._safety = SafetySignals(self.engine, self.robot)
        self.agent_layout: Layout = self.proprioception.layout
        self.state_layout: Layout = self.task.state_layout
        self._common = CommonFactors(
            self.engine, self.robot, self._task_cameras, self.spec.base_start
        )
        self._feed = CameraFeed(
            self.engine, self._camera_names(), config.image_size, config.camera_hz
        )
        self._portraits: dict[tuple[int, int], Camera] = {}
        self.horizon_s = config.horizon_s or self.spec.horizon_for(self.robot)
        self._horizon = seconds_to_ticks(self.horizon_s)
        self._hold = seconds_to_ticks(SUCCESS_HOLD_S)
        self._goal = config.goal_progress if config.goal_progress < 1 else np.inf
        self._tick = np.zeros(num_worlds, np.int64)
        # (N,) ticks that success has held
        self._succeeded_for = np.zeros(num_worlds, np.int64)
        self._fault, self._seeds = np.zeros((2, num_worlds), np.int64)
        self._none = np.zeros(num_worlds, bool)
        self._pixel_sigma = np.zeros(num_worlds)
        self._start_states = self.engine.state().copy()  # (N, S)
        self._drawn: list[dict[str, Any]] = [{} for _ in range(num_worlds)]

    def _choose_robot(self, robot: str | Robot | None) -> Robot:
        """The task's first, the one of a name that the task knows, or a robot of the
        caller's own.
        """
        if isinstance(robot, Robot):
            return robot
        name = get_robot(robot or self.spec.robots[0]).name
        if name not in self.spec.robots:
            raise unknown(f"robot for task {self.spec.name}", name, self.spec.robots)
        return get_robot(name)

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras that `observe` shows."""
        return self._feed.cameras

    @property
    def instructions(self) -> tuple[str, ...]:
        """The N sentences that say what to do."""
        return tuple(drawn.get("instruction", "") for drawn in self._drawn)

    @property
    def max_steps(self) -> int:
        """Control steps until an episode is truncated."""
        return -(-self._horizon // self.ticks_per_step)

    def _camera_names(self) -> tuple[str, ...]:
        names = self.config.cameras
        if names is None:
            names = self._task_cameras if self.config.obs != "state" else ()
        available = [self.model.camera(i).name for i in range(self.model.ncam)]
        for name in names:
            if name not in available:
                raise unknown("camera", name, available)
        return tuple(names)

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Starts new episodes in worlds `ids` (n,), one seed each."""
        ids = np.asarray(ids)
        self.engine.reset(ids)
        for world, seed in zip(ids.tolist(), seeds, strict=True):
            drawn, noise = self._common.start(world, int(seed), self.variation)
            drawn = {**drawn, **self.task.start(world, int(seed), self.variation)}
            self._remember(world, int(seed), drawn, noise)
        self._begin(ids)

    def _remember(
        self, world: int, seed: int, drawn: dict[str, Any], noise: SensorNoise
    ) -> None:
        self._seeds[world] = seed
        self._drawn[world] = drawn
        self.proprioception.bias[world] = noise.encoder_bias
        self._pixel_sigma[world] = noise.pixel_sigma

    def _begin(self, ids: np.ndarray) -> None:
        self.engine.refresh(ids)
        self.control.reset(np.isin(np.arange(self.num_worlds), ids))
        self._start_states[ids] = self.engine.state()[ids]
        self._feed.reset(ids)
        self._tick[ids] = self._succeeded_for[ids] = self._fault[ids] = 0

    def observe(self, privileged: bool = True) -> Observation:
        """What the worlds show now; frames that are due are rendered."""
        self._feed.update(self._tick, self._pixel_sigma, self._seeds)
        pixels, taken = self._feed.newest()
        state = self.task.state() if privileged else np.zeros((self.num_worlds, 0))
        return Observation(
            tick=self._tick.copy(),
            agent_pos=self.proprioception.read(),
            environment_state=state,
            instruction=self.instructions,
            pixels=pixels,
            pixels_tick=taken if self.cameras else None,
        )

    def step(self, actions: Array) -> StepResult:
        """One control step of all worlds. A world given NaN or inf holds still and is
        flagged; the others don't notice.

        Raises EmbodiedError for actions of another shape than (N, A).
        """
        actions = self._checked(actions)
        bad = self._none
        if not np.isfinite(actions).all():
            bad = ~np.isfinite(actions).all(axis=1)
            actions = np.where(bad[:, None], 0.0, actions)
        self.task.before_step(self._tick)
        self.control.apply(np.minimum(np.maximum(actions, -1.0), 1.0))
        self.engine.step(self.ticks_per_step)
        self._tick += self.ticks_per_step
        self._note_faults(bad)
        return self._result()

    def _checked(self, actions: Array) -> np.ndarray:
        actions = np.asarray(actions, dtype=np.float64)
        if actions.shape != self._action_shape:
            shapes = f"actions of shape {actions.shape}, expected {self._action_shape}"
            raise EmbodiedError(
                f"{shapes}: one row a world with ({', '.join(self.interface.labels)})"
            )
        return actions

    def _note_faults(self, bad: np.ndarray) -> None:
        """Keeps the first fault of each world, and puts broken ones back to their
        start, where all is finite.
        """
        found = np.where(bad, FAULTS.index("action_not_finite"), self.engine.faults())
        if found.any():
            broken = np.flatnonzero(found)
            self._fault = np.where(self._fault == 0, found, self._fault)
            self.engine.reset(broken)
            self.engine.state()[broken] = self._start_states[broken]
            self.engine.refresh(broken)
            self.control.reset(found != 0)

    def _result(self) -> StepResult:
        outcome = self.task.judge()
        sound = self._fault == 0
        now = (outcome.success | (outcome.progress >= self._goal)) & sound
        self._succeeded_for = (self._succeeded_for + self.ticks_per_step) * now
        success = self._succeeded_for >= self._hold
        ended = outcome.lost | ~sound
        if self.config.terminate_on_success:
            ended |= success
        return StepResult(
            reward=outcome.progress * sound,
            success=success,
            success_now=now,
            progress=outcome.progress * sound,
            terminated=ended,
            truncated=(self._tick >= self._horizon) & ~ended,
            fault=self._fault.copy(),
            joint_target=self.control.joint_target.copy(),
            dropped=outcome.dropped + np.zeros(self.num_worlds, np.int64),
        )

    def safety(self, ticks: int) -> Safety:
        """Forces of the last `ticks` physics steps, at most 20, and joint margins; of
        worlds that are not faulty.
        """
        return self._safety.read(ticks)

    def integration_state(self) -> np.ndarray:
        """(N, S) float64: a copy of the states from which worlds continue bit for bit."""
        return self.engine.state().copy()

    def physics_state(self) -> np.ndarray:
        """(N, 1 + nq + nv) float64: time, positions, velocities."""
        view = self.engine.view
        return np.concatenate(
            [view("time")[:, None], view("qpos"), view("qvel")], axis=1
        )

    def checksum(self) -> np.ndarray:
        """(N,) uint64 of positions and velocities, equal only where all their bits are."""
        words = np.ascontiguousarray(self.physics_state()[:, 1:]).view(np.uint64)
        weights = np.arange(1, 2 * words.shape[1], 2, dtype=np.uint64) * np.uint64(
            0x9E3779B97F4A7C15
        )
        return (words * weights).sum(axis=1, dtype=np.uint64)

    def episode_start(self, world: int) -> EpisodeStart:
        """The start of a world's episode; to be asked right after its reset."""
        fields = {
            name: values[world].copy() for name, values in self.engine.varied().items()
        }
        fields |= {
            f"task/{name}": values[world].copy()
            for name, values in self.task.parameters().items()
        }
        fields["sensor/encoder_bias"] = self.proprioception.bias[world].copy()
        return EpisodeStart(
            int(self._seeds[world]),
            self.engine.state()[world].copy(),
            fields,
            self._drawn[world],
        )

    def restore(self, world: int, start: EpisodeStart) -> None:
        """Begins a recorded episode again.

        Raises EmbodiedError where the recording's fields or state don't fit this model.
        """
        ids = np.array([world])
        state = self.engine.state()
        if start.state.shape != state[world].shape:
            raise EmbodiedError(
                f"recorded state has {start.state.shape[0]} numbers, this model {state.shape[1]}"
            )
        self.engine.reset(ids)
        parameters = self.task.parameters()
        for name, value in start.fields.items():
            if name.startswith("task/"):
                parameters[name.removeprefix("task/")][world] = value
            elif name != "sensor/encoder_bias":
                self.engine.vary(name)[world] = value
        noise = SensorNoise(
            start.fields["sensor/encoder_bias"],
            float(start.variation.get("pixel_noise", 0.0)),
        )
        self._remember(world, start.seed, start.variation, noise)
        state[world] = start.state
        self._begin(ids)

    def variation_of(self, world: int) -> dict[str, Any]:
        """What was drawn for the present episode of one world, JSON-able."""
        return dict(self._drawn[world])

    def render(
        self, world: int, camera: str, size: tuple[int, int] = (480, 640)
    ) -> np.ndarray:
        """(H, W, 3) uint8, for people: shadows and smooth edges."""
        if size not in self._portraits:
            self._portraits[size] = Camera(self.engine, *size, beauty=True)
        return self._portraits[size].rgb(world, camera)

    def metadata(self) -> dict[str, Any]:
        """What a file made from these worlds must say to be understood, JSON-able."""
        robot = {"robot": self.robot.name, "cameras": list(self.cameras)}
        return {
            "env_id": self.spec.env_id,
            "task": self.spec.name,
            "robot": self.robot.name,
            "config": {**asdict(self.config), **robot},
            "physics_hz": PHYSICS_HZ,
            "horizon_s": self.horizon_s,
            "action_interface": asdict(self.interface),
            "joint_interface": asdict(self.joint_interface),
            "agent_layout": self.agent_layout.parts,
            "state_layout": self.state_layout.parts,
            **model_facts(self.model),
        }

    def close(self) -> None:
        """Frees GL contexts."""
        self._feed.close()
        for camera in self._portraits.values():
            camera.close()
        self._portraits.clear()
        self.engine.close()
