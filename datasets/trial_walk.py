"""Walks through an HDF5 file, and comes to an end or is ended by the system.

    python trial_walk.py FILE LONGEST_STEP_S

`trial.py` runs this as a script of its own, so it imports nothing of this package. The
exit status is 0 also where parts of the file cannot be read: the readers name these. A
damaged file may keep the HDF5 library in an endless loop, or crash it. Then a signal ends
this process: SIGPROF where a single step takes more processor time than was given.
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

ROWS_AT_ONCE = 4096


def walk(path: str, longest_step_s: float) -> None:
    """Reads all of a file on which the HDF5 library may loop or crash.

    These are names, links, attributes, the places of all chunks, and values of variable
    length. Numbers and pictures are left out, since they are only copied. It calls h5py's
    low-level functions, which take a third of the time.

    Args:
        path: the file's path.
        longest_step_s: processor time that a step may take before the system ends this
            process.
    """
    steps = _Steps(longest_step_s)
    steps.begin()
    with suppress(Exception), h5py.File(path, "r", locking=False) as file:
        size = file.id.get_filesize()
        seen: set[int] = set()  # addresses of groups and arrays
        waiting: list[Any] = [h5o.open(file.id, b"/")]
        while waiting:
            item = waiting.pop()
            # a group may be linked several times, also below itself
            with suppress(Exception):
                address = h5o.get_info(item).addr
                if address in seen:
                    continue
                seen.add(address)
                _read_attributes(item, steps)
                if isinstance(item, h5g.GroupID):
                    waiting += _members(item, steps)
                elif isinstance(item, h5d.DatasetID):
                    _read_array(item, size, steps)


@dataclass(frozen=True)
class _Steps:
    """Lets the system end this process in a step that takes too long."""

    longest_s: float

    def begin(self) -> None:
        """Begins the next step, by restarting the system's timer."""
        # no handler is set, so the signal also ends a process that is within the library
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
    found = []
    for name in list(group):
        steps.begin()
        with suppress(Exception):
            if group.links.get_info(name).type == h5l.TYPE_HARD:
                found.append(h5o.open(group, name))
    return found


def _read_array(array: Any, file_bytes: int, steps: _Steps) -> None:
    """Finds all chunks of an open array, and reads values of variable length.

    Args:
        array: the open array.
        file_bytes: the size of its file.
        steps: is told of each step.
    """
    steps.begin()
    with suppress(Exception):
        if array.get_create_plist().get_layout() == h5d.CHUNKED:
            array.chunk_iter(lambda chunk: None)

    # the readers refuse an array that declares more values than a file can hold
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
    # a crash leaves no memory dump in the user's folder
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    walk(sys.argv[1], float(sys.argv[2]))
