"""Saving the undamaged episodes of a damaged file or an unfinished collection.

HDF5 refuses to open a truncated file. So the file is copied, the copy is padded with
zeros to the length before the cut, and the copy is opened. An episode is undamaged if all
of its arrays end before the cut and can be read. Where the list of episodes is lost,
`rescuing` finds them.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import h5py

from embodied.datasets.episode_reading import read_episode
from embodied.datasets.merge import StoredEpisode, write_merged
from embodied.datasets.opening import open_file, read_header, read_meta
from embodied.datasets.rescuing import rescue
from embodied.datasets.schema import H5, DatasetError, Header
from embodied.datasets.storage import part_files, parts_folder
from embodied.errors import one_line
from embodied.wording import counted

PARTS_SUFFIX = ".parts"
# The position in HDF5's superblock, the file header, of the byte with its version.
SUPERBLOCK_VERSION_AT = 8
# Version of the superblock -> bytes that hold the length of the whole file. This package
# writes version 3; earlier releases wrote version 0.
END_OF_FILE_AT = {
    0: slice(40, 48),
    1: slice(44, 52),
    2: slice(28, 36),
    3: slice(28, 36),
}
SUPERBLOCK_BYTES = 52  # enough bytes to contain the length in each of these versions
# Errors that reading a damaged file may raise. The episode that raises one is lost; the
# others are still tried.
READING_ERRORS = (OSError, RuntimeError, KeyError, ValueError, TypeError, DatasetError)
SHOWN_LOSSES = 3  # an error message names at most this many lost episodes


@dataclass(frozen=True)
class Lost:
    """An episode that could not be saved, and the reason."""

    path: Path  # the damaged file
    # The name of the episode's group; "all" if the file cannot be read at all.
    demo: str
    reason: str


@dataclass(frozen=True)
class _Salvage:
    """What can be saved of one file.

    Attributes:
        header: the header of the file.
        episodes: its undamaged episodes.
        lost: its other episodes.
        cut_bytes: number of bytes that are missing at its end.
    """

    header: Header
    episodes: list[StoredEpisode]
    lost: list[Lost]
    cut_bytes: int


@dataclass(frozen=True)
class RepairReport:
    """The outcome of a repair.

    Attributes:
        saved: the number of episodes that were copied.
        lost: episodes that could not be copied.
        cut_bytes: the number of bytes that are missing at the ends of the files.
    """

    saved: int
    lost: tuple[Lost, ...]
    cut_bytes: int


def repair(
    path: Path, target: Path, on_checked: Callable[[int], None] | None = None
) -> RepairReport:
    """Copies the undamaged episodes of a file, and of its unfinished collection.

    Args:
        path: the path of a dataset that may be damaged. If the collection was not
            finished, the path that the dataset would have had, or the folder of parts.
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
                salvage = _salvage(source, target.parent, stack, on_checked)
            except DatasetError as error:
                # if there are several files, the other files may still be readable
                if len(sources) == 1:
                    raise
                lost.append(Lost(source, "all", str(error)))
                continue
            header = header or salvage.header
            lost += salvage.lost
            cut_bytes += salvage.cut_bytes
            # an episode may be both in the dataset's file and among the parts
            for episode in salvage.episodes:
                kept_episodes.setdefault(episode.meta.seed, episode)

        if header is None or not kept_episodes:
            first_lost = lost[:SHOWN_LOSSES]
            reasons = "; ".join(f"{loss.demo}: {loss.reason}" for loss in first_lost)
            raise DatasetError(f"no episode of {path} is whole ({reasons})")
        write_merged(header, list(kept_episodes.values()), target, folder=target.parent)
    return RepairReport(len(kept_episodes), tuple(lost), cut_bytes)


def _salvage(
    source: Path,
    folder: Path,
    stack: ExitStack,
    on_checked: Callable[[int], None] | None,
) -> _Salvage:
    """Returns what can be saved of one file.

    Args:
        source: the path of the damaged file.
        folder: the folder for temporary files.
        stack: deletes the temporary files, which the result refers to, when it is closed.
        on_checked: a function that is called with 1 after each episode.

    Raises:
        DatasetError: nothing can be saved.
    """
    readable = source
    try:
        readable, cut_bytes = stack.enter_context(_readable_copy(source, folder))
        try:
            return _examine(source, readable, cut_bytes, on_checked)
        except READING_ERRORS as error:
            # the list of episodes is lost, but the episodes may not be
            found_in = tempfile.TemporaryDirectory(dir=folder)
            found = Path(stack.enter_context(found_in)) / "found.hdf5"
            salvage = _rescue(source, readable, cut_bytes, found, on_checked)
            if salvage is None:
                raise error from None
            return salvage
    except READING_ERRORS as error:
        # the padded copy has a temporary name
        reason = one_line(error).replace(str(readable), str(source))
        raise DatasetError(f"nothing of {source} can be saved: {reason}") from error


def _sources(path: Path) -> list[Path]:
    """Returns the files to save episodes from: the dataset, and the parts beside it.

    Args:
        path: the path of the dataset, or of the folder with its parts.

    Raises:
        DatasetError: there are no such files.
    """
    if path.name.endswith(PARTS_SUFFIX) and path.is_dir():
        path = path.with_name(path.name.removesuffix(PARTS_SUFFIX))
    merged_file = [path] if path.exists() else []
    sources = [*merged_file, *part_files(path)]
    if not sources:
        raise DatasetError(
            f"there is neither a dataset at {path} nor a collection in "
            f"{parts_folder(path)}"
        )
    return sources


@contextmanager
def _readable_copy(path: Path, folder: Path) -> Iterator[tuple[Path, int]]:
    """Yields the path of a file that HDF5 can open, and the number of zeros added to it.

    If the file is not truncated, this is the file itself; otherwise a padded copy, which
    is deleted after the block.

    Args:
        path: the path of the file, which is not changed.
        folder: the folder in which a padded copy is written.
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
        superblock = file.read(SUPERBLOCK_BYTES)
    if len(superblock) < SUPERBLOCK_BYTES:
        return 0
    # superblocks of later versions may have another layout
    version = superblock[SUPERBLOCK_VERSION_AT]
    if version not in END_OF_FILE_AT:
        return 0
    whole_length = int.from_bytes(superblock[END_OF_FILE_AT[version]], "little")
    return max(0, whole_length - path.stat().st_size)


def _examine(
    source: Path,
    readable: Path,
    cut_bytes: int,
    on_checked: Callable[[int], None] | None,
) -> _Salvage:
    """Returns the undamaged episodes of a file whose list of episodes can be read.

    Args:
        source: the path of the damaged file, which the result names.
        readable: the path of the file to read: the damaged file or its padded copy.
        cut_bytes: number of bytes that are missing at the end of the damaged file.
        on_checked: a function that is called with 1 after each episode.

    Raises:
        One of `READING_ERRORS`: the header or the list of episodes cannot be read.
    """
    # an episode behind the end of the damaged file is lost
    end = source.stat().st_size if cut_bytes else None
    episodes = []
    lost = []

    with open_file(readable) as file:
        header = read_header(file)
        for name in sorted(file["data"], key=_demo_order):
            try:
                demo = file["data"][name]
                _require_complete(demo, end)
                episodes.append(StoredEpisode(readable, name, read_meta(demo)))
            except READING_ERRORS as error:
                lost.append(Lost(source, name, _reason(error, cut_bytes)))
            if on_checked is not None:
                on_checked(1)
    return _Salvage(header, episodes, lost, cut_bytes)


def _rescue(
    source: Path,
    readable: Path,
    cut_bytes: int,
    found: Path,
    on_checked: Callable[[int], None] | None,
) -> _Salvage | None:
    """Returns the undamaged episodes of a file whose list of episodes is lost.

    Args:
        source: the path of the damaged file, which the result names.
        readable: the path of the file to read: the damaged file or its padded copy.
        cut_bytes: number of bytes that are missing at the end of the damaged file.
        found: the file to which the episodes that are found are copied.
        on_checked: a function that is called with 1 after each episode.

    Returns:
        The episodes; None if there are none.
    """
    end = source.stat().st_size if cut_bytes else None
    try:
        not_copied = rescue(readable, found, lambda demo: _require_whole(demo, end))
        salvage = _examine(source, found, 0, on_checked)
    except READING_ERRORS:
        return None
    if not salvage.episodes:
        return None

    for position, reason in not_copied:
        demo = f"the episode at byte {position}"
        salvage.lost.append(Lost(source, demo, _beyond_end(cut_bytes) or reason))
    return replace(salvage, cut_bytes=cut_bytes)


def _reason(error: Exception, cut_bytes: int) -> str:
    """Returns why an episode is lost.

    In a truncated file HDF5 has read the zeros of the padding, so its error would mislead.
    """
    of_hdf5 = not isinstance(error, DatasetError)
    return _beyond_end(cut_bytes) if of_hdf5 and cut_bytes else str(error)


def _beyond_end(cut_bytes: int) -> str:
    """Returns the reason why an episode of a truncated file is lost; "" for other files."""
    return "a part of it lies beyond the end of the file" if cut_bytes else ""


def _demo_order(name: str) -> tuple[int, str]:
    """Returns the sort key of a demo: its number; groups with other names come first."""
    digits = name.removeprefix("demo_")
    return (int(digits) if digits.isdecimal() else -1, name)


def _require_complete(demo: H5, end: int | None) -> None:
    """Raises one of `READING_ERRORS` unless a demo can be read completely.

    Args:
        demo: the demo's group.
        end: the length of the truncated file in bytes; None if nothing is cut off.
    """
    _require_whole(demo, end)
    episode = read_episode(demo)
    if len(episode.actions) != episode.meta.num_samples:
        raise DatasetError(
            f"it has {counted(len(episode.actions), 'action')} for "
            f"{counted(episode.meta.num_samples, 'frame')}"
        )


def _require_whole(demo: H5, end: int | None) -> None:
    """Raises one of `READING_ERRORS` unless all of a demo lies in the file.

    Args:
        demo: the demo's group.
        end: the length of the truncated file in bytes; None if nothing is cut off.
    """
    # this attribute is written last
    if "num_samples" not in demo.attrs:
        raise DatasetError("its writing was not finished")

    def check_end(name: str, item: H5) -> None:
        """Raises DatasetError for an array beyond the cut, which would be read as zeros."""
        if end is None or not isinstance(item, h5py.Dataset):
            return
        if _last_byte(item) > end:
            raise DatasetError(f"{name} lies beyond the end of the file")

    demo.visititems(check_end)


def _last_byte(array: H5) -> int:
    """Returns the position in the file at which an array's stored numbers end."""
    if array.chunks is None:
        offset = array.id.get_offset()  # None if no numbers are stored
        return 0 if offset is None else int(offset + array.id.get_storage_size())
    num_chunks = array.id.get_num_chunks()
    chunks = [array.id.get_chunk_info(number) for number in range(num_chunks)]
    return max((chunk.byte_offset + chunk.size for chunk in chunks), default=0)
