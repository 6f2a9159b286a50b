"""What the machine may refuse, such as room on a full disk.

The code is not at fault then, so a traceback would help nobody.
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
    """Returns what was refused, in a few words.

    Empty for an error that the code itself may have made.
    """
    if error.errno not in REFUSALS:
        return ""
    # not the error's own text: h5py's is five lines long
    reason = os.strerror(error.errno)
    return f"{reason}: {error.filename}" if error.filename else reason
