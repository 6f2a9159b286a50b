"""Merging datasets, and the masks of the merged file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embodied.datasets.masks import is_for_validation
from embodied.datasets.merge import merge
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import DatasetError
from embodied.datasets.writer import EpisodeWriter
from tests.datasets_fakes import (
    SEEDS,
    fake_episode,
    fake_header,
    file_digest,
    open_hdf5,
    same,
    write_dataset,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "some" / "set.hdf5", SEEDS)


@pytest.mark.parametrize("num_workers", [1, 2, 5])
def test_a_merged_file_does_not_depend_on_who_collected_what(
    num_workers: int, path: Path, tmp_path: Path
) -> None:
    files = [
        write_dataset(tmp_path / f"{worker}.hdf5", SEEDS[worker::num_workers])
        for worker in range(num_workers)
    ]
    target = tmp_path / "merged.hdf5"

    # The order in which the files are given does not count, either.
    merge(files[::-1], target)

    assert file_digest(target) == file_digest(path)
    assert all(file.exists() for file in files)


def test_what_does_not_belong_together_is_not_merged(
    path: Path, tmp_path: Path
) -> None:
    target = tmp_path / "all.hdf5"
    # The same seed twice, and a file of another policy on another model.
    overlapping = write_dataset(tmp_path / "twin.hdf5", [99, 40])
    other = tmp_path / "else.hdf5"
    with EpisodeWriter(other, fake_header("random", model_hash="x")) as episodes:
        episodes.write(fake_episode(77))

    with pytest.raises(
        DatasetError, match=r"seed 40 is in both .*set.hdf5 and .*twin.hdf5"
    ):
        merge([path, overlapping], target)
    with pytest.raises(DatasetError, match=r"set.hdf5 is given twice"):
        merge([path, path], target)
    with pytest.raises(DatasetError, match=r"policy is .* 'random' .*; model_hash is"):
        merge([path, other], target)
    with pytest.raises(DatasetError, match="no dataset to merge"):
        merge([], target)

    assert not target.exists()


def test_files_whose_actions_mean_other_things_are_not_joined(
    path: Path, tmp_path: Path
) -> None:
    older = [write_dataset(tmp_path / f"{seed}.hdf5", [seed]) for seed in (50, 51)]
    for old_path in older:
        with open_hdf5(old_path, "r+") as file:
            file["meta"].attrs["schema_version"] = 2

    differ = "schema_version is . in the one, . in the other"
    with pytest.raises(DatasetError, match=differ):
        merge([path, older[0]], tmp_path / "all.hdf5")
    with pytest.raises(DatasetError, match=differ):
        EpisodeWriter(older[0], fake_header(), "resume")

    # Among themselves they are joined, and stay what they are.
    merge(older, tmp_path / "older.hdf5")
    with Dataset(tmp_path / "older.hdf5") as dataset:
        assert dataset.header.schema_version == 2
        assert same(dataset.episode(1), fake_episode(51))


def test_a_target_that_exists_is_replaced_only_on_request(
    path: Path, tmp_path: Path
) -> None:
    target = write_dataset(tmp_path / "target.hdf5", [99])

    with pytest.raises(DatasetError, match="exists"):
        merge([path], target)
    assert file_digest(target) != file_digest(path)

    merge([path], target, overwrite=True)
    assert file_digest(target) == file_digest(path)


def test_masks_hold_successes_split_by_seed(tmp_path: Path) -> None:
    path = tmp_path / "set.hdf5"
    seeds = list(range(60))
    with EpisodeWriter(path, fake_header()) as episodes:
        for seed in seeds:
            episode = fake_episode(seed, frames=1, success=seed % 3 > 0, images=False)
            # A fault is no success, whatever the task said.
            fault = "diverged" if seed == 1 else ""
            meta = replace(episode.meta, fault=fault)
            episodes.write(replace(episode, meta=meta))

    dataset = Dataset(path)

    success = [seed for seed in seeds if seed % 3 and seed != 1]
    failure = sorted(set(seeds) - set(success))
    valid = [seed for seed in success if is_for_validation(seed)]
    train = [seed for seed in success if not is_for_validation(seed)]
    assert dataset.mask("success") == success
    assert dataset.mask("failure") == failure
    assert dataset.mask("valid") == valid
    assert dataset.mask("train") == train


def test_a_tenth_of_the_seeds_is_for_validation() -> None:
    share = np.mean([is_for_validation(seed) for seed in range(10_000)])
    assert 0.08 < share < 0.12

    split = [is_for_validation(seed) for seed in range(99)]
    other_split = [is_for_validation(seed, split_seed=1) for seed in range(99)]
    assert split != other_split
