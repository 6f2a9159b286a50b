"""Worlds on a GPU as a vector environment of numpy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorWrapper

from embodied.envs.infos import (
    FAULT_NAMES,
    RESET_KEYS,
    STEP_KEYS,
    Info,
    reset_info,
    restart_info,
    step_info,
)
from embodied.envs.spaces import ObservationDict
from embodied.envs.vector_env import rows_of
from embodied.envs.warp.vector_env import Tensors, WarpVectorEnv
from embodied.seeding import Seeds


class NumpyVectorEnv(
    VectorWrapper[ObservationDict, np.ndarray, Tensors, torch.Tensor, Any]
):
    """Converts a `WarpVectorEnv` to numpy, with the infos of `GroundVectorEnv`.

        NumpyVectorEnv(gymnasium.make_vec("embodied/ToteTransfer-v0", num_envs=16,
                                          engine="warp"))

    Every step waits for the device.
    """

    env: WarpVectorEnv

    def __init__(self, env: WarpVectorEnv) -> None:
        super().__init__(env)
        self.metadata = {**env.metadata, "torch": False}
        self.worlds = env.worlds

    @property
    def task_description(self) -> tuple[str, ...]:
        """The instructions of the N present episodes."""
        starts = self.worlds.start_index.tolist()  # the index of each world's start
        return tuple(self.worlds.instructions[start] for start in starts)

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[ObservationDict, Info]:
        """Starts new episodes in all worlds."""
        observation, _ = self.env.reset(seed=seed, options=options)
        info = reset_info(self._start_progress(), np.arange(self.num_envs))
        return _to_numpy(observation), info

    def step(
        self, actions: np.ndarray
    ) -> tuple[ObservationDict, np.ndarray, np.ndarray, np.ndarray, Info]:
        """Makes one control step of all worlds; worlds with ended episodes are reset."""
        on_device = torch.as_tensor(
            actions, dtype=torch.float32, device=self.worlds.device
        )
        # `judgement` has the reward, and whether episodes are terminated or truncated
        observation, *judgement, device_info = self.env.step(on_device)
        reward, terminated, truncated = (part.cpu().numpy() for part in judgement)
        # (N,) the worlds that were reset in this step
        has_ended = terminated | truncated

        columns = {
            name: device_info[name].cpu().numpy() for name in (*RESET_KEYS, *STEP_KEYS)
        }
        # names instead of indices, as on the engine `cpu`
        columns["fault"] = FAULT_NAMES[columns["fault"]]
        if has_ended.any():
            info = restart_info(columns, has_ended, self._start_progress())
            info["final_obs"] = rows_of(_to_numpy(device_info["final_obs"]), has_ended)
            info["_final_obs"] = has_ended.copy()
        else:
            info = step_info(columns)
        return _to_numpy(observation), reward, terminated, truncated, info

    def _start_progress(self) -> np.ndarray:
        """Returns the initial progress (N,) of the current episodes."""
        progress: np.ndarray = self.worlds.start_progress().cpu().numpy()
        return progress

    def render(self) -> None:
        """Does nothing: the engine `warp` has no high-quality pictures."""


def _to_numpy(parts: Tensors) -> ObservationDict:
    """Returns copies of tensors as numpy arrays, in the same nested dictionaries.

    The arrays share no memory with the tensors, even if these are on the CPU.
    """
    arrays = {}
    for name, part in parts.items():
        is_group = isinstance(part, dict)
        arrays[name] = _to_numpy(part) if is_group else part.cpu().numpy().copy()
    return arrays
