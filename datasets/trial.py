"""A trial of files whose form has no checksums, before this process reads them.

Damage at some places of such a file keeps the HDF5 library in an endless loop, or crashes
the process. Neither can be stopped from within, so a child process walks through the file
first.
"""

from __future__ import annotations

import functools
import mmap
import os
import signal
import subprocess
import sys
from pathlib import Path

from embodied.datasets import trial_walk
from embodied.datasets.schema import DatasetError

SIGNATURE = b"\x89HDF\r\n\x1a\n"  # with which HDF5's superblock begins
# Byte of HDF5's superblock that holds its version. From version 2 on, files have
# checksums on all metadata, except on values of variable length.
SUPERBLOCK_VERSION_AT = 8
FIRST_WITH_CHECKSUMS = 2
HEAP = b"GCOL"  # begins each heap of values of variable length
# Processor time of the child, so that a busy machine does not count. The longest sound
# steps, such as finding 100,000 members of a group, take less than a second.
LONGEST_STEP_S = 5.0
TRIALS_KEPT = 1024  # results of trials that a process remembers


def require_end(path: Path, is_foreign: bool) -> None:
    """Raises DatasetError for a file from which the HDF5 library does not come back.

    Nothing happens if all that describes the file's content has checksums. Else a child
    process tries the file, once per process unless the file changes, which takes half a
    second for a small file.

    Args:
        path: an HDF5 file, or any other.
        is_foreign: whether another tool wrote the file. Such files may have values of
            variable length, which never have checksums, and are searched for them.

    Raises:
        OSError: the file cannot be read.
        DatasetError: the library crashes or loops, or no child process can be started.
    """
    if _has_checksums(path) and not (is_foreign and _has_heap(path)):
        return
    stat = path.stat()
    reason = _failure(path.absolute(), stat.st_size, stat.st_mtime_ns)
    if reason:
        raise DatasetError(f"{path} {reason}")


def _has_checksums(path: Path) -> bool:
    """Returns whether an HDF5 file has checksums on all metadata."""
    with path.open("rb") as file:
        begin = file.read(SUPERBLOCK_VERSION_AT + 1)
    # where another tool keeps bytes of its own before the superblock, this one says no
    is_at_start = begin.startswith(SIGNATURE) and len(begin) > SUPERBLOCK_VERSION_AT
    return is_at_start and begin[SUPERBLOCK_VERSION_AT] >= FIRST_WITH_CHECKSUMS


def _has_heap(path: Path) -> bool:
    """Returns whether a file may have values of variable length."""
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return content.find(HEAP) >= 0


@functools.lru_cache(TRIALS_KEPT)
def _failure(path: Path, size: int, mtime_ns: int) -> str:
    """Returns why a child process did not come to the end of a file; "" if it did.

    Args:
        path: the file's path.
        size: the file's size; like `mtime_ns` it lets a changed file be tried anew.
        mtime_ns: when the file was last changed.
    """
    child = subprocess.run(
        # -P: the folder of the script is not searched for modules
        [sys.executable, "-P", trial_walk.__file__, path, str(LONGEST_STEP_S)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode == 0:
        return ""
    if child.returncode == -signal.SIGPROF:
        return (
            "is damaged: it keeps HDF5's library in an endless loop; take another copy"
        )
    if child.returncode < 0:
        name = signal.Signals(-child.returncode).name
        return f"is damaged: it crashes HDF5's library ({name}); take another copy"
    lines = child.stderr.strip().splitlines() or ["it gave no reason"]
    return f"cannot be tried in a process of its own: {lines[-1]}"
