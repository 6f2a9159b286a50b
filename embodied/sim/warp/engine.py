"""Worlds on a GPU: `mujoco_warp`, with torch tensors that view the device's memory.

It runs on Warp's CPU device too, slowly: that is how it is tested where there is no
GPU.
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
HEADROOM = 1.5  # by which buffers are larger than what was measured
SPARE_CONTACTS = 32  # per world, for a grasp that was not measured
ROWS_PER_CONTACT = 4  # rows of constraints
DIVERGED_SPEED = 1e6  # m/s or rad/s; a world that still makes sense is slower
# Fault -> names of mujoco_warp's overflow bits. A solver that used all its iterations
# sets a bit, too, which is no fault.
_OVERFLOWS = {
    "contacts_overflowed": ("BROADPHASE", "NARROWPHASE"),
    "constraints_overflowed": ("NEFC", "NJMAX_NNZ"),
}


@dataclass(frozen=True)
class Buffers:
    """How large mujoco_warp's buffers are."""

    contacts: int  # of all worlds together
    constraints: int  # rows in each world

    @classmethod
    def of(
        cls,
        num_worlds: int,
        mean_contacts: float,
        most_contacts: int,
        most_constraints: int,
    ) -> Buffers:
        """Returns buffers with headroom over what was measured.

        Args:
            num_worlds: N.
            mean_contacts: the most contacts at any time, on average over worlds.
            most_contacts: the most in any one world.
            most_constraints: the most constraint rows in any one world.
        """
        measured = max(num_worlds * mean_contacts, most_contacts)
        contacts = HEADROOM * measured + num_worlds * SPARE_CONTACTS
        spare_rows = ROWS_PER_CONTACT * SPARE_CONTACTS
        return cls(int(contacts), int(HEADROOM * most_constraints) + spare_rows)


class WarpEngine:
    """N worlds on one device.

    It is an `Engine`, whose docstrings say what the methods take and return.
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
            buffers: room for contacts and constraints.
            differing: the model's fields in which worlds may differ -> their first
                values (N, ...).
            device: "cuda" or "cpu".

        Raises:
            EmbodiedError: mujoco_warp is missing, the device does not exist or is too
                small, or the model has what mujoco_warp cannot do.
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
            # mujoco_warp does not place geoms of bodies that are welded to the world,
            # but here worlds differ in where these stand: a model that calls no body
            # welded
            self._unwelded = replace(
                self._model,
                body_weldid=self._warp.full_like(self._model.body_weldid, 1),
            )

        # no printed warnings: `faults` reads each world's overflow bits
        self._model.opt.warn_overflow = 0
        self._overflow = self._tensor(self._data.overflow)
        self._overflow_bits = _overflow_bits(self._mjw)

        # the columns of sensors whose values `step` must keep, and room for the values
        late = _late_sensors(self.model)
        xp = self._torch()
        self._late_ids = xp.tensor(late, dtype=xp.int64, device=self.device)
        self._late = xp.zeros((num_worlds, len(late)), device=self.device)

    def _make_data(self, num_worlds: int, buffers: Buffers) -> Any:
        """Returns mujoco_warp's data of worlds at the model's defaults."""
        return self._mjw.make_data(
            self.model,
            nworld=num_worlds,
            naconmax=buffers.contacts,
            njmax=buffers.constraints,
        )

    def _measure_bytes_per_world(self, buffers: Buffers) -> int:
        """Returns how much memory one world takes for good.

        That is what two worlds take more than one; it is measured in the host's memory.
        """
        contacts_per_world = math.ceil(buffers.contacts / self.num_worlds)
        sizes = []
        with self._warp.ScopedDevice("cpu"):
            for num in (1, 2):
                room = Buffers(num * contacts_per_world, buffers.constraints)
                sizes.append(bytes_of(self._warp, self._make_data(num, room)))
        return sizes[1] - sizes[0]

    def _check_memory(self) -> None:
        """Raises EmbodiedError where the worlds do not fit onto a GPU."""
        if self.device != "cpu":
            free_bytes, _ = self._torch().cuda.mem_get_info(self.device)
            check_memory(self.num_worlds, self.bytes_per_world, free_bytes)

    def _put_model(self, differing: Mapping[str, np.ndarray]) -> Any:
        """Returns the device's model, in which worlds have values of their own.

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

        # each world's own first values
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
        """Returns a view (N, *shape) of an array, where `shape` is the field's."""
        return self._tensor(array).view(self.num_worlds, *shape)

    def view(self, field: str) -> Array:
        if field not in self._views:
            shape: tuple[int, ...] = ()
            if field != "time":  # a plain number in MjData
                shape = getattr(mujoco.MjData(self.model), field).shape
            self._views[field] = self._shaped(getattr(self._data, field), shape)
        return self._views[field]

    def model_view(self, field: str) -> Array:
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
        """A new number each time, so that nothing computed from states is kept.

        A captured graph changes the states without being noticed here.
        """
        self._version += 1
        return self._version

    def working(self) -> AbstractContextManager[Any]:
        """Returns a context in which Warp works on the device, on torch's stream."""
        return self.streams.follow()

    def device_structs(self) -> tuple[Any, Any]:
        """Returns mujoco_warp's own model and data, e.g. for its renderer."""
        return self._model, self._data

    def refresh(self) -> None:
        """Computes what is derived in all worlds, after writes to model or state.

        That is position and velocity fields and sensors.
        """
        with self.streams.follow():
            # places all geoms; `step1` leaves those alone whose bodies are welded
            self._mjw.kinematics(self._unwelded, self._data)
            self._mjw.step1(self._model, self._data)

    def step(self, nstep: int) -> None:
        """Moves all worlds on by `nstep` ticks.

        Position and velocity fields must be current, and are so afterwards. For that a
        tick is made of MuJoCo's second half of a step, which moves the state, and then
        of its first half, which computes these fields of the new state.
        """
        torch = self._torch()
        sensors = self.view("sensordata")
        with self.streams.follow():
            for k in range(nstep):
                self._mjw.step2(self._model, self._data)
                # sensors of forces and accelerations: `step1` clears them
                if k == nstep - 1:
                    torch.index_select(sensors, 1, self._late_ids, out=self._late)
                self._mjw.step1(self._model, self._data)
            sensors.index_copy_(1, self._late_ids, self._late)

    def keep(self, ids: Array) -> dict[str, Array]:
        return {name: values[ids] for name, values in self._memory().items()}

    def recall(self, ids: Array, kept: Mapping[str, Array]) -> None:
        memory = self._memory()
        for name, rows in kept.items():
            # a field may have been looked at there, and not yet here
            live = memory[name] if name in memory else self.view(name)
            live[ids] = rows
        self.refresh()

    def _memory(self) -> dict[str, Array]:
        """Returns live (N, ...) arrays: states, and whatever fields are in use."""
        memory = {name: self.view(name) for name in STATE}
        memory.update(self._views)
        for name, values in self._model_views.items():
            memory[f"model/{name}"] = values
        memory["overflow"] = self._overflow
        return memory

    def bare_step(self, nstep: int) -> None:
        """Calls mujoco_warp's own `step` `nstep` times, to measure ours against it."""
        with self.streams.follow():
            for _ in range(nstep):
                self._mjw.step(self._model, self._data)

    def faults(self) -> Array:
        """Returns what broke each world, (N,) int64: an index of FAULTS.

        The host does not wait for the device. The contacts of all worlds lie in one
        buffer: when it overflows, nobody knows whose contacts are missing.
        """
        torch = self._torch()
        result = torch.zeros_like(self._overflow, dtype=torch.int64)
        for fault, bits in self._overflow_bits.items():
            overflowed = (self._overflow & bits) != 0
            result = torch.where(overflowed, FAULTS.index(fault), result)

        qpos = self.view("qpos")
        qvel = self.view("qvel")
        is_finite = torch.isfinite(qpos).all(1) & torch.isfinite(qvel).all(1)
        is_slow = (qvel.abs() < DIVERGED_SPEED).all(1)
        return torch.where(is_finite & is_slow, result, FAULTS.index("diverged"))

    def forget_faults(self, worlds: Array) -> None:
        """Clears the faults of `worlds` (N,) bool, which start anew."""
        self._overflow[...] = self._torch().where(worlds, 0, self._overflow)

    def close(self) -> None:
        self._views.clear()


def usable_device(name: str) -> str:
    """Returns Warp's name of the device "cuda" or "cpu".

    Raises:
        EmbodiedError: it cannot be used; the text says why.
    """
    return choose_device(_load("warp"), name)


def _load(name: str) -> Any:
    """Returns a module of the extra `gpu`; raises EmbodiedError where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise EmbodiedError(
            f"the engine 'warp' needs {name}: pip install 'embodied-ground[gpu]'"
        ) from error


def _overflow_bits(mujoco_warp: Any) -> dict[str, int]:
    """Returns fault -> the bits of `overflow` that stand for it."""
    bits = mujoco_warp.OverflowType
    return {
        fault: sum(bits[name] for name in names) for fault, names in _OVERFLOWS.items()
    }


def _late_sensors(model: mujoco.MjModel) -> list[int]:
    """Returns the columns of `sensordata` that `step1` clears.

    They belong to sensors that need accelerations.
    """
    late: list[int] = []
    for i in range(model.nsensor):
        if model.sensor_needstage[i] == mujoco.mjtStage.mjSTAGE_ACC:
            first = int(model.sensor_adr[i])
            late += range(first, first + int(model.sensor_dim[i]))
    return late


def _without_autoreset(model: mujoco.MjModel) -> mujoco.MjModel:
    """Returns a copy without the flag that switches MuJoCo's automatic reset off.

    mujoco_warp knows neither the flag nor the reset.
    """
    copied = copy.copy(model)
    copied.opt.disableflags &= ~int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
    return copied
