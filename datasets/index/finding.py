"""Building the index of a file by walking its HDF5 groups."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from embodied.datasets.guarded import damage_named, read_attribute
from embodied.datasets.index.clock import Clock, episode_clock
from embodied.datasets.index.file_index import FileIndex, Stamp
from embodied.datasets.index.row_positions import (
    OnEpisode,
    RowPositions,
    find_row_positions,
)
from embodied.datasets.index.rows import FileOnDisk, rows_on_disk
from embodied.datasets.masks import default_masks
from embodied.datasets.opening import demo_names, open_file, read_meta, stored_masks
from embodied.datasets.schema import H5, DatasetError


def build_index(path: Path, stamp: Stamp) -> FileIndex:
    """Reads a file's episodes from its HDF5 groups, and returns them as an index.

    The index has no row positions and no clocks yet: `add_missing` adds those that a
    reader needs.

    Raises:
        DatasetError: the file is not a dataset, or has no episodes.
    """
    with open_file(path) as file, damage_named(path):
        demos = demo_names(file)
        if not demos:
            raise DatasetError(f"{path} has no episodes to learn from")
        data = file["data"]
        # a file without masks gets the default masks
        masks = stored_masks(file, demos)
        if masks is None:
            masks = default_masks([read_meta(data[demo]) for demo in demos])
        texts = [_instruction(data[demo]) for demo in demos]
    return index_of_episodes(stamp, demos, texts, masks)


def _instruction(demo: H5) -> str:
    """Returns the instruction of an episode; "" if it has none."""
    return read_attribute(demo, "instruction") if "instruction" in demo.attrs else ""


def index_of_episodes(
    stamp: Stamp,
    demos: Sequence[str],
    instructions: Sequence[str],
    masks: dict[str, list[int]],
) -> FileIndex:
    """Returns an index of episodes: their names, instructions and masks.

    The index has no row positions and no clocks yet: `add_missing` adds those that a
    reader needs.

    Args:
        stamp: the stamp of the file.
        demos: (E,) names of the episodes.
        instructions: (E,) the instruction of each episode.
        masks: the name of a mask -> the numbers of the episodes in the mask, which count
            from 0 in the order of `demos`.
    """
    # instruction -> its number, in the order of first occurrence
    sentences: dict[str, int] = {}
    numbers = [sentences.setdefault(text, len(sentences)) for text in instructions]
    return FileIndex(
        stamp=stamp,
        demos=tuple(demos),
        sentences=tuple(sentences),
        instruction=np.array(numbers, np.int64),
        masks={name: np.array(episodes, np.int64) for name, episodes in masks.items()},
    )


def add_missing(
    path: Path,
    index: FileIndex,
    arrays: Sequence[str],
    clocks: Sequence[str],
    on_episode: OnEpisode | None = None,
) -> bool:
    """Adds the row positions and clocks that a reader needs and an index lacks.

    Args:
        path: the path of the dataset.
        index: the index, which is changed.
        arrays: the names of the arrays whose row positions are needed.
        clocks: the names of the arrays of ticks whose clocks are needed.
        on_episode: a function that is called after each episode that is searched.

    Returns:
        Whether anything was added.

    Raises:
        DatasetError: episodes differ in an array's row shape or type, or ticks do not
            rise.
        EmbodiedError: there is no such array.
    """
    missing = [key for key in arrays if key not in index.positions]
    missing_clocks = [key for key in clocks if key not in index.clocks]
    if not missing and not missing_clocks:
        return False

    # ticks are arrays, too: their positions are found, and then their values read
    keys = list(dict.fromkeys([*missing, *missing_clocks]))
    with open_file(path) as file, damage_named(path):
        found = find_row_positions(file, index.demos, keys, on_episode)
    index.positions.update({key: found[key] for key in missing})
    for key in missing_clocks:
        index.clocks[key] = read_clock(path, index, key, positions=found[key])
    return True


def read_clock(
    path: Path, index: FileIndex, key: str, positions: RowPositions
) -> Clock:
    """Reads an array of ticks from a file.

    Args:
        path: the path of the dataset.
        index: the index of its episodes.
        key: the array's name.
        positions: where the array's rows lie.

    Raises:
        DatasetError: the array does not hold one whole number per row, an episode has no
            row, or the ticks of an episode do not rise.
    """
    if positions.row_shape or positions.dtype.kind not in "iu":
        raise DatasetError(f"{path}: {key} must hold a whole number in each row")
    empty = np.flatnonzero(positions.rows == 0)
    if len(empty):
        raise DatasetError(f"{path}: {index.demos[empty[0]]} has no row of {key}")

    file = FileOnDisk(path, index.stamp)
    source = rows_on_disk(file, positions, key, index.demos)
    ticks = source.all_rows(np.arange(len(index.demos))).astype(np.int64)
    file.close()

    # Several plans may be made from one image, so the ticks of plans may be equal; all
    # other ticks must rise.
    least_step = 0 if key.startswith("plans/") else 1
    # (all rows,) the episode of each row, because only ticks of one episode are compared
    episode_of_row = np.repeat(np.arange(len(positions.rows)), positions.rows)
    is_same_episode = np.diff(episode_of_row) == 0
    is_too_early = (np.diff(ticks) < least_step) & is_same_episode
    if is_too_early.any():
        demo = index.demos[episode_of_row[np.argmax(is_too_early)]]
        raise DatasetError(f"{path}: the ticks of {key} in {demo} do not rise")
    return episode_clock(positions.rows, ticks)
