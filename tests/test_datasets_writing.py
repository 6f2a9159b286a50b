"""Collecting: an episode is on disk whole or not at all, and nothing else is lost."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from embodied.datasets import h5_files
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import DatasetError, Stream
from embodied.datasets.writer import EpisodeWriter
from embodied.errors import EmbodiedError
from tests.datasets_fakes import (
    SEEDS,
    fake_episode,
    fake_header,
    file_digest,
    open_hdf5,
    write_dataset,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "some" / "set.hdf5", SEEDS)


def seeds_of(path: Path) -> list[int]:
    return [meta.seed for meta in Dataset(path).episodes]


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_same_episodes_same_bytes_whatever_the_order_and_the_time(
    path: Path, tmp_path: Path
) -> None:
    time.sleep(1.1)  # times in HDF5 are whole seconds

    reversed_order = write_dataset(tmp_path / "other.hdf5", SEEDS[::-1])
    fewer = write_dataset(tmp_path / "fewer.hdf5", SEEDS[1:])

    assert file_digest(reversed_order) == file_digest(path)
    assert file_digest(fewer) != file_digest(path)


def test_several_processes_collect_together(tmp_path: Path, path: Path) -> None:
    together = tmp_path / "set.hdf5"
    owner = EpisodeWriter(together, fake_header())
    helpers = [EpisodeWriter(together, fake_header(), "join") for _ in range(3)]

    # Episodes are dealt out in turn, so no helper has consecutive seeds.
    for i, seed in enumerate(SEEDS):
        helpers[i % 3].write(fake_episode(seed))
    for helper in helpers:
        helper.close()
    assert not together.exists()

    owner.close()
    assert file_digest(together) == file_digest(path)


def test_there_must_be_a_collection_to_join(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no collection"):
        EpisodeWriter(tmp_path / "other.hdf5", fake_header(), "join")


# What is there already
# --------------------------------------------------------------------------------------


def test_an_output_that_exists_is_refused(path: Path) -> None:
    before = file_digest(path)
    unfinished = path.with_name("b.hdf5")
    EpisodeWriter(unfinished, fake_header()).write(fake_episode(1))

    # Neither a finished dataset nor an unfinished one is touched without a word.
    with pytest.raises(
        DatasetError, match=r"set.hdf5 exists: --resume .*, --overwrite"
    ):
        EpisodeWriter(path, fake_header())
    with pytest.raises(DatasetError, match="unfinished collection"):
        EpisodeWriter(unfinished, fake_header())
    with pytest.raises(DatasetError, match="unknown mode 'append'"):
        EpisodeWriter(path, fake_header(), "append")  # type: ignore[arg-type]

    assert file_digest(path) == before


def test_overwrite_begins_anew(path: Path) -> None:
    with EpisodeWriter(path, fake_header("other"), "overwrite") as episodes:
        assert episodes.seeds == frozenset()
        episodes.write(fake_episode(3))

    assert seeds_of(path) == [3]


def test_overwrite_deletes_no_file_that_is_not_a_dataset(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("mine")
    # An HDF5 file of another library looks like a dataset from outside.
    foreign = tmp_path / "foreign.hdf5"
    with open_hdf5(foreign, "w") as file:
        file["data/demo_0/actions"] = np.zeros(3)
    before = file_digest(foreign)

    for target in (notes, foreign):
        with pytest.raises(DatasetError, match="will not be overwritten"):
            EpisodeWriter(target, fake_header(), "overwrite")

    assert notes.read_text() == "mine"
    assert file_digest(foreign) == before


def test_overwrite_replaces_a_file_too_damaged_to_tell_what_it_was(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])

    with EpisodeWriter(path, fake_header(), "overwrite") as episodes:
        episodes.write(fake_episode(4))

    assert seeds_of(path) == [4]


@pytest.mark.parametrize("mode", ["new", "resume", "overwrite"])
def test_a_folder_is_no_output(
    tmp_path: Path, mode: Literal["new", "resume", "overwrite"]
) -> None:
    for folder in (tmp_path, Path(".")):
        with pytest.raises(
            DatasetError, match="is a folder; a dataset is one HDF5 file"
        ):
            EpisodeWriter(folder, fake_header(), mode)


def test_resume_goes_on_where_it_stopped(path: Path, tmp_path: Path) -> None:
    resumed = write_dataset(tmp_path / "set.hdf5", SEEDS[:5])

    with EpisodeWriter(resumed, fake_header(), "resume") as episodes:
        assert episodes.seeds == set(SEEDS[:5])
        with pytest.raises(DatasetError, match="seed 3 is already"):
            episodes.write(fake_episode(3))
        for seed in SEEDS[5:]:
            episodes.write(fake_episode(seed))
    assert file_digest(resumed) == file_digest(path)

    # Nothing is left to do.
    EpisodeWriter(resumed, fake_header(), "resume").close()
    assert file_digest(resumed) == file_digest(path)


def test_resume_refuses_another_collection(path: Path) -> None:
    others = (
        fake_header("random"),
        fake_header(model_hash="other"),
        replace(fake_header(), record_hz=5),
    )
    for other in others:
        with pytest.raises(DatasetError, match="not of one collection"):
            EpisodeWriter(path, other, "resume")

    # Threads change no episode.
    config = {**fake_header().metadata["config"], "num_threads": 1}
    EpisodeWriter(path, fake_header(config=config), "resume").close()


# What goes wrong
# --------------------------------------------------------------------------------------


def no_space_left(*_: object, **__: object) -> None:
    raise OSError("no space left")


@pytest.mark.parametrize(
    ("owner", "name"),
    [(os, "replace"), (os, "fsync"), (h5_files.h5py, "File")],
)
def test_a_failed_write_leaves_nothing(
    owner: object, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    episodes = EpisodeWriter(tmp_path / "set.hdf5", fake_header())
    episodes.write(fake_episode(1))

    monkeypatch.setattr(owner, name, no_space_left)
    with pytest.raises((EmbodiedError, OSError), match="no space"):
        episodes.write(fake_episode(2))

    assert names_in(tmp_path / "set.hdf5.parts") == ["seed_1.hdf5"]


def test_a_failed_close_can_be_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    episodes = EpisodeWriter(tmp_path / "set.hdf5", fake_header())
    episodes.write(fake_episode(1))

    # The disk is full for one episode and for the close, then it has room again.
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", no_space_left)
        with pytest.raises(EmbodiedError, match="no space"):
            episodes.write(fake_episode(2))
        with pytest.raises(EmbodiedError, match="no space"):
            episodes.close()

    episodes.write(fake_episode(2))
    episodes.close()

    assert names_in(tmp_path) == ["set.hdf5"]
    assert seeds_of(tmp_path / "set.hdf5") == [1, 2]


def test_a_kill_between_the_merge_and_the_tidying_up_loses_and_doubles_nothing(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "set.hdf5"
    episodes = EpisodeWriter(target, fake_header())
    for seed in SEEDS[:6]:
        episodes.write(fake_episode(seed))

    # The merged file is in place, but its parts are still there, and those of an
    # earlier kill.
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda folder: None)
        episodes.close()
    leftover = tmp_path / "set.hdf5.parts" / "set.hdf5.writing.17"
    leftover.write_text("of an earlier kill")

    with EpisodeWriter(target, fake_header(), "resume") as again:
        for seed in SEEDS[6:]:
            again.write(fake_episode(seed))

    assert file_digest(target) == file_digest(path)


# What an episode may hold
# --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"actions": np.full((3, 3), 1.001)},
            r"actions must be in \[-1, 1\], but element 0 at tick 0 is 1.001",
        ),
        ({"actions": np.full((3, 3), np.nan)}, "at tick 0 is nan"),
        ({"rewards": np.zeros(2)}, r"has 3 frames, but rows: \{'rewards': 2\}"),
        (
            {"streams": {"action": Stream(np.arange(2), np.array([[0.0], [-1.5]]))}},
            "streams/action .* tick 1 is -1.5",
        ),
        (
            {"streams": {"action": Stream(np.arange(2), np.array([[0.0], [np.nan]]))}},
            "streams/action .* tick 1 is nan",
        ),
        (
            {"streams": {"reward": Stream(np.array([0, 0]), np.zeros(2))}},
            "stream reward of seed 1",
        ),
    ],
)
def test_what_must_not_be_stored_is_refused(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    episodes = EpisodeWriter(tmp_path / "set.hdf5", fake_header())

    with pytest.raises(DatasetError, match=reason):
        episodes.write(replace(fake_episode(1), **change))  # type: ignore[arg-type]

    assert names_in(tmp_path / "set.hdf5.parts") == []


def test_rounding_is_clipped_and_the_cause_of_a_fault_is_kept(tmp_path: Path) -> None:
    # An action just above 1, as float rounding gives it, and the nan that caused the
    # fault.
    episode = fake_episode(1)
    cause = Stream(np.arange(2), np.array([[1.0], [np.nan]]))
    episode = replace(
        episode,
        actions=np.full((3, 3), 1 + 1e-7),
        streams={"action": cause},
        meta=replace(episode.meta, fault="action_not_finite"),
    )

    with EpisodeWriter(tmp_path / "set.hdf5", fake_header()) as episodes:
        episodes.write(episode)

    read = Dataset(tmp_path / "set.hdf5").episode(0)
    assert read.actions.max() == 1
    np.testing.assert_array_equal(read.streams["action"].value, cause.value)
