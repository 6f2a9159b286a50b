"""Worlds on a GPU: `mujoco_warp`, every array a torch tensor that looks into the
device's own memory.

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
from embodied.sim.warp.device import (
    Streams,
    bytes_of,
    check_memory,
    choose_device,
    naming_lack_of_memory,
)

if TYPE_CHECKING:
    import torch

STATE = (
    *(
        "time",
        "qpos",
        "qvel",
        "act",
        "history",
        "qacc_warmstart",
        "ctrl",
        "qfrc_applied",
        "xfrc_applied",
    ),
    *("mocap_pos", "mocap_quat"),
)  # fields from which a world continues; what the CPU's integration state has, too
HEADROOM = 1.5  # buffers over what was measured
# more, for a grasp that was not seen; constraint rows of a contact
SPARE_CONTACTS = 32
ROWS = 4
_OVERFLOWS = {
    "contacts_overflowed": ("BROADPHASE", "NARROWPHASE"),
    "constraints_overflowed": ("NEFC", "NJMAX_NNZ"),
}  # fault -> bits of mujoco_warp's; that the solver used all its iterations is none


@dataclass(frozen=True)
class Buffers:
    """Room for contacts of all worlds together, and for constraint rows of each."""

    contacts: int
    constraints: int

    @classmethod
    def of(
        cls,
        num_worlds: int,
        mean_contacts: float,
        most_contacts: int,
        most_constraints: int,
    ) -> Buffers:
        """From the most that was seen, on average over worlds and in any one of them,
        with headroom.
        """
        contacts = (
            HEADROOM * max(num_worlds * mean_contacts, most_contacts)
            + num_worlds * SPARE_CONTACTS
        )
        return cls(
            int(contacts), int(HEADROOM * most_constraints) + ROWS * SPARE_CONTACTS
        )


class WarpEngine:
    """N worlds on one device. `differing`: model fields in which worlds may differ ->
    their first values (N, ...).

    Raises EmbodiedError where mujoco_warp is missing, no such device exists, or the
    model has what it cannot do.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        num_worlds: int,
        buffers: Buffers,
        differing: Mapping[str, np.ndarray],
        device: str,
    ) -> None:
        self.device = usable_device(device)
        self._warp = _load("warp")
        self._mjw = _load("mujoco_warp")
        self.streams = Streams(self._warp, self.device)
        self.model = _without_autoreset(model)
        self.num_worlds = num_worlds
        self.xp: Any = importlib.import_module("array_api_compat.torch")
        self._version = 0
        self._views: dict[str, torch.Tensor] = {}
        self._varied: dict[str, torch.Tensor] = {}
        self.bytes_a_world = self._bytes_a_world(buffers)
        self._check_memory()
        with (
            self.streams.follow(),
            naming_lack_of_memory(num_worlds, self.bytes_a_world),
        ):
            self._model = self._put_model(differing)
            self._data = self._make_data(num_worlds, buffers)
            # mujoco_warp leaves geoms that are fixed to the world where the one
            # compiled model has them
            self._unwelded = replace(
                self._model,
                body_weldid=self._warp.full_like(self._model.body_weldid, 1),
            )
        self._model.opt.warn_overflow = 0  # counted by world instead
        self._overflow = self._tensor(self._data.overflow)
        bits = self._mjw.OverflowType
        self._overflow_bits = {
            fault: sum(bits[name] for name in names)
            for fault, names in _OVERFLOWS.items()
        }
        late = _late_sensors(self.model)
        self._late_ids = self._torch().tensor(
            late, dtype=self._torch().int64, device=self.device
        )
        self._late = self._torch().zeros((num_worlds, len(late)), device=self.device)

    def _make_data(self, num_worlds: int, buffers: Buffers) -> Any:
        return self._mjw.make_data(
            self.model,
            nworld=num_worlds,
            naconmax=buffers.contacts,
            njmax=buffers.constraints,
        )

    def _bytes_a_world(self, buffers: Buffers) -> int:
        """Of what is allocated for good: what two worlds take more than one, in the
        host's memory.
        """
        share = -(-buffers.contacts // self.num_worlds)
        with self._warp.ScopedDevice("cpu"):
            sizes = [
                bytes_of(
                    self._warp,
                    self._make_data(num, Buffers(num * share, buffers.constraints)),
                )
                for num in (1, 2)
            ]
        return sizes[1] - sizes[0]

    def _check_memory(self) -> None:
        if self.device != "cpu":
            free_bytes, _ = self._torch().cuda.mem_get_info(self.device)
            check_memory(self.num_worlds, self.bytes_a_world, free_bytes)

    def _put_model(self, differing: Mapping[str, np.ndarray]) -> Any:
        known = {
            name: values
            for name, values in differing.items()
            if values.shape[0] == self.num_worlds
        }
        try:
            device_model = self._mjw.put_model(
                self.model, batch_sizes=dict.fromkeys(known, self.num_worlds)
            )
        except (NotImplementedError, ValueError) as error:
            raise EmbodiedError(
                f"the engine 'warp' cannot run this model: {error}"
            ) from error
        for name, values in known.items():
            self._varied[name] = self._shaped(
                getattr(device_model, name), getattr(self.model, name).shape
            )
            self._varied[name][...] = self._torch().as_tensor(
                values, dtype=self._varied[name].dtype
            )
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
            shape = (
                getattr(mujoco.MjData(self.model), field).shape
                if field != "time"
                else ()
            )
            self._views[field] = self._shaped(getattr(self._data, field), shape)
        return self._views[field]

    def vary(self, field: str) -> Array:
        if field not in self._varied:
            raise EmbodiedError(
                f"worlds of the engine 'warp' do not differ in {field}; in {sorted(self._varied)}"
            )
        return self._varied[field]

    def varied(self) -> dict[str, Array]:
        return dict(self._varied)

    @property
    def version(self) -> int:
        """A new one each time: a captured graph changes the states without being seen
        here, so nothing that was computed from them may be kept.
        """
        self._version += 1
        return self._version

    def working(self) -> AbstractContextManager[Any]:
        """Within it Warp works on the engine's device, on torch's stream."""
        return self.streams.follow()

    def device_structs(self) -> tuple[Any, Any]:
        """mujoco_warp's own model and data, for what else runs on the device."""
        return self._model, self._data

    def refresh(self) -> None:
        """Position and velocity fields and sensors of all worlds, after writes to their
        model or state.
        """
        with self.streams.follow():
            self._mjw.kinematics(self._unwelded, self._data)
            self._mjw.step1(self._model, self._data)

    def step(self, nstep: int) -> None:
        """All worlds on by `nstep` ticks. Needs position and velocity fields that are
        current, and leaves them so.
        """
        torch = self._torch()
        sensors = self.view("sensordata")
        with self.streams.follow():
            for k in range(nstep):
                self._mjw.step2(self._model, self._data)
                if k == nstep - 1:  # the next call clears them
                    torch.index_select(sensors, 1, self._late_ids, out=self._late)
                self._mjw.step1(self._model, self._data)
            sensors.index_copy_(1, self._late_ids, self._late)

    def bare_step(self, nstep: int) -> None:
        """What mujoco_warp's own `step` does, `nstep` times: the measure of ours."""
        with self.streams.follow():
            for _ in range(nstep):
                self._mjw.step(self._model, self._data)

    def faults(self) -> Array:
        """(N,) int64, index into FAULTS; nothing is asked of the device.

        Contacts lie in one buffer for all worlds: where it overflows, nobody knows
        whose are missing.
        """
        torch = self._torch()
        found = torch.zeros_like(self._overflow, dtype=torch.int64)
        for fault, bits in self._overflow_bits.items():
            found = torch.where(
                (self._overflow & bits) != 0, FAULTS.index(fault), found
            )
        finite = torch.isfinite(self.view("qpos")).all(1) & torch.isfinite(
            self.view("qvel")
        ).all(1)
        calm = (self.view("qvel").abs() < 1e6).all(1)
        return torch.where(finite & calm, found, FAULTS.index("diverged"))

    def forget_faults(self, worlds: Array) -> None:
        """Of worlds (N,) bool, which start anew."""
        self._overflow[...] = self._torch().where(worlds, 0, self._overflow)

    def close(self) -> None:
        self._views.clear()


def usable_device(name: str) -> str:
    """Warp's name of the device "cuda" or "cpu". Raises EmbodiedError that says why it
    cannot be used.
    """
    return choose_device(_load("warp"), name)


def _load(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise EmbodiedError(
            f"the engine 'warp' needs {name}: pip install 'embodied-ground[gpu]'"
        ) from error


def _late_sensors(model: mujoco.MjModel) -> list[int]:
    """Columns of `sensordata` that need accelerations, which `step1` clears."""
    sensors = zip(
        model.sensor_adr, model.sensor_dim, model.sensor_needstage, strict=True
    )
    late = [
        range(int(adr), int(adr + dim))
        for adr, dim, stage in sensors
        if stage == mujoco.mjtStage.mjSTAGE_ACC
    ]
    return [column for columns in late for column in columns]


def _without_autoreset(model: mujoco.MjModel) -> mujoco.MjModel:
    """Warp does not know the flag, nor the automatic reset."""
    copied = copy.copy(model)
    copied.opt.disableflags &= ~int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
    return copied
