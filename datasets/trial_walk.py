"""A script that reads an HDF5 file, to find out whether the HDF5 library loops or crashes.

    python trial_walk.py FILE LONGEST_STEP_S

`trial.py` runs this script in a child process; the script imports nothing of this
package. The exit status is 0 also if parts of the file cannot be read, because the
readers report such parts. If the library crashes, or a single step takes more processor
time than LONGEST_STEP_S, a signal ends the process: in the second case SIGPROF.
"""

from __future__ import annotations

import resource
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5l, h5o

ROWS_AT_ONCE = 4096  # values of variable length are read in blocks of this many rows


def walk(path: str, longest_step_s: float) -> None:
    """Reads everything in a file on which the HDF5 library may loop or crash.

    This is names, links, attributes, the positions of all chunks, and values of variable
    length. Numbers and pictures are not read, because the library only copies them. The
    function calls h5py's low-level interface, which takes a third of the time.

    Args:
        path: the file's path.
        longest_step_s: the processor time that a step may take before the system ends
            this process.
    """
    steps = _Steps(longest_step_s)
    steps.begin()
    with suppress(Exception), h5py.File(path, "r", locking=False) as file:
        size = file.id.get_filesize()
        visited: set[int] = set()  # addresses in the file of the groups and arrays
        to_visit: list[Any] = [h5o.open(file.id, b"/")]
        while to_visit:
            item = to_visit.pop()
            # parts that cannot be read are skipped: the readers report them
            with suppress(Exception):
                # a group may be linked several times, even below itself
                address = h5o.get_info(item).addr
                if address in visited:
                    continue
                visited.add(address)
                _read_attributes(item, steps)
                if isinstance(item, h5g.GroupID):
                    to_visit += _members(item, steps)
                elif isinstance(item, h5d.DatasetID):
                    _read_array(item, size, steps)


@dataclass(frozen=True)
class _Steps:
    """Makes the system end this process if a step takes longer than `longest_s`."""

    longest_s: float  # processor time

    def begin(self) -> None:
        """Begins the next step, by restarting the system's timer."""
        # Python handles this signal only if asked to. So it ends the process at once, even
        # while the library is in a loop.
        signal.setitimer(signal.ITIMER_PROF, self.longest_s)


def _read_attributes(item: Any, steps: _Steps) -> None:
    """Reads the attributes of an open group or array."""
    for number in range(h5a.get_num_attrs(item)):
        steps.begin()
        with suppress(Exception):
            attribute = h5a.open(item, index=number)
            attribute.read(np.empty(attribute.shape, attribute.dtype))


def _members(group: Any, steps: _Steps) -> list[Any]:
    """Returns the groups and arrays that are stored right below an open group."""
    steps.begin()
    members = []
    for name in list(group):
        steps.begin()
        with suppress(Exception):
            # other kinds of links lead to other files, or to items found elsewhere
            if group.links.get_info(name).type == h5l.TYPE_HARD:
                members.append(h5o.open(group, name))
    return members


def _read_array(array: Any, file_bytes: int, steps: _Steps) -> None:
    """Finds all chunks of an open array, and reads values of variable length.

    Args:
        array: the open array.
        file_bytes: the size of the file in bytes.
        steps: the timer, which is restarted at each step.
    """
    steps.begin()
    with suppress(Exception):
        # visiting each chunk makes the library read the chunk index
        if array.get_create_plist().get_layout() == h5d.CHUNKED:
            array.chunk_iter(lambda chunk: None)

    # `hasobject` means values of variable length; an array that declares more values than
    # the file has bytes is left to the readers, which refuse it
    values = h5py.Dataset(array)
    if not values.dtype.hasobject or values.size > file_bytes:
        return
    if not values.shape:
        steps.begin()
        values[()]
        return
    for start in range(0, len(values), ROWS_AT_ONCE):
        steps.begin()
        with suppress(Exception):
            values[start : start + ROWS_AT_ONCE]


if __name__ == "__main__":
    # prevents a crash from writing a memory dump to the user's folder
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    walk(sys.argv[1], float(sys.argv[2]))
