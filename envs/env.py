"""One world as a Gymnasium environment."""

from __future__ import annotations

from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium import spaces

from embodied.envs.config import EnvConfig
from embodied.envs.scoring import StepResult
from embodied.envs.spaces import Shown, action_space, row
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError, unknown
from embodied.seeding import checked_seed
from embodied.sim.engine import FAULTS
from embodied.sim.window import Window, has_display

RENDER_MODES = ("human", "rgb_array")
NOT_BEGUN = "no episode has begun: call reset first"
CLOSED = "this environment is closed: make a new one"


class GroundEnv(gymnasium.Env[dict[str, Any], np.ndarray]):
    """A task as `gymnasium.make` gives it. Observations: `embodied.envs.spaces.Shown`;
    actions (A,) in [-1, 1].

    Success is a state held for 0.5 s; it ends the episode only with
    `terminate_on_success`. `terminated`: nothing can be saved any more, or a fault. The
    episode truncates itself at the task's horizon. Every info has `is_success` (bool),
    `progress` (float in [0, 1]) and `fault` (its name, or empty); that of a step
    `Safety`'s signals, too. Raises EmbodiedError for unknown names, for actions of
    another shape, for a step before the first reset, and for anything after `close`.
    """

    observation_space: spaces.Dict

    def __init__(self, config: EnvConfig, render_mode: str | None = None) -> None:
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise unknown("render_mode", render_mode, RENDER_MODES)
        modes = RENDER_MODES if has_display() else RENDER_MODES[1:]
        self.metadata = {"render_modes": list(modes), "render_fps": config.control_hz}
        self.render_mode = render_mode
        self.worlds = Worlds(config)
        self._shown = Shown(self.worlds)
        self._window: Window | None = None
        self._no_episode = NOT_BEGUN  # why there is none; empty while there is
        self.observation_space = self._shown.space
        self.action_space = action_space(self.worlds)
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
        return self.worlds.max_steps

    @property
    def model(self) -> mujoco.MjModel:
        """The episode's model. A view that later calls refresh: copy what is to be
        kept.
        """
        return self.worlds.engine.world_model(0)

    @property
    def data(self) -> mujoco.MjData:
        """The present state, likewise. Writing to it does not change the world."""
        return self.worlds.engine.world_data(0)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """A new episode: the one of `seed`, or the next of this environment's own
        sequence.
        """
        if self._no_episode == CLOSED:
            raise EmbodiedError(CLOSED)
        given = None if seed is None else checked_seed(seed)
        super().reset(seed=given)
        for name in options or {}:
            raise unknown("reset option", name, ())
        self.worlds.reset(
            [0], [int(self.np_random.integers(2**63)) if given is None else given]
        )
        self._no_episode = ""
        progress = float(self.worlds.task.judge().progress[0])
        self._show()
        return row(self._shown.now(), 0), {
            "is_success": False,
            "progress": progress,
            "fault": "",
        }

    def step(
        self, action: np.ndarray
    ) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        """One control step; an action that is not finite ends the episode with the
        fault `action_not_finite`.
        """
        if self._no_episode:
            raise EmbodiedError(self._no_episode)
        done = self.worlds.step(np.asarray(action)[None])
        info = {
            "is_success": bool(done.success[0]),
            "progress": float(done.progress[0]),
            "fault": FAULTS[int(done.fault[0])],
            **self._safety(done),
        }
        self._show()
        ended = bool(done.terminated[0]), bool(done.truncated[0])
        return row(self._shown.now(), 0), float(done.reward[0]), *ended, info

    def _safety(self, done: StepResult) -> dict[str, Any]:
        felt = self.worlds.safety(self.worlds.ticks_per_step)
        return {
            "contact_force_n": float(felt.contact_force_n[0]),
            "collision": bool(felt.collision[0]),
            "joint_margin_rad": float(felt.joint_margin_rad[0]),
            "dropped": int(done.dropped[0]),
        }

    def render(self) -> np.ndarray | None:
        """(480, 640, 3) uint8 from the task's camera for people; None where a window
        shows it.
        """
        if self.render_mode is None:
            gymnasium.logger.warn(
                "render() needs a render_mode: gymnasium.make(..., render_mode='rgb_array')"
            )
            return None
        if self._no_episode:
            raise EmbodiedError(self._no_episode)
        if self.render_mode == "rgb_array":
            return self.worlds.render(0, self.worlds.spec.beauty_camera)
        self._show()
        return None

    def close(self) -> None:
        """Closes the window and frees GL contexts. May be called twice."""
        if self._window is not None:
            self._window.close()
            self._window = None
        self._no_episode = CLOSED
        self.worlds.close()

    def _show(self) -> None:
        if self._window is not None:
            self._window.show()


def make_env(task: str, render_mode: str | None = None, **arguments: Any) -> GroundEnv:
    """The entry point of `gymnasium.make`; `arguments` are EnvConfig's."""
    return GroundEnv(EnvConfig.of({"task": task, **arguments}), render_mode)
