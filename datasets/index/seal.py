"""The seal: the dataset's index, appended after the last byte that belongs to HDF5.

HDF5 ignores bytes after its own end of file, and truncates them whenever the file was
opened for writing, even if nothing changed. So a file that still has its seal has not
been changed since this package closed it, and the index is valid. Copying a file copies
its seal. If the seal is missing or does not match the file, readers walk the HDF5 groups
instead.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path

from tqdm import tqdm

from embodied.datasets.guarded import damage_named
from embodied.datasets.index.file_index import (
    FileIndex,
    Stamp,
    packed_arrays,
    unpacked,
)
from embodied.datasets.index.finding import clock_in, index_of_episodes
from embodied.datasets.index.packed import Packed, as_bytes, from_bytes, write_packed
from embodied.datasets.index.places import OnEpisode, find_all_places
from embodied.datasets.masks import default_masks
from embodied.datasets.opening import (
    demo_names,
    episode_metas,
    open_file,
    read_meta,
    stored_masks,
)
from embodied.datasets.schema import H5, DatasetError, EpisodeMeta
from embodied.files import WriteError

SEAL_VERSION = 1
# Name endings of the arrays that hold other arrays' timestamps, in ticks.
TICKS = ("frame_tick", "image_tick", "/t")
# Name beginning of the arrays that hold when the images behind each plan were captured.
PLAN_TICKS = "plans/tick_frame"
SILENT_S = 2.0  # sealing that takes no longer shows no progress


def seal(path: Path) -> None:
    """Appends the index of a dataset to its file, which must be closed.

    A file without episodes, or one whose index cannot be built, is left without a seal.

    Raises:
        WriteError: the disk is full, or cannot be written for another reason.
    """
    stamp = Stamp.of(path.stat())
    # a dataset stays usable without a seal, so no fault in it is an error here
    with suppress(DatasetError):
        with open_file(path) as file, damage_named(path):
            demos = demo_names(file)
            if not demos:
                return
            names = names_digest(file)
            with _progress(path, len(demos)) as on_episode:
                metas = []
                for demo in demos:
                    metas.append(read_meta(file["data"][demo]))
                    on_episode(1)
                places = find_all_places(file, demos, on_episode)
            masks = stored_masks(file, demos)
            if masks is None:
                masks = default_masks(metas)

        texts = [meta.instruction for meta in metas]
        index = index_of_episodes(stamp, demos, texts, masks)
        index.places = places
        for key in places:
            if key.endswith(TICKS) or key.startswith(PLAN_TICKS):
                # timestamps that do not rise cannot be searched, so the index omits them
                with suppress(DatasetError):
                    index.clocks[key] = clock_in(path, index, key, places[key])
        _append(path, index, metas, names)


@contextmanager
def _progress(path: Path, count: int) -> Iterator[OnEpisode]:
    """Yields a function to call with the number of episodes visited since the last call.

    The terminal shows a progress bar if sealing takes longer than `SILENT_S`.

    Args:
        path: the dataset's file, named in the bar.
        count: number of episodes. Each is visited twice: for its metadata and its arrays.
    """
    with tqdm(
        desc=f"index {path.name}",
        total=2 * count,
        bar_format="{desc}: {percentage:.0f}%, {remaining} left",
        delay=SILENT_S,
        leave=False,
        disable=None,
    ) as bar:

        def on_episode(more: int) -> None:
            bar.update(more)

        yield on_episode


def _append(
    path: Path, index: FileIndex, metas: Sequence[EpisodeMeta], names: str
) -> None:
    """Appends an index and the table of episodes to the file that they describe."""
    arrays, notes = packed_arrays(index)
    # the table of episodes, column by column
    columns = {
        column.name: [getattr(meta, column.name) for meta in metas]
        for column in fields(EpisodeMeta)
    }
    arrays["metas"] = as_bytes(columns)
    notes |= {"seal_version": SEAL_VERSION, "names": names}

    try:
        with path.open("ab") as file:
            write_packed(file, arrays, notes)
    except OSError as error:
        raise WriteError(path, error) from error


class Sealed:
    """The content of a file's seal."""

    def __init__(self, path: Path, packed: Packed) -> None:
        self._path = path
        self._packed = packed

    def index(
        self, stamp: Stamp, arrays: Iterable[str], clocks: Iterable[str]
    ) -> FileIndex | None:
        """Returns the index, with the places and clocks of some arrays only.

        Args:
            stamp: the stamp of the dataset's file.
            arrays: names of the arrays whose places to load.
            clocks: names of the arrays of ticks whose clocks to load.

        Returns:
            The index, without those arrays that the seal does not hold; None if the
            seal is damaged.
        """
        try:
            return unpacked(self._packed, stamp, self._packed.begin, arrays, clocks)
        except (KeyError, TypeError, ValueError, OSError):
            return None

    def episodes(self) -> list[tuple[str, EpisodeMeta]] | None:
        """Returns (name, row) of each episode in the table; None if it is damaged."""
        try:
            demos = from_bytes(self._packed.array("demos"))
            metas = episode_metas(from_bytes(self._packed.array("metas")))
        except (KeyError, TypeError, ValueError, OSError):
            return None
        if len(metas) != len(demos):
            return None
        return list(zip(demos, metas, strict=True))


def sealed(path: Path, file: H5) -> Sealed | None:
    """Returns the seal of an open file; None if it has none, or an invalid one.

    Args:
        path: the path of the file.
        file: the same file, opened for reading.
    """
    try:
        packed = Packed(path)
        # at position 0 it would be an index alone, without a dataset before it
        is_valid = packed.begin > 0
        is_valid = is_valid and packed.notes["seal_version"] == SEAL_VERSION
        is_valid = is_valid and packed.notes["names"] == names_digest(file)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError):
        return None
    return Sealed(path, packed) if is_valid else None


def names_digest(file: H5) -> str:
    """Returns a hash of the names of the groups and arrays directly below `/data`."""
    names = json.dumps(sorted(file["data"])).encode()
    return hashlib.blake2b(names, digest_size=16).hexdigest()
