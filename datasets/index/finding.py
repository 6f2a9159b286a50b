"""Finding what an index holds, by visiting the groups of a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from embodied.datasets.guarded import damage_named
from embodied.datasets.index.clock import Clock, clock_of
from embodied.datasets.index.file_index import FileIndex, Stamp
from embodied.datasets.index.places import ArrayPlaces, OnEpisode, find_places
from embodied.datasets.index.rows import FileOnDisk, rows_on_disk
from embodied.datasets.masks import default_masks
from embodied.datasets.opening import demo_names, open_file, read_meta, stored_masks
from embodied.datasets.schema import DatasetError


def find_index(path: Path, stamp: Stamp) -> FileIndex:
    """Returns the index of a file in which no array was looked for yet.

    Raises:
        DatasetError: the file is not a dataset, or has no episodes.
    """
    with open_file(path) as file, damage_named(path):
        demos = demo_names(file)
        if not demos:
            raise DatasetError(f"{path} has no episodes to learn from")
        masks = stored_masks(file, demos)
        data = file["data"]
        if masks is None:
            masks = default_masks([read_meta(data[demo]) for demo in demos])
        texts = [data[demo].attrs.get("instruction", "") for demo in demos]
    return index_of_episodes(stamp, demos, texts, masks)


def index_of_episodes(
    stamp: Stamp,
    demos: Sequence[str],
    instructions: Sequence[str],
    masks: dict[str, list[int]],
) -> FileIndex:
    """Returns an index of episodes, in which no array was looked for yet."""
    # each sentence once, in the order in which they occur
    sentences: dict[str, int] = {}
    numbers = [sentences.setdefault(text, len(sentences)) for text in instructions]
    return FileIndex(
        stamp=stamp,
        demos=tuple(demos),
        sentences=tuple(sentences),
        instruction=np.array(numbers, np.int64),
        masks={name: np.array(these, np.int64) for name, these in masks.items()},
    )


def find_missing(
    path: Path,
    index: FileIndex,
    arrays: Sequence[str],
    clocks: Sequence[str],
    on_episode: OnEpisode | None = None,
) -> bool:
    """Adds to an index what it lacks of some arrays; returns whether it lacked any.

    Raises:
        DatasetError: the episodes do not fit together.
        EmbodiedError: there is no such array.
    """
    missing = [key for key in arrays if key not in index.places]
    missing_clocks = [key for key in clocks if key not in index.clocks]
    if not missing and not missing_clocks:
        return False

    keys = list(dict.fromkeys([*missing, *missing_clocks]))
    with open_file(path) as file, damage_named(path):
        found = find_places(file, index.demos, keys, on_episode)
    index.places.update({key: found[key] for key in missing})
    for key in missing_clocks:
        index.clocks[key] = clock_in(path, index, key, found[key])
    return True


def clock_in(path: Path, index: FileIndex, key: str, places: ArrayPlaces) -> Clock:
    """Reads ticks; raises DatasetError if they do not rise, or an episode has none."""
    if places.row or places.dtype.kind not in "iu":
        raise DatasetError(f"{path}: {key} must hold a whole number in each row")
    empty = np.flatnonzero(places.rows == 0)
    if len(empty):
        raise DatasetError(f"{path}: {index.demos[empty[0]]} has no row of {key}")

    file = FileOnDisk(path, index.stamp)
    source = rows_on_disk(file, places, key, index.demos)
    ticks = source.all_rows(np.arange(len(index.demos))).astype(np.int64)
    file.close()

    # Plans may be made of one and the same picture; all other rows have their own tick.
    owner = np.repeat(np.arange(len(places.rows)), places.rows)
    least = 0 if key.startswith("plans/") else 1
    falls = (np.diff(ticks) < least) & (np.diff(owner) == 0)
    if falls.any():
        demo = index.demos[owner[np.argmax(falls)]]
        raise DatasetError(f"{path}: the ticks of {key} in {demo} do not rise")
    return clock_of(places.rows, ticks)
