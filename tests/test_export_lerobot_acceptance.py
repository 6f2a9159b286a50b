"""Acceptance: LeRobot's own code loads what we export, and learns from it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import get_args

import gymnasium
import numpy as np
import pytest

from embodied.benchmark.data_throughput import data_job, measure_peer
from embodied.datasets.export.lerobot import export_lerobot
from embodied.datasets.export.lerobot_features import Pictures
from embodied.datasets.export.selection import Choice, Selection
from embodied.datasets.writer import EpisodeWriter
from tests.acceptance import ROOT, install, result_of, run
from tests.datasets_fakes import fake_episode, fake_header
from tests.lerobot_peer import make_lerobot

FRAMES = (20, 13)  # of the episodes
SIDE = 64  # of the pictures

# Loads a dataset with LeRobot and learns from it for a moment; prints what came of it
# as one line of JSON.
LOAD_AND_LEARN = """
import importlib.machinery
import importlib.util
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"


class Absent:
    # Stands for packages that LeRobot imports and needs for nothing here: torchvision
    # has no CPU build beside our torch.
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torchvision", "cv2"):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        def attribute(name):
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (), {})

        module.__getattr__ = attribute


# transformers must not find it, and remembers what it was told first
if importlib.util.find_spec("transformers"):
    from transformers.utils import is_torchvision_available

    is_torchvision_available()
sys.meta_path.append(Absent())

import numpy as np
import torch
import torchvision.transforms


class ToTensor:
    def __call__(self, picture):
        return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255


torchvision.transforms.ToTensor = ToTensor

from lerobot.datasets.factory import resolve_delta_timestamps
from lerobot.datasets.lerobot_dataset import LeRobotDataset, LeRobotDatasetMetadata
from lerobot.policies import ACTConfig, TDMPCConfig
from lerobot.policies.factory import make_policy, make_pre_post_processors
from lerobot.utils.collate import lerobot_collate_fn
from torch.utils.data import DataLoader

root = sys.argv[1]
meta = LeRobotDatasetMetadata("local/set", root=root)
plain = LeRobotDataset("local/set", root=root, video_backend="pyav")
items = [plain[number] for number in range(len(plain))]
result = {
    "episodes": plain.num_episodes,
    "features": sorted(plain.features),
    "action": torch.stack([item["action"] for item in items]).tolist(),
    "success": [bool(item["next.success"]) for item in items],
    "tasks": [item["task"] for item in items],
    "subtask": items[5]["language_persistent"],
    "brightness": [
        item[camera].mean().item() for item in items for camera in meta.camera_keys
    ],
}

torch.manual_seed(0)
if meta.camera_keys:
    config = TDMPCConfig(device="cpu", push_to_hub=False)
else:
    config = ACTConfig(
        device="cpu", push_to_hub=False, chunk_size=8, n_action_steps=8,
        dim_model=32, n_heads=2, dim_feedforward=32,
    )
policy = make_policy(config, ds_meta=meta)
preprocess, _ = make_pre_post_processors(config, dataset_stats=meta.stats)
windows = LeRobotDataset(
    "local/set", root=root, video_backend="pyav",
    delta_timestamps=resolve_delta_timestamps(config, meta),
)
optimizer = torch.optim.Adam(policy.parameters(), 1e-3)
losses = []
for epoch in range(3):
    for batch in DataLoader(windows, 11, collate_fn=lerobot_collate_fn):
        loss, _ = policy.forward(preprocess(batch))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
result["losses"] = losses
print("RESULT " + json.dumps(result))
"""


# Makes a small policy of LeRobot's for a task of ours, and lets `lerobot-eval` try it.
EVALUATE = (
    LOAD_AND_LEARN[: LOAD_AND_LEARN.index("import numpy")]
    + """
from pathlib import Path
import torch
from lerobot.envs.configs import EnvConfig
from lerobot.policies import ACTConfig
from lerobot.policies.factory import make_policy, make_pre_post_processors
from lerobot.scripts.lerobot_eval import main
from lerobot.utils.import_utils import register_third_party_plugins

folder = Path(sys.argv[1])
register_third_party_plugins()
env = EnvConfig.get_choice_class("embodied")(task="PanelReset", obs="state")
config = ACTConfig(
    device="cpu", push_to_hub=False, chunk_size=4, n_action_steps=4,
    dim_model=32, n_heads=2, dim_feedforward=32,
)
torch.manual_seed(0)
parts = make_pre_post_processors(config, dataset_stats={})
for part in (make_policy(config, env_cfg=env), *parts):
    part.save_pretrained(folder / "policy")

sys.argv = [
    "lerobot-eval", f"--policy.path={folder}/policy", "--policy.device=cpu",
    "--env.type=embodied", "--env.task=PanelReset", "--env.obs=state",
    "--env.episode_length=12", "--eval.n_episodes=3", "--eval.batch_size=2",
    "--eval.use_async_envs=false", f"--output_dir={folder}/eval", "--seed=7",
]
main()
info = json.loads((folder / "eval" / "eval_info.json").read_text())
features = {key: list(one.shape) for key, one in env.features.items()}
print("RESULT " + json.dumps({"info": info, "features": features}))
"""
)


@pytest.fixture(scope="module")
def lerobot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has LeRobot besides what the present one has."""
    return make_lerobot(tmp_path_factory.mktemp("lerobot"))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset whose pictures are grey, each of another brightness."""
    path = tmp_path_factory.mktemp("data") / "set.hdf5"
    with EpisodeWriter(path, fake_header(robot="arm")) as writer:
        for seed, frames in enumerate(FRAMES):
            episode = fake_episode(seed, frames)
            levels = 10 + 10 * np.arange(frames, dtype=np.uint8) + seed
            pictures = np.broadcast_to(
                levels[:, None, None, None], (frames, SIDE, SIDE, 3)
            )
            obs = {**episode.obs, "front_image": pictures}
            writer.write(replace(episode, obs=obs))
    return path


@pytest.mark.slow
@pytest.mark.peers
@pytest.mark.parametrize("pictures", get_args(Pictures))
def test_lerobot_loads_and_learns(
    lerobot: Path, path: Path, tmp_path: Path, pictures: Pictures
) -> None:
    selection = Selection([path], Choice())
    episodes = list(selection.load(images=True))
    if pictures == "none":
        # ACT wants pictures or a privileged state.
        episodes = [
            replace(each, environment_state=each.agent_pos[:, :2]) for each in episodes
        ]
        selection.spec = replace(selection.spec, state_names=("x", "y"))
    export_lerobot(selection, episodes, tmp_path / "set", pictures, subtasks=True)

    result = result_of(run(lerobot, "-c", LOAD_AND_LEARN, tmp_path / "set"))

    assert result["episodes"] == len(FRAMES)
    action = np.concatenate([episode.actions for episode in episodes])
    assert np.array_equal(np.array(result["action"], np.float32), action)
    success = np.concatenate([episode.success for episode in episodes])
    assert result["success"] == success.tolist()
    assert result["tasks"] == ["take tote 0"] * 20 + ["take tote 1"] * 13
    assert [row["content"] for row in result["subtask"]] == ["reach", "grasp"]
    if pictures != "none":
        shown = [
            picture.mean() for each in episodes for picture in each.images["front"]
        ]
        assert np.array(result["brightness"]) * 255 == pytest.approx(shown, abs=2)

    assert np.isfinite(result["losses"]).all()
    if pictures == "none":
        # The other policy learns values as well, whose loss need not fall.
        assert result["losses"][-1] < result["losses"][0]


@pytest.mark.slow
@pytest.mark.peers
def test_lerobots_loader_is_measured_beside_ours(
    lerobot: Path, path: Path, tmp_path: Path
) -> None:
    job = replace(data_job(path), batch_size=4, repeats=1, seconds=0.1)

    speeds = list(measure_peer("lerobot", lerobot, job, tmp_path))

    assert [(one.loader, one.content, one.source) for one in speeds] == [
        ("lerobot 0.6.1", "states", "disk"),
        ("lerobot 0.6.1", "pictures", "PNG"),
        ("lerobot 0.6.1", "pictures", "video"),
    ]


@pytest.mark.slow
@pytest.mark.peers
def test_lerobot_eval_drives_our_tasks(lerobot: Path, tmp_path: Path) -> None:
    # built from a copy, since building leaves files beside the source
    source = tmp_path / "lerobot_env"
    shutil.copytree(ROOT / "lerobot_env", source)
    install(lerobot, "--no-deps", "--no-index", "--no-build-isolation", str(source))

    result = result_of(run(lerobot, "-c", EVALUATE, tmp_path))

    with gymnasium.make("embodied/PanelReset-v0", control_mode="joint") as env:
        shapes = {
            key: list(space.shape) for key, space in env.observation_space.items()
        }
        assert result["features"] == {"action": list(env.action_space.shape), **shapes}
    assert result["info"]["overall"]["n_episodes"] == 3
    rewards = [
        x for one in result["info"]["per_task"] for x in one["metrics"]["sum_rewards"]
    ]
    assert len(rewards) == 3
    assert all(reward > 0 for reward in rewards)
