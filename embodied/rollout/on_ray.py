"""Distributes work over a Ray cluster, or over Ray processes on this machine.

Ray schedules the parts, repeats those whose node died, and delivers their reports. All
nodes need the same versions of this package and of the packages in SAME_EVERYWHERE; each
part checks that before it starts.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
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
from embodied.rollout.one_thread import one_thread
from embodied.rollout.shards import (
    Report,
    Work,
    parts_per_process,
    raise_if_failed,
    seed_range,
    split,
)

LOGGER = logging.getLogger(__name__)
# Packages whose versions affect the digits of results: nodes must not differ in them.
SAME_EVERYWHERE = ("embodied-ground", "mujoco", "numpy", "torch")
# Results and reports are small; by default Ray would reserve a third of the memory.
OBJECT_STORE_BYTES = 200 * 2**20
# Ray must neither send usage statistics nor change CUDA_VISIBLE_DEVICES.
RAY_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
# How often a part is repeated before the death of its nodes counts as an error.
RETRIES = 3
# Settings for joining a cluster: Ray asks the head once per second, and gives up after 6 s
# without an answer.
JOINING_SETTINGS = {"RAY_NUM_REDIS_GET_RETRIES": "6"}
MESSAGE_LENGTH = 200  # of a message of Ray, whose rest tells where its logs are
T = TypeVar("T")
Message = tuple[str, Any]  # (kind, content) that a part sends: see `_run_part`


@dataclass(frozen=True)
class Surroundings:
    """Properties of this process that parts of its work must find on their nodes."""

    folder: str  # current folder, to which relative paths refer
    # where the user's own tasks are defined, such as "my_tasks.py:TASK"
    places: tuple[str, ...]
    versions: Mapping[str, str]  # package in SAME_EVERYWHERE -> version


class RayExecutor(ClosedOnExit):
    """Runs work as tasks of a Ray cluster, one core each.

    A part whose node dies is repeated on another node. A repeated part sends the same
    messages again; Ray delivers only those that had not arrived. Nodes may join while work
    is running.
    """

    shares_files = False

    def __init__(self, address: ClusterAddress | None, max_parts: int | None) -> None:
        """Joins the cluster, or starts Ray on this machine.

        Args:
            address: the address of the cluster; None to start Ray on this machine until
                this object is closed.
            max_parts: the most parts to run at once; None for one per core of the cluster.

        Raises:
            EmbodiedError: Ray is not installed, the cluster does not answer, or it
                refuses this process.
        """
        if max_parts is not None and max_parts < 1:
            raise EmbodiedError(
                f"the number of workers must be at least 1, not {max_parts}"
            )
        # Ray reads its settings when it is imported
        settings = {} if address is None else JOINING_SETTINGS
        self._ray = _import_ray(settings)
        self._max_parts = max_parts
        # a Ray that already runs in this process is not shut down by this object
        self._is_ours = not self._ray.is_initialized()
        if self._is_ours:
            self._join_or_start(address, max_parts)

    @property
    def count(self) -> int:
        """How many parts run at once; it changes when nodes join or leave."""
        cores = max(1, int(self._ray.cluster_resources().get("CPU", 1)))
        return cores if self._max_parts is None else min(cores, self._max_parts)

    def run(
        self,
        work: Work[T],
        seeds: Sequence[int],
        on_report: Report = lambda item: None,
        at_once: int | None = None,
    ) -> list[T]:
        """Returns the results of `work` for all seeds, in their order: see `Executor`."""
        if not seeds:
            return []

        count = self.count
        parts = split(seeds, count * parts_per_process(seeds, count, at_once))
        # what the parts must find on their nodes
        surroundings = Surroundings(
            str(Path.cwd()), tuple(own_places()), own_versions()
        )
        # stored once in the cluster, for all parts
        shared = self._ray.put((work, surroundings))
        task = self._ray.remote(_run_part).options(
            num_cpus=1, max_retries=RETRIES, num_returns="streaming"
        )

        # number of a part -> its results
        results: dict[int, Sequence[T]] = {}
        running: dict[Any, int] = {}  # stream of messages -> number of the part
        waiting = list(range(len(parts)))
        most_at_once = len(parts) if self._max_parts is None else self._max_parts
        try:
            while waiting or running:
                # start parts; Ray returns a stream of messages for each part
                while waiting and len(running) < most_at_once:
                    number = waiting.pop(0)
                    running[task.remote(shared, parts[number])] = number

                # read one message of each stream that has one
                ready, _ = self._ray.wait(list(running), fetch_local=False)
                for messages in ready:
                    number = running[messages]
                    kind, value = self._next_message(messages, parts[number])
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
        """Leaves the cluster; a Ray that this object started on this machine ends."""
        if self._is_ours:
            self._ray.shutdown()

    def _join_or_start(
        self, address: ClusterAddress | None, max_parts: int | None
    ) -> None:
        """Joins the cluster at an address, or starts Ray on this machine."""
        # Ray's own output would break the progress bar, and JSON on stdout
        quiet = {"log_to_driver": False, "logging_level": "ERROR"}
        self._ray._private.worker.print_to_stdstream = _log_ray_message
        if address is None:
            self._ray.init(
                address="local",
                num_cpus=max_parts or usable_cores(),
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

    def _next_message(self, messages: Any, part: Sequence[int]) -> Message:
        """Returns kind and content of the next message from a part of the work.

        After the last message the kind is "end".

        Args:
            messages: Ray's stream of the messages that the part sends (see `_run_part`).
            part: the seeds of the part.

        Raises:
            EmbodiedError: the part failed, or Ray could not finish it.
        """
        from ray.exceptions import RayError

        try:
            kind, value = self._ray.get(next(messages))
        except StopIteration:
            return "end", None
        except RayError as error:
            raise EmbodiedError(
                f"Ray could not finish the work on {seed_range(part)}, which it "
                f"repeats {RETRIES} times if a node dies: {one_line(error)[:500]}"
            ) from None

        raise_if_failed(kind, value, part, where="on its node")
        return kind, value

    def _cancel(self, running: Mapping[Any, int]) -> None:
        """Cancels the running parts."""
        for messages in running:
            with contextlib.suppress(Exception):
                self._ray.cancel(messages, force=True)


def _log_ray_message(data: Mapping[str, Any], ignore_prefix: bool) -> None:
    """Logs the first line of a message of Ray, e.g. that the node of a task died.

    It stands for Ray's function of the same arguments, which prints to stdout, together
    with the last lines of a dead node's log.
    """
    del ignore_prefix  # it is about the prefixes of lines, which are not shown
    first_line = "\n".join(data["lines"]).strip().partition("\n")[0]
    LOGGER.warning("Ray: %s", first_line[:MESSAGE_LENGTH])


def own_versions() -> dict[str, str]:
    """Returns package -> version in this process, for SAME_EVERYWHERE."""
    versions = {}
    for package in SAME_EVERYWHERE:
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions


def _import_ray(settings: Mapping[str, str]) -> Any:
    """Sets Ray's environment variables, and imports Ray; returns its module.

    Args:
        settings: variables in addition to RAY_SETTINGS. Variables that are set already
            are kept. Ray reads some of them when it is imported.

    Raises:
        EmbodiedError: Ray is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise EmbodiedError(
            "--on ray needs Ray, which is not installed: pip install "
            "'embodied-ground[ray]'"
        )
    for name, value in {**RAY_SETTINGS, **settings}.items():
        os.environ.setdefault(name, value)
    # only now, because Ray reads these variables when it is imported
    import ray

    return ray


def _run_part(
    shared: tuple[Work[Any], Surroundings], seeds: Sequence[int]
) -> Iterator[Message]:
    """Works on a part of the seeds in a process of a node; yields messages.

    There is a ("report", item) for each report. The last message is ("result", results),
    ("refused", reason) for an expected error, or ("failed", traceback) for any other.
    """
    # The work calls a function for each report, but Ray streams what a generator yields.
    # So the work runs in a thread, and this generator yields its messages.
    outbox: SimpleQueue[Message] = SimpleQueue()
    worker = Thread(target=_run_work, args=(*shared, seeds, outbox), daemon=True)
    worker.start()
    while True:
        message = outbox.get()
        yield message
        if message[0] != "report":
            return


def _run_work(
    work: Work[Any],
    driver: Surroundings,
    seeds: Sequence[int],
    outbox: SimpleQueue[Message],
) -> None:
    """Runs the work on a part; puts its messages into the outbox (see `_run_part`)."""
    try:
        # this process knows the user's own tasks only once their places are loaded
        _require_same_versions(driver.versions)
        for place in driver.places:
            register_task(place)

        with _inside_folder(driver.folder), one_thread():
            results = work(seeds, lambda item: outbox.put(("report", item)))
        outbox.put(("result", list(results)))

    # an error that a user can fix becomes one line, any other error a traceback
    except EmbodiedError as error:
        outbox.put(("refused", str(error)))
    except Exception as error:
        reason = refusal(error) if isinstance(error, OSError) else ""
        text = reason or traceback.format_exc()
        outbox.put(("refused" if reason else "failed", text))


def _inside_folder(folder: str) -> contextlib.AbstractContextManager[None]:
    """Returns a context manager that changes into a folder, if this node has it.

    Otherwise relative paths refer to the folder in which Ray was started.
    """
    if Path(folder).is_dir():
        return contextlib.chdir(folder)
    return contextlib.nullcontext()


def _require_same_versions(wanted: Mapping[str, str]) -> None:
    """Raises EmbodiedError if this node has other versions."""
    installed = own_versions()
    differing = [
        f"{name} {installed.get(name, 'none')} for {wanted[name]}"
        for name in wanted
        if installed.get(name) != wanted[name]
    ]
    if differing:
        raise EmbodiedError(
            f"the node {platform.node()} has {', '.join(differing)}: install the same "
            "versions on all nodes, e.g. pip install -c constraints.txt"
        )
