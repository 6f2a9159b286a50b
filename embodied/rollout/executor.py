"""What carries out work on many seeds: processes here, or the machines of a cluster.

No result depends on which it is, nor on how many share the work, die, or come back. A
shard of an evaluation (`--shard`) is fewer seeds, carried out by any of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self, TypeVar

from embodied.rollout.shards import Report, Work

T = TypeVar("T")


class Executor(Protocol):
    """Shares out work among workers; closed when a `with` block ends."""

    @property
    def count(self) -> int:
        """How many parts are worked on at once, more or less."""

    @property
    def shares_files(self) -> bool:
        """Whether all workers are sure to see the files of this process."""

    def run(
        self,
        work: Work[T],
        seeds: Sequence[int],
        on_report: Report = ...,
        at_once: int | None = None,
    ) -> list[T]:
        """Returns the results of `work` for all seeds, in their order.

        Args:
            work: is called with parts of the seeds, and again with the same part where
                a worker died.
            seeds: the seeds to work on.
            on_report: is called in this process with what the work reports.
            at_once: how many seeds the work takes on together; None for all of a part.

        Raises:
            EmbodiedError: the work raised one, or workers died again and again.
            RuntimeError: the work failed otherwise; holds the traceback.
        """

    def close(self) -> None:
        """Ends the workers."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
