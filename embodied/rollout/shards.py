"""Seeds shared out over processes: each works on a contiguous part, and results come
back in the order of the seeds.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from embodied.errors import EmbodiedError
from embodied.machine import refusal

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
STOP_WAIT_S = 5.0
T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
Report = Callable[[Any], None]
# a title and how many -> told of each
Stage = Callable[[str, int], contextlib.AbstractContextManager[Report]]


class Work(Protocol[T_co]):
    """What is done with a part of the seeds: a function of a module, or a plain object,
    since it is sent to others.
    """

    def __call__(self, seeds: Sequence[int], report: Report) -> Sequence[T_co]:
        """One result a seed, in their order, or none at all; `report` tells the caller
        something at once.
        """


@dataclass(frozen=True)
class _Worker:
    process: SpawnProcess
    pipe: Connection


class Workers:
    """Some processes of one thread each, started when first needed and kept from job to
    job.

    A single one is this process itself. Ctrl-C, like any error, stops all of them at
    once: what they write must be whole at any moment.
    """

    def __init__(self, count: int = 1) -> None:
        if count < 1:
            raise EmbodiedError(
                f"the number of workers must be at least 1, not {count}"
            )
        self.count = count
        self._workers: list[_Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def run(
        self, work: Work[T], seeds: Sequence[int], on_report: Report = lambda item: None
    ) -> list[T]:
        """The results of `work` for all seeds, in their order.

        Raises:
            EmbodiedError: what the work itself raised as one, or that a process died;
            names the seeds. RuntimeError: the work failed otherwise; with the
            traceback.
        """
        parts = split(seeds, self.count)
        if len(parts) < 2:
            with _one_thread():
                return list(work(seeds, on_report)) if parts else []
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
        self._kill()

    def _share_out(
        self, work: Work[T], parts: list[Sequence[int]], on_report: Report
    ) -> list[T]:
        self._start(len(parts))
        at_work = {
            worker.pipe: k for k, worker in enumerate(self._workers[: len(parts)])
        }
        for pipe, k in at_work.items():
            # it died: what reads below finds out
            with contextlib.suppress(BrokenPipeError):
                pipe.send((work, parts[k]))
        results: list[Sequence[T]] = [()] * len(parts)
        while at_work:
            ready = set(wait(list(at_work)))
            for pipe in [pipe for pipe in at_work if pipe in ready]:
                k = at_work[pipe]
                kind, value = self._receive(k, parts[k])
                if kind == "report":
                    on_report(value)
                else:
                    results[k] = value
                    del at_work[pipe]
        return [result for part in results for result in part]

    def _receive(self, k: int, part: Sequence[int]) -> tuple[str, Any]:
        process = self._workers[k].process
        pipe = self._workers[k].pipe
        try:
            kind, value = pipe.recv()
        except (EOFError, ConnectionResetError):
            process.join(STOP_WAIT_S)
            raise EmbodiedError(
                f"the process at work on {_named(part)} died ({_cause(process.exitcode)})"
            ) from None
        if kind == "refused":
            raise EmbodiedError(value)
        if kind == "failed":
            raise RuntimeError(
                f"the work on {_named(part)} failed in its process:\n{value}"
            )
        return kind, value

    def _start(self, count: int) -> None:
        context = multiprocessing.get_context("spawn")
        with _one_thread(), _deaf_to_ctrl_c():
            while len(self._workers) < count:
                pipe, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(theirs,), daemon=True)
                process.start()
                theirs.close()
                self._workers.append(_Worker(process, pipe))

    def _kill(self) -> None:
        for worker in self._workers:
            worker.process.kill()
            worker.pipe.close()
        for worker in self._workers:
            worker.process.join()
        self._workers.clear()


def split(seeds: Sequence[int], parts: int) -> list[Sequence[int]]:
    """At most `parts` contiguous parts, none of them empty, as equal as can be."""
    count = min(parts, len(seeds))
    ends = [k * len(seeds) // count for k in range(count + 1)] if count else [0]
    return [seeds[a:b] for a, b in itertools.pairwise(ends)]


def default_workers(episodes: int) -> int:
    """As many processes as there are cores, but none for fewer than four episodes."""
    cores = (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1
    )
    return max(1, min(cores, episodes // 4))


def _serve(pipe: Connection) -> None:
    """What a worker process does: one part after the other, until its pipe is closed."""
    # Ctrl-C reaches every process of a terminal: the parent decides
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # the parent is gone
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            pipe.send(_do(pipe))


def _do(pipe: Connection) -> tuple[str, Any]:
    try:
        work, seeds = pipe.recv()
        return "done", list(work(seeds, lambda item: pipe.send(("report", item))))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except EmbodiedError as error:
        return "refused", str(error)
    except Exception as error:
        reason = refusal(error) if isinstance(error, OSError) else ""
        return ("refused", reason) if reason else ("failed", traceback.format_exc())


def _named(part: Sequence[int]) -> str:
    return f"seeds {part[0]} to {part[-1]}"


def _cause(exit_code: int | None) -> str:
    if exit_code is None or exit_code >= 0:
        return f"exit status {exit_code}"
    name = signal.Signals(-exit_code).name
    advice = (
        "; if memory ran out, use fewer workers or fewer worlds at once"
        if name == "SIGKILL"
        else ""
    )
    return f"{name}{advice}"


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """Within it, what starts or is loaded computes with one thread, so that sums are
    added in one order everywhere.
    """
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch else 0
    if torch:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if torch:
            torch.set_num_threads(threads)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Processes started within it ignore Ctrl-C from their first moment on."""
    if threading.current_thread() is not threading.main_thread():  # only that one may
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
