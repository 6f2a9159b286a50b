"""The interface of all simulators: N worlds of one compiled model.

The first axis of every array is the world: (N, ...).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import mujoco
import numpy as np

from embodied.core import Array

# The faults that may break a world; an engine's `faults` are indices into this tuple.
# Index 0 is no fault.
FAULTS = (
    "",
    "action_not_finite",
    "diverged",
    "contacts_overflowed",
    "constraints_overflowed",
    "singular_inertia",
)
# Indices of a rotation matrix's first two columns in MuJoCo's row-major `xmat` (9,).
ROT6D_OF_XMAT: np.ndarray = np.array([0, 3, 6, 1, 4, 7])


class Watcher(Protocol):
    """Saves sensor values that are overwritten within a long control step."""

    def begin(self) -> None:
        """Is called when a control step begins."""

    def keep(self) -> None:
        """Saves the sensors' values; later physics steps overwrite them."""

    def forget(self, which: Array) -> None:
        """Deletes the saved values of worlds `which` (N,) bool, which were reset."""

    def memory(self) -> Mapping[str, Array]:
        """Returns its state between control steps: live (N, ...) arrays by name."""


class Engine(Protocol):
    """The simulator's interface for tasks and robots, on the CPU or on a GPU."""

    model: mujoco.MjModel
    num_worlds: int
    watchers: list[Watcher]

    @property
    def xp(self) -> Any:
        """The array namespace of its arrays."""

    @property
    def version(self) -> int:
        """A number that changes with the states, for caches of values derived from them."""

    def view(self, field: str) -> Array:
        """Returns the live (N, ...) array of an MjData field.

        Fields of the state may be written to; derived fields may not.
        """

    def model_view(self, field: str) -> Array:
        """Returns the live (N, ...) array of an MjModel field, one row per world.

        It may be written to. From the first call on, worlds may differ in the field.
        """

    def model_views(self) -> dict[str, Array]:
        """Returns field -> array, for all fields requested by `model_view`."""

    def step(self, nstep: int) -> None:
        """Advances all worlds by `nstep` ticks.

        Afterwards position and velocity fields and sensors are current.
        """

    def keep(self, ids: Array) -> dict[str, Array]:
        """Returns a snapshot of worlds `ids` (n,): copies (n, ...) by name.

        It contains the states, and the values of viewed fields that cannot be computed
        from them.
        """

    def recall(self, ids: Array, kept: Mapping[str, Array]) -> None:
        """Restores worlds `ids` (n,) from a snapshot with n rows, or one row for all.

        They continue bit for bit, and all views show the snapshot's values.
        """

    def faults(self) -> Array:
        """Returns (N,) int, the fault of each world since its reset: an index of FAULTS."""

    def close(self) -> None:
        """Frees the engine's resources."""


class HostEngine(Engine, Protocol):
    """A simulator with worlds that can be rendered and reset one by one."""

    def reset(self, ids: Array) -> None:
        """Sets the states of worlds `ids` to the model's defaults.

        Their warnings are cleared. Derived fields are not yet computed; see `refresh`.
        """

    def has_fault(self) -> bool:
        """Returns whether any world has a fault; faster than `faults`."""

    def rest(self, ids: Array) -> None:
        """Excludes worlds `ids` from steps until `wake`."""

    def wake(self, ids: Array) -> None:
        """Includes worlds `ids` in steps again."""

    def refresh(self, ids: Array) -> None:
        """Computes derived fields of worlds `ids`, after writes to model or state."""

    def state(self) -> Array:
        """Returns the live (N, S) array of the integration state.

        A world with the same integration state continues bit for bit.
        """

    def world_model(self, world: int) -> mujoco.MjModel:
        """Returns the model of one world, with its varied fields, for rendering."""

    def world_data(self, world: int) -> mujoco.MjData:
        """Returns a copy of the data of one world."""
