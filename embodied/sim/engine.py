"""The one interface to simulators: N worlds of one compiled model, every array (N,
...).
"""

from __future__ import annotations

from typing import Any, Protocol

import mujoco
import numpy as np

from embodied.core import Array

FAULTS = (
    "",
    "action_not_finite",
    "diverged",
    "contacts_overflowed",
    "constraints_overflowed",
    "singular_inertia",
)
# first two columns of a rotation matrix given row by row
ROT6D_OF_XMAT: np.ndarray = np.array([0, 3, 6, 1, 4, 7])


class Engine(Protocol):
    """What tasks and robots ask of a simulator, on a host or a device."""

    model: mujoco.MjModel
    num_worlds: int

    @property
    def xp(self) -> Any:
        """The array namespace of its arrays."""

    @property
    def version(self) -> int:
        """Of the worlds' states: what was computed from one holds until the next."""

    def view(self, field: str) -> Array:
        """Live (N, ...) array of an MjData field: state fields are writable, derived
        ones are not.
        """

    def vary(self, field: str) -> Array:
        """Live, writable (N, ...) array of an MjModel field that worlds may differ in."""

    def varied(self) -> dict[str, Array]:
        """All the model fields that `vary` was asked for."""

    def step(self, nstep: int) -> None:
        """All worlds on by `nstep` ticks; position and velocity fields and sensors are
        current afterwards.
        """

    def faults(self) -> Array:
        """(N,) int: index into FAULTS of what broke each world since its reset, 0 where
        nothing did.
        """

    def close(self) -> None: ...


class HostEngine(Engine, Protocol):
    """A simulator whose worlds can be looked at and begun anew one by one."""

    def reset(self, ids: Array) -> None:
        """State of worlds `ids` to the model's defaults, warnings cleared, nothing
        computed yet.
        """

    def has_fault(self) -> bool:
        """Whether any world has broken since its reset: quicker than `faults`."""

    def refresh(self, ids: Array) -> None:
        """Derived constants and fields of worlds `ids` after writes to their model or
        state.
        """

    def state(self) -> Array:
        """Live (N, S) array: the whole integration state, from which a world continues
        bit for bit.
        """

    def world_model(self, world: int) -> mujoco.MjModel:
        """The model of one world, with its varied fields, for rendering."""

    def world_data(self, world: int) -> mujoco.MjData:
        """A copy of the data of one world."""
