"""The one interface to simulators: N worlds of one compiled model.

The first axis of every array counts the worlds: (N, ...).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import mujoco
import numpy as np

from embodied.core import Array

# What may break a world; an engine's `faults` are indices into this. 0 is no fault.
FAULTS = (
    "",
    "action_not_finite",
    "diverged",
    "contacts_overflowed",
    "constraints_overflowed",
    "singular_inertia",
)
# Where MuJoCo's flat `xmat` (9,), which holds rows, has the matrix's first two columns.
ROT6D_OF_XMAT: np.ndarray = np.array([0, 3, 6, 1, 4, 7])


class Watcher(Protocol):
    """Keeps what sensors forget within a long control step."""

    def begin(self) -> None:
        """A control step begins."""

    def keep(self) -> None:
        """Keeps what the sensors hold now, since later physics steps overwrite it."""

    def forget(self, which: Array) -> None:
        """Forgets what happened in worlds `which` (N,) bool, which were reset."""

    def memory(self) -> Mapping[str, Array]:
        """Returns what it keeps between control steps: live (N, ...) arrays by name."""


class Engine(Protocol):
    """What tasks and robots ask of a simulator, on the CPU or on a GPU."""

    model: mujoco.MjModel
    num_worlds: int
    watchers: list[Watcher]

    @property
    def xp(self) -> Any:
        """The array namespace of its arrays."""

    @property
    def version(self) -> int:
        """Changes whenever states do, so that what is derived of them can be kept."""

    def view(self, field: str) -> Array:
        """Returns the live (N, ...) array of an MjData field.

        Fields of the state may be written to, derived ones may not.
        """

    def model_view(self, field: str) -> Array:
        """Returns the live (N, ...) array of an MjModel field, one row per world.

        It may be written to. Asking for a field lets worlds differ in it.
        """

    def model_views(self) -> dict[str, Array]:
        """Returns field -> array, for all fields that `model_view` was asked for."""

    def step(self, nstep: int) -> None:
        """Moves all worlds on by `nstep` ticks.

        Position and velocity fields and sensors are current afterwards.
        """

    def keep(self, ids: Array) -> dict[str, Array]:
        """Returns copies (n, ...) of all that worlds `ids` (n,) continue from.

        What views show besides is among them, if they cannot compute it themselves.
        """

    def recall(self, ids: Array, kept: Mapping[str, Array]) -> None:
        """Puts worlds `ids` (n,) where others were kept: rows (n, ...), or one for all.

        They continue bit for bit, and all views show what they showed then.
        """

    def faults(self) -> Array:
        """Returns (N,) int, what broke each world since its reset: indices of FAULTS."""

    def close(self) -> None:
        """Frees what the engine holds."""


class HostEngine(Engine, Protocol):
    """A simulator whose worlds can be looked at and reset one by one."""

    def reset(self, ids: Array) -> None:
        """Sets the states of worlds `ids` to the model's defaults.

        Their warnings are cleared, and nothing is computed yet.
        """

    def has_fault(self) -> bool:
        """Returns whether any world broke since its reset; quicker than `faults`."""

    def rest(self, ids: Array) -> None:
        """Lets worlds `ids` stand still: steps leave them out until they are woken."""

    def wake(self, ids: Array) -> None:
        """Lets worlds `ids` take part in steps again."""

    def refresh(self, ids: Array) -> None:
        """Computes what is derived in worlds `ids`, after writes to model or state."""

    def state(self) -> Array:
        """Returns the live (N, S) array of the whole integration state.

        From it a world continues bit for bit.
        """

    def world_model(self, world: int) -> mujoco.MjModel:
        """Returns the model of one world, with its varied fields, for rendering."""

    def world_data(self, world: int) -> mujoco.MjData:
        """Returns a copy of the data of one world."""
