"""Statistics for normalisation are those of all rows, whatever episode they lie in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from embodied.datasets.reader import Dataset
from embodied.datasets.schema import DatasetError
from embodied.datasets.statistics import measured_keys, statistics
from embodied.datasets.windows.dataset import Windows
from embodied.datasets.windows.statistics import window_statistics
from embodied.datasets.windows.window import Window
from embodied.errors import EmbodiedError
from tests.commands import embodied, refused
from tests.datasets_fakes import SEEDS, open_hdf5, write_dataset


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "set.hdf5", SEEDS)


@pytest.mark.parametrize("numbers", [[0], [3, 1], list(range(len(SEEDS)))])
def test_they_are_those_of_all_rows(path: Path, numbers: list[int]) -> None:
    dataset = Dataset(path)
    for one in statistics(dataset, numbers):
        parts = [dataset.read(number, one.key) for number in numbers]
        # of pictures every pixel is a row of three colours
        columns = 3 if one.key.endswith("_image") else len(one.mean)
        rows = np.concatenate(parts).reshape(-1, columns).astype(float)

        assert one.count == sum(map(len, parts))
        assert one.left_out == 0
        assert one.mean == pytest.approx(rows.mean(axis=0))
        assert one.std == pytest.approx(rows.std(axis=0))
        assert one.min == tuple(rows.min(axis=0))
        assert one.max == tuple(rows.max(axis=0))

        # a quantile of levels is one of them
        is_picture = one.key.endswith("_image")
        method = "inverted_cdf" if is_picture else "linear"
        low, high = np.quantile(rows, [0.01, 0.99], axis=0, method=method)
        assert one.q01 == pytest.approx(low)
        assert one.q99 == pytest.approx(high)


def test_times_plans_and_checksums_are_not_measured(path: Path) -> None:
    keys = measured_keys(Dataset(path), 0)
    assert {"actions", "obs/front_image", "streams/action/value"} <= set(keys)
    assert not [
        key
        for key in keys
        if key.endswith(("/t", "_tick")) or key.startswith(("plans", "start"))
    ]
    assert "streams/checksum/value" not in keys


def test_rows_that_are_not_finite_are_left_out_and_counted(path: Path) -> None:
    with open_hdf5(path, "r+") as file:
        file["data/demo_1/streams/action/value"][2, 1] = np.nan
        file["data/demo_1/streams/action/value"][3, 0] = np.inf

    dataset = Dataset(path)
    one = statistics(dataset, [0, 1], ["streams/action/value"])[0]
    assert one.left_out == 2
    assert one.count == 2 * len(dataset.read(0, "streams/action/value")) - 2
    assert np.isfinite([*one.mean, *one.std, *one.max]).all()


def test_numbers_whose_squares_overflow_are_refused(path: Path) -> None:
    with open_hdf5(path, "r+") as file:
        file["data/demo_1/states"][0, 0] = 1e300

    with pytest.raises(
        DatasetError, match=r"states has numbers up to 1e\+300, too large"
    ):
        statistics(Dataset(path), [1], ["states"])
    with (
        Windows(path, Window({"states": range(1)}), "all") as windows,
        pytest.raises(
            DatasetError, match=r"states has numbers up to 1e\+300, too large"
        ),
    ):
        window_statistics(windows)


def test_what_cannot_be_measured_is_named(path: Path) -> None:
    dataset = Dataset(path)
    with pytest.raises(DatasetError, match="no episode to measure"):
        statistics(dataset, [])
    with pytest.raises(EmbodiedError, match="unknown array 'action'.*'actions'"):
        statistics(dataset, [0], ["action"])
    dataset.close()

    with open_hdf5(path, "r+") as file:
        del file["data/demo_1/actions"]
        file["data/demo_1/actions"] = np.zeros((3, 9), np.float32)
    with pytest.raises(DatasetError, match=r"rows of \[3, 9\] numbers"):
        statistics(dataset, [0, 1], ["actions"])


def test_the_verb_writes_json_over_a_mask(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "stats.json"
    words = ("data", "stats", path, "--key", "actions", "rewards")
    assert embodied(*words, "-o", target) == 0
    capsys.readouterr()
    written = json.loads(target.read_text())

    dataset = Dataset(path)
    assert written["episodes"] == len(dataset.mask("train"))
    assert list(written["arrays"]) == ["actions", "rewards"]

    assert embodied(*words, "--mask", "all") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["seeds"] == SEEDS
    assert "empty" in refused(capsys, *words, "--mask", "failure")
