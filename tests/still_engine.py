"""An engine of torch tensors in whose worlds nothing happens."""

from __future__ import annotations

from typing import Any

import array_api_compat.torch
import mujoco
import numpy as np
import torch

from embodied.core import Array
from embodied.sim.engine import Watcher
from embodied.sim.warp.engine import Buffers


class StillEngine:
    """Stands for `WarpEngine` where Warp is not needed."""

    def __init__(
        self,
        model: mujoco.MjModel,
        num_worlds: int,
        buffers: Buffers,
        differing: dict[str, np.ndarray],
        device: str,
    ) -> None:
        self.model = model
        self.num_worlds = num_worlds
        self.watchers: list[Watcher] = []
        self.device = device
        self.bytes_per_world = 0
        self.xp: Any = array_api_compat.torch

        # What worlds have of their own is kept as tensors; the one MjData serves them
        # all.
        self._version = 0
        self._data = mujoco.MjData(model)
        self._varied = {
            name: torch.as_tensor(values, dtype=torch.float32)
            for name, values in differing.items()
        }
        self._views: dict[str, torch.Tensor] = {}
        self._faults = torch.zeros(num_worlds, dtype=torch.int64)

    def view(self, field: str) -> Array:
        if field not in self._views:
            shape = np.shape(getattr(self._data, field))
            self._views[field] = torch.zeros(
                (self.num_worlds, *shape), device=self._faults.device
            )
        return self._views[field]

    def model_view(self, field: str) -> Array:
        return self._varied[field]

    def model_views(self) -> dict[str, Array]:
        return self._varied

    @property
    def version(self) -> int:
        """A new one each time, as of `WarpEngine`."""
        self._version += 1
        return self._version

    def refresh(self) -> None:
        pass

    def step(self, nstep: int) -> None:
        pass

    def faults(self) -> Array:
        return self._faults

    def forget_faults(self, worlds: Array) -> None:
        pass
