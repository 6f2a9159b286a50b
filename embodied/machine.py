"""What the machine has, and what its operating system refuses.

A refusal, such as a full disk, is no fault of the code: its traceback would help
nobody.
"""

from __future__ import annotations

import errno
import os

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
    """Returns the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def refusal(error: OSError) -> str:
    """Returns what was refused, in a few words.

    It is empty for an error that the code itself may have caused.
    """
    if error.errno not in REFUSALS:
        return ""

    # not the error's own text: h5py's is five lines long
    reason = os.strerror(error.errno)
    return f"{reason}: {error.filename}" if error.filename else reason
