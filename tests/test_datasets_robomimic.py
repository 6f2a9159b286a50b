"""Acceptance: robomimic reads our files, and what it learned acts in our worlds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from embodied.benchmark.data_throughput import data_job, measure_peer
from embodied.datasets.export.robomimic import export_robomimic
from embodied.datasets.export.selection import Choice, Selection
from embodied.datasets.recorder import Recorder
from embodied.datasets.schema import RECORD_HZ as USUAL_RECORD_HZ
from embodied.datasets.writer import EpisodeWriter
from embodied.envs.registry import get_task
from embodied.rollout.rollout import rollout
from tests.acceptance import install, make_environment, packages_of, result_of, run
from tests.dataset_recordings import record
from tests.datasets_fake_worlds import FakePolicy, fake_worlds
from tests.datasets_fakes import RECORD_HZ, fake_header

LENGTHS = dict.fromkeys(range(12), 20)  # seed -> control steps
ROBOMIMIC = "robomimic==0.3.0"
# What robomimic imports beside torch and torchvision.
REQUIREMENTS = (
    "matplotlib",
    "psutil",
    "termcolor",
    "tensorboardX",
    "imageio",
    "six",
)
# torchvision has no CPU build beside our torch. robomimic's models import these names,
# its loader uses none.
TORCHVISION = {
    "torchvision/__init__.py": "",
    "torchvision/models.py": "",
    "torchvision/transforms/__init__.py": "Compose = Lambda = None",
    "torchvision/transforms/functional.py": "",
}

# Loads a file with robomimic, and prints what came of it as one line of JSON.
LOAD = """
import json
import sys

import robomimic.utils.file_utils as files
import robomimic.utils.obs_utils as obs_utils
from robomimic.utils.dataset import SequenceDataset
from torch.utils.data import DataLoader

path = sys.argv[1]
keys = ["agent_pos", "front_image"]
specs = {"low_dim": keys[:1], "rgb": keys[1:]}
obs_utils.initialize_obs_utils_with_obs_specs({"obs": specs})
result = {
    "env": files.get_env_metadata_from_dataset(path),
    "shapes": files.get_shape_metadata_from_dataset(path, keys)["all_shapes"],
}
for cache in ("all", "low_dim", None):
    for mask in ("success", "failure", None):
        try:
            data = SequenceDataset(
                path,
                keys,
                ["actions", "rewards", "dones"],
                seq_length=3,
                hdf5_cache_mode=cache,
                filter_by_attribute=mask,
                load_next_obs=False,
            )
        except Exception as error:
            raise RuntimeError(f"cache {cache}, mask {mask}") from error
        loader = DataLoader(data, batch_size=16, num_workers=2 if cache is None else 0)
        loaded = sum(len(batch["actions"]) for batch in loader)
        result[f"{cache}/{mask}"] = [len(data), loaded]
first = data[5]
result["actions"] = first["actions"].tolist()
result["image"] = first["obs"]["front_image"][:, 0, 0, 0].tolist()
print("RESULT " + json.dumps(result))
"""

# Learns from a file with robomimic for a moment, and lets the policy act in the
# environment that the file names; prints what came of it as one line of JSON.
LEARN_AND_ACT = """
import json
import sys

import embodied
import gymnasium as gym
import numpy as np
import robomimic.utils.file_utils as files
import robomimic.utils.obs_utils as obs_utils
import robomimic.utils.train_utils as train_utils
import torch
from embodied.datasets.schema import as_frame
from robomimic.algo import RolloutPolicy, algo_factory
from robomimic.config import config_factory
from torch.utils.data import DataLoader

path = sys.argv[1]
keys = ["agent_pos", "environment_state"]
config = config_factory("bc")
with config.values_unlocked():
    config.train.data = path
    config.train.hdf5_filter_key = "success"
    config.observation.modalities.obs.low_dim = keys
obs_utils.initialize_obs_utils_with_config(config)
shapes = files.get_shape_metadata_from_dataset(path, keys)

model = algo_factory(
    "bc", config, shapes["all_shapes"], shapes["ac_dim"], torch.device("cpu")
)
data, _ = train_utils.load_data_for_training(config, obs_keys=keys)
loader = DataLoader(data, batch_size=64, shuffle=True)
losses = [
    train_utils.run_epoch(model, loader, epoch, num_steps=20)["Loss"]
    for epoch in range(1, 11)
]

env_args = files.get_env_metadata_from_dataset(path)
env = gym.make(env_args["env_name"], **env_args["env_kwargs"])
policy = RolloutPolicy(model)
policy.start_episode()
observation, _ = env.reset(seed=0)
steps = 0
ended = False
while not ended:
    action = policy(as_frame(observation))
    observation, _, terminated, truncated, info = env.step(np.clip(action, -1, 1))
    ended = terminated or truncated
    steps += 1
result = {"losses": losses, "steps": steps, "fault": info["fault"]}
print("RESULT " + json.dumps(result))
"""


@pytest.fixture(scope="module")
def robomimic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has robomimic besides what the present one has."""
    folder = tmp_path_factory.mktemp("robomimic")
    python = make_environment(folder)
    packages = packages_of(python)
    for name, text in TORCHVISION.items():
        (packages / name).parent.mkdir(exist_ok=True)
        (packages / name).write_text(text)

    # Without its dependencies: torchvision would bring another torch.
    install(python, "--no-deps", "--no-build-isolation", ROBOMIMIC)
    install(python, *REQUIREMENTS)
    return python


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "set.hdf5"
    worlds = fake_worlds(LENGTHS, num_worlds=4)
    with EpisodeWriter(path, fake_header()) as episodes:
        rollout(worlds, FakePolicy(3), list(LENGTHS), [Recorder(episodes, RECORD_HZ)])
    return path


@pytest.mark.slow
@pytest.mark.peers
def test_robomimic_loads_a_file_of_ours(robomimic: Path, path: Path) -> None:
    result = result_of(run(robomimic, "-c", LOAD, path))

    assert result["env"]["env_name"] == "embodied/Fake-v0"
    assert result["shapes"] == {"agent_pos": [5], "front_image": [3, 8, 8]}

    # 12 episodes of 4 frames are loaded, however they are cached.
    for cache in ("all", "low_dim", None):
        assert result[f"{cache}/None"][1] == 12 * 4


@pytest.mark.slow
@pytest.mark.peers
def test_robomimic_loads_an_export(robomimic: Path, path: Path, tmp_path: Path) -> None:
    target = tmp_path / "export.hdf5"
    selection = Selection([path], Choice("all", hz=RECORD_HZ // 2))
    export_robomimic(selection, selection.load(images=True), target)

    result = result_of(run(robomimic, "-c", LOAD, target))

    assert result["shapes"] == {"agent_pos": [5], "front_image": [3, 8, 8]}
    assert result["None/None"][1] == 12 * 2


@pytest.mark.slow
@pytest.mark.peers
def test_robomimics_info_script_finds_nothing_wrong(
    robomimic: Path, path: Path
) -> None:
    script = "robomimic.scripts.get_dataset_info"

    printed = run(robomimic, "-m", script, "--dataset", path)

    assert "total trajectories: 12" in printed
    assert "filter key failure with 12 demos" in printed


@pytest.mark.slow
@pytest.mark.peers
def test_what_robomimic_learned_acts_in_the_environment_of_the_file(
    robomimic: Path, tmp_path: Path
) -> None:
    path = record(tmp_path / "set.hdf5", "PanelReset", "arm", noise=0.33)

    result = result_of(run(robomimic, "-c", LEARN_AND_ACT, path))

    assert result["losses"][-1] < result["losses"][0] / 2
    assert result["fault"] == ""
    horizon_s = get_task("PanelReset").horizon_s
    assert result["steps"] <= horizon_s * USUAL_RECORD_HZ


@pytest.mark.slow
@pytest.mark.peers
def test_robomimics_loader_is_measured_beside_ours(
    robomimic: Path, path: Path, tmp_path: Path
) -> None:
    job = replace(data_job(path), batch_size=4, repeats=1, seconds=0.1)

    speeds = list(measure_peer("robomimic", robomimic, job, tmp_path))

    measured = {(one.loader, one.content, one.source) for one in speeds}
    assert measured == {
        ("robomimic 0.3.0", content, source)
        for content in ("states", "pictures")
        for source in ("memory", "disk")
    }
