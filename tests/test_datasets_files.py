"""Writing and reading dataset files: what goes in comes out, whole, and everything else
is refused with a reason.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from embodied.datasets import writer
from embodied.datasets.merge import is_for_validation, merge
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import DatasetError, Stream
from embodied.datasets.writer import EpisodeWriter
from embodied.errors import EmbodiedError
from tests.datasets_fakes import episode, hdf5, header, same

# more than ten, so that demo_10 comes after demo_2 or the order is wrong
SEEDS = [*range(12), 40]


def collect(path: Path, seeds: list[int]) -> Path:
    with EpisodeWriter(path, header()) as episodes:
        for seed in seeds:
            episodes.write(episode(seed))
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return collect(tmp_path / "some" / "set.hdf5", SEEDS)


def test_what_goes_in_comes_out(path: Path) -> None:
    with Dataset(path) as dataset:
        assert [meta.seed for meta in dataset.episodes] == SEEDS
        assert all(
            same(dataset.episode(i), episode(seed)) for i, seed in enumerate(SEEDS)
        )
        assert dataset.header.differences(header()) == []
        assert not same(dataset.episode(1), episode(2))
        assert list(dataset.episode(3, images=False).obs) == ["agent_pos"]


def test_rows_of_one_array(path: Path) -> None:
    dataset = Dataset(path)
    images = episode(40).obs["front_image"]
    assert np.array_equal(dataset.read(12, "obs/front_image", 2), images[2])
    assert np.array_equal(dataset.read(12, "obs/front_image", slice(1, 3)), images[1:3])
    assert np.array_equal(dataset.read(12, "obs/front_image"), images)
    with pytest.raises(
        EmbodiedError, match=r"'obs/frnt_image'.*Did you mean 'obs/front_image'"
    ):
        dataset.read(12, "obs/frnt_image")
    with pytest.raises(EmbodiedError, match="unknown array"):
        dataset.read(12, "obs")
    with pytest.raises(IndexError, match="no episode 13"):
        dataset.episode(13)
    with pytest.raises(
        EmbodiedError, match=r"'trian'.*Available: failure, success, train, valid"
    ):
        dataset.mask("trian")


def test_layout_is_robomimics(path: Path) -> None:
    with hdf5(path) as file:
        names = [f"demo_{i}" for i in range(len(SEEDS))]
        assert sorted(file["data"]) == sorted(names)
        assert file["data"].attrs["total"] == sum(
            file[f"data/{name}"].attrs["num_samples"] for name in names
        )
        arguments = json.loads(file["data"].attrs["env_args"])
        assert arguments["env_name"] == "embodied/Fake-v0"
        assert arguments["type"] == 2
        assert arguments["env_kwargs"] == {
            "cameras": ["front"],
            "control_hz": 50,
            "level": "L1",
        }
        demo = file["data/demo_0"]
        assert demo["obs/front_image"].chunks == (1, 8, 8, 3)
        assert demo["obs/front_image"].compression == "gzip"
        assert all(
            demo[key].chunks is None
            for key in ("actions", "obs/agent_pos", "streams/action/value")
        )
        assert demo["dones"][()].tolist() == [0, 0, 1]
        assert file["mask/train"][0] == b"demo_0"


def test_same_episodes_same_bytes_whatever_the_order_and_the_time(
    path: Path, tmp_path: Path
) -> None:
    time.sleep(1.1)  # times in HDF5 are whole seconds
    assert digest(collect(tmp_path / "other.hdf5", SEEDS[::-1])) == digest(path)
    assert digest(collect(tmp_path / "fewer.hdf5", SEEDS[1:])) != digest(path)


def test_an_unfinished_collection_can_be_read(tmp_path: Path) -> None:
    episodes = EpisodeWriter(tmp_path / "set.hdf5", header())
    with pytest.raises(DatasetError, match="no dataset at"):
        len(Dataset(tmp_path / "set.hdf5"))
    for seed in (10, 9, 2):
        episodes.write(episode(seed))
    with Dataset(tmp_path / "set.hdf5") as dataset:
        assert [meta.seed for meta in dataset.episodes] == [2, 9, 10]
        assert same(dataset.episode(2), episode(10))
        assert dataset.mask("success") == [0, 1, 2]
    episodes.close()
    assert [meta.seed for meta in Dataset(tmp_path / "set.hdf5").episodes] == [2, 9, 10]


def test_several_processes_collect_together(tmp_path: Path, path: Path) -> None:
    owner = EpisodeWriter(tmp_path / "set.hdf5", header())
    helpers = [EpisodeWriter(tmp_path / "set.hdf5", header(), "join") for _ in range(3)]
    for i, seed in enumerate(SEEDS):
        helpers[i % 3].write(episode(seed))
    for helper in helpers:
        helper.close()
    assert not (tmp_path / "set.hdf5").exists()
    owner.close()
    assert digest(tmp_path / "set.hdf5") == digest(path)
    with pytest.raises(DatasetError, match="no collection"):
        EpisodeWriter(tmp_path / "other.hdf5", header(), "join")


def test_an_output_that_exists_is_refused(path: Path) -> None:
    before = digest(path)
    with pytest.raises(DatasetError, match=r"set.hdf5 exists; resume it, overwrite it"):
        EpisodeWriter(path, header())
    unfinished = path.with_name("b.hdf5")
    EpisodeWriter(unfinished, header()).write(episode(1))
    with pytest.raises(DatasetError, match="unfinished collection"):
        EpisodeWriter(unfinished, header())
    assert digest(path) == before
    with pytest.raises(DatasetError, match="unknown mode 'append'"):
        EpisodeWriter(path, header(), "append")  # type: ignore[arg-type]


def test_overwrite_begins_anew_but_only_over_datasets(path: Path) -> None:
    with EpisodeWriter(path, header("other"), "overwrite") as episodes:
        assert episodes.seeds == frozenset()
        episodes.write(episode(3))
    assert [meta.seed for meta in Dataset(path).episodes] == [3]
    notes = path.with_name("notes.txt")
    notes.write_text("mine")
    theirs = path.with_name("theirs.hdf5")
    with hdf5(theirs, "w") as file:
        file["data/demo_0/actions"] = np.zeros(3)
    before = digest(theirs)
    for target in (notes, theirs):
        with pytest.raises(DatasetError, match="will not be overwritten"):
            EpisodeWriter(target, header(), "overwrite")
    assert (notes.read_text(), digest(theirs)) == ("mine", before)
    path.write_bytes(path.read_bytes()[:-1])  # too damaged to tell whose it was
    with EpisodeWriter(path, header(), "overwrite") as episodes:
        episodes.write(episode(4))
    assert [meta.seed for meta in Dataset(path).episodes] == [4]


@pytest.mark.parametrize("mode", ["new", "resume", "overwrite"])
def test_a_folder_is_no_output(
    tmp_path: Path, mode: Literal["new", "resume", "overwrite"]
) -> None:
    for folder in (tmp_path, Path(".")):
        with pytest.raises(
            DatasetError, match="is a folder; a dataset is one HDF5 file"
        ):
            EpisodeWriter(folder, header(), mode)


def test_resume_goes_on_where_it_stopped(path: Path, tmp_path: Path) -> None:
    other = collect(tmp_path / "set.hdf5", SEEDS[:5])
    with EpisodeWriter(other, header(), "resume") as episodes:
        assert episodes.seeds == set(SEEDS[:5])
        with pytest.raises(DatasetError, match="seed 3 is already"):
            episodes.write(episode(3))
        for seed in SEEDS[5:]:
            episodes.write(episode(seed))
    assert digest(other) == digest(path)
    EpisodeWriter(other, header(), "resume").close()
    assert digest(other) == digest(path)


def test_resume_refuses_another_collection(path: Path) -> None:
    for other in (
        header("random"),
        header(model_hash="other"),
        replace(header(), record_hz=5),
    ):
        with pytest.raises(DatasetError, match="not of one collection"):
            EpisodeWriter(path, other, "resume")
    config = {**header().metadata["config"], "num_threads": 1}
    # threads change no episode
    EpisodeWriter(path, header(config=config), "resume").close()


def test_a_failed_write_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "set.hdf5"
    episodes = EpisodeWriter(path, header())
    episodes.write(episode(1))

    def full(*_: object) -> None:
        raise OSError("no space left")

    for owner, name in (
        (os, "replace"),
        (os, "fsync"),
        (writer, "write_episode"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, full)
            with pytest.raises(OSError, match="no space"):
                episodes.write(episode(2))
        assert [p.name for p in (tmp_path / "set.hdf5.parts").iterdir()] == [
            "seed_1.hdf5"
        ]
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(OSError, match="no space"):
            episodes.close()
    episodes.write(episode(2))
    episodes.close()
    assert [p.name for p in tmp_path.iterdir()] == ["set.hdf5"]
    assert [meta.seed for meta in Dataset(path).episodes] == [1, 2]


def test_a_kill_between_the_join_and_the_tidying_up_loses_and_doubles_nothing(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "set.hdf5"
    episodes = EpisodeWriter(target, header())
    for seed in SEEDS[:6]:
        episodes.write(episode(seed))
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda folder: None)
        episodes.close()
    (tmp_path / "set.hdf5.parts" / "set.hdf5.writing.17").write_text(
        "of an earlier kill"
    )
    with EpisodeWriter(target, header(), "resume") as again:
        for seed in SEEDS[6:]:
            again.write(episode(seed))
    assert digest(target) == digest(path)


def test_masks_hold_successes_split_by_seed(tmp_path: Path) -> None:
    seeds = list(range(60))
    with EpisodeWriter(tmp_path / "set.hdf5", header()) as episodes:
        for seed in seeds:
            made = episode(seed, frames=1, success=seed % 3 > 0, images=False)
            # a fault is no success, whatever the task said
            fault = "diverged" if seed == 1 else ""
            episodes.write(replace(made, meta=replace(made.meta, fault=fault)))
    dataset = Dataset(tmp_path / "set.hdf5")
    success = [seed for seed in seeds if seed % 3 and seed != 1]
    assert dataset.mask("success") == success
    assert dataset.mask("failure") == sorted(set(seeds) - set(success))
    assert dataset.mask("valid") == [
        seed for seed in success if is_for_validation(seed)
    ]
    assert dataset.mask("train") == [
        seed for seed in success if not is_for_validation(seed)
    ]
    assert 0.08 < np.mean([is_for_validation(seed) for seed in range(10_000)]) < 0.12
    assert [is_for_validation(s) for s in range(99)] != [
        is_for_validation(s, split_seed=1) for s in range(99)
    ]


def test_merge_does_not_depend_on_who_collected_what(
    path: Path, tmp_path: Path
) -> None:
    for workers in (1, 2, 5):
        files = [
            collect(tmp_path / f"{workers}" / f"{w}.hdf5", SEEDS[w::workers])
            for w in range(workers)
        ]
        merge(files[::-1], tmp_path / f"{workers}.hdf5")
        assert digest(tmp_path / f"{workers}.hdf5") == digest(path)
        assert all(file.exists() for file in files)


def test_merge_refuses_what_does_not_belong_together(
    path: Path, tmp_path: Path
) -> None:
    target = tmp_path / "all.hdf5"
    twin = collect(tmp_path / "twin.hdf5", [99, 40])
    with pytest.raises(
        DatasetError, match=r"seed 40 is in both .*set.hdf5 and .*twin.hdf5"
    ):
        merge([path, twin], target)
    with EpisodeWriter(
        tmp_path / "else.hdf5", header("random", model_hash="x")
    ) as episodes:
        episodes.write(episode(77))
    with pytest.raises(DatasetError, match=r"differ in \['model_hash', 'policy'\]"):
        merge([path, tmp_path / "else.hdf5"], target)
    with pytest.raises(DatasetError, match="no dataset to merge"):
        merge([], target)
    with pytest.raises(DatasetError, match="exists"):
        merge([path], twin)
    assert not target.exists()
    merge([path], twin, overwrite=True)
    assert digest(twin) == digest(path)


def test_what_is_no_dataset_says_why(path: Path, tmp_path: Path) -> None:
    text, foreign, future = (
        tmp_path / name for name in ("text.hdf5", "foreign.hdf5", "future.hdf5")
    )
    text.write_text("hello, world")
    with hdf5(foreign, "w") as file:
        file["data/demo_0/actions"] = np.zeros(3)
    shutil.copy(path, future)
    with hdf5(future, "r+") as file:
        file["meta"].attrs["schema_version"] = 7
    cases = {
        tmp_path
        / "nothing.hdf5": r"no dataset at .*nothing.hdf5; .*\['foreign.hdf5', 'future.hdf5', 'text.hdf5'\]",
        tmp_path / "no" / "folder.hdf5": "no dataset at",
        tmp_path: "is a folder",
        text: "is not an HDF5 file: it begins with b'hello, w'",
        foreign: r"not a dataset of ours .*it holds \['data'\]",
        future: r"schema version 7; this package reads \[1\]",
    }
    for wrong, reason in cases.items():
        with pytest.raises(DatasetError, match=reason):
            len(Dataset(wrong))


def test_a_truncated_file_is_refused_wherever_it_is_cut(
    path: Path, tmp_path: Path
) -> None:
    whole = path.read_bytes()
    cut = tmp_path / "cut.hdf5"
    for size in [0, 7, 8, 100, *range(0, len(whole), len(whole) // 30), len(whole) - 1]:
        cut.write_bytes(whole[:size])
        with pytest.raises(
            DatasetError,
            match="truncated or damaged" if size >= 8 else "not an HDF5 file",
        ):
            len(Dataset(cut))


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
    with hdf5(path, "r+") as file:
        del file[group].attrs[name]
        if value is not None:
            file[group].attrs[name] = value
    dataset = Dataset(path)
    with pytest.raises(DatasetError, match=f"{path} is damaged: "):
        (dataset.header, dataset.episodes)  # noqa: B018


def test_a_demo_that_is_not_whole_is_not_seen(path: Path) -> None:
    with hdf5(path, "r+") as file:
        del file["data/demo_11"].attrs["num_samples"]
    assert [meta.seed for meta in Dataset(path).episodes] == [*range(11), 40]


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
def test_what_must_not_be_stored(
    tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    episodes = EpisodeWriter(tmp_path / "set.hdf5", header())
    with pytest.raises(DatasetError, match=reason):
        episodes.write(replace(episode(1), **change))  # type: ignore[arg-type]
    assert list((tmp_path / "set.hdf5.parts").iterdir()) == []


def test_rounding_is_clipped_and_a_faults_own_cause_is_kept(tmp_path: Path) -> None:
    made = episode(1)
    bad = Stream(np.arange(2), np.array([[1.0], [np.nan]]))
    made = replace(
        made,
        actions=np.full((3, 3), 1 + 1e-7),
        streams={"action": bad},
        meta=replace(made.meta, fault="action_not_finite"),
    )
    with EpisodeWriter(tmp_path / "set.hdf5", header()) as episodes:
        episodes.write(made)
    read = Dataset(tmp_path / "set.hdf5").episode(0)
    assert read.actions.max() == 1
    assert np.array_equal(read.streams["action"].value, bad.value, equal_nan=True)


def test_a_file_that_another_process_holds_can_be_read(path: Path) -> None:
    hold = f"import h5py, sys; f = h5py.File({str(path)!r}, 'r+'); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", hold]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with Dataset(path) as dataset:
            assert same(dataset.episode(12), episode(40))
        holder.communicate()


def first_of(dataset: Dataset) -> int:
    return int(dataset.read(0, "obs/front_image").sum())


def test_a_copy_sent_to_a_worker_opens_the_file_itself(path: Path) -> None:
    dataset = Dataset(path)
    expected = first_of(dataset)  # it is open here already
    sent = ForkingPickler.dumps(dataset)
    assert len(sent) < 20_000
    dataset.close()
    assert first_of(ForkingPickler.loads(sent)) == expected


def test_a_forked_reader_does_not_share_the_handle(path: Path) -> None:
    dataset = Dataset(path)
    expected = first_of(dataset)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(
        target=lambda: sender.send((first_of(dataset), dataset._owner))
    )
    child.start()
    found, owner = receiver.recv()
    child.join()
    assert (found, owner) == (expected, child.pid)
    assert first_of(dataset) == expected
