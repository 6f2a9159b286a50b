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
from embodied.datasets.index.array_totals import (
    ArrayTotal,
    array_totals,
    totals_from_json,
    totals_to_json,
)
from embodied.datasets.index.file_index import (
    FileIndex,
    Stamp,
    index_from_packed,
    index_to_packed,
)
from embodied.datasets.index.finding import index_of_episodes, read_clock
from embodied.datasets.index.packed import (
    Packed,
    array_to_json,
    json_to_array,
    write_packed,
)
from embodied.datasets.index.row_positions import OnEpisode, find_all_row_positions
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

# Raised when the content of a seal changes; seals of other versions are ignored.
SEAL_VERSION = 1
# Name endings of the arrays that hold the times of other arrays' rows, in ticks.
TICKS = ("frame_tick", "image_tick", "/t")
# Name beginning of the arrays with the tick at which the images of each plan were captured.
PLAN_TICKS = "plans/tick_frame"
# Sealing shows a progress bar only after this time, because most files take less.
PROGRESS_DELAY_S = 2.0


def seal(path: Path) -> None:
    """Appends the index of a dataset to its file, which must be closed.

    A file without episodes, or one whose index cannot be built, is left without a seal.

    Raises:
        WriteError: the disk is full, or cannot be written for another reason.
    """
    stamp = Stamp.of(path.stat())
    # a dataset can be read without a seal, so damage of the dataset is no error here
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
                positions = find_all_row_positions(file, demos, on_episode)
                totals = array_totals(file["data"][demo] for demo in demos)
            masks = stored_masks(file, demos)
            if masks is None:
                masks = default_masks(metas)

        texts = [meta.instruction for meta in metas]
        index = index_of_episodes(stamp, demos, texts, masks)
        index.positions = positions
        for key in positions:
            if key.endswith(TICKS) or key.startswith(PLAN_TICKS):
                # ticks that do not rise cannot be searched, so they get no clock
                with suppress(DatasetError):
                    index.clocks[key] = read_clock(path, index, key, positions[key])
        _append(path, index, metas, totals, names)


@contextmanager
def _progress(path: Path, count: int) -> Iterator[OnEpisode]:
    """Yields a function to call with the number of episodes visited since the last call.

    The terminal shows a progress bar if sealing takes longer than `PROGRESS_DELAY_S`.

    Args:
        path: the dataset's file, which the bar names.
        count: the number of episodes. Each episode is visited twice: first for its
            metadata, then for its arrays.
    """
    with tqdm(
        desc=f"index {path.name}",
        total=2 * count,
        bar_format="{desc}: {percentage:.0f}%, {remaining} left",
        delay=PROGRESS_DELAY_S,
        leave=False,
        disable=None,
    ) as bar:

        def on_episode(visited: int) -> None:
            bar.update(visited)

        yield on_episode


def _append(
    path: Path,
    index: FileIndex,
    metas: Sequence[EpisodeMeta],
    totals: Sequence[ArrayTotal],
    names: str,
) -> None:
    """Appends an index, and the tables of episodes and of arrays, to the dataset's file.

    Args:
        path: the dataset's file, which must be closed.
        index: the index of the file.
        metas: the rows of the table of episodes.
        totals: the rows of the table of arrays.
        names: the file's `names_digest`, by which a reader checks the seal.
    """
    arrays, metadata = index_to_packed(index)
    # the table of episodes, column by column
    columns = {
        column.name: [getattr(meta, column.name) for meta in metas]
        for column in fields(EpisodeMeta)
    }
    arrays["metas"] = json_to_array(columns)
    metadata |= {
        "seal_version": SEAL_VERSION,
        "names": names,
        "array_totals": totals_to_json(totals),
    }

    try:
        with path.open("ab") as file:
            write_packed(file, arrays, metadata)
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
        """Returns the index, with the row positions and clocks of some arrays only.

        Args:
            stamp: the stamp of the dataset's file.
            arrays: the names of the arrays whose row positions to load.
            clocks: the names of the arrays of ticks whose clocks to load.

        Returns:
            The index, without the arrays that the seal does not contain; None if the
            seal is damaged.
        """
        try:
            return index_from_packed(
                self._packed,
                stamp,
                content_size=self._packed.begin,
                arrays=arrays,
                clocks=clocks,
            )
        except (KeyError, TypeError, ValueError, OSError):
            return None

    def episodes(self) -> list[tuple[str, EpisodeMeta]] | None:
        """Returns (name, row of the table) per episode; None if the seal is damaged."""
        try:
            demos = array_to_json(self._packed.array("demos"))
            metas = episode_metas(array_to_json(self._packed.array("metas")))
        except (KeyError, TypeError, ValueError, OSError):
            return None
        if len(metas) != len(demos):
            return None
        return list(zip(demos, metas, strict=True))

    def array_totals(self) -> tuple[ArrayTotal, ...] | None:
        """Returns the table of arrays; None if the seal is older, or damaged."""
        try:
            return totals_from_json(self._packed.metadata["array_totals"])
        except (KeyError, TypeError, ValueError):
            return None


def sealed(path: Path, file: H5) -> Sealed | None:
    """Returns the seal of an open file; None if the file has no valid seal.

    Args:
        path: the path of the file.
        file: the same file, opened for reading.
    """
    try:
        packed = Packed(path)
        # a seal that begins at byte 0 has no dataset before it: a lone `FILE.index`
        is_valid = packed.begin > 0
        is_valid = is_valid and packed.metadata["seal_version"] == SEAL_VERSION
        is_valid = is_valid and packed.metadata["names"] == names_digest(file)
    except (OSError, KeyError, TypeError, ValueError, RuntimeError):
        return None
    return Sealed(path, packed) if is_valid else None


def names_digest(file: H5) -> str:
    """Returns a hash of the names of the groups and arrays directly below `/data`.

    A seal stores this hash, so that a file whose episodes were changed is noticed.
    """
    names = json.dumps(sorted(file["data"])).encode()
    return hashlib.blake2b(names, digest_size=16).hexdigest()
