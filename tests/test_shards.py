"""Sharing out seeds: order, equality with one process, and what happens when a process
goes wrong.
"""

import os
import signal
import time
from collections.abc import Iterator
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embodied.errors import EmbodiedError
from embodied.rollout.shards import Workers, default_workers, split
from tests.shards_work import FailAt, describe, sleep

SEEDS = [7, 8, 9, 20, 21]


@pytest.fixture(scope="module", autouse=True)
def importable() -> Iterator[None]:
    """Processes are told the parent's path: they must find the work of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent.parent)
        yield


@pytest.fixture(scope="module")
def two(importable: None) -> Iterator[Workers]:
    with Workers(2) as workers:
        yield workers


@given(st.lists(st.integers(0, 10**6), unique=True), st.integers(1, 9))
def test_parts_are_contiguous_and_even(seeds: list[int], count: int) -> None:
    parts = split(seeds, count)
    assert [seed for part in parts for seed in part] == seeds
    assert len(parts) == min(count, len(seeds))
    sizes = [len(part) for part in parts]
    assert not sizes or 1 <= min(sizes) >= max(sizes) - 1


def test_two_processes_give_what_one_gives(two: Workers) -> None:
    alone: list[tuple[int, int]] = []
    shared: list[tuple[int, int]] = []
    expected = [(seed, "1") for seed in SEEDS]
    assert Workers(1).run(describe, SEEDS, alone.append) == expected
    assert two.run(describe, SEEDS, shared.append) == expected
    assert [seed for seed, _ in alone] == SEEDS
    assert sorted(seed for seed, _ in shared) == SEEDS
    assert {process for _, process in alone} == {os.getpid()}
    processes = {process for _, process in shared}
    assert len(processes) == 2
    assert os.getpid() not in processes


def test_processes_are_kept_from_job_to_job(two: Workers) -> None:
    jobs: list[list[tuple[int, int]]] = [[], []]
    for job in jobs:
        two.run(describe, SEEDS, job.append)
    first, second = ({process for _, process in job} for job in jobs)
    assert first == second


def test_the_environment_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    Workers(1).run(describe, SEEDS)
    assert os.environ["OMP_NUM_THREADS"] == "3"
    assert "MKL_NUM_THREADS" not in os.environ


def test_no_seeds_is_no_work(two: Workers) -> None:
    assert two.run(describe, []) == []


@pytest.mark.parametrize(
    ("way", "kind", "message"),
    [
        ("killed", EmbodiedError, r"seeds 9 to 21 died \(SIGKILL; if memory ran out"),
        ("exit", EmbodiedError, r"seeds 9 to 21 died \(exit status 3\)"),
        ("refused", EmbodiedError, "^no such camera$"),
        ("full", EmbodiedError, "^No space left on device$"),
        (
            "bug",
            RuntimeError,
            r"(?s)seeds 9 to 21 failed.*Traceback.*in _fail.*one over nothing",
        ),
    ],
)
def test_a_failing_process_is_reported_and_the_next_job_runs(
    way: str, kind: type[Exception], message: str
) -> None:
    with Workers(2) as workers:
        begun = time.monotonic()
        with pytest.raises(kind, match=message):
            workers.run(FailAt(20, way), SEEDS)
        assert time.monotonic() - begun < 20
        assert workers.run(FailAt(99, way), SEEDS) == SEEDS


def test_ctrl_c_while_processes_start_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    start = SpawnProcess.start
    started: list[SpawnProcess] = []

    def start_then_press(self: SpawnProcess) -> None:
        start(self)
        started.append(self)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(SpawnProcess, "start", start_then_press)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), Workers(2) as workers:
            workers.run(describe, SEEDS)
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(started) == 2
    assert not any(process.is_alive() for process in started)


def test_ctrl_c_stops_all_processes_at_once() -> None:
    processes: list[int] = []

    # Interrupt once both processes are known to run.
    def stop(process: int) -> None:
        processes.append(process)
        if len(processes) == 2:
            raise KeyboardInterrupt

    begun = time.monotonic()
    with Workers(2) as workers, pytest.raises(KeyboardInterrupt):
        workers.run(sleep, SEEDS, stop)
    assert time.monotonic() - begun < 20
    # Signal 0 only asks whether there is such a process.
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_number_of_workers() -> None:
    with pytest.raises(EmbodiedError, match="at least 1, not 0"):
        Workers(0)
    cores = len(os.sched_getaffinity(0))
    assert default_workers(1) == 1
    assert default_workers(4 * cores) == default_workers(10**6) == cores
