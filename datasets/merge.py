"""Many dataset files into one, in the order of the episodes' seeds: who collected what
leaves no trace.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from embodied.datasets.schema import (
    DatasetError,
    EpisodeMeta,
    Header,
    demo_names,
    open_file,
    read_header,
    read_meta,
)
from embodied.datasets.storage import replacing, write_masks

VALID_SHARE = 0.1


@dataclass(frozen=True)
class Source:
    """Where an episode lies."""

    path: Path
    demo: str
    meta: EpisodeMeta


def merge(sources: Sequence[Path], target: Path, overwrite: bool = False) -> None:
    """Write the episodes of `sources` to `target`, by seed; the sources stay.

    Raises:
        DatasetError: a source is not a dataset, is of another collection (names what
            differs), two of them hold the same seed, or `target` exists and is not to
            be overwritten.
    """
    if target.exists() and not overwrite:
        raise DatasetError(f"{target} exists; choose another name, or overwrite it")
    episodes = [episode for path in sources for episode in scan(path)]
    first: dict[int, Source] = {}
    for episode in episodes:
        twin = first.setdefault(episode.meta.seed, episode)
        if twin is not episode:
            raise DatasetError(
                f"seed {episode.meta.seed} is in both {twin.path} and {episode.path}"
            )
    join(common_header(sources), episodes, target, target.parent)


def scan(path: Path) -> list[Source]:
    """The whole episodes of a file."""
    with open_file(path) as file:
        return [
            Source(path, name, read_meta(file["data"][name]))
            for name in demo_names(file)
        ]


def common_header(paths: Sequence[Path]) -> Header:
    """The header of all these files.

    Raises:
        DatasetError: there is no file, or they are of different collections.
    """
    if not paths:
        raise DatasetError("there is no dataset to merge")
    headers = []
    for path in paths:
        with open_file(path) as file:
            headers.append(read_header(file))
    for path, header in zip(paths, headers, strict=True):
        require_same(headers[0], header, f"{paths[0]} and {path}")
    return headers[0]


def require_same(one: Header, other: Header, what: str) -> None:
    """Raises DatasetError, naming what differs, unless both headers say the same."""
    differing = one.differences(other)
    if differing:
        raise DatasetError(
            f"{what} are not of one collection: they differ in {differing}"
        )


def join(
    header: Header, episodes: Sequence[Source], target: Path, folder: Path
) -> None:
    """Copy episodes to a new file at `target`, numbered in the order of their seeds,
    with the masks.

    `folder`, of the same file system, is where the file lies until it is whole.
    """
    ordered = sorted(episodes, key=lambda episode: episode.meta.seed)
    with replacing(target, header, folder) as file:
        source = None
        try:
            for number, episode in enumerate(ordered):
                if source is None or Path(source.filename) != episode.path:
                    if source is not None:
                        source.close()
                    source = open_file(episode.path)
                source.copy(
                    source["data"][episode.demo], file["data"], f"demo_{number}"
                )
        finally:
            if source is not None:
                source.close()
        file["data"].attrs["total"] = sum(
            episode.meta.num_samples for episode in ordered
        )
        write_masks(file, default_masks([episode.meta for episode in ordered]))


def default_masks(metas: Sequence[EpisodeMeta]) -> dict[str, list[int]]:
    """Numbers of the episodes in each mask: `success` and `failure`, and the successes'
    split `train` and `valid`.
    """
    success = [i for i, meta in enumerate(metas) if meta.success]
    return {
        "success": success,
        "failure": [i for i, meta in enumerate(metas) if not meta.success],
        "train": [i for i in success if not is_valid(metas[i].seed)],
        "valid": [i for i in success if is_valid(metas[i].seed)],
    }


def is_valid(seed: int, split_seed: int = 0) -> bool:
    """Whether an episode is for validation: by a hash of its seed, so that it stays so
    whatever is added later.
    """
    digest = hashlib.blake2b(f"{split_seed}/{seed}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < VALID_SHARE * 2**64
