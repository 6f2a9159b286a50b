"""Adapts a batch of worlds to the vector interface of Stable-Baselines3."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env import VecEnv

from embodied.core import seconds_to_ticks
from embodied.envs.vector_env import PER_WORLD, GroundVectorEnv
from embodied.envs.warp.numpy_env import NumpyVectorEnv
from embodied.envs.warp.vector_env import WarpVectorEnv
from embodied.errors import EmbodiedError
from embodied.seeding import checked_seed


class SB3VecEnv(VecEnv):
    """A batch of worlds, on either engine, as a `VecEnv` of Stable-Baselines3.

    `SB3VecEnv(gymnasium.make_vec("embodied/ToteTransfer-v0", num_envs=16))` makes one.
    Stable-Baselines3 by itself refuses an environment with pixels ("Nested observation
    spaces are not supported"), so here observations are flattened to one level:
    `pixels` becomes `pixels/<camera>`, with a slash because torch allows no dot in a
    module's name. To log episodes, wrap this environment in SB3's VecMonitor.
    """

    observation_space: spaces.Dict

    def __init__(
        self,
        env: GroundVectorEnv | WarpVectorEnv,
        after_success_s: float | None = None,
    ) -> None:
        """Wraps a vector environment.

        Args:
            env: An environment with the autoreset mode SameStep.
            after_success_s: How long after its first success an episode is truncated, so
                that a learner sees whether the success lasts. None lets episodes run to
                their horizon. The engine `warp` supports only None.

        Raises:
            EmbodiedError: The environment is none of this package, has another autoreset
                mode, or its engine does not support `after_success_s`.
        """
        if not isinstance(env, GroundVectorEnv | WarpVectorEnv):
            raise EmbodiedError(
                f"SB3VecEnv takes what gymnasium.make_vec(...) returns, not {env}: leave "
                "out Gymnasium's wrappers and vectorization_mode, and wrap it in those "
                "of Stable-Baselines3"
            )
        mode = env.metadata["autoreset_mode"]
        if mode != AutoresetMode.SAME_STEP:
            raise EmbodiedError(
                f"autoreset_mode {mode.value}: Stable-Baselines3 needs SameStep"
            )
        if isinstance(env, WarpVectorEnv) and after_success_s is not None:
            raise EmbodiedError(
                "the engine 'warp' ends episodes by itself: leave out after_success_s"
            )
        self.env: Any = NumpyVectorEnv(env) if isinstance(env, WarpVectorEnv) else env
        # physics ticks from the first success to the truncation; None for no such limit
        self._ticks_after_success: int | None = None
        if after_success_s is not None:
            self._ticks_after_success = seconds_to_ticks(after_success_s)

        self._actions = np.zeros(env.action_space.shape or (), np.float32)
        # (N,) ticks since the episode's first success; -1 if there was none
        self._since_success = np.full(env.num_envs, -1)
        space = spaces.Dict(flat(env.single_observation_space))
        super().__init__(env.num_envs, space, env.single_action_space)
        # SB3's VecVideoRecorder and VecMonitor read these
        self.metadata["render_fps"] = env.metadata["render_fps"]
        self.spec = env.spec

    def reset(self) -> dict[str, np.ndarray]:
        """Starts new episodes in all worlds.

        The seeds are taken from the last call of `seed`. Without such a call, each world
        takes the next seed of its own sequence.
        """
        self._since_success[:] = -1
        # SB3 keeps options per world, but the environment takes one set for all worlds
        observation, info = self.env.reset(
            seed=list(self._seeds), options=self._options[0]
        )
        self.reset_infos = [_of_world(info, i) for i in range(self.num_envs)]
        self._reset_seeds()
        self._reset_options()
        return flat(observation)

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Sets the seeds of the next reset to seed, seed + 1, ...; None for any seeds."""
        return super().seed(None if seed is None else checked_seed(seed))

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def step_wait(
        self,
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Makes the control step with the actions of `step_async`.

        If a world's episode ends, the world's observation is the first of its next
        episode, and its info has the last observation of the episode that ended.
        """
        nested, reward, terminated, truncated, info = self.env.step(self._actions)
        over = terminated | truncated
        observation = flat(nested)

        # one dictionary per world, about the episode that this step belongs to
        infos = []
        for i in range(self.num_envs):
            world_info = _of_world(info["final_info"] if over[i] else info, i)
            is_truncated = bool(truncated[i] and not terminated[i])
            world_info["TimeLimit.truncated"] = is_truncated
            if over[i]:
                world_info["terminal_observation"] = flat(info["final_obs"][i])
                self.reset_infos[i] = _of_world(info, i)
            infos.append(world_info)

        if self._ticks_after_success is not None:
            is_due = self._update_truncation(infos, over)
            if is_due.any():
                observation = self._truncate(is_due, observation, infos)
                over = over | is_due
        return observation, reward.astype(np.float32), over, infos

    def _update_truncation(
        self, infos: list[dict[str, Any]], over: np.ndarray
    ) -> np.ndarray:
        """Returns (N,) bool, whether each world's first success is `after_success_s` ago.

        The method also updates how long ago that was.

        Args:
            infos: the info of each world for the step just made.
            over: (N,) bool, the worlds whose episode has ended in this step anyway.
        """
        success = np.array([info["is_success"] for info in infos])
        # (N,) ticks since the first success; -1 before it
        since = self._since_success

        # a world's count starts at 0 with the first success, then advances in each step
        has_started = since >= 0
        started = np.where(success, 0, -1)
        advanced = since + self.env.worlds.ticks_per_step
        since[:] = np.where(has_started, advanced, started)
        since[over] = -1
        return since >= self._ticks_after_success

    def _truncate(
        self,
        is_due: np.ndarray,
        last_observation: dict[str, np.ndarray],
        infos: list[dict[str, Any]],
    ) -> dict[str, np.ndarray]:
        """Truncates the episodes of some worlds, and starts new ones.

        These episodes count as truncated, not as terminated, although they have succeeded:
        the task could have gone on, so a learner must bootstrap the value of the last state.

        Args:
            is_due: (N,) bool, the worlds whose episodes are truncated.
            last_observation: The observation of all worlds after the step.
            infos: The info of each world. The infos of truncated episodes are completed
                in place.

        Returns:
            The observation of all worlds, with the first one of each new episode.
        """
        first_observation, info = self.env.reset(options={"reset_mask": is_due})
        for i in np.flatnonzero(is_due).tolist():
            infos[i]["terminal_observation"] = {
                name: values[i] for name, values in last_observation.items()
            }
            infos[i]["TimeLimit.truncated"] = True
            self.reset_infos[i] = _of_world(info, i)
        self._since_success[is_due] = -1
        return flat(first_observation)

    def close(self) -> None:
        self.env.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """Returns a picture of each world, with the render_mode rgb_array."""
        return self.env.render() or [None] * self.num_envs

    def get_attr(
        self, attr_name: str, indices: int | Iterable[int] | None = None
    ) -> list[Any]:
        """Returns the values of an attribute for some worlds, or for all."""
        value = getattr(self.env, attr_name)
        return [
            value[i] if attr_name in PER_WORLD else value
            for i in self._get_indices(indices)
        ]

    def set_attr(
        self, attr_name: str, value: Any, indices: int | Iterable[int] | None = None
    ) -> None:
        """Refuses: there are no single environments whose attributes could be set."""
        raise EmbodiedError(
            f"cannot set {attr_name!r}: worlds of a batch have no attributes of their own"
        )

    def env_method(
        self,
        method_name: str,
        *method_args: Any,
        indices: int | Iterable[int] | None = None,
        **method_kwargs: Any,
    ) -> list[Any]:
        """Refuses: there are no single environments whose methods could be called."""
        raise EmbodiedError(
            f"cannot call {method_name!r}: worlds of a batch have no methods of their own, use .env"
        )

    def env_is_wrapped(
        self, wrapper_class: type, indices: int | Iterable[int] | None = None
    ) -> list[bool]:
        """Returns False for each world: there are no single environments to wrap."""
        return [False for _ in self._get_indices(indices)]


def flat(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a nested dictionary as a dictionary of a single level, with joined keys.

    For example, {"pixels": {"front": x}} becomes {"pixels/front": x}.
    """
    result: dict[str, Any] = {}
    for key, part in parts.items():
        if isinstance(part, Mapping):
            result.update(
                {f"{key}/{inner}": value for inner, value in flat(part).items()}
            )
        else:
            result[key] = part
    return result


def _of_world(info: dict[str, Any], world: int) -> dict[str, Any]:
    """Returns the info of one world, in the form that a single environment returns.

    Args:
        info: The info of a Gymnasium vector environment, with masks `_<key>`.
        world: The index of the world.
    """
    values = {}
    for name, column in info.items():
        # skip masks, infos of ended episodes, and values not valid for this world
        if name.startswith(("_", "final_")) or not info[f"_{name}"][world]:
            continue
        value = column[world]
        values[name] = value.item() if isinstance(value, np.generic) else value
    return values
