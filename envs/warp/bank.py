"""The bank of episode starts in the device's memory."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from embodied.envs.warp.starts import StartBank
from embodied.sim.warp.engine import WarpEngine


class DeviceBank:
    """Holds the S starts on the device, and writes any of them into any of N worlds.

    The bank must be made with the device as torch's default, as in `with device:`.
    """

    def __init__(self, starts: StartBank, engine: WarpEngine) -> None:
        """Copies the starts to the device."""
        self._engine = engine
        self._size = len(starts)
        varied = engine.model_views()
        # name of a field of the engine's state, or of its model -> values (S, ...)
        self._state = {
            name: _with_dtype_of(engine.view(name), values)
            for name, values in starts.state.items()
        }
        self._fields = {
            name: _with_dtype_of(varied[name], values)
            for name, values in starts.fields.items()
        }

        # state outside of the engine: the task's memory and the encoder bias, (S, ...)
        self._parameters = {
            name: torch.as_tensor(values) for name, values in starts.parameters.items()
        }
        self._encoder_bias = torch.as_tensor(starts.encoder_bias, dtype=torch.float32)

        # (S,) the initial progress of each start
        self.progress = torch.as_tensor(starts.progress, dtype=torch.float32)

    def __len__(self) -> int:
        return self._size

    def load(
        self,
        which: torch.Tensor,
        index: torch.Tensor,
        parameters: Mapping[str, torch.Tensor],
        encoder_bias: torch.Tensor,
    ) -> None:
        """Writes starts into worlds, in place.

        Args:
            which: (N,) bool, the worlds to write to.
            index: (N,) int64, the start of each world; not used where `which` is false.
            parameters: the arrays of the task's `memory()`, (N, ...) each, to write to.
            encoder_bias: (N, J) the proprioception's array of biases, to write to.
        """
        # the engine's state, then the fields of its model that differ between worlds
        varied = self._engine.model_views()
        for name, values in self._state.items():
            _write(self._engine.view(name), which, values[index])
        for name, values in self._fields.items():
            _write(varied[name], which, values[index])
        # the state outside of the engine
        for name, values in self._parameters.items():
            target = parameters[name]
            _write(target, which, values[index].to(target.dtype))
        _write(encoder_bias, which, self._encoder_bias[index])


def _with_dtype_of(like: torch.Tensor, values: object) -> torch.Tensor:
    """Returns values as a tensor of the dtype of `like`, on torch's default device."""
    return torch.as_tensor(values, dtype=like.dtype)


def _write(target: torch.Tensor, which: torch.Tensor, values: torch.Tensor) -> None:
    """Copies the rows `which` (N,) bool from `values` to `target`, (N, ...) each."""
    is_written = which.view(-1, *[1] * (target.ndim - 1))  # (N, 1, ...)
    target[...] = torch.where(is_written, values, target)
