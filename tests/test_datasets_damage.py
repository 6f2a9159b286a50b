"""Files that are no dataset, or a damaged one, are refused with the reason."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from embodied.datasets.reader import Dataset
from embodied.datasets.schema import DatasetError
from tests.datasets_fakes import SEEDS, open_hdf5, unsealed, write_dataset


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "some" / "set.hdf5", SEEDS)


def test_what_is_no_dataset_says_why(path: Path, tmp_path: Path) -> None:
    # Files that are no dataset of ours: text, another library's HDF5, a newer schema.
    text = tmp_path / "text.hdf5"
    text.write_text("hello, world")
    foreign = tmp_path / "foreign.hdf5"
    with open_hdf5(foreign, "w") as file:
        file["data/demo_0/actions"] = np.zeros(3)
    future = tmp_path / "future.hdf5"
    shutil.copy(path, future)
    with open_hdf5(future, "r+") as file:
        file["meta"].attrs["schema_version"] = 7
    nothing = tmp_path / "nothing.hdf5"
    no_folder = tmp_path / "no" / "folder.hdf5"

    neighbours = "foreign.hdf5, future.hdf5, text.hdf5"
    reasons = {
        nothing: f"no dataset at .*nothing.hdf5; .*{neighbours}",
        no_folder: "no dataset at",
        tmp_path: "is a folder",
        text: "is not an HDF5 file: it begins with b'hello, w'",
        foreign: r"not a dataset of ours .*it holds \['data'\]",
        future: r"schema version 7; this package reads \[1, 2, 3\]",
    }
    for wrong, reason in reasons.items():
        with pytest.raises(DatasetError, match=reason):
            len(Dataset(wrong))


def test_a_truncated_file_is_refused_wherever_it_is_cut(
    path: Path, tmp_path: Path
) -> None:
    whole = unsealed(path).read_bytes()
    truncated = tmp_path / "truncated.hdf5"
    step = len(whole) // 30

    for size in [0, 7, 8, 100, *range(0, len(whole), step), len(whole) - 1]:
        truncated.write_bytes(whole[:size])
        # The first 8 bytes tell that it is HDF5.
        reason = "truncated or damaged" if size >= 8 else "not an HDF5 file"
        with pytest.raises(DatasetError, match=reason):
            len(Dataset(truncated))


@pytest.mark.parametrize(
    ("group", "name", "value"),
    [
        ("meta", "metadata", None),
        ("meta", "metadata", "{"),
        ("meta", "record_hz", "ten"),
        ("data/demo_3", "seed", None),
        ("data/demo_3", "variation", None),
        ("data/demo_3", "variation", "{"),
    ],
)
def test_damage_is_named(path: Path, group: str, name: str, value: str | None) -> None:
    with open_hdf5(path, "r+") as file:
        del file[group].attrs[name]
        if value is not None:
            file[group].attrs[name] = value
    dataset = Dataset(path)

    with pytest.raises(DatasetError, match=f"{path} is damaged: "):
        _ = (dataset.header, dataset.episodes)


def test_a_demo_that_is_not_whole_is_left_out(path: Path) -> None:
    with open_hdf5(path, "r+") as file:
        del file["data/demo_11"].attrs["num_samples"]

    assert [meta.seed for meta in Dataset(path).episodes] == [*range(11), 40]
