"""Writing some of a dataset's episodes to another file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from embodied.datasets.masks import default_masks
from embodied.datasets.merge import write_merged
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import DatasetError


def require_not_source(target: Path, source: Path) -> None:
    """Raises DatasetError if the file to write is the same as the file to read."""
    if target.exists() and source.exists() and target.samefile(source):
        raise DatasetError(f"{target} is the file that is read: choose another name")


def require_new(targets: Sequence[Path], overwrite: bool, source: Path) -> None:
    """Raises DatasetError if writing would replace a file without permission.

    Args:
        targets: the files to write.
        overwrite: whether the files to write may exist.
        source: the file to read, which must never be replaced.
    """
    for target in targets:
        require_not_source(target, source)
        if target.exists() and not overwrite:
            raise DatasetError(f"{target} exists; choose another name, or overwrite it")


def write_subset(
    dataset: Dataset,
    numbers: Sequence[int],
    target: Path,
    masks: Mapping[str, Sequence[int]] | None = None,
    on_copied: Callable[[int], None] | None = None,
) -> None:
    """Writes some episodes to a new file, in the order of their seeds.

    Args:
        dataset: the dataset to copy from; it is not changed.
        numbers: the numbers of the episodes to copy.
        target: the file to write.
        masks: the name of a mask -> the numbers of its episodes in `dataset`; by default
            the dataset's own masks. Episodes that are not copied are dropped from the
            masks.
        on_copied: a function that is called after each episode.
    """
    if masks is None:
        masks = {name: dataset.mask(name) for name in dataset.masks}

    episodes = [dataset.stored_episode(number) for number in numbers]
    seeds = [dataset.episodes[number].seed for number in numbers]
    # seed -> number of its episode in the new file, which is sorted by seed
    new_number = {seed: number for number, seed in enumerate(sorted(seeds))}

    # Every file has the default masks first, in the same order. Keep that order, so that
    # a copy of all episodes is equal to the source byte for byte.
    default_names = [name for name in default_masks([]) if name in masks]
    new_masks = {}
    for name in dict.fromkeys([*default_names, *masks]):
        member_seeds = [dataset.episodes[number].seed for number in masks[name]]
        new_masks[name] = sorted(
            new_number[seed] for seed in member_seeds if seed in new_number
        )
    write_merged(
        dataset.header,
        episodes,
        target,
        folder=target.parent,
        masks=new_masks,
        on_copied=on_copied,
    )
