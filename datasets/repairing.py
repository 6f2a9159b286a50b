"""Saving what is whole in a damaged file or an unfinished collection.

A truncated file is opened as a copy that is filled up with zeros to its old length.
Then an episode is whole if all that it refers to lies before the cut, and can be read.
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
# Where HDF5's superblock, in versions 0 and 1, holds its version, and how long the file
# should be. This package writes version 0.
SUPERBLOCK_VERSION_AT = 8
END_OF_FILE_AT = slice(40, 48)
# what reading a damaged file may raise: what raises it is lost, and the rest is tried
ATTEMPTS = (OSError, RuntimeError, KeyError, ValueError, TypeError, DatasetError)


@dataclass(frozen=True)
class Lost:
    """An episode that cannot be saved."""

    path: Path
    demo: str
    reason: str


@dataclass(frozen=True)
class RepairReport:
    """What a repair came to.

    Attributes:
        saved: how many episodes were copied.
        lost: those that were not.
        cut_bytes: how many bytes at the end of the file are missing.
    """

    saved: int
    lost: tuple[Lost, ...]
    cut_bytes: int


def repair(
    path: Path, target: Path, on_checked: Callable[[int], None] | None = None
) -> RepairReport:
    """Copies the whole episodes of a file, and of its unfinished collection.

    Args:
        path: a dataset that may be damaged; or the place of one, or its folder of
            parts, whose collection was not finished.
        target: the file to write, in one step.
        on_checked: is called after each episode that was looked at.

    Raises:
        DatasetError: there is nothing at the path; its header is lost; or no episode is
            whole.
    """
    sources = _sources(path)
    lost: list[Lost] = []
    found: dict[int, StoredEpisode] = {}
    header: Header | None = None
    cut_bytes = 0

    with ExitStack() as stack:
        for source in sources:
            try:
                readable, cut = stack.enter_context(_readable(source, target.parent))
                with open_file(readable) as file:
                    header = header or read_header(file)
                    episodes, bad = _examine(file, source, readable, cut, on_checked)
            except ATTEMPTS as error:
                if len(sources) == 1:
                    raise DatasetError(
                        f"nothing of {source} can be saved: {one_line(error)}"
                    ) from error
                lost.append(Lost(source, "all", str(error)))
                continue
            lost += bad
            cut_bytes += cut
            for episode in episodes:
                found.setdefault(episode.meta.seed, episode)

        if header is None or not found:
            reasons = "; ".join(f"{one.demo}: {one.reason}" for one in lost[:3])
            raise DatasetError(f"no episode of {path} is whole ({reasons})")
        write_merged(header, list(found.values()), target, folder=target.parent)
    return RepairReport(len(found), tuple(lost), cut_bytes)


def _sources(path: Path) -> list[Path]:
    """Returns the file, if there is one, and the parts of its collection."""
    if path.name.endswith(PARTS_SUFFIX) and path.is_dir():
        path = path.with_name(path.name.removesuffix(PARTS_SUFFIX))
    own = [path] if path.exists() else []
    sources = [*own, *part_files(path)]
    if not sources:
        raise DatasetError(
            f"there is neither a dataset at {path} nor a collection in "
            f"{parts_folder(path)}"
        )
    return sources


@contextmanager
def _readable(path: Path, folder: Path) -> Iterator[tuple[Path, int]]:
    """Yields a file that HDF5 opens, and how many zeros were added at its end.

    Args:
        path: the file, which stays as it is.
        folder: where a copy may lie, while the block runs.
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
    """Returns how many bytes a file has lost at its end, by its own superblock."""
    if not h5py.is_hdf5(path):
        return 0
    with path.open("rb") as file:
        block = file.read(END_OF_FILE_AT.stop)
    # later versions of the superblock have another form
    if len(block) < END_OF_FILE_AT.stop or block[SUPERBLOCK_VERSION_AT] > 1:
        return 0
    end = int.from_bytes(block[END_OF_FILE_AT], "little")
    return max(0, end - path.stat().st_size)


def _examine(
    file: H5,
    source: Path,
    readable: Path,
    cut: int,
    on_checked: Callable[[int], None] | None,
) -> tuple[list[StoredEpisode], list[Lost]]:
    """Returns the whole episodes of an open file, and those that are lost."""
    end = source.stat().st_size if cut else None
    episodes = []
    lost = []
    for name in sorted(file["data"], key=_number):
        try:
            demo = file["data"][name]
            _require_whole(demo, end)
            episodes.append(StoredEpisode(readable, name, read_meta(demo)))
        except ATTEMPTS as error:
            reason = str(error)
            # the library sees the zeros, and names what it expected in their place
            if cut and not isinstance(error, DatasetError):
                reason = "a part of it lies beyond the end of the file"
            lost.append(Lost(source, name, reason))
        if on_checked is not None:
            on_checked(1)
    return episodes, lost


def _number(name: str) -> tuple[int, str]:
    """Returns the key that sorts demos by number; groups of other names come first."""
    digits = name.removeprefix("demo_")
    return (int(digits) if digits.isdecimal() else -1, name)


def _require_whole(demo: H5, end: int | None) -> None:
    """Raises an error of `ATTEMPTS` unless all of a demo can be read.

    Args:
        demo: the group.
        end: the length of the damaged file in bytes; None if nothing is cut off.
    """
    if "num_samples" not in demo.attrs:
        raise DatasetError("its writing was not finished")

    # what was filled up with zeros would be read without an error
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
    """Returns where the numbers of an array end in the file."""
    if array.chunks is None:
        offset = array.id.get_offset()
        # None: HDF5 has not stored any numbers
        return 0 if offset is None else int(offset + array.id.get_storage_size())
    chunks = [array.id.get_chunk_info(i) for i in range(array.id.get_num_chunks())]
    return max((chunk.byte_offset + chunk.size for chunk in chunks), default=0)
