"""What the machine has, and what its operating system refuses.

A refusal, such as a full disk, is no fault of the code: its traceback would help
nobody.
"""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Iterator
from pathlib import Path

# Full disks, missing permissions, broken media, too many open files.
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

    A container may see many cores, and yet have a quota of the time of two.
    """
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    return max(1, math.ceil(min(cores, cpu_quota())))


def cpu_quota(root: Path = Path("/")) -> float:
    """Returns the time of how many cores control groups grant this process.

    It may be a fraction, such as 1.5, and is infinite where there is no limit. The
    limits of all groups around the process's own hold, too.

    Args:
        root: of the file system.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return math.inf

    quotas = [math.inf]
    for line in lines:
        # e.g. "0::/docker/abc" of version 2, "5:cpu,cpuacct:/docker/abc" of version 1
        _, _, controllers_and_group = line.partition(":")
        controllers, _, group = controllers_and_group.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        inner = Path(group.lstrip("/"))
        # within a container its own group is often mounted at the base
        for part in (inner, *inner.parents):
            quotas += _quotas_in(base / part)
    return min(quotas)


def _quotas_in(folder: Path) -> Iterator[float]:
    """Yields the limits that a control group's folder sets, in cores."""
    # version 2 has both numbers in one file, where "max" is no limit
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            texts = [(folder / name).read_text(encoding="utf-8") for name in names]
            quota, period = " ".join(texts).split()
            if float(quota) > 0:
                yield float(quota) / float(period)
        except (OSError, ValueError):
            continue


def refusal(error: OSError) -> str:
    """Returns what was refused, in a few words.

    It is empty for an error that the code itself may have caused.
    """
    if error.errno not in REFUSALS:
        return ""

    # not the error's own text: h5py's is five lines long
    reason = os.strerror(error.errno)
    return f"{reason}: {error.filename}" if error.filename else reason
