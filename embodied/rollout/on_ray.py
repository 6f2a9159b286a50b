"""Work shared out among the machines of a Ray cluster, or by Ray on this machine.

Ray schedules the parts, repeats those whose node died, and brings back what they
report; there is no queue of our own. The machines need the same versions of this
package and of what it computes with, which each part checks before it begins.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

from embodied.closing import ClosedOnExit
from embodied.envs.own_tasks import register_task
from embodied.envs.registry import own_places
from embodied.errors import EmbodiedError, one_line
from embodied.machine import refusal, usable_cores
from embodied.rollout.cluster_address import ClusterAddress, require_answer
from embodied.rollout.shards import (
    Report,
    Work,
    one_thread,
    parts_per_process,
    raise_failure,
    seed_range,
    split,
)

# What decides the digits of a result: other versions on a node would mix two results.
SAME_EVERYWHERE = ("embodied-ground", "mujoco", "numpy", "torch")
# Results and reports are small, so that Ray need not reserve a third of the memory.
OBJECT_STORE_BYTES = 200 * 2**20
# Nobody asked for statistics of use to be sent, nor for a change of CUDA_VISIBLE_DEVICES.
RAY_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
# How often a part is repeated before the death of its nodes counts as an error.
RETRIES = 3
# How often, once per second, the head is asked in vain: some other server may answer.
JOINING = {"RAY_NUM_REDIS_GET_RETRIES": "6"}
T = TypeVar("T")
Message = tuple[str, Any]


@dataclass(frozen=True)
class Surroundings:
    """What a part needs to find on its node."""

    folder: str  # in which the command was typed: relative paths begin there
    places: tuple[str, ...]  # of tasks of the user's own
    versions: Mapping[str, str]  # of SAME_EVERYWHERE


class RayExecutor(ClosedOnExit):
    """Carries out work as tasks of a Ray cluster, one core each.

    A part whose node dies is repeated elsewhere. What it had reported is not reported
    again, since it comes out the same. A node that joins gets parts as well.
    """

    shares_files = False

    def __init__(self, address: ClusterAddress | None, count: int | None) -> None:
        """Joins the cluster, or starts Ray on this machine.

        Args:
            address: where the cluster is; None to start one here, which ends with this
                object.
            count: how many parts run at once, at most; None for the cores of the
                cluster.

        Raises:
            EmbodiedError: Ray is not installed, the cluster does not answer, or it
                refuses this process.
        """
        if count is not None and count < 1:
            raise EmbodiedError(
                f"the number of workers must be at least 1, not {count}"
            )
        self._ray = _import_ray({} if address is None else JOINING)
        self._limit = count
        # Whoever has begun Ray in this process also ends it.
        self._is_ours = not self._ray.is_initialized()
        if self._is_ours:
            self._begin(address, count)

    @property
    def count(self) -> int:
        """How many parts run at once now: nodes may come and go."""
        cores = max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        return cores if self._limit is None else min(cores, self._limit)

    def run(
        self,
        work: Work[T],
        seeds: Sequence[int],
        on_report: Report = lambda item: None,
        at_once: int | None = None,
    ) -> list[T]:
        """Returns the results of `work` for all seeds, in their order (`Executor`)."""
        if not seeds:
            return []

        count = self.count
        parts = split(seeds, count * parts_per_process(seeds, count, at_once))
        here = Surroundings(str(Path.cwd()), tuple(own_places()), own_versions())
        # the work is sent once, however many parts there are
        shared = self._ray.put((work, here))
        task = self._ray.remote(_part).options(
            num_cpus=1, max_retries=RETRIES, num_returns="streaming"
        )

        results: dict[int, Sequence[T]] = {}
        running: dict[Any, int] = {}
        waiting = list(range(len(parts)))
        room = len(parts) if self._limit is None else self._limit
        try:
            while waiting or running:
                while waiting and len(running) < room:
                    number = waiting.pop(0)
                    running[task.remote(shared, parts[number])] = number

                ready, _ = self._ray.wait(list(running), fetch_local=False)
                for messages in ready:
                    number = running[messages]
                    kind, value = self._next(messages, parts[number])
                    if kind == "report":
                        on_report(value)
                    elif kind == "result":
                        results[number] = value
                    else:
                        del running[messages]
        except BaseException:
            self._cancel(running)
            raise
        return [result for k in range(len(parts)) for result in results[k]]

    def close(self) -> None:
        """Leaves the cluster, and ends it where it was started here."""
        if self._is_ours:
            self._ray.shutdown()

    def _begin(self, address: ClusterAddress | None, count: int | None) -> None:
        """Joins the cluster at an address, or starts one here."""
        # Ray's own words on the screen would tear the progress bar
        quiet = {"log_to_driver": False, "logging_level": "ERROR"}
        if address is None:
            self._ray.init(
                address="local",
                num_cpus=count or usable_cores(),
                object_store_memory=OBJECT_STORE_BYTES,
                include_dashboard=False,
                **quiet,
            )
            return

        require_answer(address)
        try:
            self._ray.init(address=address.text, **quiet)
        except Exception as error:
            raise EmbodiedError(
                f"the Ray cluster at {address.text} did not let this process join: "
                f"{one_line(error)}. This machine must be one of its nodes "
                "(`ray start`), with the same versions of Python and Ray, or send the "
                "command there: ray job submit -- embodied ... --on ray"
            ) from None

    def _next(self, messages: Any, part: Sequence[int]) -> Message:
        """Returns the kind and content of a part's next message; "end" after the last."""
        from ray.exceptions import RayError

        try:
            kind, value = self._ray.get(next(messages))
        except StopIteration:
            return "end", None
        except RayError as error:
            raise EmbodiedError(
                f"Ray could not have the work on {seed_range(part)} done, which it "
                f"repeats {RETRIES} times where a node dies: {one_line(error)[:500]}"
            ) from None

        raise_failure(kind, value, part, "on its node")
        return kind, value

    def _cancel(self, running: Mapping[Any, int]) -> None:
        """Stops the parts that are running or wait."""
        for messages in running:
            with contextlib.suppress(Exception):
                self._ray.cancel(messages, force=True)


def own_versions() -> dict[str, str]:
    """Returns the versions of SAME_EVERYWHERE that this process has."""
    versions = {}
    for package in SAME_EVERYWHERE:
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions


def _import_ray(settings: Mapping[str, str]) -> Any:
    """Returns the package.

    Args:
        settings: environment variables of Ray's, beside RAY_SETTINGS, where they are
            not set yet. Ray reads some of them when it is imported.

    Raises:
        EmbodiedError: it is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise EmbodiedError(
            "--on ray needs Ray, which is not installed: pip install "
            "'embodied-ground[ray]'"
        )
    for name, value in {**RAY_SETTINGS, **settings}.items():
        os.environ.setdefault(name, value)
    import ray

    return ray


def _part(
    shared: tuple[Work[Any], Surroundings], seeds: Sequence[int]
) -> Iterator[Message]:
    """Works on a part of the seeds in a process of a node; yields messages.

    They are ("report", item) for each report and ("result", results) in the end, or
    ("refused", why) for an expected error and ("failed", traceback) for any other.
    """
    # The work reports by calling a function, and Ray streams what is yielded: the work
    # runs in a thread of its own, which hands over each message.
    outbox: SimpleQueue[Message] = SimpleQueue()
    worker = Thread(target=_carry_out, args=(*shared, seeds, outbox), daemon=True)
    worker.start()
    while True:
        message = outbox.get()
        yield message
        if message[0] != "report":
            return


def _carry_out(
    work: Work[Any],
    driver: Surroundings,
    seeds: Sequence[int],
    outbox: SimpleQueue[Message],
) -> None:
    """Puts the messages of a part into the outbox; the last one is not a report."""
    try:
        # the driver's tasks are known here only when their places are loaded
        _require_same_versions(driver.versions)
        for place in driver.places:
            register_task(place)

        with _within(driver.folder), one_thread():
            results = work(seeds, lambda item: outbox.put(("report", item)))
        outbox.put(("result", list(results)))

    # what a user can mend is told in a line, a mistake of ours with its traceback
    except EmbodiedError as error:
        outbox.put(("refused", str(error)))
    except Exception as error:
        reason = refusal(error) if isinstance(error, OSError) else ""
        text = reason or traceback.format_exc()
        outbox.put(("refused" if reason else "failed", text))


def _within(folder: str) -> contextlib.AbstractContextManager[None]:
    """Returns a context in that folder, where this node has it.

    Without a shared folder, relative paths begin wherever Ray was started.
    """
    if Path(folder).is_dir():
        return contextlib.chdir(folder)
    return contextlib.nullcontext()


def _require_same_versions(wanted: Mapping[str, str]) -> None:
    """Raises EmbodiedError if this node would compute with other versions."""
    own = own_versions()
    differing = [
        f"{name} {own.get(name, 'none')} for {wanted[name]}"
        for name in wanted
        if own.get(name) != wanted[name]
    ]
    if differing:
        raise EmbodiedError(
            f"the node {platform.node()} has {', '.join(differing)}: install the same "
            "versions on all nodes, e.g. pip install -c constraints.txt"
        )
