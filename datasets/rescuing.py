"""Finding the episodes of a damaged HDF5 file whose tables of contents are lost.

HDF5 finds an episode through the links of the group `/data`, which the end of a file may
hold. Where these are lost, episodes are found by the signature with which the header of
each object begins. Files have it from the form of HDF5 1.10 on, in which these headers
have checksums, too: bytes that only look like a header are no danger.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import h5py

from embodied.datasets.h5_files import new_file, open_to_read, references_to
from embodied.datasets.schema import H5, DatasetError
from embodied.datasets.trial import has_checksums

OBJECT_HEADER = re.compile(rb"OHDR\x02")
# The attributes by which the groups of a header and of an episode are known.
OF_HEADER = "schema_version"
OF_EPISODE = "num_samples"
# The members by which an episode is known whose attributes cannot be read.
MEMBERS = {"actions", "obs", "start"}
# Errors that HDF5 raises for damaged objects.
DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError)


def rescue(
    damaged: Path, target: Path, require_complete: Callable[[H5], None]
) -> list[tuple[int, str]]:
    """Copies the header and the complete episodes of a damaged file to a new file.

    The episodes are named by their order in the damaged file.

    Args:
        damaged: the path of the damaged file, which HDF5 must be able to open.
        target: the file to write.
        require_complete: a function that raises an error unless a demo is complete.

    Returns:
        (position in the file, reason) of each episode that was found and not copied.

    Raises:
        DatasetError: no header was found, or the file has a form without checksums, in
            which damage may keep the HDF5 library in an endless loop.
        OSError: the file cannot be opened.
        WriteError: `target` cannot be written.
    """
    if not has_checksums(damaged):
        raise DatasetError(f"{damaged} has HDF5's old form, without checksums")

    lost = []
    temporary = target.with_name(f"{target.name}.writing")
    with open_to_read(damaged) as file, new_file(target, temporary) as new:
        data = new.h5.create_group("data")
        for position, group in _groups(file, _header_positions(damaged)):
            try:
                if OF_HEADER in group.attrs and "meta" not in new.h5:
                    new.h5.copy(group, new.h5, "meta")
                if OF_EPISODE not in group.attrs:
                    continue
                require_complete(group)
                new.h5.copy(group, data, f"demo_{len(data)}")
            except (*DAMAGE, DatasetError) as error:
                if _looks_like_episode(group):
                    lost.append((position, str(error)))
            new.check()
        if "meta" not in new.h5:
            raise DatasetError(f"the header of {damaged} is lost")
    return lost


def _header_positions(path: Path) -> list[int]:
    """Returns the positions in a file at which an object header may begin, ascending."""
    with path.open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        with content:
            return [match.start() for match in OBJECT_HEADER.finditer(content)]


def _groups(file: H5, positions: Sequence[int]) -> Iterator[tuple[int, H5]]:
    """Yields the groups whose headers are at some positions, with the positions."""
    for position, reference in zip(positions, references_to(positions), strict=True):
        try:
            item = file[reference]
        except DAMAGE:
            continue
        if isinstance(item, h5py.Group):
            yield position, item


def _looks_like_episode(group: H5) -> bool:
    """Returns whether a group has the members of an episode."""
    try:
        return set(group) >= MEMBERS
    except DAMAGE:
        return False
