"""Writing some of a dataset's episodes to another file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from embodied.datasets.masks import default_masks
from embodied.datasets.merge import write_merged
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import DatasetError


def require_not_source(target: Path, source: Path) -> None:
    """Raises DatasetError if the file to be written is the one that is read."""
    if target.exists() and source.exists() and target.samefile(source):
        raise DatasetError(f"{target} is the file that is read: choose another name")


def require_new(targets: Sequence[Path], overwrite: bool, source: Path) -> None:
    """Raises DatasetError if a file would be replaced that must not be.

    Args:
        targets: the files to be written.
        overwrite: whether they may exist.
        source: the file that is read, which is never replaced.
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
        dataset: to copy from; it stays as it is.
        numbers: of the episodes to copy.
        target: the file to write, in one step.
        masks: name -> numbers of episodes in `dataset`, in place of its own masks.
            Episodes that are not copied are left out of the masks.
        on_copied: is called after each episode.
    """
    if masks is None:
        masks = {name: dataset.mask(name) for name in dataset.masks}

    episodes = [dataset.stored_episode(number) for number in numbers]
    seeds = [dataset.episodes[number].seed for number in numbers]
    # seed -> number in the new file, which is in the order of the seeds
    new_number = {seed: number for number, seed in enumerate(sorted(seeds))}

    # The default masks come first, in the order in which every file has them, so that a
    # copy of all episodes is equal to the source byte for byte.
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
