"""The seal of a dataset: its index, after the end of what the HDF5 library knows.

HDF5 passes over what lies behind its own last byte, and cuts it off when it has had a
file open for writing, whether or not anything was changed. So where a seal is, nobody
has changed the file since this package closed it, and the index is still true. A copy
of the file takes its seal along. Where there is none, or where it does not fit, readers
visit the groups, as they would without it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

from embodied.datasets.guarded import damage_named
from embodied.datasets.index.file_index import (
    FileIndex,
    Stamp,
    packed_arrays,
    unpacked,
)
from embodied.datasets.index.finding import clock_in, index_of_episodes
from embodied.datasets.index.packed import Packed, as_bytes, from_bytes, write_packed
from embodied.datasets.index.places import find_all_places
from embodied.datasets.masks import default_masks
from embodied.datasets.opening import (
    demo_names,
    metas_of,
    open_file,
    read_meta,
    stored_masks,
)
from embodied.datasets.schema import H5, DatasetError, EpisodeMeta
from embodied.files import WriteError

SEAL_VERSION = 1
# Arrays that hold the ticks of others, by how their names end.
TICKS = ("frame_tick", "image_tick", "/t")


def seal(path: Path) -> None:
    """Adds its index to a file that was written and closed.

    A file that has no episodes, or is odd in another way, gets none.

    Raises:
        WriteError: the disk is full, or refuses it for another reason.
    """
    stamp = Stamp.of(path.stat())
    with suppress(DatasetError):
        with open_file(path) as file, damage_named(path):
            demos = demo_names(file)
            if not demos:
                return
            names = names_digest(file)
            metas = [read_meta(file["data"][demo]) for demo in demos]
            masks = stored_masks(file, demos)
            if masks is None:
                masks = default_masks(metas)
            places = find_all_places(file, demos)

        texts = [meta.instruction for meta in metas]
        index = index_of_episodes(stamp, demos, texts, masks)
        index.places = places
        for key in places:
            if key.endswith(TICKS) or key.startswith("plans/tick_frame"):
                with suppress(DatasetError):  # such ticks serve no window
                    index.clocks[key] = clock_in(path, index, key, places[key])
        _append(path, index, metas, names)


def _append(
    path: Path, index: FileIndex, metas: Sequence[EpisodeMeta], names: str
) -> None:
    """Writes an index, and the table of episodes, to the end of its file."""
    arrays, notes = packed_arrays(index)
    columns = {
        each.name: [getattr(meta, each.name) for meta in metas]
        for each in fields(EpisodeMeta)
    }
    arrays["metas"] = as_bytes(columns)
    notes |= {"seal_version": SEAL_VERSION, "names": names}

    try:
        with path.open("ab") as file:
            write_packed(file, arrays, notes)
    except OSError as error:
        raise WriteError(path, error) from error


class Sealed:
    """What the seal of a file says."""

    def __init__(self, path: Path, packed: Packed) -> None:
        self._path = path
        self._packed = packed

    def index(
        self, stamp: Stamp, arrays: Iterable[str], clocks: Iterable[str]
    ) -> FileIndex | None:
        """Returns the index, as far as it has some arrays; None if it is damaged."""
        try:
            return unpacked(self._packed, stamp, self._packed.begin, arrays, clocks)
        except (KeyError, TypeError, ValueError, OSError):
            return None

    def episodes(self) -> list[tuple[str, EpisodeMeta]] | None:
        """Returns the table of episodes with their names; None if it is damaged."""
        try:
            demos = from_bytes(self._packed.array("demos"))
            metas = metas_of(from_bytes(self._packed.array("metas")))
        except (KeyError, TypeError, ValueError, OSError):
            return None
        if len(metas) != len(demos):
            return None
        return list(zip(demos, metas, strict=True))


def sealed(path: Path, file: H5) -> Sealed | None:
    """Returns what the seal of an open file says; None if it has none that fits.

    Args:
        path: of the file.
        file: the same, opened for reading.
    """
    try:
        packed = Packed(path)
        fits = packed.begin > 0 and packed.notes["seal_version"] == SEAL_VERSION
        fits = fits and packed.notes["names"] == names_digest(file)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError):
        return None
    return Sealed(path, packed) if fits else None


def names_digest(file: H5) -> str:
    """Returns a hash of the names of all that lies right below `/data`."""
    names = json.dumps(sorted(file["data"])).encode()
    return hashlib.blake2b(names, digest_size=16).hexdigest()
