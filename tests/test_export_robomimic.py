"""The files of a robomimic export hold what was chosen of the dataset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from embodied.datasets.export.robomimic import export_robomimic
from embodied.datasets.export.selection import Choice, Selection
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import DatasetError
from embodied.datasets.writer import EpisodeWriter
from tests.commands import embodied, refused
from tests.datasets_fakes import RECORD_HZ, fake_episode, fake_header, open_hdf5

LAYOUT: dict[str, Any] = {"agent_layout": [["joint_pos", 3], ["gripper_width", 1]]}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "set.hdf5"
    with EpisodeWriter(path, fake_header(robot="arm", **LAYOUT)) as writer:
        for seed in range(12):
            writer.write(fake_episode(seed, 5, success=seed != 1))
    return path


def test_a_lower_rate(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.hdf5"
    selection = Selection([path], Choice("all", hz=RECORD_HZ // 2))
    export_robomimic(selection, selection.load(images=True), target)

    with open_hdf5(target) as file, Dataset(path) as dataset:
        episode = dataset.episode(11)
        demo = file["data/demo_11"]
        state = episode.obs["agent_pos"][[0, 2, 4]]
        assert np.array_equal(demo["obs/agent_pos"], state)
        pictures = episode.obs["front_image"][[0, 2, 4]]
        assert np.array_equal(demo["obs/front_image"], pictures)
        assert np.array_equal(demo["actions"], episode.actions[[1, 3, 4]])
        assert np.array_equal(demo["rewards"], episode.rewards[[1, 3, 4]])
        assert np.array_equal(demo["states"], episode.states[[0, 2, 4]])
        assert demo["dones"][()].tolist() == [0, 0, 1]
        assert demo.attrs["num_samples"] == 3

        env_args = json.loads(file["data"].attrs["env_args"])
        assert env_args["env_kwargs"]["control_hz"] == RECORD_HZ // 2
        assert file["data"].attrs["total"] == 12 * 3
        assert file["mask/failure"][()].tolist() == [b"demo_1"]
        assert all(name.startswith("demo_") for name in file["data"])


def test_chosen_keys(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.hdf5"
    command = ("data", "export", path, "-o", target, "--format", "robomimic")
    assert embodied(*command, "--key", "gripper_width", "--key", "front_image") == 0

    with open_hdf5(target) as file, Dataset(path) as dataset:
        obs = file["data/demo_1/obs"]
        assert sorted(obs) == ["front_image", "gripper_width"]
        agent_pos = dataset.read(2, "obs/agent_pos")
        assert np.array_equal(obs["gripper_width"], agent_pos[:, 3:])


def test_files_of_several_environments_are_refused(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.hdf5"
    header = fake_header(robot="arm", env_id="embodied/Other-v0", **LAYOUT)
    with EpisodeWriter(other, header) as writer:
        writer.write(fake_episode(0))
    selection = Selection([path, other], Choice())

    with pytest.raises(DatasetError, match="of different environments"):
        export_robomimic(selection, selection.load(images=True), tmp_path / "out.hdf5")
    assert not (tmp_path / "out.hdf5").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--key", "gripper_widt"), "unknown key 'gripper_widt'. Did you mean"),
        (("--subtasks",), "--subtasks has an effect only with --format lerobot"),
    ],
)
def test_refusals(
    words: tuple[object, ...],
    message: str,
    path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = path.parent / "out.hdf5"
    command = ("data", "export", path, "-o", target, "--format", "robomimic")

    assert message in refused(capsys, *command, *words)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
