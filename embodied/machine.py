"""The machine's usable cores, errors of its operating system, and the running command."""

from __future__ import annotations

import errno
import math
import os
import shlex
from collections.abc import Iterator, Sequence
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


def command_line(argv: Sequence[str]) -> str:
    """Returns a command as one line, without the folder of its program.

    The folder would reveal a person's machine, and has no effect on results.
    """
    if not argv:
        return ""
    return shlex.join([Path(argv[0]).name, *argv[1:]])


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

    The quota may be a fraction, such as 1.5; it is infinite without a limit. It is the
    smallest limit of the process's group and of all groups around this group.

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
        # The group's folder and all folders around it, up to the base. Inside a container,
        # the container's own group is often mounted at the base.
        base = root / "sys/fs/cgroup" / ("cpu" if controllers else "")
        group_path = Path(group.lstrip("/"))
        for path in (group_path, *group_path.parents):
            quotas += _quotas_in(base / path)
    return min(quotas)


def _quotas_in(folder: Path) -> Iterator[float]:
    """Yields the limits in a control group's folder, in cores."""
    # Version 2 has quota and period in one file, version 1 in two. "max" in place of the
    # quota means no limit: it is no number, and raises ValueError below.
    for names in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        try:
            texts = [(folder / name).read_text(encoding="utf-8") for name in names]
            quota_us, period_us = " ".join(texts).split()
            # version 1 writes -1 for no limit
            if float(quota_us) > 0:
                yield float(quota_us) / float(period_us)
        except (OSError, ValueError):
            continue


def refusal(error: OSError) -> str:
    """Returns a short description of an error with which the system refused an operation.

    Returns "" for errors that are not in REFUSALS, because a bug may have caused them.
    """
    if error.errno not in REFUSALS:
        return ""

    # the system's description, because the error's own text is five lines long for h5py
    reason = os.strerror(error.errno)
    return f"{reason}: {error.filename}" if error.filename else reason
