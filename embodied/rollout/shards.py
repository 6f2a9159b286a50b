"""Distributes work on many seeds over processes of this machine.

The seeds are divided into contiguous parts. A free process gets the next part; results
are returned in the order of the seeds. A process that dies is replaced, and its part is
repeated.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import multiprocessing
import signal
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
from embodied.rollout.one_thread import one_thread

LOGGER = logging.getLogger(__name__)
STOP_WAIT_S = 5.0  # time for a process to end by itself
# A part is tried this often before the death of its process counts as an error.
MAX_TRIES = 3
T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
# Receives each report of the work: usually a result, as soon as it is known.
Report = Callable[[Any], None]
# (title, expected number of reports) -> a context manager that shows the progress of one
# stage of a job, and yields the `Report` to call.
Stage = Callable[[str, int], contextlib.AbstractContextManager[Report]]


class Work(Protocol[T_co]):
    """A function of a part of the seeds.

    It is pickled for other processes, so it is a function of a module, or an object with
    picklable fields.
    """

    def __call__(self, seeds: Sequence[int], report: Report) -> Sequence[T_co]:
        """Returns one result per seed, in their order; or () for work without results.

        `report` sends an object to the caller immediately.
        """


class _ProcessDiedError(EmbodiedError):
    """A process ended in the middle of its work."""


@dataclass(frozen=True)
class _Worker:
    """A process, with our end of the pipe to it."""

    process: SpawnProcess
    pipe: Connection


@dataclass
class _Part(Generic[T]):
    """A part of the seeds, which one process works on."""

    seeds: Sequence[int]
    tries: int = 0  # how often a process has begun it
    results: Sequence[T] = ()  # one per seed, once the part is finished


@dataclass
class _Job(Generic[T]):
    """The parts of a job and their state."""

    parts: list[_Part[T]]
    # indices of the parts that have no process yet
    waiting: list[int] = field(default_factory=list)
    # pipe of a process at work -> index of its part
    part_at: dict[Connection, int] = field(default_factory=dict)


class Workers(ClosedOnExit):
    """A pool of processes with one thread each.

    Processes are started when they are first needed, and kept for later jobs. With a
    count of 1, the work runs in this process. Ctrl-C and errors kill all processes at
    once, so files that they write must be valid at any moment.
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
            work: called in the processes with parts of the seeds; called again with the
                same part if a process died.
            seeds: the seeds to work on.
            on_report: called in this process with each report of the work; a repeated
                part reports again.
            at_once: how many seeds the work processes together, as in one batch of
                worlds. Many seeds then become several parts per process. None for one
                part per process.

        Raises:
            EmbodiedError: the work raised one, or processes died MAX_TRIES times at the
                same part; the message names the seeds.
            RuntimeError: the work raised another error; the message has the traceback.
        """
        if not seeds:
            return []

        # work for a single process is done in this process
        if min(self.count, len(seeds)) == 1:
            with one_thread():
                return list(work(seeds, on_report))

        parts = split(seeds, self.count * parts_per_process(seeds, self.count, at_once))

        try:
            return self._run_on_processes(work, parts, on_report)
        except BaseException:
            self._kill()
            raise

    def close(self) -> None:
        """Ends the processes."""
        # a process ends by itself when its pipe is closed
        for worker in self._workers:
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join(STOP_WAIT_S)

        # kill those that have not ended in time
        self._kill()

    def _run_on_processes(
        self, work: Work[T], parts: list[Sequence[int]], on_report: Report
    ) -> list[T]:
        """Runs all parts on the processes; returns the results in the order of parts."""
        job: _Job[T] = _Job(
            [_Part(part) for part in parts], waiting=[*range(len(parts))]
        )
        while job.waiting or job.part_at:
            # as many processes as there are unfinished parts, up to the count; this also
            # replaces processes that have died
            self._start(min(self.count, len(job.waiting) + len(job.part_at)))
            self._assign_parts(work, job)
            # read one message of each ready pipe
            ready = set(wait(list(job.part_at)))
            # a copy, because `_handle_message` removes finished parts
            for pipe in list(job.part_at):
                if pipe in ready:
                    self._handle_message(pipe, job, on_report)
        return [result for part in job.parts for result in part.results]

    def _assign_parts(self, work: Work[T], job: _Job[T]) -> None:
        """Gives the waiting parts of the job to free processes."""
        free = [w.pipe for w in self._workers if w.pipe not in job.part_at]
        for pipe in free[: len(job.waiting)]:
            part = job.parts[job.waiting[0]]
            part.tries += 1
            job.part_at[pipe] = job.waiting.pop(0)
            # if the process has died, `_handle_message` finds out when it reads from the pipe
            with contextlib.suppress(BrokenPipeError):
                pipe.send((work, part.seeds, own_places()))

    def _handle_message(
        self, pipe: Connection, job: _Job[T], on_report: Report
    ) -> None:
        """Handles the next message of a process; if it has died, its part waits again."""
        index = job.part_at[pipe]
        part = job.parts[index]
        try:
            kind, value = self._receive(pipe, part.seeds)
        except _ProcessDiedError as death:
            if part.tries == MAX_TRIES:
                raise
            LOGGER.warning("%s. Another one repeats its work.", death)
            self._remove_dead(pipe)
            del job.part_at[pipe]
            job.waiting.insert(0, index)
            return

        # the last message of a part is no report: it has the results
        if kind == "report":
            on_report(value)
        else:
            part.results = value
            del job.part_at[pipe]

    def _receive(self, pipe: Connection, part: Sequence[int]) -> tuple[str, Any]:
        """Returns (kind, content) of the next message of a process.

        The kind is "report", or "done" with the results of the part. The kinds "refused"
        and "failed" are raised as errors (see `_work_on_next`).
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

        raise_if_failed(kind, value, part, where="in its process")
        return kind, value

    def _worker_at(self, pipe: Connection) -> _Worker:
        return next(worker for worker in self._workers if worker.pipe is pipe)

    def _remove_dead(self, pipe: Connection) -> None:
        """Removes a dead process from the pool."""
        worker = self._worker_at(pipe)
        self._workers.remove(worker)
        worker.process.kill()
        worker.process.join()
        pipe.close()

    def _start(self, count: int) -> None:
        """Starts processes until there are `count`."""
        # Ctrl-C waits until all processes are in `_workers`, so that `_kill` finds them
        context = multiprocessing.get_context("spawn")
        with one_thread(), ctrl_c_kept(), _ctrl_c_blocked():
            while len(self._workers) < count:
                pipe, child_pipe = context.Pipe()
                process = context.Process(
                    target=_worker_loop, args=(child_pipe,), daemon=True
                )
                process.start()
                # The child has its own copy of its end of the pipe. If this process kept
                # it open, too, it would not notice the child's death.
                child_pipe.close()
                self._workers.append(_Worker(process, pipe))

    def _kill(self) -> None:
        """Ends all processes at once, and waits until they are gone."""
        for worker in self._workers:
            worker.process.kill()
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join()
        self._workers.clear()


@contextlib.contextmanager
def quiet_stage(title: str, total: int) -> Iterator[Report]:
    """A `Stage` that shows no progress."""
    yield lambda item: None


def split(seeds: Sequence[int], parts: int) -> list[Sequence[int]]:
    """Returns at most `parts` contiguous, non-empty parts of nearly equal size."""
    count = min(parts, len(seeds))
    if not count:
        return []

    ends = [k * len(seeds) // count for k in range(count + 1)]
    return [seeds[start:stop] for start, stop in itertools.pairwise(ends)]


def parts_per_process(seeds: Sequence[int], processes: int, at_once: int | None) -> int:
    """Returns into how many parts the seeds of one process are divided.

    A part has at least twice as many seeds as one batch (`at_once`). In shorter parts
    most worlds of a batch would idle while the last episodes end.
    """
    if at_once is None:
        return 1
    return max(1, len(seeds) // (processes * 2 * at_once))


def default_workers(episodes: int) -> int:
    """Returns the default number of processes: one per core.

    There are fewer if a process would get less than four episodes, because starting a
    process takes some seconds.
    """
    return max(1, min(usable_cores(), episodes // 4))


def _worker_loop(pipe: Connection) -> None:
    """The loop of a worker process: works on parts until its pipe is closed."""
    # Ctrl-C reaches all processes of a terminal; only the parent reacts to it
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    # these errors mean that the parent has closed the pipe, or has died
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            pipe.send(_work_on_next(pipe))


def _work_on_next(pipe: Connection) -> tuple[str, Any]:
    """Works on the next part; returns its last message.

    It is ("done", results), ("refused", reason) for an expected error, or ("failed",
    traceback) for any other.
    """
    try:
        work, seeds, places = pipe.recv()
        # the parent has registered these tasks of the user's own
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


def raise_if_failed(kind: str, value: Any, part: Sequence[int], where: str) -> None:
    """Raises an error if a message of a worker reports one.

    Args:
        kind: kind of the message; "refused" and "failed" are errors.
        value: the reason as a sentence, or a traceback.
        part: the seeds of the part.
        where: place of the work, e.g. "in its process".

    Raises:
        EmbodiedError: the work was refused.
        RuntimeError: it failed.
    """
    if kind == "refused":
        raise EmbodiedError(value)
    if kind == "failed":
        raise RuntimeError(f"the work on {seed_range(part)} failed {where}:\n{value}")


def seed_range(part: Sequence[int]) -> str:
    """Returns the seeds of a part in words, e.g. "seeds 0 to 24"."""
    return f"seeds {part[0]} to {part[-1]}"


def _cause_of_death(exit_code: int | None) -> str:
    """Returns why a process died, in words."""
    # a negative exit code is the number of the signal that killed the process
    if exit_code is None or exit_code >= 0:
        return f"exit status {exit_code}"

    name = signal.Signals(-exit_code).name
    if name == "SIGKILL":
        return f"{name}; if memory ran out, use fewer workers or fewer worlds at once"
    return name


@contextlib.contextmanager
def _ctrl_c_blocked() -> Iterator[None]:
    """Blocks Ctrl-C in the processes that start within the context.

    They inherit the signals blocked in this thread, and so are safe even before they run
    `_worker_loop`. Other threads of this process still receive Ctrl-C.
    """
    # Starting the first process also starts Python's resource tracker, which would
    # unblock Ctrl-C. So the tracker is started before Ctrl-C is blocked.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
