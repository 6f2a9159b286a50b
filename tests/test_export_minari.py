"""A Minari export is as Minari reads it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from embodied.datasets.export.minari import export_minari
from embodied.datasets.export.selection import Choice, Selection
from embodied.datasets.reader import Dataset
from tests.acceptance import install, make_environment, result_of, run
from tests.commands import embodied, refused
from tests.datasets_fakes import open_hdf5, write_dataset

MINARI = ("minari==0.5.4", "portion", "typing_extensions", "typer", "rich")
NAME = "totes-v0"

# Loads a dataset with Minari, and learns from it for a moment.
LOAD_AND_LEARN = f"""
import json

import minari
import numpy as np
import torch

dataset = minari.load_dataset("{NAME}")
dataset.set_seed(0)
episodes = list(dataset.sample_episodes(2))
first = {{key: rows[0] for key, rows in episodes[0].observations.items()}}
result = {{
    "episodes": int(dataset.total_episodes),
    "steps": int(dataset.total_steps),
    "contains": bool(dataset.observation_space.contains(first)),
    "actions": dataset[3].actions.tolist(),
    "rows": {{key: len(rows) for key, rows in dataset[3].observations.items()}},
}}
seen = np.concatenate([each.observations["agent_pos"][:-1] for each in episodes])
done = np.concatenate([each.actions for each in episodes])
layer = torch.nn.Linear(seen.shape[1], done.shape[1])
optimizer = torch.optim.SGD(layer.parameters(), 0.1)
losses = []
for _ in range(3):
    loss = (layer(torch.tensor(seen)) - torch.tensor(done)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
result["losses"] = losses
print("RESULT " + json.dumps(result))
"""


def export(tmp_path: Path) -> Path:
    path = write_dataset(tmp_path / "set.hdf5", range(4))
    selection = Selection([path], Choice("all"))
    export_minari(selection, selection.load(images=True), tmp_path / NAME)
    return path


def test_observations_have_a_row_more_than_actions(tmp_path: Path) -> None:
    path = export(tmp_path)

    data = tmp_path / NAME / "data"
    with open_hdf5(data / "main_data.hdf5") as file, Dataset(path) as dataset:
        episode = dataset.episode(2)
        group = file["episode_2"]
        agent_pos = group["observations/agent_pos"][()]
        assert np.array_equal(agent_pos[:-1], episode.obs["agent_pos"])
        assert np.array_equal(agent_pos[-1], agent_pos[-2])
        pictures = group["observations/front"][()]
        assert np.array_equal(pictures[:-1], episode.obs["front_image"])
        assert np.array_equal(group["actions"], episode.actions)
        assert group["truncations"][()].tolist() == [False, False, True]
        assert group.attrs["seed"] == episode.meta.seed

    metadata = json.loads((data / "metadata.json").read_text())
    assert (metadata["total_episodes"], metadata["total_steps"]) == (4, 12)
    space = json.loads(metadata["observation_space"])["subspaces"]
    assert np.shape(space["front"]["high"]) == (8, 8, 3)


def test_names_that_minari_does_not_know(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_dataset(tmp_path / "set.hdf5", range(1))
    command = ("data", "export", path, "--format", "minari", "-o")
    assert "such as totes-v0" in refused(capsys, *command, tmp_path / "totes")
    assert embodied(*command, tmp_path / NAME) == 0


@pytest.mark.slow
@pytest.mark.peers
def test_minari_loads_an_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = make_environment(tmp_path / "minari")
    install(python, "--no-deps", *MINARI)
    path = export(tmp_path)
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))

    result = result_of(run(python, "-c", LOAD_AND_LEARN))

    assert (result["episodes"], result["steps"]) == (4, 12)
    assert result["contains"]
    assert result["rows"] == {"agent_pos": 4, "front": 4}
    with Dataset(path) as dataset:
        actions = dataset.read(3, "actions")
    assert np.array_equal(np.array(result["actions"], np.float32), actions)
    assert result["losses"][-1] < result["losses"][0]
