"""Work for the tests of shards: what is sent to another process must be importable
there.
"""

import errno
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

from embodied.errors import EmbodiedError
from embodied.rollout.shards import Report


def describe(seeds: Sequence[int], report: Report) -> list[tuple[int, str | None]]:
    """Each seed with the number of threads that this process computes with; reports
    (seed, process id).
    """
    for seed in seeds:
        report((seed, os.getpid()))
    return [(seed, os.environ.get("OMP_NUM_THREADS")) for seed in seeds]


@dataclass(frozen=True)
class FailAt:
    """Goes wrong at one seed, in one of several ways."""

    seed: int
    way: str

    def __call__(self, seeds: Sequence[int], report: Report) -> list[int]:
        for seed in seeds:
            report(seed)
            if seed == self.seed:
                self._fail()
        return list(seeds)

    def _fail(self) -> None:
        if self.way == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.way == "exit":
            os._exit(3)
        if self.way == "refused":
            raise EmbodiedError("no such camera")
        if self.way == "full":
            raise OSError(errno.ENOSPC, "five lines of text")
        raise ZeroDivisionError("one over nothing")


def sleep(seeds: Sequence[int], report: Report) -> list[int]:
    """Takes far longer than any test."""
    report(os.getpid())
    time.sleep(60)
    return list(seeds)
