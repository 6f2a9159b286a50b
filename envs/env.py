"""One world as a Gymnasium environment."""

from __future__ import annotations

from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium import spaces

from embodied.envs.actions import as_numbers
from embodied.envs.config import EnvConfig
from embodied.envs.infos import Info, single_reset_info, single_step_info
from embodied.envs.making import RENDER_MODES
from embodied.envs.reset_options import checked_options
from embodied.envs.snapshot import SEQUENCE, Snapshot
from embodied.envs.spaces import ObservationDict, Observer, action_space, world_row
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError, unknown
from embodied.seeding import checked_seed, generator_at, generator_words
from embodied.sim.window import Window, has_display

NOT_BEGUN = "no episode has begun: call reset first"
CLOSED = "this environment is closed: make a new one"


class GroundEnv(gymnasium.Env[ObservationDict, np.ndarray]):
    """The environment of one world that `gymnasium.make` returns.

    `embodied.envs.spaces.Observer` documents observations, and `embodied.envs.infos`
    documents infos. Actions are (A,) in [-1, 1]. An episode is a success once the task has
    been done for 0.5 s without interruption; this ends the episode only with
    `terminate_on_success`. `terminated` means a fault, or that the task can no longer
    succeed. The episode is truncated at the task's horizon.

    Actions outside [-1, 1] are clipped. Steps after the end of an episode are allowed: the
    world goes on, and each step is `truncated` or `terminated`, until `reset`. A fault puts
    the world back to its start. `render` draws the present state, so it needs a `reset`
    first. Calls may come from any thread, one at a time.

    With pixels, observations are nested dictionaries, which Stable-Baselines3 refuses
    ("Nested observation spaces are not supported"). With Stable-Baselines3, use
    `embodied.envs.sb3.SB3VecEnv(gymnasium.make_vec(...))`, which flattens observations.

    Raises:
        EmbodiedError: for unknown names, for actions of another shape, for a step or a
            picture before the first reset, and for any call after `close`.
    """

    observation_space: spaces.Dict

    def __init__(self, config: EnvConfig, render_mode: str | None = None) -> None:
        """Makes the world; the first episode begins with `reset`.

        Args:
            config: the config of the world.
            render_mode: "human", which needs a display, "rgb_array", or None.
        """
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise unknown("render_mode", render_mode, RENDER_MODES)
        modes = RENDER_MODES if has_display() else RENDER_MODES[1:]  # without "human"
        self.metadata = {"render_modes": list(modes), "render_fps": config.control_hz}
        self.render_mode = render_mode

        self.worlds = Worlds(config)
        self._observer = Observer(self.worlds)
        self.observation_space = self._observer.space
        self.action_space = action_space(self.worlds.interface)
        # why there is no episode, for error messages; empty while there is one
        self._why_no_episode = NOT_BEGUN

        self._window: Window | None = None
        if render_mode == "human":
            self._window = Window(self.worlds.engine)

    @property
    def task(self) -> str:
        """The task's name."""
        return self.worlds.spec.name

    @property
    def task_description(self) -> str:
        """The episode's instruction."""
        return self.worlds.instructions[0]

    @property
    def _max_episode_steps(self) -> int:
        """The number of steps until truncation; third-party wrappers read this name."""
        return self.worlds.max_steps

    @property
    def model(self) -> mujoco.MjModel:
        """The episode's MuJoCo model. It is valid until the next call: copy it to keep it."""
        return self.worlds.engine.world_model(0)

    @property
    def data(self) -> mujoco.MjData:
        """The present MuJoCo state, valid until the next call. Writes have no effect."""
        return self.worlds.engine.world_data(0)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObservationDict, Info]:
        """Starts a new episode.

        Args:
            seed: the seed of the episode; None for the next seed of this environment's
                own sequence.
            options: this environment has no options; options of frameworks are ignored.
        """
        if self._why_no_episode == CLOSED:
            raise EmbodiedError(CLOSED)
        given = None if seed is None else checked_seed(seed)
        checked_options(options)
        super().reset(seed=given)  # seeds `np_random` anew if a seed is given

        episode_seed = int(self.np_random.integers(2**63)) if given is None else given
        self.worlds.reset([0], [episode_seed])
        self._why_no_episode = ""
        info = single_reset_info(self.worlds.task.judge().progress)
        self._update_window()
        return world_row(self._observer.observe(), 0), info

    def step(
        self, action: np.ndarray
    ) -> tuple[ObservationDict, float, bool, bool, Info]:
        """Makes one control step with an action (A,), which is clipped to [-1, 1].

        An action with a NaN or inf ends the episode with the fault `action_not_finite`.
        """
        if self._why_no_episode:
            raise EmbodiedError(self._why_no_episode)

        worlds = self.worlds
        result = worlds.step(as_numbers(action)[None])
        info = single_step_info(result, worlds.safety(worlds.ticks_per_step))
        self._update_window()

        return (
            world_row(self._observer.observe(), 0),
            float(result.reward[0]),
            bool(result.terminated[0]),
            bool(result.truncated[0]),
            info,
        )

    def snapshot(self) -> Snapshot:
        """Returns the whole present state, including the sequence of later seeds.

        The snapshot is plain data. It does not include the state of wrappers, which
        `copy.deepcopy` of the whole environment copies, too.
        """
        if self._why_no_episode:
            raise EmbodiedError(self._why_no_episode)
        words = generator_words(self.np_random)
        return self.worlds.snapshot().with_arrays({SEQUENCE: words[None]})

    def restore(self, snapshot: Snapshot) -> ObservationDict:
        """Continues from a snapshot of this environment or of another.

        It can also be a snapshot of one world of a vector environment, or of `Worlds`. A
        snapshot of `Worlds` has no sequence of seeds, so this environment keeps its own.

        Returns:
            The observation that the step or reset before the snapshot returned.

        Raises:
            EmbodiedError: the snapshot is of another task, robot, control mode or
                model, or lacks the frames of these cameras.
        """
        if self._why_no_episode == CLOSED:
            raise EmbodiedError(CLOSED)
        self.worlds.restore(snapshot)
        if SEQUENCE in snapshot.arrays:
            self.np_random = generator_at(snapshot.arrays[SEQUENCE][0])
        self._why_no_episode = ""
        self._update_window()
        return world_row(self._observer.observe(), 0)

    def __getstate__(self) -> dict[str, Any]:
        """Returns the state for `copy` and `pickle`, without the window."""
        return {**vars(self), "_window": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if self.render_mode == "human" and self._why_no_episode != CLOSED:
            self._window = Window(self.worlds.engine)

    def render(self) -> np.ndarray | None:
        """Draws the present state, seen by the task's camera for pictures.

        Returns:
            The picture (480, 640, 3) uint8; None if a window shows it, or if there is no
            `render_mode`.

        Raises:
            EmbodiedError: no episode has begun.
        """
        if self.render_mode is None:
            gymnasium.logger.warn(
                "render() needs a render_mode: gymnasium.make(..., render_mode='rgb_array')"
            )
            return None
        if self._why_no_episode:
            raise EmbodiedError(self._why_no_episode)
        if self.render_mode == "rgb_array":
            return self.worlds.render(0, self.worlds.spec.beauty_camera)
        self._update_window()
        return None

    def close(self) -> None:
        """Closes the window and frees GL contexts. May be called twice."""
        if self._window is not None:
            self._window.close()
            self._window = None
        self._why_no_episode = CLOSED
        self.worlds.close()

    def _update_window(self) -> None:
        if self._window is not None:
            self._window.show()
