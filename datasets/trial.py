"""A trial reading of HDF5 files whose metadata have no checksums.

Damage at some places of such a file keeps the HDF5 library in an endless loop, or crashes
the process that reads it. A process cannot stop either in itself, so a child process
reads the file first.
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

# The first bytes of HDF5's superblock, which is the file header.
SIGNATURE = b"\x89HDF\r\n\x1a\n"
# The position in HDF5's superblock of the byte with its version.
SUPERBLOCK_VERSION_AT = 8
# From this version on, files can have checksums on all metadata, except on values of
# variable length. Ours do; other tools may mix in structures of the older format.
FIRST_VERSION_WITH_CHECKSUMS = 2
# The first bytes of structures without checksums: heaps of values of variable length, and
# the older format's trees and tables of names.
UNCHECKED = (b"GCOL", b"TREE", b"SNOD")
# The child process is ended if one step of reading takes longer than this. Processor time
# is measured, so that a busy machine makes no difference. In sound files, the longest
# steps, such as finding 100,000 members of a group, take less than a second.
LONGEST_STEP_S = 5.0
TRIALS_KEPT = 1024  # number of results of trials that a process remembers


def require_end(path: Path, is_foreign: bool) -> None:
    """Raises DatasetError for a file on which the HDF5 library would loop or crash.

    A file whose metadata have checksums is accepted at once. Any other file is read by a
    child process, which takes half a second for a small file. The result is remembered
    until the file changes.

    Args:
        path: the path of an HDF5 file, or of any other file.
        is_foreign: whether another tool wrote the file. Such a file may hold structures
            without checksums whatever its version, so they are searched for.

    Raises:
        OSError: the file cannot be read.
        DatasetError: the library crashes or loops, or no child process can be started.
    """
    if has_checksums(path) and not (is_foreign and _has_unchecked(path)):
        return
    stat = path.stat()
    reason = _failure(path.absolute(), stat.st_size, stat.st_mtime_ns)
    if reason:
        raise DatasetError(f"{path} {reason}")


def has_checksums(path: Path) -> bool:
    """Returns whether an HDF5 file is of a version with checksums on metadata."""
    with path.open("rb") as file:
        begin = file.read(SUPERBLOCK_VERSION_AT + 1)
    # another tool may write other bytes before the superblock; then the result is False,
    # so that the child process reads the file first
    is_at_start = begin.startswith(SIGNATURE) and len(begin) > SUPERBLOCK_VERSION_AT
    return is_at_start and begin[SUPERBLOCK_VERSION_AT] >= FIRST_VERSION_WITH_CHECKSUMS


def _has_unchecked(path: Path) -> bool:
    """Returns whether a file may hold structures without checksums."""
    with (
        path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return any(content.find(mark) >= 0 for mark in UNCHECKED)


@functools.lru_cache(TRIALS_KEPT)
def _failure(path: Path, size: int, mtime_ns: int) -> str:
    """Lets a child process read a file; returns why that failed, "" if it succeeded.

    Results are cached. Size and time are arguments so that a file that has changed since
    its last trial is tried again.

    Args:
        path: the file's path.
        size: the file's size in bytes.
        mtime_ns: the time at which the file was last changed, in ns.
    """
    child = subprocess.run(
        # with -P the folder of the script is not searched for modules
        [sys.executable, "-P", trial_walk.__file__, path, str(LONGEST_STEP_S)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    if child.returncode == 0:
        return ""
    # a negative code names the signal that ended the child; SIGPROF is that of its timer
    if child.returncode == -signal.SIGPROF:
        return (
            "is damaged: it keeps HDF5's library in an endless loop; take another copy"
        )
    if child.returncode < 0:
        name = signal.Signals(-child.returncode).name
        return f"is damaged: it crashes HDF5's library ({name}); take another copy"
    lines = child.stderr.strip().splitlines() or ["it gave no reason"]
    return f"cannot be tried in a process of its own: {lines[-1]}"
