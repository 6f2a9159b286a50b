"""What the machine refuses, such as a full disk: no fault of the code, so a traceback
would help nobody.
"""

from __future__ import annotations

import errno
import os

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


def refusal(error: OSError) -> str:
    """What was refused, in a few words; empty for an error that the code itself may
    have made.
    """
    if error.errno not in REFUSALS:
        return ""
    reason = os.strerror(error.errno)  # h5py's own text is five lines long
    return f"{reason}: {error.filename}" if error.filename else reason
