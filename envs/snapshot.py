"""Snapshots: the complete state of some worlds, from which they continue bit for bit.

`embodied.envs.present` takes and restores them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from embodied.core import Array
from embodied.errors import EmbodiedError
from embodied.sim.engine import Engine
from embodied.sim.model_facts import model_hash

if TYPE_CHECKING:
    import mujoco

# An array that environments add: the state (n, 6) of each world's generator of seeds.
SEQUENCE = "env/sequence"
# An array that environments add: (n,) whether each world's episode has ended.
ENDED = "env/ended"
# Indices of worlds: one, several, or None for all.
Ids = Any
# Owner -> method that returns its state: live arrays (N, ...) by name.
Memories = Mapping[str, Callable[[], Mapping[str, Array]]]


@dataclass(frozen=True)
class Origin:
    """The properties that worlds must share to exchange snapshots."""

    task: str
    robot: str
    control_mode: str
    engine: str
    mujoco_version: str
    model_hash: str
    starts_hash: str = ""  # of the bank of starts on the engine `warp`

    @classmethod
    def of(
        cls,
        task: str,
        robot: str,
        control_mode: str,
        engine: str,
        model: mujoco.MjModel,
        starts_hash: str = "",
    ) -> Origin:
        """Returns the origin of snapshots of worlds with this model."""
        # the model's hash differs for different scenes with the same name
        return cls(
            task=task,
            robot=robot,
            control_mode=control_mode,
            engine=engine,
            mujoco_version=version("mujoco"),
            model_hash=model_hash(model),
            starts_hash=starts_hash,
        )


@dataclass(frozen=True)
class Snapshot:
    """The complete state of n worlds; their future depends only on it and the actions.

    It is plain data. It can be pickled, and restored in other worlds of the same task,
    robot and control mode, also in another process. It does not contain the state of
    policies and wrappers.

    Attributes:
        origin: the properties of worlds that it fits.
        arrays: (n, ...) each; torch tensors on the engine `warp`, else numpy arrays.
        sampled: the sampled variation of each world; empty on the engine `warp`.
    """

    origin: Origin
    arrays: Mapping[str, Array]
    sampled: tuple[Mapping[str, Any], ...] = ()

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def rows(self, ids: Array) -> Snapshot:
        """Returns a snapshot of the worlds `ids` (k,) among these n; ids may repeat."""
        arrays = {name: values[ids] for name, values in self.arrays.items()}
        sampled: tuple[Mapping[str, Any], ...] = ()
        if self.sampled:
            sampled = tuple(self.sampled[int(i)] for i in ids)
        return replace(self, arrays=arrays, sampled=sampled)

    def with_arrays(self, more: Mapping[str, Array]) -> Snapshot:
        """Returns a snapshot with `more` arrays (n, ...) added."""
        return replace(self, arrays={**self.arrays, **more})

    def part(self, prefix: str) -> dict[str, Array]:
        """Returns the arrays whose names begin with a prefix, without it."""
        return {
            name.removeprefix(prefix): values
            for name, values in self.arrays.items()
            if name.startswith(prefix)
        }


def checked_ids(worlds: Ids, num_worlds: int) -> np.ndarray:
    """Returns (k,) different indices of worlds: one, several, or all N for None.

    Raises:
        EmbodiedError: an index is out of range or occurs twice.
    """
    if worlds is None:
        return np.arange(num_worlds)
    # an empty list and negative indices are refused, too
    ids = np.atleast_1d(np.asarray(worlds))
    is_index = ids.ndim == 1 and np.issubdtype(ids.dtype, np.integer)
    if not is_index or not len(ids) or ids.min() < 0 or ids.max() >= num_worlds:
        raise EmbodiedError(
            f"worlds {worlds!r}: expected whole numbers from 0 to {num_worlds - 1}"
        )
    if len(np.unique(ids)) < len(ids):
        raise EmbodiedError(f"worlds {worlds!r}: each may occur only once")
    return ids


def joined(**memories: Mapping[str, Array]) -> dict[str, Array]:
    """Returns several dictionaries of arrays as one, with names `<owner>/<name>`."""
    return {
        f"{owner}/{name}": values
        for owner, memory in memories.items()
        for name, values in memory.items()
    }


def memory_of_watchers(engine: Engine) -> dict[str, Array]:
    """Returns the memories of an engine's watchers, with names `<index>/<name>`."""
    memories = [watcher.memory() for watcher in engine.watchers]
    return joined(**{str(k): memory for k, memory in enumerate(memories)})
