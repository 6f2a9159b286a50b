"""Collecting episodes in such a way that a kill never damages a finished episode.

HDF5 has no journal, so a process that is killed while it writes can leave an unreadable
file. So while a collection is running, each episode is written to a separate small
dataset, a part, in the folder `<path>.parts`. Closing the collection merges the parts,
sorted by seed, into one file. All files are written under a temporary name, then renamed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, get_args

from embodied.closing import ClosedOnExit
from embodied.datasets.merge import (
    StoredEpisode,
    common_header,
    find_episodes,
    require_same,
    write_merged,
)
from embodied.datasets.opening import may_be_dataset
from embodied.datasets.schema import H5, DatasetError, Episode, Header
from embodied.datasets.storage import (
    part_file,
    part_files,
    part_seed,
    parts_folder,
    replacing,
    write_episode,
)

Mode = Literal["new", "resume", "overwrite", "join"]


class EpisodeWriter(ClosedOnExit):
    """Writes the episodes of one collection; several processes may do so at once.

    One process owns the collection; it merges the episodes into `path` when it closes its
    writer. Other processes join the collection. An episode is safe once `write` returned.

    Modes:
        new: begins a collection; nothing may exist at the path.
        resume: continues an unfinished collection, or adds to a finished dataset.
        overwrite: deletes the existing dataset, then begins a collection.
        join: takes part in a collection that another process owns.

    Raises:
        DatasetError: mode `new`: `path` or a collection for it exists. Mode `resume`: the
            existing episodes have another header. Mode `overwrite`: the existing file is
            not a dataset. Mode `join`: there is no collection.
    """

    def __init__(
        self,
        path: Path,
        header: Header,
        mode: Mode = "new",
        masks: Mapping[str, Collection[int]] | None = None,
    ) -> None:
        """Begins, continues or joins the collection.

        Args:
            path: the path of the dataset.
            header: the header of the dataset.
            mode: the mode: new, resume, overwrite or join; see the class.
            masks: the seeds of the episodes in each mask, by the mask's name; None for the
                default masks.
        """
        if mode not in get_args(Mode):
            raise DatasetError(f"unknown mode {mode!r}; modes are {get_args(Mode)}")
        if path.is_dir():
            raise DatasetError(f"{path} is a folder; a dataset is one HDF5 file")

        self.path = path
        self.header = header
        self._mode = mode
        self._masks = masks
        self._parts = parts_folder(path)
        self._closed = False

        if mode == "new":
            self._begin()
        elif mode == "overwrite":
            self._clear()
            self._begin()
        elif mode == "resume":
            self._require_same_collection()
            self._parts.mkdir(parents=True, exist_ok=True)
        # mode "join": the process that owns the collection has made the folder
        elif not self._parts.is_dir():
            raise DatasetError(f"there is no collection for {path} to join")

        self._seeds = self._find_seeds()

    @property
    def seeds(self) -> frozenset[int]:
        """The seeds of the written episodes.

        Episodes that other processes have written since this writer was made are missing.
        """
        return frozenset(self._seeds)

    def forget(self, seeds: Iterable[int]) -> None:
        """Deletes the parts with these seeds from the unfinished collection.

        A process that died may have left such parts; its work is repeated.
        """
        for seed in seeds:
            part_file(self.path, seed).unlink(missing_ok=True)
        self._seeds = self._find_seeds()

    def write(self, episode: Episode, add: Callable[[H5], None] | None = None) -> None:
        """Writes an episode, and flushes it to the disk.

        Args:
            episode: the episode to write.
            add: a function that is called with the episode's group, to add data beyond
                the schema.

        Raises:
            DatasetError: an episode of the same seed is written already, or
                `write_episode` refuses the episode.
            WriteError: the disk is full, or cannot be written for another reason.
        """
        seed = episode.meta.seed
        if seed in self._seeds:
            raise DatasetError(f"an episode of seed {seed} is already in {self.path}")

        part = part_file(self.path, seed)
        with replacing(part, self.header, self._parts, is_sealed=False) as new:
            write_episode(new.h5["data"], "demo_0", episode)
            if add is not None:
                add(new.h5["data/demo_0"])
            new.h5["data"].attrs["total"] = episode.meta.num_samples
        self._seeds.add(seed)

    def close(self) -> None:
        """Merges the episodes into one file, if this process owns the collection.

        Raises:
            WriteError: the disk is full, or cannot be written for another reason. The
                episodes are kept, and closing may be tried again.
        """
        if self._closed or self._mode == "join":
            return

        parts = part_files(self.path)
        if parts:
            episodes = self._merged_episodes()
            # If a process was killed after merging, before it removed the parts, their
            # episodes are in the merged file already: skip these parts.
            merged_seeds = {episode.meta.seed for episode in episodes}
            for part in parts:
                for episode in find_episodes(part):
                    if episode.meta.seed not in merged_seeds:
                        episodes.append(episode)
            write_merged(
                self.header,
                episodes,
                self.path,
                folder=self._parts,
                masks=self._mask_numbers(episodes),
            )

        shutil.rmtree(self._parts)
        self._closed = True

    def _mask_numbers(
        self, episodes: Sequence[StoredEpisode]
    ) -> dict[str, list[int]] | None:
        """Returns mask -> episode numbers in the merged file; None for the default masks.

        Args:
            episodes: all episodes of the merged file.
        """
        if self._masks is None:
            return None
        # the merged file holds its episodes in the order of their seeds
        ordered = sorted(episode.meta.seed for episode in episodes)
        return {
            name: [number for number, seed in enumerate(ordered) if seed in seeds]
            for name, seeds in self._masks.items()
        }

    def _begin(self) -> None:
        """Creates the folder of parts.

        Raises:
            DatasetError: the dataset, or an unfinished collection for it, exists.
        """
        existing = None
        if self.path.exists():
            existing = str(self.path)
        elif self._parts.exists():
            existing = f"an unfinished collection for {self.path}"
        if existing:
            raise DatasetError(
                f"{existing} exists: --resume to continue it, --overwrite to replace it "
                "(from Python: the mode), or another name"
            )
        self._parts.mkdir(parents=True)

    def _clear(self) -> None:
        """Deletes the existing dataset and its unfinished collection.

        Raises:
            DatasetError: the existing file is not a dataset of ours.
        """
        if self.path.exists() and not may_be_dataset(self.path):
            raise DatasetError(
                f"{self.path} is not a dataset of ours: it will not be overwritten"
            )
        if self._parts.exists():
            shutil.rmtree(self._parts)
        self.path.unlink(missing_ok=True)

    def _require_same_collection(self) -> None:
        """Raises DatasetError if the existing episodes have another header."""
        existing = part_files(self.path)
        if self.path.exists():
            existing = [self.path, *existing]
        if existing:
            names = f"{self.path} and the new episodes"
            require_same(common_header(existing), self.header, names)

    def _merged_episodes(self) -> list[StoredEpisode]:
        """Returns the episodes of the merged file; none if there is no such file yet."""
        return find_episodes(self.path) if self.path.exists() else []

    def _find_seeds(self) -> set[int]:
        """Returns the seeds of the merged episodes and of the parts."""
        merged = {episode.meta.seed for episode in self._merged_episodes()}
        return merged | {part_seed(part) for part in part_files(self.path)}


@contextmanager
def tidied_when_stopped(
    writer: EpisodeWriter, seeds: Collection[int], wanted: int | None = None
) -> Iterator[None]:
    """Tidies up if the block, which collects episodes, is stopped.

    The folder of the episodes' files is removed if it is empty. After Ctrl-C, the error
    says how many episodes are kept.

    Args:
        writer: the writer that owns the collection.
        seeds: the seeds of the episodes that the block collects.
        wanted: the number of episodes to collect, if not every seed gives an episode;
            None if every seed gives one.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed; the text says how many episodes are kept.
    """
    try:
        yield
    except BaseException as stop:
        # `rmdir` fails if the folder holds episodes
        with suppress(OSError):
            parts_folder(writer.path).rmdir()
        if isinstance(stop, KeyboardInterrupt):
            # `writer.seeds` lacks the parts that other processes have written meanwhile
            written = {part_seed(part) for part in part_files(writer.path)}
            num_kept = len(set(seeds) & (writer.seeds | written))
            raise KeyboardInterrupt(
                f"Kept: {num_kept} of {wanted or len(seeds)} episodes"
            ) from None
        raise
