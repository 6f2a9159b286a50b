"""The index at the end of a dataset: it is what the file says, or it is not believed."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embodied.datasets.index import seal
from embodied.datasets.index.file_index import CLOCK_ARRAYS, POSITION_ARRAYS, Stamp
from embodied.datasets.index.finding import add_missing, build_index
from embodied.datasets.index.opening import index_path, open_index
from embodied.datasets.index.seal import sealed
from embodied.datasets.merge import find_episodes, merge
from embodied.datasets.opening import open_file
from embodied.datasets.reader import Dataset
from embodied.datasets.repairing import SUPERBLOCK_VERSION_AT
from embodied.datasets.subsets import write_subset
from tests.datasets_fakes import (
    fake_episode,
    open_hdf5,
    same,
    unsealed,
    write_dataset,
)

ARRAYS = (
    "actions",
    "obs/agent_pos",
    "obs/front_image",
    "streams/joint_target/value",
    "plans/goal_pos_w",
)
CLOCKS = ("frame_tick", "streams/joint_target/t", "plans/tick_frame")
SEEDS = range(12)
STAMPED = 0x20  # a flag of an object's header: it holds times


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("sealed") / "set.hdf5", SEEDS)


@pytest.fixture
def copy(path: Path, tmp_path: Path) -> Path:
    """A copy of the file, which keeps its seal."""
    return Path(shutil.copy(path, tmp_path / "copy.hdf5"))


def is_sealed(path: Path) -> bool:
    with open_file(path) as file:
        return sealed(path, file) is not None


def content_size(path: Path, folder: Path) -> int:
    """The size of a file without its seal."""
    bare = Path(shutil.copy(path, folder / "bare.hdf5"))
    return unsealed(bare).stat().st_size


def require_true(path: Path) -> None:
    """Raises unless the index and the table of episodes are what the groups say."""
    index = open_index(path, ARRAYS, CLOCKS, keep=False)
    found = build_index(path, Stamp.of(path.stat()))
    add_missing(path, found, ARRAYS, CLOCKS)

    assert index.demos == found.demos
    assert index.sentences == found.sentences
    assert np.array_equal(index.instruction, found.instruction)
    assert {k: v.tolist() for k, v in index.masks.items()} == {
        k: v.tolist() for k, v in found.masks.items()
    }
    for key in ARRAYS:
        one = index.positions[key]
        other = found.positions[key]
        assert (one.layout, one.dtype, one.row_shape) == (
            other.layout,
            other.dtype,
            other.row_shape,
        )
        for name in POSITION_ARRAYS:
            assert np.array_equal(getattr(one, name), getattr(other, name)), key
    for key in CLOCKS:
        for name in CLOCK_ARRAYS:
            ours = getattr(index.clocks[key], name)
            assert np.array_equal(ours, getattr(found.clocks[key], name)), key

    with Dataset(path) as dataset:
        for number, meta in enumerate(dataset.episodes):
            assert dataset.episode(number).meta == meta


def test_all_that_writes_a_dataset_seals_it(path: Path, tmp_path: Path) -> None:
    with Dataset(path) as dataset:
        write_subset(dataset, [7, 2, 11], tmp_path / "few.hdf5")
    merge([path], tmp_path / "merged.hdf5")

    for written in (path, tmp_path / "few.hdf5", tmp_path / "merged.hdf5"):
        assert is_sealed(written)
        require_true(written)


def test_a_seal_goes_along_and_saves_the_visit(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("embodied.datasets.index.finding.find_row_positions", None)
    monkeypatch.setattr("embodied.datasets.index.opening.build_index", None)
    monkeypatch.setattr("embodied.datasets.merge.read_meta", None)

    assert set(ARRAYS) <= open_index(copy, ARRAYS, CLOCKS).positions.keys()
    assert [each.meta.seed for each in find_episodes(copy)] == list(SEEDS)
    assert not index_path(copy).exists()


def exchange(file: Any) -> None:
    """Two episodes get each other's names: no size and no set of names changes."""
    file.move("data/demo_3", "data/held")
    file.move("data/demo_4", "data/demo_3")
    file.move("data/held", "data/demo_4")


def replace_array(file: Any) -> None:
    """An array of equal size comes in the place of another one."""
    values = file["data/demo_1/actions"][()]
    del file["data/demo_1/actions"]
    file["data/demo_1/actions"] = values[::-1].copy()


def later_ticks(file: Any) -> None:
    file["data/demo_2/frame_tick"][:] += 1


def other_attribute(file: Any) -> None:
    file["data/demo_2"].attrs["instruction"] = "something else"


def another_mask(file: Any) -> None:
    file["mask/own"] = np.array([b"demo_1"])


def one_less(file: Any) -> None:
    del file["data/demo_11"]
    for name in file["mask"]:
        names = file[f"mask/{name}"][()]
        del file[f"mask/{name}"]
        file[f"mask/{name}"] = names[names != b"demo_11"]


def nothing(file: Any) -> None:
    """The file was open for writing, and that was all."""


CHANGES = (
    exchange,
    replace_array,
    later_ticks,
    other_attribute,
    another_mask,
    one_less,
    nothing,
)


@pytest.mark.parametrize("change", CHANGES)
def test_whoever_changes_a_file_breaks_its_seal(
    copy: Path, change: Callable[[Any], None]
) -> None:
    with open_hdf5(copy, "r+") as file:
        change(file)

    assert not is_sealed(copy)
    require_true(copy)


@pytest.mark.parametrize("seed", range(40))
def test_a_damaged_seal_is_not_believed(path: Path, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    content = bytearray(path.read_bytes())
    begin = content_size(path, tmp_path)
    place = int(rng.integers(begin, len(content)))

    kind = seed % 4
    if kind == 0:
        del content[place:]
    elif kind == 1:
        content[place] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        content[place : place + 300] = bytes(len(content[place : place + 300]))
    else:
        content[place:place] = content[place - 100 : place]
    damaged = tmp_path / "damaged.hdf5"
    damaged.write_bytes(content)

    require_true(damaged)
    with Dataset(damaged) as dataset:
        assert [meta.seed for meta in dataset.episodes] == list(SEEDS)
        assert same(dataset.episode(5), fake_episode(5))


def test_the_seal_of_another_file_does_not_fit(copy: Path, tmp_path: Path) -> None:
    other = write_dataset(tmp_path / "other.hdf5", range(20, 25))
    tail = other.read_bytes()[content_size(other, tmp_path) :]
    copy.write_bytes(copy.read_bytes() + tail)

    assert not is_sealed(copy)
    require_true(copy)


def test_a_terminal_shows_how_far_a_long_sealing_is(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    unsealed(copy)
    monkeypatch.setattr(seal, "PROGRESS_DELAY_S", 0.0)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    seal.seal(copy)
    assert "index copy.hdf5: " in capsys.readouterr().err
    assert is_sealed(copy)


def test_texts_are_where_damage_is_an_error(path: Path) -> None:
    # HDF5 searches a damaged heap of texts for ever, and forms before 1.10 have no
    # checksums; groups that it stamps with the time would make two files of the same
    # episodes differ
    content = path.read_bytes()
    assert b"GCOL" not in content
    assert content[SUPERBLOCK_VERSION_AT] == 3
    headers = [match.start() for match in re.finditer(b"OHDR", content)]
    assert headers
    assert not any(content[place + 5] & STAMPED for place in headers)
