"""Acceptance: robomimic's own loader and its info script take a file of ours."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from embodied.datasets.recorder import Recorder
from embodied.datasets.writer import EpisodeWriter
from embodied.rollout.rollout import rollout
from tests.datasets_fake_worlds import FakePolicy, fake_worlds
from tests.datasets_fakes import fake_header

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
# What pip says when it has no network.
UNREACHABLE = (
    "No matching distribution",
    "Could not find a version",
    "Connection",
    "timed out",
    "Temporary failure",
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


@pytest.fixture(scope="module")
def robomimic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has robomimic besides what the present one has."""
    folder = tmp_path_factory.mktemp("robomimic")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"

    # It sees the packages of the present Python, and a torchvision of empty modules.
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(run(python, "-c", query).strip())
    (packages / "present.pth").write_text(sysconfig.get_path("purelib"))
    for name, text in TORCHVISION.items():
        (packages / name).parent.mkdir(exist_ok=True)
        (packages / name).write_text(text)

    # Without its dependencies: torchvision would bring another torch.
    install(python, "--no-deps", "--no-build-isolation", ROBOMIMIC)
    install(python, *REQUIREMENTS)
    return python


def install(python: Path, *arguments: str) -> None:
    """Installs packages for a Python; skips the test where pip has no network."""
    pip = f"-m pip --python {python} --disable-pip-version-check install"
    options = "--quiet --retries 1 --timeout 10"
    installed = subprocess.run(
        [sys.executable, *pip.split(), *options.split(), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    unreachable = any(reason in installed.stderr for reason in UNREACHABLE)
    if installed.returncode and unreachable:
        last_line = installed.stderr.strip().splitlines()[-1]
        pytest.skip(f"pip cannot reach robomimic: {last_line}")
    assert installed.returncode == 0, installed.stderr


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "set.hdf5"
    worlds = fake_worlds(LENGTHS, num_worlds=4)
    with EpisodeWriter(path, fake_header()) as episodes:
        rollout(worlds, FakePolicy(3), list(LENGTHS), [Recorder(episodes)])
    return path


def run(*command: str | Path) -> str:
    """What a command prints; it must succeed."""
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    assert process.returncode == 0, process.stderr
    return process.stdout


@pytest.mark.slow
def test_robomimic_loads_a_file_of_ours(robomimic: Path, path: Path) -> None:
    printed = run(robomimic, "-c", LOAD, path)

    lines = [line for line in printed.splitlines() if line.startswith("RESULT ")]
    result = json.loads(lines[0].removeprefix("RESULT "))
    assert result["env"]["env_name"] == "embodied/Fake-v0"
    assert result["shapes"] == {"agent_pos": [5], "front_image": [3, 8, 8]}

    # 12 episodes of 4 frames are loaded, however they are cached.
    for cache in ("all", "low_dim", None):
        assert result[f"{cache}/None"][1] == 12 * 4


@pytest.mark.slow
def test_robomimics_info_script_finds_nothing_wrong(
    robomimic: Path, path: Path
) -> None:
    script = "robomimic.scripts.get_dataset_info"

    printed = run(robomimic, "-m", script, "--dataset", path)

    assert "total trajectories: 12" in printed
    assert "filter key failure with 12 demos" in printed
