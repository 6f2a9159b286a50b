"""Worlds on a GPU: `mujoco_warp`, with torch tensors as views of the device's memory.

It also runs on Warp's CPU device, slowly, for tests without a GPU.
"""

from __future__ import annotations

import copy
import importlib
import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np

from embodied.core import Array
from embodied.errors import EmbodiedError
from embodied.sim.engine import FAULTS, Watcher
from embodied.sim.warp.device import (
    Streams,
    bytes_of,
    check_memory,
    choose_device,
    explaining_out_of_memory,
)

if TYPE_CHECKING:
    import torch

# The fields from which a world continues; the CPU's integration state has them, too.
STATE = (
    "time",
    "qpos",
    "qvel",
    "act",
    "history",
    "qacc_warmstart",
    "ctrl",
    "qfrc_applied",
    "xfrc_applied",
    "mocap_pos",
    "mocap_quat",
)
HEADROOM = 1.5  # size of the buffers, relative to the measured need
SPARE_CONTACTS = 32  # per world, for grasps that did not occur in the measurement
ROWS_PER_CONTACT = 4  # constraint rows of a contact
DIVERGED_SPEED = 1e6  # m/s or rad/s; a larger speed means that a world has diverged
# Fault -> names of mujoco_warp's overflow bits. The bit of a solver that reaches its
# iteration limit is missing here, because this is no fault.
_OVERFLOWS = {
    "contacts_overflowed": ("BROADPHASE", "NARROWPHASE"),
    "constraints_overflowed": ("NEFC", "NJMAX_NNZ"),
}


@dataclass(frozen=True)
class Buffers:
    """The sizes of mujoco_warp's buffers."""

    contacts: int  # in all worlds together
    constraints: int  # constraint rows in each world

    @classmethod
    def of(
        cls,
        num_worlds: int,
        mean_contacts: float,
        most_contacts: int,
        most_constraints: int,
    ) -> Buffers:
        """Returns buffers with headroom above a measured need.

        Args:
            num_worlds: N.
            mean_contacts: mean over worlds of the largest number of contacts.
            most_contacts: largest number of contacts in any world.
            most_constraints: largest number of constraint rows in any world.
        """
        measured = max(num_worlds * mean_contacts, most_contacts)
        contacts = HEADROOM * measured + num_worlds * SPARE_CONTACTS
        spare_rows = ROWS_PER_CONTACT * SPARE_CONTACTS
        return cls(int(contacts), int(HEADROOM * most_constraints) + spare_rows)


class WarpEngine:
    """N worlds on one device.

    It is an `Engine`; the methods are documented there.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        num_worlds: int,
        buffers: Buffers,
        differing: Mapping[str, np.ndarray],
        device: str,
    ) -> None:
        """Puts the model and N worlds onto the device.

        Args:
            model: the compiled model.
            num_worlds: N.
            buffers: sizes of the buffers for contacts and constraints.
            differing: field of the model in which worlds may differ -> its initial
                values (N, ...).
            device: "cuda" or "cpu".

        Raises:
            EmbodiedError: mujoco_warp is missing, the device does not exist or has too
                little memory, or mujoco_warp does not support the model.
        """
        self.device = usable_device(device)
        self._warp = _load("warp")
        self._mjw = _load("mujoco_warp")
        self.streams = Streams(self._warp, self.device)
        self.model = _without_autoreset(model)
        self.num_worlds = num_worlds
        self.watchers: list[Watcher] = []
        self.xp: Any = importlib.import_module("array_api_compat.torch")
        self._version = 0
        self._views: dict[str, torch.Tensor] = {}
        self._model_views: dict[str, torch.Tensor] = {}

        self.bytes_per_world = self._measure_bytes_per_world(buffers)
        self._check_memory()
        with (
            self.streams.follow(),
            explaining_out_of_memory(num_worlds, self.bytes_per_world),
        ):
            self._model = self._put_model(differing)
            self._data = self._make_data(num_worlds, buffers)
            # mujoco_warp computes no positions for geoms of bodies that are welded to the
            # world. Here worlds differ in these positions, so `refresh` uses a model
            # without welded bodies.
            self._unwelded = replace(
                self._model,
                body_weldid=self._warp.full_like(self._model.body_weldid, 1),
            )

        # no printed warnings, as `faults` reads each world's overflow bits
        self._model.opt.warn_overflow = 0
        self._overflow = self._tensor(self._data.overflow)
        self._overflow_bits = _overflow_bits(self._mjw)

        # columns of the sensors that `step1` clears, and a buffer for their values
        late = _late_sensors(self.model)
        torch = self._torch()
        self._late_ids = torch.tensor(late, dtype=torch.int64, device=self.device)
        self._late = torch.zeros((num_worlds, len(late)), device=self.device)

    def _make_data(self, num_worlds: int, buffers: Buffers) -> Any:
        """Returns mujoco_warp's data of worlds at the model's defaults."""
        return self._mjw.make_data(
            self.model,
            nworld=num_worlds,
            naconmax=buffers.contacts,
            njmax=buffers.constraints,
        )

    def _measure_bytes_per_world(self, buffers: Buffers) -> int:
        """Returns the memory that one world takes permanently, in bytes.

        It is the difference between two worlds and one, measured in the host's memory.
        """
        contacts_per_world = math.ceil(buffers.contacts / self.num_worlds)
        sizes = []
        with self._warp.ScopedDevice("cpu"):
            for num in (1, 2):
                sized = Buffers(num * contacts_per_world, buffers.constraints)
                sizes.append(bytes_of(self._warp, self._make_data(num, sized)))
        return sizes[1] - sizes[0]

    def _check_memory(self) -> None:
        """Raises EmbodiedError if the worlds do not fit into the GPU's memory."""
        if self.device != "cpu":
            free_bytes, _ = self._torch().cuda.mem_get_info(self.device)
            check_memory(self.num_worlds, self.bytes_per_world, free_bytes)

    def _put_model(self, differing: Mapping[str, np.ndarray]) -> Any:
        """Returns the device's model, with separate values of the `differing` fields.

        Args:
            differing: as in `__init__`.
        """
        try:
            device_model = self._mjw.put_model(
                self.model, batch_sizes=dict.fromkeys(differing, self.num_worlds)
            )
        except (NotImplementedError, ValueError) as error:
            raise EmbodiedError(
                f"the engine 'warp' cannot run this model: {error}"
            ) from error

        # each world's own initial values
        for name, values in differing.items():
            shape = getattr(self.model, name).shape
            varied = self._shaped(getattr(device_model, name), shape)
            varied[...] = self._torch().as_tensor(values, dtype=varied.dtype)
            self._model_views[name] = varied
        return device_model

    @staticmethod
    def _torch() -> Any:
        return importlib.import_module("torch")

    def _tensor(self, array: Any) -> torch.Tensor:
        tensor: torch.Tensor = self._warp.to_torch(array)
        return tensor

    def _shaped(self, array: Any, shape: tuple[int, ...]) -> torch.Tensor:
        """Returns a view (N, *shape) of a device array; `shape` is the field's."""
        return self._tensor(array).view(self.num_worlds, *shape)

    def view(self, field: str) -> Array:
        """Returns a live tensor (N, ...) of a field of the state."""
        if field not in self._views:
            shape: tuple[int, ...] = ()
            if field != "time":  # a plain number in MjData
                shape = getattr(mujoco.MjData(self.model), field).shape
            self._views[field] = self._shaped(getattr(self._data, field), shape)
        return self._views[field]

    def model_view(self, field: str) -> Array:
        """Returns a live tensor (N, ...) of a field of the model in which worlds differ."""
        if field not in self._model_views:
            raise EmbodiedError(
                f"worlds of the engine 'warp' differ in {sorted(self._model_views)}, "
                f"not in {field!r}"
            )
        return self._model_views[field]

    def model_views(self) -> dict[str, Array]:
        return dict(self._model_views)

    @property
    def version(self) -> int:
        """A new number each time, so that values derived from states are never cached.

        A captured graph changes the states without calling this class.
        """
        self._version += 1
        return self._version

    def working(self) -> AbstractContextManager[Any]:
        """Returns a context in which Warp uses the device, on torch's stream."""
        return self.streams.follow()

    def device_structs(self) -> tuple[Any, Any]:
        """Returns mujoco_warp's own model and data, e.g. for its renderer."""
        return self._model, self._data

    def refresh(self) -> None:
        """Computes derived fields of all worlds, after writes to model or state.

        These are position and velocity fields and sensors.
        """
        with self.streams.follow():
            # computes the poses of all geoms; `step1` omits those of welded bodies
            self._mjw.kinematics(self._unwelded, self._data)
            self._mjw.step1(self._model, self._data)

    def step(self, nstep: int) -> None:
        """Advances all worlds by `nstep` ticks.

        Position and velocity fields must be current, and are current afterwards. So each
        tick consists of `step2`, the second half of MuJoCo's step, which advances the
        state, and then of `step1`, the first half, which computes the fields.
        """
        torch = self._torch()
        sensors = self.view("sensordata")
        with self.streams.follow():
            for k in range(nstep):
                self._mjw.step2(self._model, self._data)
                # save sensors of forces and accelerations, because `step1` clears them
                if k == nstep - 1:
                    torch.index_select(sensors, 1, self._late_ids, out=self._late)
                self._mjw.step1(self._model, self._data)
            sensors.index_copy_(1, self._late_ids, self._late)

    def keep(self, ids: Array) -> dict[str, Array]:
        return {name: values[ids] for name, values in self._memory().items()}

    def recall(self, ids: Array, kept: Mapping[str, Array]) -> None:
        """Brings worlds `ids` (n,) to the states that `keep` returned."""
        memory = self._memory()
        for name, rows in kept.items():
            # a field of the snapshot may not have been viewed in this engine yet
            live = memory[name] if name in memory else self.view(name)
            live[ids] = rows
        self.refresh()

    def _memory(self) -> dict[str, Array]:
        """Returns live (N, ...) arrays by name: states, and all viewed fields."""
        memory = {name: self.view(name) for name in STATE}
        memory.update(self._views)
        for name, values in self._model_views.items():
            memory[f"model/{name}"] = values
        memory["overflow"] = self._overflow
        return memory

    def bare_step(self, nstep: int) -> None:
        """Calls mujoco_warp's own `step` `nstep` times, to compare its speed with ours."""
        with self.streams.follow():
            for _ in range(nstep):
                self._mjw.step(self._model, self._data)

    def faults(self) -> Array:
        """Returns the fault of each world, (N,) int64: an index of FAULTS.

        The host does not wait for the device. All worlds share one buffer of contacts;
        when it overflows, it is unknown which worlds lack contacts.
        """
        torch = self._torch()
        result = torch.zeros_like(self._overflow, dtype=torch.int64)
        for fault, bits in self._overflow_bits.items():
            overflowed = (self._overflow & bits) != 0
            result = torch.where(overflowed, FAULTS.index(fault), result)

        # a diverged state counts more than an overflow
        qpos = self.view("qpos")
        qvel = self.view("qvel")
        is_finite = torch.isfinite(qpos).all(1) & torch.isfinite(qvel).all(1)
        is_slow = (qvel.abs() < DIVERGED_SPEED).all(1)
        return torch.where(is_finite & is_slow, result, FAULTS.index("diverged"))

    def forget_faults(self, worlds: Array) -> None:
        """Clears the faults of `worlds` (N,) bool, which begin new episodes."""
        self._overflow[...] = self._torch().where(worlds, 0, self._overflow)

    def close(self) -> None:
        self._views.clear()


def usable_device(name: str) -> str:
    """Returns Warp's name of the device "cuda" or "cpu".

    Raises:
        EmbodiedError: the device cannot be used; the text says why.
    """
    return choose_device(_load("warp"), name)


def _load(name: str) -> Any:
    """Returns a module of the extra `gpu`; raises EmbodiedError if it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise EmbodiedError(
            f"the engine 'warp' needs {name}: pip install 'embodied-ground[gpu]'"
        ) from error


def _overflow_bits(mujoco_warp: Any) -> dict[str, int]:
    """Returns fault -> its bits in `overflow`."""
    bits = mujoco_warp.OverflowType
    return {
        fault: sum(bits[name] for name in names) for fault, names in _OVERFLOWS.items()
    }


def _late_sensors(model: mujoco.MjModel) -> list[int]:
    """Returns the columns of `sensordata` of sensors of forces and accelerations.

    MuJoCo computes them in `step2`, and mujoco_warp's `step1` clears them.
    """
    late: list[int] = []
    for i in range(model.nsensor):
        if model.sensor_needstage[i] == mujoco.mjtStage.mjSTAGE_ACC:
            first = int(model.sensor_adr[i])
            late += range(first, first + int(model.sensor_dim[i]))
    return late


def _without_autoreset(model: mujoco.MjModel) -> mujoco.MjModel:
    """Returns a copy without the flag that disables MuJoCo's automatic reset.

    mujoco_warp has no automatic reset, and refuses the flag.
    """
    copied = copy.copy(model)
    copied.opt.disableflags &= ~int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
    return copied
