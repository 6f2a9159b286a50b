"""N worlds on a GPU as one Gymnasium vector environment whose arrays are torch tensors
on the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from embodied.envs.config import EnvConfig
from embodied.envs.env import CLOSED, NOT_BEGUN
from embodied.envs.warp.worlds import WarpStepResult, WarpWorlds
from embodied.errors import EmbodiedError, unknown
from embodied.sim.engine import FAULTS

Tensors = dict[str, Any]
# in the bank; where there are pictures, at least one a world
LEAST_STARTS = 1024
MOST_STARTS = 4096


class WarpVectorEnv(VectorEnv[Tensors, torch.Tensor, torch.Tensor]):
    """What `gymnasium.make_vec(..., engine="warp")` gives: observations like the CPU's,
    autoreset in the same step.

    `infos` has `is_success`, `progress`, `fault` (an index into
    `embodied.sim.engine.FAULTS`) and `final_obs`, a row a world. For numpy arrays wrap
    it in Gymnasium's `ArrayConversion`, or in `NumpyVectorEnv`, whose infos are like the
    CPU's. World i of reset(seed=s) begins with the start of seed s + i, counted round
    the bank's. Pixels are rendered on the device in each step, with the variation's
    noise; with a `camera_hz` worlds show the frame that is due by their clock.
    `WarpCameras` says what looks different. Raises EmbodiedError for what only the CPU
    engine does.
    """

    observation_space: spaces.Dict
    single_observation_space: spaces.Dict

    def __init__(self, config: EnvConfig, num_envs: int = 1) -> None:
        self.num_envs = num_envs
        self.render_mode = None
        self._has_begun = False
        self.metadata = {"render_modes": [], "autoreset_mode": AutoresetMode.SAME_STEP}
        # a picture of each is kept
        starts = num_envs if config.obs != "state" else max(num_envs, LEAST_STARTS)
        self.worlds = WarpWorlds(
            config, num_envs, min(starts, MOST_STARTS), config.device
        )
        self.single_observation_space = self.worlds.space
        self.single_action_space = spaces.Box(
            -1.0, 1.0, (len(self.worlds.interface.low),)
        )
        parts = self.single_observation_space.items()
        self.observation_space = spaces.Dict(
            {name: batch_space(part, num_envs) for name, part in parts}
        )
        self.action_space = batch_space(self.single_action_space, num_envs)
        boxes = {
            name: part
            for name, part in parts
            if isinstance(part, spaces.Box) and name != "pixels_age"
        }
        self._bounds = {
            name: torch.as_tensor(box.high, device=self.worlds.device)
            for name, box in boxes.items()
        }

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Tensors, Tensors]:
        """New episodes in all worlds, those that are next or, with a seed, those of
        that seed.
        """
        if self.closed:
            raise EmbodiedError(CLOSED)
        for name in options or {}:
            raise unknown("reset option", name, ())
        self._has_begun = True
        return self._shown(*self.worlds.reset(self._starts(seed))), {}

    def _starts(self, seed: int | Sequence[int | None] | None) -> list[int] | None:
        """(N,) of the bank, or None for those that are next."""
        if isinstance(seed, int | np.integer):
            return [int(seed) + world for world in range(self.num_envs)]
        given = [int(one) for one in seed or () if one is not None]
        if given and len(given) != self.num_envs:
            raise EmbodiedError(f"{len(given)} seeds for {self.num_envs} worlds")
        return given or None

    def step(
        self, actions: torch.Tensor
    ) -> tuple[Tensors, torch.Tensor, torch.Tensor, torch.Tensor, Tensors]:
        """One control step of all worlds; those that ended start anew."""
        if self.closed or not self._has_begun:
            raise EmbodiedError(CLOSED if self.closed else NOT_BEGUN)
        if tuple(actions.shape) != self.action_space.shape:
            raise EmbodiedError(
                f"actions of shape {tuple(actions.shape)}, expected {self.action_space.shape}"
            )
        done = self.worlds.step(actions)
        shown = self._shown(done.agent_pos, done.environment_state)
        return shown, done.reward, done.terminated, done.truncated, self._info(done)

    def _info(self, done: WarpStepResult) -> Tensors:
        final = self._shown(
            done.final_agent_pos, done.final_environment_state, final=True
        )
        named = {
            "is_success": done.success,
            "progress": done.progress,
            "fault": done.fault,
            "final_obs": final,
        }
        return {**named, "_final_obs": done.terminated | done.truncated}

    def _shown(
        self,
        agent_pos: torch.Tensor,
        environment_state: torch.Tensor,
        final: bool = False,
    ) -> Tensors:
        values = {"agent_pos": agent_pos, "environment_state": environment_state}
        shown: Tensors = {
            name: values[name].float().clamp(-bound, bound)
            for name, bound in self._bounds.items()
        }
        feed = self.worlds.feed
        if feed is not None:
            frames, age_s = (
                (feed.final(), feed.final_age_s)
                if final
                else (feed.newest(), feed.age_s)
            )
            shown["pixels"] = {name: frame.clone() for name, frame in frames.items()}
            shown["pixels_age"] = age_s.clone()
        return shown

    @staticmethod
    def fault_name(index: int) -> str:
        """The name of a fault in `infos`."""
        return FAULTS[index]

    def close_extras(self, **kwargs: Any) -> None:
        """Lets go of the device's arrays."""
        self.worlds.engine.close()
