"""Worlds on a GPU: `mujoco_warp`, every array a torch tensor that looks into the device's own memory.

Runs on Warp's CPU device too, slowly: that is how it is tested where there is no GPU.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np

from embodied.core import Array
from embodied.errors import EmbodiedError
from embodied.sim.engine import FAULTS

if TYPE_CHECKING:
    import torch

STATE = (
    *("time", "qpos", "qvel", "act", "history", "qacc_warmstart", "ctrl", "qfrc_applied", "xfrc_applied"),
    *("mocap_pos", "mocap_quat"),
)  # fields from which a world continues; what the CPU's integration state has, too
HEADROOM = 2.0  # buffers over what was measured


@dataclass(frozen=True)
class Buffers:
    """How many contacts and constraint rows a world may have at once."""

    contacts: int
    constraints: int

    @classmethod
    def of(cls, most_contacts: int, most_constraints: int) -> Buffers:
        """From the most that was seen, with headroom."""
        return cls(int(HEADROOM * most_contacts) + 16, int(HEADROOM * most_constraints) + 32)


class WarpEngine:
    """N worlds on one device. `differing`: model fields in which worlds may differ -> their first values (N, ...).

    Raises EmbodiedError where mujoco_warp is missing, no such device exists, or the model has what it cannot do.
    """

    def __init__(
        self, model: mujoco.MjModel, num_worlds: int, buffers: Buffers, differing: Mapping[str, np.ndarray], device: str
    ) -> None:
        self._warp, self._mjw = _load("warp"), _load("mujoco_warp")
        self.device = _device(self._warp, device)
        self.model, self.num_worlds = _without_autoreset(model), num_worlds
        self.xp: Any = importlib.import_module("array_api_compat.torch")
        self._views: dict[str, torch.Tensor] = {}
        self._varied: dict[str, torch.Tensor] = {}
        with self._warp.ScopedDevice(self.device):
            self._model = self._put_model(differing)
            self._data = self._mjw.make_data(
                self.model, nworld=num_worlds, nconmax=buffers.contacts, njmax=buffers.constraints
            )
        # mujoco_warp leaves geoms that are fixed to the world where the one compiled model has them
        self._unwelded = replace(self._model, body_weldid=self._warp.full_like(self._model.body_weldid, 1))
        self._model.opt.warn_overflow = 0  # counted by world instead
        self._overflow = self._tensor(self._data.overflow)
        stages = self.model.sensor_needstage
        late = [
            range(int(adr), int(adr + dim))
            for adr, dim, stage in zip(self.model.sensor_adr, self.model.sensor_dim, stages, strict=True)
            if stage == mujoco.mjtStage.mjSTAGE_ACC
        ]
        self._late_sensors = [k for columns in late for k in columns]

    def _put_model(self, differing: Mapping[str, np.ndarray]) -> Any:
        known = {name: values for name, values in differing.items() if values.shape[0] == self.num_worlds}
        try:
            device_model = self._mjw.put_model(self.model, batch_sizes=dict.fromkeys(known, self.num_worlds))
        except (NotImplementedError, ValueError) as error:
            raise EmbodiedError(f"the engine 'warp' cannot run this model: {error}") from error
        for name, values in known.items():
            self._varied[name] = self._shaped(getattr(device_model, name), getattr(self.model, name).shape)
            self._varied[name][...] = self._torch().as_tensor(values, dtype=self._varied[name].dtype)
        return device_model

    @staticmethod
    def _torch() -> Any:
        return importlib.import_module("torch")

    def _tensor(self, array: Any) -> torch.Tensor:
        tensor: torch.Tensor = self._warp.to_torch(array)
        return tensor

    def _shaped(self, array: Any, shape: tuple[int, ...]) -> torch.Tensor:
        """The array with the shape that MuJoCo's own field has, after the worlds."""
        return self._tensor(array).view(self.num_worlds, *shape)

    def view(self, field: str) -> Array:
        if field not in self._views:
            shape = getattr(mujoco.MjData(self.model), field).shape if field != "time" else ()
            self._views[field] = self._shaped(getattr(self._data, field), shape)
        return self._views[field]

    def vary(self, field: str) -> Array:
        if field not in self._varied:
            raise EmbodiedError(f"worlds of the engine 'warp' do not differ in {field}; in {sorted(self._varied)}")
        return self._varied[field]

    def varied(self) -> dict[str, Array]:
        return dict(self._varied)

    def working(self) -> AbstractContextManager[Any]:
        """Within it Warp works on the engine's device."""
        return self._warp.ScopedDevice(self.device)

    def device_structs(self) -> tuple[Any, Any]:
        """mujoco_warp's own model and data, for what else runs on the device."""
        return self._model, self._data

    def refresh(self) -> None:
        """Position and velocity fields and sensors of all worlds, after writes to their model or state."""
        with self._warp.ScopedDevice(self.device):
            self._mjw.kinematics(self._unwelded, self._data)
            self._mjw.step1(self._model, self._data)

    def step(self, nstep: int) -> None:
        """All worlds on by `nstep` ticks. Needs position and velocity fields that are current, and leaves them so."""
        sensors = self.view("sensordata")
        with self._warp.ScopedDevice(self.device):
            for _ in range(nstep):
                self._mjw.step2(self._model, self._data)
                late = sensors[:, self._late_sensors]  # the next call clears them
                self._mjw.step1(self._model, self._data)
                sensors[:, self._late_sensors] = late

    def faults(self) -> Array:
        """(N,) int64, index into FAULTS; nothing is asked of the device."""
        torch = self._torch()
        finite = torch.isfinite(self.view("qpos")).all(1) & torch.isfinite(self.view("qvel")).all(1)
        calm = (self.view("qvel").abs() < 1e6).all(1)
        overflowed = torch.where(self._overflow != 0, FAULTS.index("contacts_overflowed"), 0)
        return torch.where(finite & calm, overflowed, FAULTS.index("diverged"))

    def forget_faults(self, worlds: Array) -> None:
        """Of worlds (N,) bool, which start anew."""
        self._overflow[...] = self._torch().where(worlds, 0, self._overflow)

    def close(self) -> None:
        self._views.clear()


def _load(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise EmbodiedError(f"the engine 'warp' needs {name}: pip install 'embodied-ground[gpu]'") from error


def _device(warp: Any, name: str) -> str:
    warp.config.quiet = True
    warp.init()
    if name == "cuda" and not warp.is_cuda_available():
        raise EmbodiedError(
            "no CUDA device for the engine 'warp': a driver and an NVIDIA GPU, or device 'cpu' to try it"
        )
    return "cuda:0" if name == "cuda" else name


def _without_autoreset(model: mujoco.MjModel) -> mujoco.MjModel:
    """Warp does not know the flag, nor the automatic reset."""
    copied = copy.copy(model)
    copied.opt.disableflags &= ~int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
    return copied
