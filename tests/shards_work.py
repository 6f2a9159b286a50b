"""Work for the tests of shards.

What is sent to another process must be importable there, so it stands in a module.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from embodied.errors import EmbodiedError
from embodied.rollout.shards import Report


def describe(seeds: Sequence[int], report: Report) -> list[tuple[int, str | None]]:
    """Returns each seed with the number of threads that this process computes with.

    Reports (seed, process id).
    """
    for seed in seeds:
        report((seed, os.getpid()))

    num_threads = os.environ.get("OMP_NUM_THREADS")
    return [(seed, num_threads) for seed in seeds]


@dataclass(frozen=True)
class FailAt:
    """Returns its seeds, but goes wrong when it comes to one of them."""

    seed: int
    failure: str  # killed, exit, refused, full or bug

    def __call__(self, seeds: Sequence[int], report: Report) -> list[int]:
        for seed in seeds:
            report(seed)
            if seed == self.seed:
                self._fail()
        return list(seeds)

    def _fail(self) -> None:
        if self.failure == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.failure == "exit":
            os._exit(3)
        if self.failure == "refused":
            raise EmbodiedError("no such camera")
        if self.failure == "full":
            raise OSError(errno.ENOSPC, "five lines of text")
        raise ZeroDivisionError("one over nothing")


@dataclass(frozen=True)
class DieOnce:
    """Returns its seeds; the first process that comes to one of them dies.

    Reports (seed, process id).
    """

    seed: int
    mark: Path  # a file that tells that it has happened

    def __call__(self, seeds: Sequence[int], report: Report) -> list[int]:
        for seed in seeds:
            report((seed, os.getpid()))
            if seed == self.seed and not self.mark.exists():
                self.mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return list(seeds)


def sleep(seeds: Sequence[int], report: Report) -> list[int]:
    """Takes far longer than any test; reports its process id."""
    report(os.getpid())
    time.sleep(60)
    return list(seeds)


def count_slowly(seeds: Sequence[int], report: Report) -> list[int]:
    """Returns its seeds; reports each with the id of the Ray node that it is on."""
    import ray

    node = ray.get_runtime_context().get_node_id()
    for seed in seeds:
        time.sleep(0.4)
        report((seed, node))
    return list(seeds)
