"""Measures a loader's speed, for our loader and for those of peers.

It imports only the standard library. A peer's script imports it as `timed_loading`, since
Python looks for modules in the folder of a script first.
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence, Sized
from importlib.metadata import version


def windows_per_s(
    loader: Iterable[Mapping[str, Sized]], key: str, repeats: int, seconds: float
) -> list[float]:
    """Returns windows per second of each repeat, after one batch that warms up.

    Times are processor times, so that other work on the machine disturbs them less.

    Args:
        loader: yields batches; iterating it again starts a new pass.
        key: the key of an array in a batch that has a row for each window.
        repeats: number of measurements.
        seconds: processor time of each measurement.
    """
    speeds = []
    batches = iter(loader)
    next(batches)

    for _ in range(repeats):
        count = 0
        start_s = time.process_time()
        while time.process_time() - start_s < seconds:
            batch = next(batches, None)
            # the pass is over: start the next one
            if batch is None:
                batches = iter(loader)
                continue
            count += len(batch[key])
        speeds.append(count / (time.process_time() - start_s))
    return speeds


def print_result(package: str, speeds: Mapping[str, Sequence[float]]) -> None:
    """Prints a peer's speeds as the line that `data_throughput` looks for."""
    print("RESULT " + json.dumps({"version": version(package), "speeds": speeds}))
