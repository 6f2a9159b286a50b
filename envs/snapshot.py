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

# The names of two arrays that environments add to the snapshots of their worlds: the state
# (n, 6) of each world's generator of seeds, and (n,) whether each episode has ended.
SEQUENCE = "env/sequence"
ENDED = "env/ended"
# Indices of worlds: one index, several, or None for all worlds.
Ids = Any
# Owner of state -> its method that returns the state: the arrays (N, ...) by name.
Memories = Mapping[str, Callable[[], Mapping[str, Array]]]


@dataclass(frozen=True)
class Origin:
    """The properties that worlds must share to exchange snapshots."""

    task: str
    robot: str
    control_mode: str
    engine: str  # the engine's name, `cpu` or `warp`
    mujoco_version: str
    model_hash: str  # of the compiled model
    starts_hash: str = ""  # of the episodes' starts on the engine `warp`

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
    """The complete state of n worlds: their future depends only on it and on actions.

    A snapshot is plain data. It can be pickled, and restored in other worlds of the same
    task, robot and control mode, also in another process. It does not contain the state
    of policies and wrappers.

    Attributes:
        origin: the properties of the worlds in which the snapshot can be restored.
        arrays: name -> array (n, ...): torch tensors on the engine `warp`, else numpy
            arrays.
        sampled: the sampled variation of each world; empty on the engine `warp`.
    """

    origin: Origin
    arrays: Mapping[str, Array]
    sampled: tuple[Mapping[str, Any], ...] = ()

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def rows(self, ids: Array) -> Snapshot:
        """Returns a snapshot of k of the n worlds.

        Args:
            ids: (k,) indices of these worlds, which may repeat.
        """
        arrays = {name: values[ids] for name, values in self.arrays.items()}
        sampled: tuple[Mapping[str, Any], ...] = ()
        if self.sampled:
            sampled = tuple(self.sampled[int(i)] for i in ids)
        return replace(self, arrays=arrays, sampled=sampled)

    def with_arrays(self, more: Mapping[str, Array]) -> Snapshot:
        """Returns a snapshot with `more` arrays (n, ...) added."""
        return replace(self, arrays={**self.arrays, **more})

    def part(self, prefix: str) -> dict[str, Array]:
        """Returns the arrays whose names begin with a prefix, by the rest of their names."""
        return {
            name.removeprefix(prefix): values
            for name, values in self.arrays.items()
            if name.startswith(prefix)
        }


def checked_ids(worlds: Ids, num_worlds: int) -> np.ndarray:
    """Returns the indices (k,) of worlds that a caller asks for.

    Args:
        worlds: one index, several, or None for all worlds.
        num_worlds: the number N of worlds.

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
    """Returns one dictionary of the arrays of several owners, by `<owner>/<name>`."""
    return {
        f"{owner}/{name}": values
        for owner, memory in memories.items()
        for name, values in memory.items()
    }


def memory_of_watchers(engine: Engine) -> dict[str, Array]:
    """Returns the state of an engine's watchers as arrays, by `<index>/<name>`.

    Watchers follow values over physics steps, such as the peak of a force.
    """
    memories = [watcher.memory() for watcher in engine.watchers]
    return joined(**{str(k): memory for k, memory in enumerate(memories)})
