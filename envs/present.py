"""Takes and restores snapshots: the complete current state of some worlds.

An object that has state outside of the engine, such as a task, has a method `memory`. It
returns the arrays (N, ...) that hold this state, by name, and not copies of them. A
snapshot copies rows of these arrays; restoring writes the rows back. The engine has
methods `keep` and `recall` for its own state instead, because most of its arrays can be
computed from a few.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cached_property
from typing import Any

from embodied.core import Array
from embodied.envs.snapshot import Memories, Origin, Snapshot, joined
from embodied.errors import EmbodiedError
from embodied.sim.engine import Engine
from embodied.wording import counted

ENGINE_PREFIX = "engine/"  # of the names of the engine's arrays


class Present:
    """The current state of N worlds, in their engine and outside of it.

    Args:
        engine: the physics of the worlds.
        make_origin: the function that returns the properties that a snapshot must share
            with these worlds. It hashes the model, which takes time, so it is called
            only once, for the first snapshot.
        memories: the methods that return the state outside of the engine, by owner.
    """

    def __init__(
        self,
        engine: Engine,
        make_origin: Callable[[], Origin],
        memories: Memories,
    ) -> None:
        """Stores the arguments; nothing is copied yet."""
        self._engine = engine
        self._make_origin = make_origin
        self._memories = memories

    @cached_property
    def _origin(self) -> Origin:
        return self._make_origin()

    def _memory(self) -> dict[str, Array]:
        """Returns the arrays (N, ...) of all owners, by `<owner>/<name>`."""
        return joined(**{owner: memory() for owner, memory in self._memories.items()})

    def snapshot(
        self, ids: Array, sampled: tuple[Mapping[str, Any], ...] = ()
    ) -> Snapshot:
        """Returns the current state of worlds `ids` (n,).

        Args:
            ids: the indices of the worlds.
            sampled: the sampled variation of each world; empty if the host does not know
                it, as on the engine `warp`.
        """
        arrays = joined(engine=self._engine.keep(ids))
        for name, values in self._memory().items():
            arrays[name] = values[ids]  # indexing with an array makes a copy
        return Snapshot(self._origin, arrays, sampled)

    def restore(self, snapshot: Snapshot, ids: Array) -> None:
        """Restores worlds `ids` (n,) from a snapshot that passed `check`.

        Args:
            snapshot: a snapshot of n worlds, or of one world, which all of them then
                copy. Its arrays must be numpy arrays on the engine `cpu`, and tensors on
                `warp`.
            ids: the indices of the worlds.
        """
        for name, values in self._memory().items():
            values[ids] = snapshot.arrays[name]
        # The engine comes last: it changes its `version`, so that caches of values
        # derived from the old state become invalid.
        self._engine.recall(ids, snapshot.part(ENGINE_PREFIX))

    def check(self, snapshot: Snapshot, num_ids: int) -> None:
        """Raises EmbodiedError if a snapshot cannot be restored in these worlds.

        Args:
            snapshot: the snapshot.
            num_ids: the number of worlds to restore.
        """
        if not isinstance(snapshot, Snapshot):
            raise EmbodiedError(
                f"expected a Snapshot, as `snapshot()` returns it, not {type(snapshot).__name__}"
            )
        # the snapshot must be of the same task, robot, control mode and model
        theirs = asdict(snapshot.origin)
        for name, own in asdict(self._origin).items():
            if theirs[name] != own:
                raise EmbodiedError(
                    f"this snapshot is of {name} {theirs[name]!r}, these worlds are of "
                    f"{own!r}: restore it in worlds of the config that it was taken with"
                )
        if len(snapshot) not in (1, num_ids):
            raise EmbodiedError(
                f"a snapshot of {counted(len(snapshot), 'world')} for {num_ids}: expected one row for "
                "each, or one for all; `snapshot.rows` chooses"
            )

        # the snapshot must have all arrays of these worlds, in the same shapes
        for name, values in self._memory().items():
            if name not in snapshot.arrays:
                raise EmbodiedError(
                    f"this snapshot has no {name!r}, which these worlds continue from: "
                    "take it with the same cameras and version"
                )
            own_shape = tuple(values.shape[1:])
            their_shape = tuple(snapshot.arrays[name].shape[1:])
            if own_shape != their_shape:
                raise EmbodiedError(
                    f"{name!r} of this snapshot has the shape {their_shape}, that of these "
                    f"worlds {own_shape}: restore it in worlds of the same config"
                )
