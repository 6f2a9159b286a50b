"""The machine's usable cores, and errors of its operating system."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Iterator
from pathlib import Path

# Errors that are not the code's fault, so that users need no traceback: full disks,
# missing permissions, broken media, too many open files.
REFUSALS = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
        errno.EIO,
        errno.EMFILE,
    }
)


def usable_cores() -> int:
    """Returns the number of cores that this process may use.

    A container may see many cores, but have a CPU quota of only two.
    """
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    return max(1, math.ceil(min(cores, cpu_quota())))


def cpu_quota(root: Path = Path("/")) -> float:
    """Returns this process's CPU quota by control groups, in cores.

    It may be a fraction, such as 1.5; it is infinite without a limit. The smallest limit
    of the process's group and of all groups around it holds.

    Args:
        root: the root of the file system.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return math.inf

    quotas = [math.inf]
    for line in lines:
        # e.g. "0::/docker/abc" in version 2, "5:cpu,cpuacct:/docker/abc" in version 1
        _, _, controllers_and_group = line.partition(":")
        controllers, _, group = controllers_and_group.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        inner = Path(group.lstrip("/"))
        # inside a container, its own group is often mounted at the base
        for part in (inner, *inner.parents):
            quotas += _quotas_in(base / part)
    return min(quotas)


def _quotas_in(folder: Path) -> Iterator[float]:
    """Yields the limits in a control group's folder, in cores."""
    # version 2 has both numbers in one file; "max" instead of a number means no limit
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            texts = [(folder / name).read_text(encoding="utf-8") for name in names]
            quota, period = " ".join(texts).split()
            if float(quota) > 0:
                yield float(quota) / float(period)
        except (OSError, ValueError):
            continue


def refusal(error: OSError) -> str:
    """Returns a short description of an error with which the system refused an operation.

    It is empty for errors that are not in REFUSALS: the code itself may have caused them.
    """
    if error.errno not in REFUSALS:
        return ""

    # instead of the error's own text, which is five lines long for h5py
    reason = os.strerror(error.errno)
    return f"{reason}: {error.filename}" if error.filename else reason
