"""Policies of LeRobot act here: an ACT policy that it trained on an export of ours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from embodied.benchmark.timing import Timing
from embodied.datasets.export.lerobot import export_lerobot
from embodied.datasets.export.selection import Choice, Selection
from embodied.policies.episodes import EpisodeRunner, env_config_for
from embodied.policies.registry import find_policy
from embodied.policies.remote.lerobot_policy import (
    PYTHON_VARIABLE,
    script_path,
    start_server,
)
from tests.acceptance import run
from tests.commands import TASK, refused
from tests.lerobot_peer import make_lerobot

HZ = 20
STEPS = 10  # of a chunk

# Trains ACT for a moment, and writes what `lerobot-train` writes of a policy. The
# stand-in for torchvision is that of the server.
TRAIN = """
import importlib.util
import sys

script, root, folder = sys.argv[1:]
spec = importlib.util.spec_from_file_location("lerobot_server", script)
server = importlib.util.module_from_spec(spec)
spec.loader.exec_module(server)
if importlib.util.find_spec("torchvision") is None:
    server.replace_torchvision()

import torch
import torchvision.transforms

from lerobot.datasets.factory import resolve_delta_timestamps
from lerobot.datasets.lerobot_dataset import LeRobotDataset, LeRobotDatasetMetadata
from lerobot.policies import ACTConfig
from lerobot.policies.factory import make_policy, make_pre_post_processors
from lerobot.utils.collate import lerobot_collate_fn
from torch.utils.data import DataLoader

torch.manual_seed(0)
meta = LeRobotDatasetMetadata("local/set", root=root)
config = ACTConfig(
    device="cpu", push_to_hub=False, chunk_size=10, n_action_steps=5,
    dim_model=32, n_heads=2, dim_feedforward=32,
)
policy = make_policy(config, ds_meta=meta)
before, after = make_pre_post_processors(config, dataset_stats=meta.stats)
data = LeRobotDataset(
    "local/set", root=root, delta_timestamps=resolve_delta_timestamps(config, meta)
)
optimizer = torch.optim.Adam(policy.parameters(), 1e-3)
loader = DataLoader(data, 32, shuffle=True, collate_fn=lerobot_collate_fn)
for _, batch in zip(range(20), loader):
    loss, _ = policy.forward(before(batch))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
policy.save_pretrained(folder)
before.save_pretrained(folder)
after.save_pretrained(folder)
"""


@pytest.mark.slow
@pytest.mark.peers
def test_an_act_policy_of_lerobot_acts_here(
    plain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = make_lerobot(tmp_path / "lerobot")
    selection = Selection([plain], Choice(mask="all"))
    episodes = list(selection.load(images=False))
    export_lerobot(selection, episodes, tmp_path / "set", "none", subtasks=False)
    folder = tmp_path / "policy"
    run(python, "-c", TRAIN, script_path(), tmp_path / "set", folder)

    monkeypatch.setenv(PYTHON_VARIABLE, str(python))
    name = f"lerobot:{folder}"
    with start_server(folder, str(python)) as child:
        source = find_policy(name)
        spec = source.spec(TASK)
        assert (spec.control_mode, spec.control_hz) == ("joint", HZ)
        assert spec.privileged  # since the export held that state
        assert source.planner_hz == HZ / 5
        assert source.info.shape.chunk_steps == STEPS

        config = env_config_for(spec, TASK, "L1", "train")
        results = {}
        for delay_ms in (0, 250, 250):
            dual = Timing(transport_ms=delay_ms).dual(source.planner_hz)
            one = EpisodeRunner(name, replace(config, horizon_s=3), dual, num_envs=2)
            result = one.run([3, 4])
            # the same again, however the process is
            assert results.setdefault(delay_ms, result) == result

        # it has learned too little to do anything; but it moves, and delay tells
        for late, prompt in zip(results[250], results[0], strict=True):
            assert late.plan_faults == prompt.plan_faults == 0
            assert late.mean_plan_age_s == pytest.approx(
                prompt.mean_plan_age_s + 0.25, abs=0.03
            )
            assert late.reward_sum != prompt.reward_sum
        assert child.process.poll() is None
    start_server.cache_clear()


def test_mistakes_are_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("eval", TASK, "--policy", f"lerobot:{tmp_path}", "-o", tmp_path / "out")
    monkeypatch.delenv(PYTHON_VARIABLE, raising=False)
    assert "config.json and model.safetensors not found" in refused(capsys, *words)

    (tmp_path / "config.json").write_text("{}")
    assert "model.safetensors not found" in refused(capsys, *words)
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert f"export {PYTHON_VARIABLE}=" in refused(capsys, *words)

    monkeypatch.setenv(PYTHON_VARIABLE, str(tmp_path / "python"))
    assert "cannot be run: No such file" in refused(capsys, *words)
    # a Python that says nothing, and one that says what it lacks
    monkeypatch.setenv(PYTHON_VARIABLE, "/bin/true")
    assert "does not serve" in refused(capsys, *words)
    lacking = tmp_path / "lacking"
    lacking.write_text(
        "#!/bin/sh\necho 'ModuleNotFoundError: no lerobot' >&2\nexit 1\n"
    )
    lacking.chmod(0o755)
    monkeypatch.setenv(PYTHON_VARIABLE, str(lacking))
    assert "ModuleNotFoundError: no lerobot" in refused(capsys, *words)
