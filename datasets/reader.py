"""Reading a dataset: a table of its episodes, whole episodes, and random rows of any
array.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np

from embodied.datasets.merge import StoredEpisode, default_masks, find_episodes
from embodied.datasets.schema import (
    H5,
    DatasetError,
    Episode,
    EpisodeMeta,
    Header,
    open_file,
    read_header,
)
from embodied.datasets.storage import part_files, read_episode
from embodied.errors import unknown


class Dataset:
    """A dataset file, or the whole episodes of a collection that is unfinished.

    Opened at the first use in each process (workers are sent the path and the table,
    never the open file), also while others write to it.

    Raises:
        DatasetError: at the first use, for what `open_file` refuses.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file: H5 = None
        self._owner = 0  # the process that opened it: a handle must not cross a fork

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None, "_owner": 0}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        if self._file is not None and self._owner == os.getpid():
            self._file.close()
        self._file = None

    def __len__(self) -> int:
        return len(self._sources)

    @property
    def is_unfinished(self) -> bool:
        """Whether its collection has not been closed: it runs still, or was
        interrupted.
        """
        return bool(part_files(self.path))

    @cached_property
    def header(self) -> Header:
        """What is true of every episode."""
        return read_header(
            self._open(self._sources[0].path if self._sources else self.path)
        )

    @cached_property
    def episodes(self) -> tuple[EpisodeMeta, ...]:
        """The table of episodes, in the order of their numbers."""
        return tuple(source.meta for source in self._sources)

    def mask(self, name: str) -> list[int]:
        """Numbers of the episodes in a mask (`train`, `valid`, `success`, `failure`, or
        a user's own).

        Raises:
            EmbodiedError: no such mask; lists those that exist.
        """
        masks = self._masks
        if name not in masks:
            raise unknown(f"mask in {self.path}", name, masks)
        return masks[name]

    def episode(self, number: int, images: bool = True) -> Episode:
        """A whole episode; without its images where they are not needed, since they are
        nearly all of its size.
        """
        return read_episode(self._demo(number), images)

    def keys(self, number: int) -> list[str]:
        """Names of an episode's arrays, e.g. `obs/agent_pos`."""
        found: list[str] = []
        self._demo(number).visititems(
            lambda key, item: (
                found.append(key) if isinstance(item, h5py.Dataset) else None
            )
        )
        return found

    def read(
        self, number: int, key: str, rows: slice | int | Sequence[int] = slice(None)
    ) -> np.ndarray:
        """Rows of one array of an episode, e.g. `read(3, "obs/front_image", 17)`: (H,
        W, 3) uint8.

        Raises:
            EmbodiedError: no such array; lists those that exist.
        """
        source = self._source(number)
        array = self._open(source.path).get(f"data/{source.demo}/{key}")
        if not isinstance(array, h5py.Dataset):
            raise unknown(
                f"array in {source.demo} of {self.path}", key, self.keys(number)
            )
        return array[rows]

    @cached_property
    def _sources(self) -> list[StoredEpisode]:
        parts = [] if self.path.exists() else part_files(self.path)
        return [
            source for path in parts or [self.path] for source in find_episodes(path)
        ]

    @cached_property
    def _masks(self) -> dict[str, list[int]]:
        file = self._open(self.path) if self.path.exists() else None
        if file is None or "mask" not in file:
            return default_masks(self.episodes)
        number = {source.demo: i for i, source in enumerate(self._sources)}
        return {
            key: [number[name.decode()] for name in mask[()]]
            for key, mask in file["mask"].items()
        }

    def _source(self, number: int) -> StoredEpisode:
        if not 0 <= number < len(self):
            raise IndexError(
                f"no episode {number} in {self.path}, which has {len(self)}"
            )
        return self._sources[number]

    def _demo(self, number: int) -> H5:
        source = self._source(number)
        return self._open(source.path)["data"][source.demo]

    def _open(self, path: Path) -> H5:
        if (
            self._file is None
            or self._owner != os.getpid()
            or self._file.filename != str(path)
        ):
            self.close()
            self._file = open_file(path)
            self._owner = os.getpid()
        return self._file


def require_distinct(paths: Sequence[Path]) -> None:
    """Raises DatasetError where two of the datasets hold the same episode: the seed of
    one collection.
    """
    first: dict[tuple[str, str, int], int] = {}
    for number, path in enumerate(paths):
        with Dataset(path) as dataset:
            collection = (dataset.header.metadata_json, dataset.header.policy)
            for episode in dataset.episodes:
                twin = first.setdefault((*collection, episode.seed), number)
                if twin != number:
                    where = (
                        f"{path} is given twice"
                        if paths[twin] == path
                        else f"{paths[twin]} and {path} overlap"
                    )
                    raise DatasetError(
                        f"{where}: both hold seed {episode.seed} of the same collection"
                    )
