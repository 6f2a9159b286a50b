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

LENGTHS = dict.fromkeys(range(12), 20)
REQUIREMENTS = (
    "robomimic==0.3.0",
    "psutil",
    "termcolor",
    "tensorboardX",
    "imageio",
    "six",
)
UNREACHABLE = (
    "No matching distribution",
    "Could not find a version",
    "Connection",
    "timed out",
    "Temporary failure",
)
# it has no CPU build beside our torch; robomimic's models import these names, its
# loader uses none
TORCHVISION = {
    "torchvision/__init__.py": "",
    "torchvision/models.py": "",
    "torchvision/transforms/__init__.py": "Compose = Lambda = None",
    "torchvision/transforms/functional.py": "",
}
LOAD = """
import json, sys
import robomimic.utils.file_utils as files
import robomimic.utils.obs_utils as obs_utils
from robomimic.utils.dataset import SequenceDataset
from torch.utils.data import DataLoader

path, keys = sys.argv[1], ["agent_pos", "front_image"]
obs_utils.initialize_obs_utils_with_obs_specs({"obs": {"low_dim": keys[:1], "rgb": keys[1:]}})
found = {"env": files.get_env_metadata_from_dataset(path)}
found["shapes"] = files.get_shape_metadata_from_dataset(path, keys)["all_shapes"]
for cache in ("all", "low_dim", None):
    for mask in ("success", "failure", None):
        try:
            data = SequenceDataset(path, keys, ["actions", "rewards", "dones"], seq_length=3, hdf5_cache_mode=cache,
                                   filter_by_attribute=mask, load_next_obs=False)
        except Exception as error:
            raise RuntimeError(f"cache {cache}, mask {mask}") from error
        batches = list(DataLoader(data, batch_size=16, num_workers=2 if cache is None else 0))
        found[f"{cache}/{mask}"] = [len(data), sum(len(batch["actions"]) for batch in batches)]
first = data[5]
found["actions"] = first["actions"].tolist()
found["image"] = first["obs"]["front_image"][:, 0, 0, 0].tolist()
print("FOUND " + json.dumps(found))
"""


@pytest.fixture(scope="module")
def robomimic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has robomimic besides what the present one has."""
    folder = tmp_path_factory.mktemp("robomimic")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    query = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(
        subprocess.run(
            [python, "-c", query], check=True, capture_output=True, text=True
        ).stdout.strip()
    )
    (packages / "present.pth").write_text(sysconfig.get_path("purelib"))
    for name, text in TORCHVISION.items():
        (packages / name).parent.mkdir(exist_ok=True)
        (packages / name).write_text(text)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "--disable-pip-version-check",
    ]
    options = [
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--retries",
        "1",
        "--timeout",
        "10",
    ]
    installed = subprocess.run(
        [*pip, "install", *options, *REQUIREMENTS],
        capture_output=True,
        text=True,
        check=False,
    )
    if installed.returncode and any(
        reason in installed.stderr for reason in UNREACHABLE
    ):
        pytest.skip(
            f"pip cannot reach robomimic: {installed.stderr.strip().splitlines()[-1]}"
        )
    assert installed.returncode == 0, installed.stderr
    return python


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data") / "set.hdf5"
    with EpisodeWriter(path, fake_header()) as episodes:
        rollout(
            fake_worlds(LENGTHS, num_worlds=4),
            FakePolicy(3),
            list(LENGTHS),
            [Recorder(episodes)],
        )
    return path


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_robomimic_loads_a_file_of_ours(robomimic: Path, path: Path) -> None:
    printed = run(robomimic, "-c", LOAD, path)
    found = json.loads(
        next(
            line for line in printed.splitlines() if line.startswith("FOUND ")
        ).removeprefix("FOUND ")
    )
    assert found["env"]["env_name"] == "embodied/Fake-v0"
    assert found["shapes"] == {"agent_pos": [5], "front_image": [3, 8, 8]}
    assert {found[f"{cache}/None"][1] for cache in ("all", "low_dim", None)} == {12 * 4}


@pytest.mark.slow
def test_robomimics_info_script_finds_nothing_wrong(
    robomimic: Path, path: Path
) -> None:
    printed = run(
        robomimic, "-m", "robomimic.scripts.get_dataset_info", "--dataset", path
    )
    assert "total trajectories: 12" in printed
    assert "filter key failure with 12 demos" in printed
