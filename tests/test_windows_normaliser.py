"""Statistics of what windows hold, and what they are for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from embodied.datasets.reader import Dataset
from embodied.datasets.schema import DatasetError
from embodied.datasets.statistics import statistics
from embodied.datasets.windows import Normaliser, Window, Windows
from embodied.datasets.windows import statistics as statistics_module
from embodied.datasets.windows.dataset import Request
from embodied.datasets.windows.statistics import statistics_path, window_statistics
from embodied.datasets.writer import EpisodeWriter
from embodied.errors import EmbodiedError
from tests.datasets_fakes import SEEDS, fake_episode, fake_header, write_dataset

WINDOW = Window(
    {
        "obs/agent_pos": range(-1, 1),
        "obs/front_image": range(1),
        "actions": range(4),
        "streams/reward": range(2),
    }
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("statistics") / "set.hdf5", SEEDS)


def wide_file(path: Path) -> Path:
    """A file of another robot, whose proprioception is wider."""
    with EpisodeWriter(path, fake_header(robot="tall")) as writer:
        episode = fake_episode(3, 20)
        wide = np.random.default_rng(0).normal(5, 2, (20, 6)).astype(np.float32)
        writer.write(replace(episode, obs={**episode.obs, "agent_pos": wide}))
    return path


def test_they_are_those_of_the_dataset(path: Path) -> None:
    with Windows(path, WINDOW) as windows, Dataset(path) as dataset:
        (measured,) = window_statistics(windows)
        keys = ["obs/agent_pos", "actions"]
        expected = statistics(dataset, dataset.mask("train"), keys)
    assert list(measured) == ["obs/agent_pos", "actions", "streams/reward"]
    for one in expected:
        found = measured[one.key]
        assert found.count == one.count
        for name in ("mean", "std", "min", "max", "q01", "q99"):
            assert getattr(found, name) == pytest.approx(getattr(one, name), abs=1e-9)


def test_they_are_kept_beside_until_something_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_dataset(tmp_path / "set.hdf5", SEEDS)
    few = Window({"actions": range(1)})
    first = window_statistics(Windows(path, few))
    content = json.loads(statistics_path(path).read_text())
    assert [entry["key"] for entry in content["arrays"]] == ["actions"]

    measured = []
    original = statistics_module._measure

    def spy(parts, name):
        measured.append(name)
        return original(parts, name)

    monkeypatch.setattr(statistics_module, "_measure", spy)
    assert window_statistics(Windows(path, few)) == first
    assert not measured
    window_statistics(Windows(path, WINDOW))
    assert measured == ["obs/agent_pos", "streams/reward"]

    # another mask, another file, a file that is no JSON
    window_statistics(Windows(path, few, mask="success"))
    write_dataset(tmp_path / "other.hdf5", SEEDS[:5]).replace(path)
    window_statistics(Windows(path, few))
    statistics_path(path).write_text("{")
    window_statistics(Windows(path, few))
    assert measured[2:] == ["actions"] * 3


@pytest.mark.parametrize("scale", ["deviation", "limits", "quantiles"])
def test_scaling_and_back(path: Path, tmp_path: Path, scale: str) -> None:
    files = [path, wide_file(tmp_path / "wide.hdf5")]
    with Windows(files, WINDOW, "all") as windows:
        normaliser = Normaliser(windows, scale)
        batch = windows.batch(Request.of(range(len(windows))))
        filled = windows.filled("obs/agent_pos")
    scaled = normaliser(batch)

    for robot in (0, 1):
        rows = scaled["obs/agent_pos"][batch["robot"] == robot][:, -1]
        real = rows[:, filled[robot]]
        if scale == "deviation":
            assert real.mean(0) == pytest.approx(np.zeros(real.shape[1]), abs=1e-4)
            assert real.std(0, correction=0) == pytest.approx(
                np.ones(real.shape[1]), abs=1e-4
            )
        if scale == "limits":
            assert real.amax(0) == pytest.approx(np.ones(real.shape[1]), abs=1e-5)
            assert real.amin(0) == pytest.approx(-np.ones(real.shape[1]), abs=1e-5)
        assert not rows[:, ~filled[robot]].any()

    for name in ("obs/agent_pos", "actions"):
        back = normaliser.undo(name, scaled[name], batch["robot"])
        torch.testing.assert_close(back, batch[name], rtol=1e-5, atol=1e-5)
    pictures = scaled["obs/front_image"]
    assert pictures.shape == (len(windows), 1, 3, 8, 8)
    expected = batch["obs/front_image"].movedim(-1, -3) / 255
    assert torch.equal(pictures, expected)
    for name in ("tick", "actions_is_pad"):
        assert scaled[name] is batch[name]


def test_it_is_stored_with_a_policys_weights(path: Path) -> None:
    with Windows(path, WINDOW) as windows:
        normaliser = Normaliser(windows)
        other = Normaliser(windows, "limits")
        batch = windows.batch(Request.of(range(4)))
    other.load_state_dict(normaliser.state_dict())
    assert torch.equal(other(batch)["actions"], normaliser(batch)["actions"])


def test_a_column_that_never_changes_stays_finite(tmp_path: Path) -> None:
    path = tmp_path / "set.hdf5"
    with EpisodeWriter(path, fake_header()) as writer:
        episode = fake_episode(0, 5)
        still = np.full_like(episode.actions, 0.25)
        writer.write(replace(episode, actions=still))
    with Windows(path, Window({"actions": range(1)}), "all") as windows:
        scaled = Normaliser(windows)(windows.batch(Request.of([0, 1])))
    assert torch.equal(scaled["actions"], torch.zeros(2, 1, 3))


def test_mistakes(path: Path, tmp_path: Path) -> None:
    one = Windows(path, WINDOW)
    with pytest.raises(EmbodiedError, match="unknown scale 'deviations'"):
        Normaliser(one, "deviations")
    one.close()

    # the same robot by its name, yet wider
    other = tmp_path / "other.hdf5"
    with EpisodeWriter(other, fake_header()) as writer:
        episode = fake_episode(0, 5)
        wide = np.ones((5, 6), np.float32)
        writer.write(replace(episode, obs={**episode.obs, "agent_pos": wide}))
    two = Windows([path, other], WINDOW, "all")
    with pytest.raises(DatasetError, match="they have no common statistics"):
        Normaliser(two)
    two.close()
