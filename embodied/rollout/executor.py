"""The interface of executors, which run work on many seeds in parallel.

`Workers` uses processes of this machine, `RayExecutor` a Ray cluster. Results depend
neither on the executor, nor on the number of workers, nor on workers that die.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self, TypeVar

from embodied.rollout.shards import Report, Work

T = TypeVar("T")


class Executor(Protocol):
    """Distributes work among workers; a `with` block closes it at its end."""

    @property
    def count(self) -> int:
        """The number of workers; it may change over time on a cluster."""

    @property
    def shares_files(self) -> bool:
        """Whether all workers are guaranteed to see the files of this process."""

    def run(
        self,
        work: Work[T],
        seeds: Sequence[int],
        on_report: Report = ...,
        at_once: int | None = None,
    ) -> list[T]:
        """Returns the results of `work` for all seeds, in their order.

        Args:
            work: called with parts of the seeds; called again with the same part if a
                worker died.
            seeds: the seeds to work on.
            on_report: called in this process with each report of the work.
            at_once: how many seeds the work processes together, as in one batch of
                worlds; None for all seeds of a part.

        Raises:
            EmbodiedError: the work raised this error, or workers died repeatedly.
            RuntimeError: the work raised another error; the message has the traceback.
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
