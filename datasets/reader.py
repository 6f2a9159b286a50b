"""Reading a dataset: the table of its episodes, whole episodes, and rows of any array."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from embodied.closing import ClosedOnExit
from embodied.core import Layout
from embodied.datasets.episode_reading import read_episode
from embodied.datasets.guarded import (
    arrays_below,
    damage_named,
    own_array,
    read_array,
    read_attribute,
)
from embodied.datasets.masks import default_masks
from embodied.datasets.merge import StoredEpisode, find_episodes
from embodied.datasets.opening import open_file, read_header, stored_masks
from embodied.datasets.schema import H5, DatasetError, Episode, EpisodeMeta, Header
from embodied.datasets.storage import part_files
from embodied.errors import unknown


class Dataset(ClosedOnExit):
    """Reads a dataset file, or the complete episodes of an unfinished collection.

        with Dataset("totes.hdf5") as dataset:
            for number in dataset.mask("train"):
                meta = dataset.episodes[number]  # the episode's row of the table
                episode = dataset.episode(number)  # all arrays of the episode
                image = dataset.read(number, "obs/front_image", 17)  # one frame

    `Episode` describes the arrays; `embodied.datasets.schema` lists their names, shapes
    and units. Three things to know:

    - Times are ticks of 1/400 s since the episode's start: divide ticks by
      `embodied.core.PHYSICS_HZ` for seconds.
    - A plan's `subtask` is a number: the skill's name is `embodied.core.SKILLS[number]`.
    - `agent_pos` and `environment_state` are flat; `agent_layout` and `state_layout`
      give the columns of each part:
      `agent_pos[:, dataset.agent_layout.slices()["joint_pos"]]`.

    Each process opens the file at its first use. Pickling a `Dataset` keeps the path and
    the table of episodes, not the open file.

    Raises:
        DatasetError: at the first use, if `open_file` refuses the file.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._file: H5 = None
        # id of the process that opened `_file`, since HDF5 handles don't survive a fork
        self._owner = 0

    def __getstate__(self) -> dict[str, Any]:
        """Returns the state to pickle: everything except the open file."""
        return {**self.__dict__, "_file": None, "_owner": 0}

    def close(self) -> None:
        """Closes the file; the next use opens it again."""
        if self._file is not None and self._owner == os.getpid():
            self._file.close()
        self._file = None

    def __len__(self) -> int:
        return len(self._sources)

    @property
    def is_unfinished(self) -> bool:
        """Whether the dataset's collection is still running, or was interrupted."""
        return bool(part_files(self.path))

    @property
    def size_bytes(self) -> int:
        """The size of the file, or of the parts of an unfinished collection."""
        files = {source.path for source in self._sources} or {self.path}
        return sum(path.stat().st_size for path in files)

    @cached_property
    def header(self) -> Header:
        """The properties that all episodes share."""
        # the parts of an unfinished collection have equal headers
        path = self._sources[0].path if self._sources else self.path
        return read_header(self._open(path))

    @cached_property
    def episodes(self) -> tuple[EpisodeMeta, ...]:
        """The table of episodes, in the order of their numbers."""
        return tuple(source.meta for source in self._sources)

    @property
    def agent_layout(self) -> Layout:
        """The named parts of `agent_pos`, in order."""
        return _layout(self.header.metadata["agent_layout"])

    @property
    def state_layout(self) -> Layout:
        """The named parts of `environment_state`, in order."""
        return _layout(self.header.metadata["state_layout"])

    @property
    def masks(self) -> list[str]:
        """The names of the masks, which robomimic calls filter keys."""
        return list(self._masks)

    def mask(self, name: str) -> list[int]:
        """Returns the numbers of the episodes in a mask.

        By default there are four masks: `success` and `failure` split all episodes;
        `train` and `valid` split the successes. A hash of the seed decides which tenth of
        the successes is in `valid`, so in a small dataset `valid` may be empty.

        Args:
            name: the name of one of these masks, or of a mask that a user added.

        Raises:
            EmbodiedError: there is no such mask; the message lists the masks.
        """
        masks = self._masks
        if name not in masks:
            raise unknown(f"mask in {self.path}", name, masks)
        return masks[name]

    def episode(self, number: int, images: bool = True) -> Episode:
        """Returns a whole episode.

        Args:
            number: the number of the episode.
            images: whether to read the images, which take most of the time.

        Raises:
            DatasetError: the episode is damaged.
        """
        return read_episode(self._demo(number), images)

    def keys(self, number: int) -> list[str]:
        """Returns the names of an episode's arrays, such as `obs/agent_pos`."""
        return list(self.arrays(number))

    def arrays(self, number: int) -> dict[str, H5]:
        """Returns an episode's HDF5 arrays by name, without reading their values.

        The arrays stay open until another method of this object is called.
        """
        return arrays_below(self._demo(number))

    def attributes(self, number: int) -> dict[str, Any]:
        """Returns all attributes of an episode's group, including those of other tools."""
        demo = self._demo(number)
        with damage_named(demo, "its attributes"):
            return {name: read_attribute(demo, name) for name in demo.attrs}

    def group(self, number: int) -> H5:
        """Returns the HDF5 group of an episode.

        The group stays open until another method of this object is called.
        """
        return self._demo(number)

    def stored_episode(self, number: int) -> StoredEpisode:
        """Returns in which file and group an episode is stored."""
        return self._source(number)

    def read(
        self, number: int, key: str, rows: slice | int | Sequence[int] = slice(None)
    ) -> np.ndarray:
        """Reads rows of one array of an episode.

        `read(3, "obs/front_image", 17)` is one image, (H, W, 3) uint8.

        Args:
            number: the number of the episode.
            key: the array's name, such as `obs/agent_pos`.
            rows: the rows to read; all by default. A single number returns the row
                without the first axis.

        Raises:
            EmbodiedError: there is no such array; the message lists the arrays.
        """
        source = self._source(number)
        parent, _, name = f"data/{source.demo}/{key}".rpartition("/")
        with damage_named(self.path, f"/{parent}"):
            group = self._open(source.path).get(parent)
            array = own_array(group, name)
        if array is None:
            raise unknown(
                f"array in {source.demo} of {self.path}", key, self.keys(number)
            )
        # an array without axes has no rows; the index () reads its single number
        return read_array(array, rows if array.shape else ())

    @cached_property
    def _sources(self) -> list[StoredEpisode]:
        """The file and group of each episode, also of an unfinished collection."""
        paths = [self.path]
        if not self.path.exists():
            # without parts, the missing path stays: opening it raises the right error
            paths = part_files(self.path) or paths

        episodes: list[StoredEpisode] = []
        for path in paths:
            episodes += find_episodes(path)
        return episodes

    @cached_property
    def _masks(self) -> dict[str, list[int]]:
        """Mask -> the numbers of its episodes; `default_masks` if the file has no masks."""
        masks = None
        if self.path.exists():
            demos = [source.demo for source in self._sources]
            masks = stored_masks(self._open(self.path), demos)
        return default_masks(self.episodes) if masks is None else masks

    def _source(self, number: int) -> StoredEpisode:
        """Returns the file and group of an episode; IndexError if there is none."""
        if not 0 <= number < len(self):
            raise IndexError(
                f"no episode {number} in {self.path}, which has {len(self)}"
            )
        return self._sources[number]

    def _demo(self, number: int) -> H5:
        """Returns the open group of an episode."""
        source = self._source(number)
        file = self._open(source.path)
        with damage_named(source.path, f"/data/{source.demo}"):
            return file["data"][source.demo]

    def _open(self, path: Path) -> H5:
        """Returns a file opened by this process, and closes the one used before."""
        file = self._file
        # a handle opened before a fork belongs to the parent process
        is_own = self._owner == os.getpid()
        if file is not None and is_own and file.filename == str(path):
            return file

        self.close()
        self._file = open_file(path)
        self._owner = os.getpid()
        return self._file


def _layout(stored: Sequence[Sequence[Any]]) -> Layout:
    """Returns a layout from its JSON form, which is pairs of name and width."""
    return Layout(tuple((str(name), int(width)) for name, width in stored))


def require_distinct(paths: Sequence[Path]) -> None:
    """Raises DatasetError if two of the datasets hold the same episode.

    Episodes are the same if they have the same worlds' metadata, policy and seed.
    """
    # (metadata, policy, seed) of an episode -> index of the first path that holds it
    first_with: dict[tuple[str, str, int], int] = {}
    for index, path in enumerate(paths):
        with Dataset(path) as dataset:
            collection = (dataset.header.metadata_json, dataset.header.policy)
            seeds = [episode.seed for episode in dataset.episodes]

        for seed in seeds:
            first = first_with.setdefault((*collection, seed), index)
            # no earlier path holds this episode
            if first == index:
                continue
            where = f"{paths[first]} and {path} overlap"
            if paths[first] == path:
                where = f"{path} is given twice"
            raise DatasetError(f"{where}: both hold seed {seed} of the same collection")
