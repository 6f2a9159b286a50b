"""Seeds shared out among processes.

Each process works on one contiguous part after the other, as they come free; results
come back in the order of the seeds. A process that dies is replaced, and its part is
repeated.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Generic, Protocol, TypeVar

from embodied.closing import ClosedOnExit
from embodied.envs.own_tasks import register_task
from embodied.envs.registry import own_places
from embodied.errors import EmbodiedError
from embodied.interrupts import ctrl_c_kept
from embodied.machine import refusal, usable_cores

LOGGER = logging.getLogger(__name__)
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
STOP_WAIT_S = 5.0
# A part is worked on so often before the death of its process counts as an error.
MAX_TRIES = 3
T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
# Is called with each result, or with whatever else the work reports.
Report = Callable[[Any], None]
# (title, number of reports) -> a context that yields the report of one stage of a job.
Stage = Callable[[str, int], contextlib.AbstractContextManager[Report]]


class Work(Protocol[T_co]):
    """What is done with a part of the seeds.

    It is pickled for other processes: a module's function, or an object of plain data.
    """

    def __call__(self, seeds: Sequence[int], report: Report) -> Sequence[T_co]:
        """Returns one result per seed, in their order, or none at all.

        `report` sends something to the caller at once.
        """


class _ProcessDiedError(EmbodiedError):
    """A process ended in the middle of its work."""


@dataclass(frozen=True)
class _Worker:
    process: SpawnProcess
    pipe: Connection


@dataclass
class _Part(Generic[T]):
    """Seeds that one process works on at a time."""

    seeds: Sequence[int]
    tries: int = 0
    results: Sequence[T] = ()


@dataclass
class _Job(Generic[T]):
    """The parts of a job, by their numbers: those that wait, and those at work."""

    parts: list[_Part[T]]
    waiting: list[int] = field(default_factory=list)
    at_work: dict[Connection, int] = field(default_factory=dict)


class Workers(ClosedOnExit):
    """Processes of one thread each, started when first needed and kept for later jobs.

    Where the count is 1, the work is done in this process itself. Ctrl-C, like any
    error, kills all of them at once: what they write must be whole at any moment.
    """

    shares_files = True

    def __init__(self, count: int = 1) -> None:
        if count < 1:
            raise EmbodiedError(
                f"the number of workers must be at least 1, not {count}"
            )
        self.count = count
        self._workers: list[_Worker] = []

    def run(
        self,
        work: Work[T],
        seeds: Sequence[int],
        on_report: Report = lambda item: None,
        at_once: int | None = None,
    ) -> list[T]:
        """Returns the results of `work` for all seeds, in their order.

        Args:
            work: is called in each process with a part of the seeds, and again with the
                same part where the process died.
            seeds: the seeds to work on.
            on_report: is called in this process with what the work reports, twice where
                a part was repeated.
            at_once: how many seeds the work takes on together; many seeds then become
                several parts per process. None for one part per process.

        Raises:
            EmbodiedError: the work raised one, or processes died at the same part again
                and again; names the seeds.
            RuntimeError: the work failed otherwise; holds the traceback.
        """
        if not seeds:
            return []

        if min(self.count, len(seeds)) == 1:
            with one_thread():
                return list(work(seeds, on_report))

        parts = split(seeds, self.count * parts_per_process(seeds, self.count, at_once))

        try:
            return self._share_out(work, parts, on_report)
        except BaseException:
            self._kill()
            raise

    def close(self) -> None:
        """Ends the processes."""
        for worker in self._workers:
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join(STOP_WAIT_S)

        # those that have not ended by themselves
        self._kill()

    def _share_out(
        self, work: Work[T], parts: list[Sequence[int]], on_report: Report
    ) -> list[T]:
        """Gives each free process the next part; returns all results, in their order."""
        job: _Job[T] = _Job([_Part(part) for part in parts], [*range(len(parts))])
        while job.waiting or job.at_work:
            # one process for each part, as far as there are processes
            self._start(min(self.count, len(job.waiting) + len(job.at_work)))
            self._hand_out(work, job)
            # In the order of `at_work`, of a copy, since `_take` removes from it.
            ready = set(wait(list(job.at_work)))
            for pipe in [pipe for pipe in job.at_work if pipe in ready]:
                self._take(pipe, job, on_report)
        return [result for part in job.parts for result in part.results]

    def _hand_out(self, work: Work[T], job: _Job[T]) -> None:
        """Gives the parts that wait to the processes that are free."""
        free = [w.pipe for w in self._workers if w.pipe not in job.at_work]
        for pipe in free[: len(job.waiting)]:
            part = job.parts[job.waiting[0]]
            part.tries += 1
            job.at_work[pipe] = job.waiting.pop(0)
            # If the process has died, `_take` finds out when it reads its messages.
            with contextlib.suppress(BrokenPipeError):
                pipe.send((work, part.seeds, own_places()))

    def _take(self, pipe: Connection, job: _Job[T], on_report: Report) -> None:
        """Takes the next message of a process; where it has died, its part waits."""
        k = job.at_work[pipe]
        part = job.parts[k]
        try:
            kind, value = self._receive(pipe, part.seeds)
        except _ProcessDiedError as death:
            if part.tries == MAX_TRIES:
                raise
            LOGGER.warning("%s. Another one repeats its work.", death)
            self._bury(pipe)
            del job.at_work[pipe]
            job.waiting.insert(0, k)
            return

        # A process is at work until its last message, which brings the results.
        if kind == "report":
            on_report(value)
        else:
            part.results = value
            del job.at_work[pipe]

    def _receive(self, pipe: Connection, part: Sequence[int]) -> tuple[str, Any]:
        """Returns the kind and content of a process's next message.

        The kind is "report", or "done" with the results of the part; the others, of a
        process that cannot do its work, are raised as errors.
        """
        try:
            kind, value = pipe.recv()
        except (EOFError, ConnectionResetError):
            process = self._worker_at(pipe).process
            process.join(STOP_WAIT_S)
            cause = _cause_of_death(process.exitcode)
            raise _ProcessDiedError(
                f"the process at work on {seed_range(part)} died ({cause})"
            ) from None

        raise_failure(kind, value, part, "in its process")
        return kind, value

    def _worker_at(self, pipe: Connection) -> _Worker:
        return next(worker for worker in self._workers if worker.pipe is pipe)

    def _bury(self, pipe: Connection) -> None:
        """Forgets a process that has died."""
        worker = self._worker_at(pipe)
        self._workers.remove(worker)
        worker.process.kill()
        worker.process.join()
        pipe.close()

    def _start(self, count: int) -> None:
        """Starts processes until there are `count`, each at the end of a pipe."""
        context = multiprocessing.get_context("spawn")
        with one_thread(), ctrl_c_kept(), _deaf_to_ctrl_c():
            while len(self._workers) < count:
                pipe, child_pipe = context.Pipe()
                process = context.Process(
                    target=_serve, args=(child_pipe,), daemon=True
                )
                process.start()
                child_pipe.close()  # the child has its own; ours would hide its death
                self._workers.append(_Worker(process, pipe))

    def _kill(self) -> None:
        for worker in self._workers:
            worker.process.kill()
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join()
        self._workers.clear()


@contextlib.contextmanager
def quiet_stage(title: str, total: int) -> Iterator[Report]:
    """Yields a report that shows nothing: a `Stage` for jobs that nobody watches."""
    yield lambda item: None


def split(seeds: Sequence[int], parts: int) -> list[Sequence[int]]:
    """Returns at most `parts` contiguous parts, none empty, as equal as can be."""
    count = min(parts, len(seeds))
    if not count:
        return []

    ends = [k * len(seeds) // count for k in range(count + 1)]
    return [seeds[start:stop] for start, stop in itertools.pairwise(ends)]


def parts_per_process(seeds: Sequence[int], processes: int, at_once: int | None) -> int:
    """Returns into how many parts the seeds of one process are divided.

    A part has at least twice as many seeds as the work takes on together, or most of
    the batch would be idle towards its end.
    """
    if at_once is None:
        return 1
    return max(1, len(seeds) // (processes * 2 * at_once))


def default_workers(episodes: int) -> int:
    """Returns a process per core, or fewer so that each has four episodes or more."""
    return max(1, min(usable_cores(), episodes // 4))


def _serve(pipe: Connection) -> None:
    """Works on part after part in a worker process, until its pipe is closed."""
    # Ctrl-C reaches every process of a terminal: the parent decides
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    # these errors mean that the parent is gone
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            pipe.send(_work_on_next(pipe))


def _work_on_next(pipe: Connection) -> tuple[str, Any]:
    """Works on the next part; returns the message that ends it.

    It is ("done", results), ("refused", why) for an expected error, or ("failed",
    traceback) for any other.
    """
    try:
        work, seeds, places = pipe.recv()
        # tasks of the user's own, which the parent has registered
        for place in places:
            register_task(place)
        return "done", list(work(seeds, lambda item: pipe.send(("report", item))))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except EmbodiedError as error:
        return "refused", str(error)
    except Exception as error:
        reason = refusal(error) if isinstance(error, OSError) else ""
        return ("refused", reason) if reason else ("failed", traceback.format_exc())


def raise_failure(kind: str, value: Any, part: Sequence[int], where: str) -> None:
    """Raises what a message of a worker says, if it says that the work failed.

    Args:
        kind: of the message; "refused" and "failed" are errors.
        value: why: a sentence, or a traceback.
        part: the seeds that were worked on.
        where: the work was done.

    Raises:
        EmbodiedError: the work was refused.
        RuntimeError: it failed.
    """
    if kind == "refused":
        raise EmbodiedError(value)
    if kind == "failed":
        raise RuntimeError(f"the work on {seed_range(part)} failed {where}:\n{value}")


def seed_range(part: Sequence[int]) -> str:
    """Returns the seeds of a part in words."""
    return f"seeds {part[0]} to {part[-1]}"


def _cause_of_death(exit_code: int | None) -> str:
    """Returns why a process died; below 0, the exit code names a signal."""
    if exit_code is None or exit_code >= 0:
        return f"exit status {exit_code}"

    name = signal.Signals(-exit_code).name
    if name == "SIGKILL":
        return f"{name}; if memory ran out, use fewer workers or fewer worlds at once"
    return name


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Makes what starts or is loaded within it compute with one thread.

    Then sums are added in one order everywhere.
    """
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)

    # torch, where it is loaded already, does not read the environment any more
    torch = sys.modules.get("torch")
    num_threads = torch.get_num_threads() if torch else 0
    if torch:
        torch.set_num_threads(1)

    try:
        yield
    finally:
        if torch:
            torch.set_num_threads(num_threads)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Makes processes that start within it deaf to Ctrl-C from their first moment on.

    They inherit what is blocked in this thread. This process may still hear it, in
    another thread.
    """
    # Python's own helper process starts along with the first process, and would unblock
    # Ctrl-C then; so it is started beforehand
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
