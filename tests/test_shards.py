"""Sharing out seeds: order, equality with one process, and what happens when a process
goes wrong.
"""

import math
import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from embodied import machine
from embodied.errors import EmbodiedError
from embodied.machine import cpu_quota, usable_cores
from embodied.rollout.shards import (
    Workers,
    default_workers,
    parts_per_process,
    split,
)
from tests.shards_work import DieOnce, FailAt, describe, sleep

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


def test_a_process_that_dies_loses_its_part_alone(tmp_path: Path) -> None:
    seeds = range(12)
    reports: list[tuple[int, int]] = []
    with Workers(2) as workers:
        # one seed at once: three parts of two for each process
        work = DieOnce(seed=5, mark=tmp_path / "died")
        assert workers.run(work, seeds, reports.append, at_once=1) == list(seeds)
        assert workers.run(work, seeds) == list(seeds)

    # only the part of the seed was done twice, by another process
    counts = Counter(seed for seed, _ in reports)
    assert {seed for seed, count in counts.items() if count > 1} <= {4, 5}
    processes = [process for seed, process in reports if seed == 5]
    assert len(set(processes)) == 2


@given(st.integers(1, 10**4), st.integers(1, 64), st.integers(1, 32))
def test_a_part_keeps_the_batch_busy(seeds: int, count: int, at_once: int) -> None:
    parts = split(range(seeds), count * parts_per_process(range(seeds), count, at_once))
    # as many seeds as two batches have, or all that there are for a process
    least = min(2 * at_once, seeds // count)
    assert all(len(part) >= least for part in parts)
    assert len(parts) >= min(count, seeds)


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({}, math.inf),
        ({"proc/self/cgroup": "0::/"}, math.inf),
        (
            {"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/b/cpu.max": "max 100000"},
            math.inf,
        ),
        # within a container, the own group is mounted at the base
        (
            {"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/cpu.max": "150000 100000"},
            1.5,
        ),
        # a group around it sets less
        (
            {
                "proc/self/cgroup": "0::/a/b",
                "sys/fs/cgroup/a/b/cpu.max": "400000 100000",
                "sys/fs/cgroup/a/cpu.max": "200000 100000",
            },
            2.0,
        ),
        # version 1
        (
            {
                "proc/self/cgroup": "5:memory:/c\n4:cpu,cpuacct:/c",
                "sys/fs/cgroup/cpu/c/cpu.cfs_quota_us": "300000",
                "sys/fs/cgroup/cpu/c/cpu.cfs_period_us": "100000",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            3.0,
        ),
    ],
)
def test_the_quota_of_a_container(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, str],
    quota: float,
) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    assert cpu_quota(tmp_path) == quota

    monkeypatch.setattr(machine, "cpu_quota", lambda: quota)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(64))
    assert usable_cores() == min(64, math.ceil(min(quota, 64)))


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
    cores = usable_cores()
    assert default_workers(1) == 1
    assert default_workers(4 * cores) == default_workers(10**6) == cores
