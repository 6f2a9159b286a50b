"""Collecting episodes so that each is on disk whole or not at all, whatever kills the
process.

HDF5 keeps no journal: a kill within the flush of a growing file leaves all of it
unreadable. So while a collection runs, each episode is a small dataset of its own in
the folder `<path>.parts`, put there by a rename; closing the collection joins the
parts, by seed, into one file, put in place by a rename as well.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, get_args

from embodied.datasets.merge import common_header, join, require_same, scan
from embodied.datasets.schema import DatasetError, Episode, Header, may_be_dataset
from embodied.datasets.storage import part_files, parts_folder, replacing, write_episode

Mode = Literal["new", "resume", "overwrite", "join"]


class EpisodeWriter:
    """Writes the episodes of one collection; any number of processes may do so at once.

    One process owns the collection (mode `new`, `resume` or `overwrite`), and joins the
    episodes into `path` when it closes; others take part in it (mode `join`). An
    episode is safe when `write` has returned.

    Raises:
        DatasetError: `path` or a collection for it exists and mode is `new`; what
            exists is of other settings (resume, join) or no dataset (overwrite); there
            is no collection to join.
    """

    def __init__(self, path: Path, header: Header, mode: Mode = "new") -> None:
        if mode not in get_args(Mode):
            raise DatasetError(f"unknown mode {mode!r}; modes are {get_args(Mode)}")
        if path.is_dir():
            raise DatasetError(f"{path} is a folder; a dataset is one HDF5 file")
        self.path = path
        self.header = header
        self._mode = mode
        self._parts = parts_folder(path)
        {
            "new": self._begin,
            "overwrite": self._clear,
            "resume": self._continue,
            "join": self._take_part,
        }[mode]()
        self._seeds = set(self._find_seeds())
        self._closed = False

    @property
    def seeds(self) -> frozenset[int]:
        """Seeds of the episodes that are already there."""
        return frozenset(self._seeds)

    def write(self, episode: Episode) -> None:
        """Put an episode on the disk.

        Raises:
            DatasetError: its seed is already there, or it holds what must not be stored
                (see `write_episode`).
        """
        seed = episode.meta.seed
        if seed in self._seeds:
            raise DatasetError(f"an episode of seed {seed} is already in {self.path}")
        with replacing(
            self._parts / f"seed_{seed}.hdf5", self.header, self._parts
        ) as file:
            write_episode(file["data"], "demo_0", episode)
            file["data"].attrs["total"] = episode.meta.num_samples
        self._seeds.add(seed)

    def close(self) -> None:
        """Join what is there into one file (the owner only)."""
        if self._closed or self._mode == "join":
            return
        parts = part_files(self.path)
        if parts:
            known = scan(self.path) if self.path.exists() else []
            # a kill after the rename below leaves its parts behind
            there = {episode.meta.seed for episode in known}
            new = [
                episode
                for part in parts
                for episode in scan(part)
                if episode.meta.seed not in there
            ]
            join(self.header, [*known, *new], self.path, self._parts)
        shutil.rmtree(self._parts)
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _existing(self) -> list[Path]:
        return [*([self.path] if self.path.exists() else []), *part_files(self.path)]

    def _begin(self) -> None:
        if self.path.exists() or self._parts.exists():
            what = (
                self.path
                if self.path.exists()
                else f"an unfinished collection for {self.path}"
            )
            raise DatasetError(
                f"{what} exists; resume it, overwrite it, or choose another name"
            )
        self._parts.mkdir(parents=True)

    def _clear(self) -> None:
        if self.path.exists() and not may_be_dataset(self.path):
            raise DatasetError(
                f"{self.path} is not a dataset of ours: it will not be overwritten"
            )
        if self._parts.exists():
            shutil.rmtree(self._parts)
        self.path.unlink(missing_ok=True)
        self._begin()

    def _continue(self) -> None:
        existing = self._existing()
        if existing:
            require_same(
                common_header(existing),
                self.header,
                f"{self.path} and what is to be collected",
            )
        self._parts.mkdir(parents=True, exist_ok=True)

    def _take_part(self) -> None:
        if not self._parts.is_dir():
            raise DatasetError(f"there is no collection for {self.path} to join")

    def _find_seeds(self) -> list[int]:
        published = (
            [episode.meta.seed for episode in scan(self.path)]
            if self.path.exists()
            else []
        )
        return [
            *published,
            *(int(part.stem.removeprefix("seed_")) for part in part_files(self.path)),
        ]
