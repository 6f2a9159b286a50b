"""How a loader's speed is measured: the same for ours, and in every peer's environment.

It imports the standard library alone. A peer's script finds it as `timed_loading`, since
Python looks for modules in a script's own folder first.
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence, Sized
from importlib.metadata import version


def windows_per_s(
    loader: Iterable[Mapping[str, Sized]], key: str, repeats: int, seconds: float
) -> list[float]:
    """Returns the speed of each repeat, after a batch that only warms up.

    Seconds are those of the processor, so that other work disturbs them less.

    Args:
        loader: yields batches, and begins anew when it is asked to.
        key: of an array in a batch that has a row for each window.
        repeats: how many speeds there are.
        seconds: how long each is measured.
    """
    speeds = []
    batches = iter(loader)
    next(batches)

    for _ in range(repeats):
        count = 0
        start_s = time.process_time()
        while time.process_time() - start_s < seconds:
            batch = next(batches, None)
            # the episodes are through: from the first one again
            if batch is None:
                batches = iter(loader)
                continue
            count += len(batch[key])
        speeds.append(count / (time.process_time() - start_s))
    return speeds


def print_result(package: str, speeds: Mapping[str, Sequence[float]]) -> None:
    """Prints a peer's speeds as the line that `data_throughput` looks for."""
    print("RESULT " + json.dumps({"version": version(package), "speeds": speeds}))
