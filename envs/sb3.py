"""A batch of worlds for Stable-Baselines3, which has a vector interface of its own. The
only module that imports it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env import VecEnv

from embodied.envs.vector_env import PER_WORLD, GroundVectorEnv
from embodied.envs.warp.numpy_env import NumpyVectorEnv
from embodied.envs.warp.vector_env import WarpVectorEnv
from embodied.errors import EmbodiedError


class SB3VecEnv(VecEnv):
    """`SB3VecEnv(gymnasium.make_vec("embodied/ToteTransfer-v0", num_envs=16))`, of
    either engine.

    Observations are one level deep: `pixels` becomes `pixels/<camera>` (torch allows no
    dot in a module's name). Wrap it in SB3's VecMonitor for its logs.
    """

    observation_space: spaces.Dict

    def __init__(self, env: GroundVectorEnv | WarpVectorEnv) -> None:
        mode = env.metadata["autoreset_mode"]
        if mode != AutoresetMode.SAME_STEP:
            raise EmbodiedError(
                f"autoreset_mode {mode.value}: Stable-Baselines3 needs SameStep"
            )
        self.env: Any = NumpyVectorEnv(env) if isinstance(env, WarpVectorEnv) else env
        self._actions = np.zeros(env.action_space.shape or (), np.float32)
        space = spaces.Dict(flat(env.single_observation_space))
        super().__init__(env.num_envs, space, env.single_action_space)

    def reset(self) -> dict[str, np.ndarray]:
        """New episodes of the seeds that `seed` has set, else of each world's own
        sequence.
        """
        shown, info = self.env.reset(seed=list(self._seeds), options=self._options[0])
        self.reset_infos = [_of_world(info, i) for i in range(self.num_envs)]
        self._reset_seeds()
        self._reset_options()
        return flat(shown)

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def step_wait(
        self,
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """What `step_async` asked for. A world that ended shows its next episode; its
        info has the last one's end.
        """
        shown, reward, terminated, truncated, info = self.env.step(self._actions)
        over = terminated | truncated
        infos = [
            _of_world(info["final_info"] if over[i] else info, i)
            for i in range(self.num_envs)
        ]
        for i, world in enumerate(infos):
            world["TimeLimit.truncated"] = bool(truncated[i] and not terminated[i])
            if over[i]:
                world["terminal_observation"] = flat(info["final_obs"][i])
                self.reset_infos[i] = _of_world(info, i)
        return flat(shown), reward.astype(np.float32), over, infos

    def close(self) -> None:
        self.env.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        """A picture of each world, with render_mode rgb_array."""
        return self.env.render() or [None] * self.num_envs

    def get_attr(
        self, attr_name: str, indices: int | Iterable[int] | None = None
    ) -> list[Any]:
        """The attribute, once for each world."""
        value = getattr(self.env, attr_name)
        return [
            value[i] if attr_name in PER_WORLD else value
            for i in self._get_indices(indices)
        ]

    def set_attr(
        self, attr_name: str, value: Any, indices: int | Iterable[int] | None = None
    ) -> None:
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
        raise EmbodiedError(
            f"cannot call {method_name!r}: worlds of a batch have no methods of their own, use .env"
        )

    def env_is_wrapped(
        self, wrapper_class: type, indices: int | Iterable[int] | None = None
    ) -> list[bool]:
        """Never: there are no single environments to wrap."""
        return [False for _ in self._get_indices(indices)]


def flat(parts: Mapping[str, Any]) -> dict[str, Any]:
    """{"pixels": {"front": x}} to {"pixels/front": x}."""
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
    """What Gymnasium's infos for vectors say of one world, as a single environment
    would say it.
    """
    names = [
        name
        for name in info
        if not name.startswith(("_", "final_")) and info[f"_{name}"][world]
    ]
    values = {name: info[name][world] for name in names}
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in values.items()
    }
