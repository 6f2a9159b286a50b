"""Reading dataset files: what goes in comes out, in whatever process."""

from __future__ import annotations

import json
import multiprocessing
import subprocess
import sys
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest

from embodied.datasets.opening import may_be_dataset
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import DatasetError, as_frame
from embodied.datasets.writer import EpisodeWriter
from embodied.errors import EmbodiedError
from tests.datasets_fakes import (
    SEEDS,
    fake_episode,
    fake_header,
    open_hdf5,
    same,
    write_dataset,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "some" / "set.hdf5", SEEDS)


def test_what_goes_in_comes_out(path: Path) -> None:
    with Dataset(path) as dataset:
        assert [meta.seed for meta in dataset.episodes] == SEEDS
        for number, seed in enumerate(SEEDS):
            assert same(dataset.episode(number), fake_episode(seed))
        assert not same(dataset.episode(1), fake_episode(2))

        assert dataset.header.differences(fake_header()) == []
        assert list(dataset.episode(3, images=False).obs) == ["agent_pos"]


def test_a_file_of_schema_1_reads_as_one_with_a_goal_per_effector(path: Path) -> None:
    with Dataset(path) as dataset:
        expected = dataset.episode(0).plans

    # what schema 1 had: one goal per plan, and none for bases
    with open_hdf5(path, "r+") as file:
        file["meta"].attrs["schema_version"] = 1
        plans = file["data/demo_0/plans"]
        for name in ("goal_pos_w", "goal_quat_wxyz", "goal_vel_w", "gripper"):
            goal = plans[name][()][:, 0]
            del plans[name]
            plans[name] = goal
        del plans["base_goal_w"]

    with Dataset(path) as dataset:
        plans = dataset.episode(0).plans
    assert plans.keys() == expected.keys()
    assert plans["base_goal_w"].shape == (2, 0, 4)
    for name in expected.keys() - {"base_goal_w"}:
        np.testing.assert_array_equal(plans[name], expected[name])


def test_the_parts_of_flat_vectors_are_named(tmp_path: Path) -> None:
    path = tmp_path / "set.hdf5"
    layouts = {"agent_layout": [["joint_pos", 3], ["width", 1]], "state_layout": []}
    with EpisodeWriter(path, fake_header(**layouts)) as writer:
        writer.write(fake_episode(1))

    with Dataset(path) as dataset:
        joints = dataset.agent_layout.slices()["joint_pos"]
        assert dataset.episode(0).obs["agent_pos"][:, joints].shape == (3, 3)
        assert dataset.state_layout.size == 0


def test_an_observation_gets_the_keys_of_a_file() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    observation = {
        "agent_pos": np.zeros(4),
        "pixels": {"front": image},
        "pixels_age": np.zeros(1),
    }

    frame = as_frame(observation)

    assert sorted(frame) == sorted(fake_episode(1).obs)
    assert frame["front_image"] is image


def test_rows_of_one_array_can_be_read(path: Path) -> None:
    dataset = Dataset(path)
    images = fake_episode(40).obs["front_image"]

    key = "obs/front_image"
    np.testing.assert_array_equal(dataset.read(12, key, 2), images[2])
    np.testing.assert_array_equal(dataset.read(12, key, slice(1, 3)), images[1:3])
    np.testing.assert_array_equal(dataset.read(12, key), images)


def test_a_name_that_does_not_exist_is_answered_with_those_that_do(path: Path) -> None:
    dataset = Dataset(path)

    # A typing error is answered with what was likely meant.
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


def test_the_layout_is_robomimics(path: Path) -> None:
    with open_hdf5(path) as file:
        data = file["data"]
        names = [f"demo_{number}" for number in range(len(SEEDS))]
        assert sorted(data) == sorted(names)
        num_samples = [data[name].attrs["num_samples"] for name in names]
        assert data.attrs["total"] == sum(num_samples)

        arguments = json.loads(data.attrs["env_args"])
        assert arguments["env_name"] == "embodied/Fake-v0"
        assert arguments["type"] == 2
        assert arguments["env_kwargs"] == {
            "cameras": ["front"],
            "control_hz": 10,
            "control_mode": "joint",
            "level": "L1",
        }

        # Images are chunked by frame, low-dimensional arrays are contiguous.
        demo = data["demo_0"]
        assert demo["obs/front_image"].chunks == (1, 8, 8, 3)
        assert demo["obs/front_image"].compression == "gzip"
        for key in ("actions", "obs/agent_pos", "streams/action/value"):
            assert demo[key].chunks is None

        assert demo["dones"][()].tolist() == [0, 0, 1]
        assert file["mask/train"][0] == b"demo_0"


def test_an_unfinished_collection_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "set.hdf5"
    writer = EpisodeWriter(path, fake_header())
    with pytest.raises(DatasetError, match="no dataset at"):
        len(Dataset(path))

    for seed in (10, 9, 2):
        writer.write(fake_episode(seed))

    with Dataset(path) as dataset:
        # Sorted by seed, as the finished file will be, whatever the order of
        # collection.
        assert [meta.seed for meta in dataset.episodes] == [2, 9, 10]
        assert same(dataset.episode(2), fake_episode(10))
        assert dataset.mask("success") == [0, 1, 2]

    writer.close()
    assert [meta.seed for meta in Dataset(path).episodes] == [2, 9, 10]


# Processes
# --------------------------------------------------------------------------------------


def test_a_file_that_another_process_may_change_is_named(path: Path) -> None:
    # HDF5 locks and marks a file that a process has opened for writing.
    code = (
        "import h5py, sys;"
        f"file = h5py.File({str(path)!r}, 'r+');"
        "print('held', flush=True);"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"

        # a file is opened when something is first read that its index does not hold
        with (
            Dataset(path) as dataset,
            pytest.raises(DatasetError, match="open for writing in a process"),
        ):
            dataset.episode(12)
        assert may_be_dataset(path)

        holder.communicate()

    with Dataset(path) as dataset:
        assert same(dataset.episode(12), fake_episode(40))


def grey_sum(dataset: Dataset) -> int:
    """Something that is read from the file."""
    return int(dataset.read(0, "obs/front_image").sum())


def test_a_copy_sent_to_a_worker_opens_the_file_itself(path: Path) -> None:
    dataset = Dataset(path)
    expected = grey_sum(dataset)  # it is open here already

    sent = ForkingPickler.dumps(dataset)
    dataset.close()

    assert len(sent) < 20_000
    assert grey_sum(ForkingPickler.loads(sent)) == expected


def test_a_forked_reader_does_not_share_the_handle(path: Path) -> None:
    dataset = Dataset(path)
    expected = grey_sum(dataset)

    # h5py's handles don't survive a fork: the child must open the file itself.
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(
        target=lambda: sender.send((grey_sum(dataset), dataset._owner))
    )
    child.start()
    result, owner = receiver.recv()
    child.join()

    assert result == expected
    assert owner == child.pid
    assert grey_sum(dataset) == expected
