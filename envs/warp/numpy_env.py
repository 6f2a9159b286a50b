"""Worlds on a device for those who work with numpy: arrays and infos like those of the
CPU's `GroundVectorEnv`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium.vector import VectorWrapper

from embodied.envs.spaces import row
from embodied.envs.warp.vector_env import WarpVectorEnv
from embodied.sim.engine import FAULTS

_FAULT_NAMES = np.array(FAULTS, dtype=object)


class NumpyVectorEnv(
    VectorWrapper[dict[str, Any], np.ndarray, dict[str, Any], torch.Tensor, Any]
):
    """`NumpyVectorEnv(gymnasium.make_vec("embodied/ToteTransfer-v0", num_envs=16,
    engine="warp"))`.

    Takes and gives numpy arrays, which waits for the device in each step. What an ended
    episode was like is in `final_info` and `final_obs`; of the one that begins in its
    place nothing is told but what it shows.
    """

    env: WarpVectorEnv

    def __init__(self, env: WarpVectorEnv) -> None:
        super().__init__(env)
        self.worlds = env.worlds

    @property
    def task_description(self) -> tuple[str, ...]:
        """The N episodes' instructions."""
        return tuple(
            self.worlds.instructions[start]
            for start in self.worlds.start_index.tolist()
        )

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """New episodes in all worlds."""
        shown, _ = self.env.reset(seed=seed, options=options)
        return _on_host(shown), {}

    def step(
        self, actions: np.ndarray
    ) -> tuple[dict[str, Any], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """One control step of all worlds; those that ended start anew."""
        given = torch.as_tensor(actions, dtype=torch.float32, device=self.worlds.device)
        shown, *judged, told = self.env.step(given)
        reward, terminated, truncated = (part.cpu().numpy() for part in judged)
        over = terminated | truncated
        columns = {
            name: told[name].cpu().numpy() for name in ("is_success", "progress")
        }
        columns["fault"] = _FAULT_NAMES[told["fault"].cpu().numpy()]
        info = _of_worlds(columns, ~over)
        if over.any():
            info |= {
                "final_obs": _rows(_on_host(told["final_obs"]), over),
                "_final_obs": over.copy(),
            }
            info |= {
                "final_info": _of_worlds(columns, over),
                "_final_info": over.copy(),
            }
        return _on_host(shown), reward, terminated, truncated, info

    def render(self) -> None:
        """Nothing: the engine `warp` draws no pictures for people."""


def _on_host(parts: dict[str, Any]) -> dict[str, Any]:
    """Arrays of their own: on the CPU a tensor's would share its memory."""
    return {
        name: _on_host(part) if isinstance(part, dict) else part.cpu().numpy().copy()
        for name, part in parts.items()
    }


def _of_worlds(columns: dict[str, np.ndarray], which: np.ndarray) -> dict[str, Any]:
    """Gymnasium's form for vectors: each column with a mask (N,) of the worlds it is
    told of.
    """
    return {**columns, **{f"_{name}": which.copy() for name in columns}}


def _rows(shown: dict[str, Any], which: np.ndarray) -> np.ndarray:
    """(N,) of dictionaries, None where `which` is not."""
    rows = np.full(len(which), None, dtype=object)
    for world in np.flatnonzero(which).tolist():
        rows[world] = row(shown, world)
    return rows
