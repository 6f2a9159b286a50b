"""Saving the undamaged episodes of a damaged file or an unfinished collection.

HDF5 refuses a truncated file, so a copy of it is opened that is padded with zeros to its
old length. An episode in it is undamaged if all its arrays end before the cut, and can be
read.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py

from embodied.datasets.episode_reading import read_episode
from embodied.datasets.merge import StoredEpisode, write_merged
from embodied.datasets.opening import open_file, read_header, read_meta
from embodied.datasets.schema import H5, DatasetError, Header
from embodied.datasets.storage import part_files, parts_folder
from embodied.errors import one_line

PARTS_SUFFIX = ".parts"
# Byte of HDF5's superblock that holds its version, and the bytes of each version that hold
# the length that the file should have. This package writes version 3, and wrote 0 before.
SUPERBLOCK_VERSION_AT = 8
END_OF_FILE_AT = {
    0: slice(40, 48),
    1: slice(44, 52),
    2: slice(28, 36),
    3: slice(28, 36),
}
SUPERBLOCK_BYTES = 52  # the longest of these superblocks, up to that length
# Errors that reading a damaged file may raise. The episode that raises one is lost; the
# others are still tried.
READING_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError, DatasetError)
SHOWN_LOSSES = 3  # an error message names at most this many lost episodes


@dataclass(frozen=True)
class Lost:
    """An episode that cannot be saved."""

    path: Path
    demo: str
    reason: str


@dataclass(frozen=True)
class RepairReport:
    """The outcome of a repair.

    Attributes:
        saved: number of episodes that were copied.
        lost: episodes that could not be copied.
        cut_bytes: number of bytes that are missing at the ends of the files.
    """

    saved: int
    lost: tuple[Lost, ...]
    cut_bytes: int


def repair(
    path: Path, target: Path, on_checked: Callable[[int], None] | None = None
) -> RepairReport:
    """Copies the undamaged episodes of a file, and of its unfinished collection.

    Args:
        path: a dataset that may be damaged. If its collection was not finished, the
            path that it would have had, or its folder of parts.
        target: the file to write.
        on_checked: a function that is called with 1 after each episode that was
            checked.

    Raises:
        DatasetError: there is no file, its header is lost, or no episode is undamaged.
    """
    sources = _sources(path)
    lost: list[Lost] = []
    kept_episodes: dict[int, StoredEpisode] = {}  # by seed
    header: Header | None = None
    cut_bytes = 0

    with ExitStack() as stack:
        for source in sources:
            try:
                readable, cut = stack.enter_context(_readable(source, target.parent))
                with open_file(readable) as file:
                    header = header or read_header(file)
                    episodes, bad = _examine(file, source, readable, cut, on_checked)
            except READING_ERRORS as error:
                # of several files, the others may still be readable
                if len(sources) == 1:
                    raise DatasetError(
                        f"nothing of {source} can be saved: {one_line(error)}"
                    ) from error
                lost.append(Lost(source, "all", str(error)))
                continue
            lost += bad
            cut_bytes += cut
            # a seed may be both in the file and among the parts
            for episode in episodes:
                kept_episodes.setdefault(episode.meta.seed, episode)

        if header is None or not kept_episodes:
            shown = lost[:SHOWN_LOSSES]
            reasons = "; ".join(f"{loss.demo}: {loss.reason}" for loss in shown)
            raise DatasetError(f"no episode of {path} is whole ({reasons})")
        write_merged(header, list(kept_episodes.values()), target, folder=target.parent)
    return RepairReport(len(kept_episodes), tuple(lost), cut_bytes)


def _sources(path: Path) -> list[Path]:
    """Returns the files to save episodes from: the dataset, and the parts beside it.

    Raises:
        DatasetError: there are none.
    """
    if path.name.endswith(PARTS_SUFFIX) and path.is_dir():
        path = path.with_name(path.name.removesuffix(PARTS_SUFFIX))
    merged = [path] if path.exists() else []
    sources = [*merged, *part_files(path)]
    if not sources:
        raise DatasetError(
            f"there is neither a dataset at {path} nor a collection in "
            f"{parts_folder(path)}"
        )
    return sources


@contextmanager
def _readable(path: Path, folder: Path) -> Iterator[tuple[Path, int]]:
    """Yields the path of a file that HDF5 can open, and the number of zeros added to it.

    Args:
        path: the file, which is not changed.
        folder: the folder for a padded copy, which is deleted after the block.
    """
    missing = _missing_bytes(path)
    if missing <= 0:
        yield path, 0
        return

    with tempfile.NamedTemporaryFile(dir=folder, suffix=".hdf5") as copy:
        with path.open("rb") as damaged:
            shutil.copyfileobj(damaged, copy)
        copy.truncate(path.stat().st_size + missing)
        copy.flush()
        yield Path(copy.name), missing


def _missing_bytes(path: Path) -> int:
    """Returns the number of bytes cut off a file's end, according to its superblock.

    It is 0 if the file is complete, or if its superblock cannot be read.
    """
    if not h5py.is_hdf5(path):
        return 0
    with path.open("rb") as file:
        block = file.read(SUPERBLOCK_BYTES)
    # superblocks of later versions may have another layout
    version = block[SUPERBLOCK_VERSION_AT] if len(block) == SUPERBLOCK_BYTES else -1
    if version not in END_OF_FILE_AT:
        return 0
    end = int.from_bytes(block[END_OF_FILE_AT[version]], "little")
    return max(0, end - path.stat().st_size)


def _examine(
    file: H5,
    source: Path,
    readable: Path,
    cut: int,
    on_checked: Callable[[int], None] | None,
) -> tuple[list[StoredEpisode], list[Lost]]:
    """Returns the undamaged episodes of an open file, and the lost ones.

    Args:
        file: the open file.
        source: the damaged file, named in the result.
        readable: the file that is open: the damaged one or its padded copy.
        cut: number of bytes that are missing at the end of the damaged file.
        on_checked: a function that is called with 1 after each episode.
    """
    end = source.stat().st_size if cut else None
    episodes = []
    lost = []
    for name in sorted(file["data"], key=_number):
        try:
            demo = file["data"][name]
            _require_whole(demo, end)
            episodes.append(StoredEpisode(readable, name, read_meta(demo)))
        except READING_ERRORS as error:
            reason = str(error)
            # HDF5 reads the zeros, so its own message would mislead
            if cut and not isinstance(error, DatasetError):
                reason = "a part of it lies beyond the end of the file"
            lost.append(Lost(source, name, reason))
        if on_checked is not None:
            on_checked(1)
    return episodes, lost


def _number(name: str) -> tuple[int, str]:
    """Returns the sort key of a demo: its number; groups with other names come first."""
    digits = name.removeprefix("demo_")
    return (int(digits) if digits.isdecimal() else -1, name)


def _require_whole(demo: H5, end: int | None) -> None:
    """Raises one of `READING_ERRORS` unless a demo can be read completely.

    Args:
        demo: the group.
        end: the length of the damaged file in bytes; None if nothing is cut off.
    """
    # this attribute is written last
    if "num_samples" not in demo.attrs:
        raise DatasetError("its writing was not finished")

    # an array that was padded with zeros would be read without an error
    def check(name: str, item: H5) -> None:
        if end is None or not isinstance(item, h5py.Dataset):
            return
        if _last_byte(item) > end:
            raise DatasetError(f"{name} lies beyond the end of the file")

    demo.visititems(check)
    episode = read_episode(demo)
    if len(episode.actions) != episode.meta.num_samples:
        raise DatasetError(
            f"it has {len(episode.actions)} actions for {episode.meta.num_samples} frames"
        )


def _last_byte(array: H5) -> int:
    """Returns the position in the file at which an array's stored numbers end."""
    if array.chunks is None:
        offset = array.id.get_offset()  # None if no numbers are stored
        return 0 if offset is None else int(offset + array.id.get_storage_size())
    chunks = [array.id.get_chunk_info(i) for i in range(array.id.get_num_chunks())]
    return max((chunk.byte_offset + chunk.size for chunk in chunks), default=0)
