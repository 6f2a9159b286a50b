"""What a file says of itself, and what `embodied data info` says of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from embodied.datasets.descriptions import describe, described_arrays
from embodied.datasets.index.array_totals import (
    ArrayTotal,
    totals_from_json,
    totals_to_json,
)
from embodied.datasets.info import dataset_info
from embodied.datasets.recorder import Recorder
from embodied.datasets.writer import EpisodeWriter
from embodied.rollout.rollout import rollout
from tests.commands import embodied, refused
from tests.datasets_fake_worlds import FakePolicy, fake_worlds
from tests.datasets_fakes import (
    IMAGE_SHAPE,
    RECORD_HZ,
    SEEDS,
    fake_episode,
    fake_header,
    file_digest,
    open_hdf5,
    unsealed,
    write_dataset,
)

FRAMES = 3  # of a fake episode


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "set.hdf5", SEEDS)


def test_every_group_and_stream_of_a_recording_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "recorded.hdf5"
    worlds = fake_worlds({3: 20, 5: 7}, num_worlds=2)
    with EpisodeWriter(path, fake_header()) as episodes:
        rollout(worlds, FakePolicy(4), [3, 5], [Recorder(episodes, RECORD_HZ)])

    silent = []
    with open_hdf5(path) as file:

        def look(name: str, item: h5py.HLObject) -> None:
            parts = name.split("/")
            # names that users chose: of a mask, a stream's pair, a varied field
            is_stream = parts[-2:-1] == ["streams"]
            if (
                (parts[0] == "mask" and len(parts) > 1)
                or is_stream
                or "fields/" in name
            ):
                return
            is_array = isinstance(item, h5py.Dataset)
            wanted = {"description", "unit"} if is_array else {"description"}
            if not wanted <= set(item.attrs):
                silent.append(name)

        file.visititems(look)
    assert silent == []


def test_the_schema_describes_every_array_once_with_a_unit() -> None:
    described = described_arrays()
    assert len({one.key for one in described}) == len(described)
    for one in described:
        assert one.unit
        assert one.meaning
        assert describe(one.key) == one
    assert describe("obs/left_wrist_image") == describe("obs/<camera>_image")
    assert describe("actions_of_another_tool") is None


def test_info_adds_up(path: Path) -> None:
    info = dataset_info(path)

    assert info.episodes == len(SEEDS)
    assert info.seeds == tuple(SEEDS)
    assert info.frames == FRAMES * len(SEEDS)
    assert info.successes == info.masks["success"] == len(SEEDS)
    assert info.size_bytes == path.stat().st_size
    assert not info.unfinished

    arrays = {array.key: array for array in info.arrays}
    images = arrays["obs/front_image"]
    assert images.row == IMAGE_SHAPE
    assert images.rows == info.frames
    assert arrays["plans/goal_pos_w"].unit == "m"
    assert arrays["start/fields"].size_bytes == len(SEEDS) * (2 * 3 + 3) * 8
    assert sum(array.size_bytes for array in info.arrays) < info.size_bytes


def test_a_unit_of_the_file_counts_more_than_the_schema(path: Path) -> None:
    with open_hdf5(path, "r+") as file:
        file["data/demo_0/rewards"].attrs["unit"] = "points"
        # as in files that are older than the attributes
        del file["data/demo_0/states"].attrs["unit"]
        file["data/demo_0/of_another_tool"] = np.zeros((2, 3))

    arrays = {array.key: array for array in dataset_info(path).arrays}
    assert arrays["rewards"].unit == "points"
    assert arrays["states"].unit == "s, m, rad, m/s, rad/s"
    assert arrays["of_another_tool"].unit == ""


def test_the_seal_holds_what_a_visit_of_all_arrays_finds(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = unsealed(Path(shutil.copy(path, tmp_path / "bare.hdf5")))
    visited = dataset_info(bare).arrays

    # a sealed file's arrays are not visited: there may be a million
    monkeypatch.setattr("embodied.datasets.info.array_totals", None)
    assert dataset_info(path).arrays == visited


@pytest.mark.parametrize(
    "wrong", [None, 3, [{}], [[]], [{"rows": -1}], [{"row": "ab"}], [{"unit": 1}]]
)
def test_a_table_of_arrays_with_wrong_values_is_refused(wrong: Any) -> None:
    whole = totals_to_json(
        [ArrayTotal("a", "<f4", (3,), rows=2, unit="m", size_bytes=24)]
    )
    assert totals_to_json(totals_from_json(whole)) == whole

    # in the place of one value of a table that is whole otherwise
    if isinstance(wrong, list) and wrong[0]:
        wrong = [whole[0] | wrong[0]]
    with pytest.raises((KeyError, TypeError, ValueError)):
        totals_from_json(wrong)


def test_an_unfinished_collection_can_be_asked(tmp_path: Path) -> None:
    path = tmp_path / "set.hdf5"
    writer = EpisodeWriter(path, fake_header())
    writer.write(fake_episode(4))

    info = dataset_info(path)
    assert info.unfinished
    assert info.seeds == (4,)
    assert info.size_bytes > 0
    writer.close()
    assert not dataset_info(path).unfinished


def test_the_verb_prints_text_and_json_and_changes_nothing(
    path: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    other = write_dataset(tmp_path / "other.hdf5", [99])
    before = file_digest(path)

    assert embodied("data", "info", path, other) == 0
    text = capsys.readouterr().out
    assert "13 of 13, 100% (95% interval" in text
    assert "obs/front_image" in text
    assert str(other) in text
    # of several, what they hold together
    total = text[text.index("all 2 together") :]
    assert "Fake 14" in total
    assert "14, 14 of them successes" in total
    assert embodied("data", "info", path) == 0
    assert "together" not in capsys.readouterr().out

    assert embodied("data", "info", path, other, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert [one["episodes"] for one in printed] == [13, 1]
    assert printed[0]["success"]["rate"] == 1
    assert file_digest(path) == before
    assert "no dataset at" in refused(capsys, "data", "info", tmp_path / "nothing.hdf5")
