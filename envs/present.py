"""Takes and restores snapshots: the whole present of some worlds of one engine.

What has a memory of episodes shows it as live arrays (N, ...) by name, with a method
`memory`, as tasks do. A snapshot copies rows of them, and is written back into the same
arrays. Engines, which compute the most from the least, have `keep` and `recall`.
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

ENGINE_PREFIX = "engine/"  # of the arrays that an engine keeps


class Present:
    """The present of N worlds: of their engine, and of all that has a memory besides.

    Args:
        engine: that of the worlds.
        make_origin: returns what snapshots must have in common with these worlds. It is
            called once, for the first snapshot, since it hashes the model.
        memories: of all that is kept outside of the engine, by owner.
    """

    def __init__(
        self,
        engine: Engine,
        make_origin: Callable[[], Origin],
        memories: Memories,
    ) -> None:
        self._engine = engine
        self._make_origin = make_origin
        self._memories = memories

    @cached_property
    def _origin(self) -> Origin:
        return self._make_origin()

    def _memory(self) -> dict[str, Array]:
        """Returns live arrays (N, ...) of all owners, as `<owner>/<name>`."""
        return joined(**{owner: memory() for owner, memory in self._memories.items()})

    def snapshot(
        self, ids: Array, sampled: tuple[Mapping[str, Any], ...] = ()
    ) -> Snapshot:
        """Returns the present of worlds `ids` (n,).

        Args:
            ids: which worlds.
            sampled: the sampled variation of each, where the host knows it.
        """
        arrays = joined(engine=self._engine.keep(ids))
        for name, live in self._memory().items():
            arrays[name] = live[ids]  # a copy
        return Snapshot(self._origin, arrays, sampled)

    def restore(self, snapshot: Snapshot, ids: Array) -> None:
        """Puts worlds `ids` (n,) where others were, from a snapshot that fits.

        Args:
            snapshot: of n worlds, or of one, for all of them; with the arrays of this
                engine's kind.
            ids: which worlds.
        """
        for name, live in self._memory().items():
            live[ids] = snapshot.arrays[name]
        # the engine comes last: what it computes must be new to all that look at it
        self._engine.recall(ids, snapshot.part(ENGINE_PREFIX))

    def check(self, snapshot: Snapshot, num_ids: int) -> None:
        """Raises EmbodiedError where a snapshot can't be written into `num_ids` worlds."""
        if not isinstance(snapshot, Snapshot):
            raise EmbodiedError(
                f"expected a Snapshot, as `snapshot()` returns it, not {type(snapshot).__name__}"
            )
        theirs = asdict(snapshot.origin)
        for name, own in asdict(self._origin).items():
            if theirs[name] != own:
                raise EmbodiedError(
                    f"this snapshot is of {name} {theirs[name]!r}, these worlds are of "
                    f"{own!r}: restore it in worlds of the config that it was taken with"
                )
        if len(snapshot) not in (1, num_ids):
            raise EmbodiedError(
                f"a snapshot of {len(snapshot)} worlds for {num_ids}: expected one row for "
                "each, or one for all; `snapshot.rows` chooses"
            )

        for name, live in self._memory().items():
            if name not in snapshot.arrays:
                raise EmbodiedError(
                    f"this snapshot has no {name!r}, which these worlds continue from: "
                    "take it with the same cameras and version"
                )
            own_shape = tuple(live.shape[1:])
            their_shape = tuple(snapshot.arrays[name].shape[1:])
            if own_shape != their_shape:
                raise EmbodiedError(
                    f"{name!r} of this snapshot has the shape {their_shape}, that of these "
                    f"worlds {own_shape}: restore it in worlds of the same config"
                )
