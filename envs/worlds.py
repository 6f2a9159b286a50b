"""N worlds of one task and robot, for environments, rollouts and replays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from embodied.core import PHYSICS_HZ, Array, Layout, Observation
from embodied.envs.actions import as_actions
from embodied.envs.bound import Bound
from embodied.envs.config import EnvConfig
from embodied.envs.episode_flow import EpisodeFlow
from embodied.envs.episodes import Episodes, EpisodeStart, state_checksum
from embodied.envs.measures import measured
from embodied.envs.metadata import worlds_metadata
from embodied.envs.models import choose_robot, compiled_model
from embodied.envs.pictures import Pictures
from embodied.envs.present import Present
from embodied.envs.registry import get_task
from embodied.envs.safety import Safety
from embodied.envs.scoring import HostScorer, ScoringRules, StepResult
from embodied.envs.snapshot import Ids, Origin, Snapshot, checked_ids
from embodied.envs.task_watch import TaskWatch
from embodied.errors import EmbodiedError
from embodied.robots.control import RobotControl
from embodied.seeding import checked_seed
from embodied.sim.contact_force import control_step
from embodied.sim.cpu import CpuEngine
from embodied.sim.engine import FAULTS
from embodied.sim.model_facts import position_units
from embodied.wording import counted

_BAD_ACTION = FAULTS.index("action_not_finite")


class Worlds:
    """A batch of worlds that are stepped together, each with its own clock and episode.

    Raises:
        EmbodiedError: a name in the config is unknown, or the task does not suit the
            robot.
    """

    def __init__(self, config: EnvConfig, num_worlds: int = 1) -> None:
        """Compiles the model and joins engine, task, robot, cameras and scoring."""
        _check(config, num_worlds)
        self.config = config
        self.num_worlds = num_worlds
        self.spec = get_task(config.task)
        self.robot = choose_robot(self.spec, config.robot)
        self.model = compiled_model(self.spec, self.robot)
        self.engine = CpuEngine(self.model, num_worlds, config.num_threads)

        # the task, the robot's control and its proprioception
        self._bound = Bound.to(self.engine, self.spec, self.robot, config)
        self.task = self._bound.task
        self._watch = TaskWatch(self.spec, self.task, num_worlds)
        self.control = self._bound.control
        self.proprioception = self._bound.proprioception
        self.interface = self.control.interface
        self.joint_interface = self.control.joint_interface
        self._action_labels = self.interface.labels
        self.agent_layout: Layout = self.proprioception.layout
        self.state_layout: Layout = self.task.state_layout

        # cameras, and starts of episodes
        self._pictures = Pictures(
            self.engine, config, self.spec.cameras_for(self.robot)
        )
        self.cameras = self._pictures.cameras
        self.episodes = Episodes.of(self.engine, self._bound, self.spec, config)
        self.variation = self.episodes.variation

        # scoring, and what happens at the beginning and the end of episodes
        self.horizon_s = config.horizon_s or self.spec.horizon_for(self.robot)
        self.ticks_per_step = PHYSICS_HZ // config.control_hz
        rules = ScoringRules.of(config, self.horizon_s)
        self._scorer = HostScorer(rules, num_worlds)
        self._flow = EpisodeFlow(
            engine=self.engine,
            control=self.control,
            episodes=self.episodes,
            feed=self._pictures.feed,
            scorer=self._scorer,
            watch=self._watch,
        )

        # the contents of snapshots, and the properties of worlds that can restore them
        memories = {
            **self._bound.memories(),
            "episodes": self.episodes.memory,
            "scoring": self._scorer.memory,
            "cameras": self._pictures.feed.memory,
        }
        make_origin = partial(
            Origin.of,
            task=self.spec.name,
            robot=self.robot.name,
            control_mode=config.control_mode,
            engine=config.engine,
            model=self.model,
        )
        self._present = Present(self.engine, make_origin, memories)

    @property
    def instructions(self) -> tuple[str, ...]:
        """The instructions of the N present episodes, one sentence each."""
        return self.episodes.instructions

    @property
    def max_steps(self) -> int:
        """Control steps until an episode is truncated, rounded up."""
        # floor division of a negative number, negated, rounds up
        return -(-self._scorer.rules.horizon_ticks // self.ticks_per_step)

    @property
    def position_units(self) -> tuple[str, ...]:
        """The unit of each position in `physics_state`: "m", "rad" or "quat"."""
        return position_units(self.model)

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Starts new episodes in some worlds.

        Args:
            ids: (n,) the indices of the worlds.
            seeds: the n seeds of their episodes.
        """
        ids = np.asarray(ids)
        if len(seeds) != len(ids):
            raise EmbodiedError(
                f"{counted(len(seeds), 'seed')} for {counted(len(ids), 'world')}"
            )
        self.episodes.sample(ids, [checked_seed(seed) for seed in seeds])
        self._flow.begin(ids)

    def rest(self, ids: Array) -> None:
        """Stops physics, clocks and frames of worlds `ids` (n,) until their next episodes."""
        self._flow.rest(ids)

    def begin_recorded(
        self, world: int, start: EpisodeStart, looks: Mapping[str, Any] | None = None
    ) -> None:
        """Begins a recorded episode again.

        Args:
            world: index of the world.
            start: the recorded start.
            looks: values for variables in `LOOKS`, which change only pictures, instead of
                the recorded values.

        Raises:
            EmbodiedError: the recorded fields or state do not fit the model.
        """
        self.episodes.write(world, start)
        if looks:
            self.episodes.change_looks(world, looks)
        self._flow.begin(np.array([world]))

    def snapshot(self, worlds: Ids = None) -> Snapshot:
        """Returns the complete state of one world, of several, or of all N."""
        ids = checked_ids(worlds, self.num_worlds)
        sampled = tuple(self.variation_of(world) for world in ids.tolist())
        return self._present.snapshot(ids, sampled)

    def restore(self, snapshot: Snapshot, worlds: Ids = None) -> None:
        """Restores worlds from a snapshot of these worlds, or of others of the same config.

        Args:
            snapshot: a snapshot of as many worlds as `worlds`, or of one world, which all
                of them then copy.
            worlds: the index of one world, several indices, or None for all N worlds.

        Raises:
            EmbodiedError: the snapshot is of another task, robot, control mode or
                model, or lacks the frames of these cameras.
        """
        ids = checked_ids(worlds, self.num_worlds)
        self._present.check(snapshot, len(ids))
        self._present.restore(snapshot, ids)
        # then restore values that are not arrays, and update values derived from arrays;
        # the snapshot of one world is repeated for all worlds
        repeats = len(ids) // len(snapshot)
        self.episodes.recall(ids, snapshot.sampled * repeats)
        self._scorer.recall(ids)

    def __reduce__(self) -> tuple[Any, ...]:
        """Lets `copy` and `pickle` make new worlds and restore a snapshot in them.

        Returns:
            The class, the arguments of its constructor, and that of `__setstate__`.
        """
        return type(self), (self.config, self.num_worlds), self.snapshot()

    def __setstate__(self, snapshot: Snapshot) -> None:
        self.restore(snapshot)

    def observe(self, privileged: bool = True) -> Observation:
        """Returns the current observation, after rendering the frames that are due.

        Args:
            privileged: whether to compute `environment_state`; otherwise its width is 0.
        """
        # render frames if the worlds have cameras
        tick = self._scorer.tick.copy()
        pixels: dict[str, np.ndarray] = {}
        pixels_tick = None
        if self.cameras:
            feed = self._pictures.feed
            feed.update(tick, self.episodes.pixel_sigma, self.episodes.seeds)
            pixels, pixels_tick = feed.newest()

        state = self.task.state() if privileged else np.zeros((self.num_worlds, 0))
        return Observation(
            tick=tick,
            agent_pos=self.proprioception.read(),
            environment_state=state,
            instruction=self.episodes.instructions,
            pixels=pixels,
            pixels_tick=pixels_tick,
        )

    def defer_frames(self) -> None:
        """From the next episodes on, observes moments, which another process renders.

        A moment stands in place of frames in `Observation.pixels` (see `sim.feed.Moments`).
        """
        self._pictures.defer_frames()

    def step(self, actions: Array) -> StepResult:
        """Makes one control step in all worlds.

        A world with a NaN or inf in its action gets a fault, and is reset to its start.
        The other worlds are not affected.

        Args:
            actions: (N, A) in [-1, 1]; values beyond are clipped.

        Raises:
            EmbodiedError: the actions have another shape.
        """
        actions, bad = as_actions(actions, self.num_worlds, self._action_labels)
        self.task.before_step(self._scorer.tick)
        self.control.apply(actions)
        control_step(self.engine, self.ticks_per_step)
        self._scorer.advance()

        if bad is not None or self.engine.has_fault():
            fault = self.engine.faults()
            if bad is not None:
                fault = np.where(bad, _BAD_ACTION, fault)
            self._flow.put_back(fault)
        if self._watch.is_due():
            # a world without an instruction has not begun an episode
            has_begun = np.array([bool(text) for text in self.instructions])
            self._watch.check(np.flatnonzero(self._scorer.is_sound() & has_begun))
        joint_target = self.control.joint_target.copy()
        return self._scorer.score(self.task.judge(), joint_target)

    def second_control(self) -> RobotControl:
        """Returns a copy of the control, which computes targets for actions not taken.

        The copy has the same state, but must not `apply` its targets.
        """
        control = RobotControl(
            self.robot, self.engine, self.config.control_mode, self.config.control_hz
        )
        control.follow(self.control, np.ones(self.num_worlds, bool))
        return control

    def safety(self, ticks: int) -> Safety:
        """Returns forces of the last `ticks` physics steps, and the joint margins now.

        Args:
            ticks: at most 20, or `ticks_per_step`.
        """
        return self._bound.safety.read(ticks)

    def integration_state(self) -> np.ndarray:
        """Returns a copy (N, S) float64 of MuJoCo's complete integration state."""
        return self.engine.state().copy()

    def physics_state(self) -> np.ndarray:
        """Returns (N, 1 + nq + nv) float64: time, positions, velocities."""
        view = self.engine.view
        parts = [view("time")[:, None], view("qpos"), view("qvel")]
        return np.concatenate(parts, axis=1)

    def put_physics_state(self, world: int, state: np.ndarray) -> None:
        """Sets one world to a recorded physics state.

        Args:
            world: index of the world.
            state: (1 + nq + nv,) a row of `physics_state`. The time in it is not used.
        """
        positions = self.engine.view("qpos")
        velocities = self.engine.view("qvel")
        stop = 1 + positions.shape[1]
        positions[world] = state[1:stop]
        velocities[world] = state[stop:]
        self.engine.refresh(np.array([world]))

    def checksum(self) -> np.ndarray:
        """Returns a checksum (N,) uint64 of the positions and velocities of each world.

        The checksum changes if any bit of them changes.
        """
        return state_checksum(self.physics_state()[:, 1:])

    def episode_start(self, world: int) -> EpisodeStart:
        """Returns the start of a world's episode; valid only right after its reset."""
        return self.episodes.start_of(world)

    def variation_of(self, world: int) -> dict[str, Any]:
        """Returns the sampled values of one world's present episode, as values for JSON."""
        return dict(self.episodes.sampled[world])

    def measures_of(self, world: int) -> dict[str, float]:
        """Returns the task's measures of one world's episode so far: name -> number."""
        return measured(self.spec, self.task, world)

    def render(
        self, world: int, camera: str, size: tuple[int, int] = (480, 640)
    ) -> np.ndarray:
        """Returns a high-quality picture (H, W, 3) uint8, with shadows."""
        return self._pictures.render(world, camera, size)

    def metadata(self) -> dict[str, Any]:
        """Returns the metadata of these worlds for a dataset or result, as JSON values."""
        return worlds_metadata(self)

    def close(self) -> None:
        """Frees GL contexts."""
        self._pictures.close()
        self.engine.close()


def _check(config: EnvConfig, num_worlds: int) -> None:
    """Raises EmbodiedError for another engine, or fewer than one world."""
    if config.engine != "cpu":
        raise EmbodiedError(
            f"the engine {config.engine!r} runs many worlds at once: use gymnasium.make_vec"
        )
    if num_worlds < 1:
        raise EmbodiedError(f"there must be at least 1 world, not {num_worlds}")
