"""Merging dataset files into one.

Episodes are sorted by seed, so that the file does not depend on which process collected
which episode.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embodied.datasets.growing import growing_file
from embodied.datasets.guarded import damage_named
from embodied.datasets.h5_files import NewFile
from embodied.datasets.index.seal import seal, sealed
from embodied.datasets.masks import default_masks
from embodied.datasets.opening import demo_names, open_file, read_header, read_meta
from embodied.datasets.schema import H5, DatasetError, EpisodeMeta, Header
from embodied.datasets.storage import write_header, write_masks

# A function that is called with the number of episodes copied since the last call.
OnCopied = Callable[[int], None]

SHOWN_DIFFERENCES = 4  # how many differences of headers an error message lists


@dataclass(frozen=True)
class StoredEpisode:
    """The place of an episode in a file, and its row of the table of episodes.

    Attributes:
        path: the path of the file.
        demo: the name of the episode's group in `/data`.
        meta: the episode's row of the table of episodes.
    """

    path: Path
    demo: str
    meta: EpisodeMeta


def merge(
    sources: Sequence[Path],
    target: Path,
    overwrite: bool = False,
    on_copied: OnCopied | None = None,
    resume: bool = False,
) -> None:
    """Writes the episodes of all sources to one new file, in the order of their seeds.

    Args:
        sources: the files to merge; they stay as they are.
        target: the file to write.
        overwrite: whether `target` may exist.
        on_copied: a function that is called after each episode.
        resume: whether to continue a merge of the same sources that was killed.

    Raises:
        DatasetError: a source is not a dataset; the sources' headers differ (the message
            says in what); two sources hold the same seed; or `target` exists and
            `overwrite` is False.
    """
    # A killed merge was allowed to replace `target`, so resuming it needs no `overwrite`.
    may_replace = overwrite or (resume and is_unfinished(target))
    if target.exists() and not may_replace:
        raise DatasetError(
            f"{target} exists: --overwrite to replace it (from Python: overwrite=True), or "
            "another name"
        )

    # check headers and seeds before anything is written
    episodes: list[StoredEpisode] = []
    for path in sources:
        episodes += find_episodes(path)
    header = common_header(sources)
    _require_distinct_seeds(episodes)
    write_merged(
        header,
        episodes,
        target,
        folder=target.parent,
        on_copied=on_copied,
        resume=resume,
    )


def is_unfinished(target: Path) -> bool:
    """Returns whether a killed merge left an unfinished file for this target."""
    return _temporary(target, target.parent).exists()


def _temporary(target: Path, folder: Path) -> Path:
    """Returns the path at which a merged file is written, before it is renamed."""
    return folder / f"{target.name}.writing"


def find_episodes(path: Path) -> list[StoredEpisode]:
    """Returns the completely written episodes of a file, in the order of their numbers."""
    with open_file(path) as file:
        # a seal contains the whole table of episodes
        seal = sealed(path, file)
        episodes = seal.episodes() if seal is not None else None
        if episodes is not None:
            return [StoredEpisode(path, demo, meta) for demo, meta in episodes]

        # without a seal, read the attributes of each group
        episodes_of_file = []
        for name in demo_names(file):
            with damage_named(path, f"/data/{name}"):
                demo = file["data"][name]
            episodes_of_file.append(StoredEpisode(path, name, read_meta(demo)))
        return episodes_of_file


def common_header(paths: Sequence[Path]) -> Header:
    """Returns the header that all of these files have.

    Raises:
        DatasetError: there is no file, or their headers differ.
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


def require_same(one: Header, other: Header, names: str) -> None:
    """Raises DatasetError unless both headers are equal.

    Args:
        one: the header of one file.
        other: the header of another file.
        names: the names of the two files, with which the error message begins.
    """
    differing = one.differences(other)
    if differing:
        raise DatasetError(
            f"{names} are not of one collection: {_first_few(differing)}"
        )


def _first_few(differences: Sequence[str]) -> str:
    """Returns the first `SHOWN_DIFFERENCES` differences in one line."""
    shown = "; ".join(differences[:SHOWN_DIFFERENCES])
    hidden = len(differences) - SHOWN_DIFFERENCES
    return f"{shown}; and {hidden} more" if hidden > 0 else shown


def write_merged(
    header: Header,
    episodes: Sequence[StoredEpisode],
    target: Path,
    folder: Path,
    masks: Mapping[str, Sequence[int]] | None = None,
    on_copied: OnCopied | None = None,
    resume: bool = False,
) -> None:
    """Copies episodes to a new file in the order of their seeds, and adds the masks.

    Args:
        header: the header of the new file.
        episodes: the episodes to copy; their seeds must differ.
        target: the path of the new file.
        folder: the folder in which the file is written before it is renamed to
            `target`; on the same file system.
        masks: the name of a mask -> the numbers of its episodes in the new file; by default
            `default_masks`.
        on_copied: a function that is called after each episode.
        resume: whether to continue a killed call with the same arguments.

    Raises:
        DatasetError: the file to continue was begun with other arguments.
        WriteError: the disk is full, or cannot be written for another reason.
    """
    ordered = sorted(episodes, key=lambda episode: episode.meta.seed)
    metas = [episode.meta for episode in ordered]
    masks = default_masks(metas) if masks is None else masks
    identity = [header.metadata_json, _sources(ordered), sorted(masks.items())]
    temporary = _temporary(target, folder)
    with growing_file(target, temporary, identity, resume, finish=seal) as growing:
        # report the episodes that a killed call has copied already
        if on_copied is not None and growing.done:
            on_copied(growing.done)

        for first, end in growing.steps(len(ordered)):
            with growing.step(end) as new:
                # the first step writes the header, the last one the masks
                if first == 0:
                    write_header(new.h5, header)
                _copy_demos(ordered[first:end], first, new, on_copied)
                if end == len(ordered):
                    total = sum(meta.num_samples for meta in metas)
                    new.h5["data"].attrs["total"] = total
                    write_masks(new.h5, masks)


def _sources(episodes: Sequence[StoredEpisode]) -> list[Any]:
    """Returns JSON that identifies the episodes to copy, and the state of their files."""
    stamps = {}
    for path in dict.fromkeys(episode.path for episode in episodes):
        state = path.stat()
        stamps[path] = (str(path.absolute()), state.st_size, state.st_mtime_ns)
    return [
        (*stamps[episode.path], episode.demo, episode.meta.seed) for episode in episodes
    ]


def _require_distinct_seeds(episodes: Sequence[StoredEpisode]) -> None:
    """Raises DatasetError if two of the episodes have the same seed."""
    first_with: dict[int, StoredEpisode] = {}  # seed -> the first episode that has it
    for episode in episodes:
        seed = episode.meta.seed
        first = first_with.setdefault(seed, episode)
        if first is episode:
            continue
        if first.path == episode.path:
            raise DatasetError(f"{first.path} is given twice, or has seed {seed} twice")
        raise DatasetError(f"seed {seed} is in both {first.path} and {episode.path}")


def _copy_demos(
    episodes: Sequence[StoredEpisode],
    first: int,
    new: NewFile,
    on_copied: OnCopied | None,
) -> None:
    """Copies episodes to the group `/data`.

    Args:
        episodes: the episodes to copy. Copying is fastest if the episodes of each source
            file follow each other.
        first: the number of the first of these episodes in the new file.
        new: the file to write.
        on_copied: a function that is called after each episode.
    """
    data = new.h5["data"]
    with ExitStack() as stack:
        source: H5 = None  # the file that is open now
        source_path: Path | None = None
        for number, episode in enumerate(episodes, first):
            # only one source is open at a time, because there may be thousands of sources
            if episode.path != source_path:
                stack.close()
                source = stack.enter_context(open_file(episode.path))
                source_path = episode.path
            with damage_named(episode.path, f"/data/{episode.demo}"):
                source.copy(source["data"][episode.demo], data, f"demo_{number}")
            new.end_episode()
            if on_copied is not None:
                on_copied(1)
