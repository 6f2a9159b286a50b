"""`embodied bench data`: our own loader, peers that are scripts, and mistakes."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from embodied.benchmark import peers
from embodied.benchmark.data_throughput import (
    DataJob,
    data_job,
    measure_data,
    measure_own,
)
from embodied.cli.bench_data import as_text
from embodied.errors import EmbodiedError
from tests.commands import embodied
from tests.datasets_fakes import write_dataset


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> DataJob:
    path = write_dataset(tmp_path_factory.mktemp("bench") / "set.hdf5", range(12))
    return replace(data_job(path), batch_size=4, repeats=2, seconds=0.01)


def python_that_prints(folder: Path, printed: str) -> Path:
    """Stands for the Python of a peer's environment: it prints, whatever it is given."""
    path = folder / "python"
    path.write_text(f"#!{sys.executable}\nimport sys\n{printed}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_our_own_loader_is_measured_in_memory_and_from_the_disk(job: DataJob) -> None:
    speeds = list(measure_own(job))
    assert [(speed.content, speed.source) for speed in speeds] == [
        (content, source)
        for content in ("states", "pictures", "pictures in all rows")
        for source in ("memory", "disk")
    ]
    assert all(speed.speed.median > 0 for speed in speeds)

    without_cameras = list(measure_own(replace(job, cameras=())))
    assert {speed.content for speed in without_cameras} == {"states"}


def test_a_peer_gets_the_job_and_its_speeds_are_compared(
    job: DataJob, tmp_path: Path
) -> None:
    result = {
        "version": "0.3.0",
        "speeds": {"states memory": [1, 2, 3], "pictures disk": [4, 4, 4]},
    }
    printed = (
        f"open({str(tmp_path / 'job.json')!r}, 'w').write(sys.argv[2])\n"
        f"print('noise')\nprint('RESULT ' + {json.dumps(result)!r})"
    )
    python = python_that_prints(tmp_path, printed)
    speeds = list(measure_data(job, {"robomimic": python}, tmp_path))

    own = {(one.content, one.source): one.speed.median for one in speeds[:6]}
    states, pictures = speeds[6:]
    assert states.loader == "robomimic 0.3.0"
    assert states.speed.median == 2
    assert states.ours_over_it == own["states", "memory"] / 2
    assert pictures.ours_over_it == own["pictures", "disk"] / 4
    # robomimic reads pictures in all rows of a window
    assert pictures.ours_in_all_rows == own["pictures in all rows", "disk"] / 4
    assert states.ours_in_all_rows is None
    given = json.loads((tmp_path / "job.json").read_text())
    assert (given["path"], given["history"]) == (str(job.path), job.history)

    text = as_text(speeds)
    assert "robomimic 0.3.0" in text
    assert len(text.splitlines()) == len(speeds) + 1


@pytest.mark.parametrize(
    ("printed", "message"),
    [
        ("sys.exit('no module named robomimic')", "no module named robomimic"),
        ("", "it printed nothing"),
    ],
)
def test_a_peer_that_fails_is_named(
    job: DataJob, tmp_path: Path, printed: str, message: str
) -> None:
    python = python_that_prints(tmp_path, printed)
    with pytest.raises(EmbodiedError, match=f"robomimic was not measured .*{message}"):
        list(measure_data(job, {"robomimic": python}, tmp_path))


def test_the_command(
    job: DataJob, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = {"batch_size": 4, "repeats": 1, "seconds": 0.01}
    monkeypatch.setattr(
        "embodied.cli.bench_data.data_job", lambda path: data_job(path, **quick)
    )
    assert embodied("bench", "data", "--dataset", job.path, "--json") == 0
    content = json.loads(capsys.readouterr().out)
    assert content["job"]["batch_size"] == 4
    assert len(content["speeds"]) == 6


def test_episodes_are_recorded_where_none_are_given(
    job: DataJob, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = []

    def record(path: Path, episodes: int) -> None:
        recorded.append(episodes)
        path.write_bytes(job.path.read_bytes())

    monkeypatch.setattr("embodied.cli.bench_data.record_for_loading", record)
    monkeypatch.setattr(
        "embodied.cli.bench_data.measure_data", lambda job, pythons, folder: []
    )
    assert embodied("bench", "data", "--episodes", 3) == 0
    assert recorded == [3]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("data", "--lerobot", "nowhere/python"), "there is no file nowhere/python"),
        (("data", "--robot", "arm"), "--robot: not for `embodied bench data`"),
        (("data", "--num-envs", "4"), "--num-envs: only for `embodied bench gpu`"),
        (("data", "--dataset", "a", "--episodes", "4"), "--episodes: not with"),
        (("data", "--dataset", "a.hdf5"), "no dataset at a.hdf5"),
        (("data", "--episodes", "0"), "--episodes must be at least 1, not 0"),
        (
            ("ToteTransfer", "--dataset", "a"),
            "--dataset: only for `embodied bench data`",
        ),
        (("gpu", "--robomimic", "a"), "--robomimic: only for `embodied bench data`"),
    ],
)
def test_mistakes(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert embodied("bench", *words) == 2
    assert message in capsys.readouterr().err


# A package of the name that is imported, as little of it as a peer's script asks for.
STAND_INS = {
    "torch/__init__.py": "",
    "torch/utils/__init__.py": "",
    "torch/utils/data.py": """
class DataLoader:
    def __init__(self, data, batch_size, shuffle):
        self.batches = [{"action": range(3), "actions": range(3)}] * 2
    def __iter__(self):
        return iter(self.batches)
""",
    "torchvision.py": "",
    "lerobot/__init__.py": "",
    "lerobot/datasets/__init__.py": "",
    "lerobot/datasets/lerobot_dataset.py": """
class LeRobotDataset:
    def __init__(self, *args, **kwargs): pass
class LeRobotDatasetMetadata(LeRobotDataset):
    fps = 20
    camera_keys = ()
""",
    "lerobot-9.0.dist-info/METADATA": "Name: lerobot\nVersion: 9.0\n",
    "robomimic/__init__.py": "",
    "robomimic/utils/__init__.py": "",
    "robomimic/utils/obs_utils.py": """
def initialize_obs_utils_with_obs_specs(specs): pass
""",
    "robomimic/utils/dataset.py": """
class SequenceDataset:
    def __init__(self, *args, **kwargs): pass
    def close_and_delete_hdf5_handle(self): pass
""",
    "robomimic-9.0.dist-info/METADATA": "Name: robomimic\nVersion: 9.0\n",
}


@pytest.mark.parametrize(
    ("peer", "whats"),
    [
        ("lerobot", {"states disk"}),
        (
            "robomimic",
            {"states memory", "states disk", "pictures memory", "pictures disk"},
        ),
    ],
)
def test_a_peers_script_needs_nothing_but_the_peer(
    peer: str, whats: set[str], tmp_path: Path
) -> None:
    for name, text in STAND_INS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    job = {
        "path": "set.hdf5",
        "roots": {"states disk": "sets"},
        "cameras": ["wrist"],
        "episodes": 2,
        "history": 2,
        "chunk": 16,
        "batch_size": 3,
        "repeats": 2,
        "seconds": 0.002,
    }

    # our own package is not to be found there
    script = Path(peers.__file__).resolve().with_name(f"{peer}_loader.py")
    done = subprocess.run(
        [sys.executable, "-S", str(script), json.dumps(job)],
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )

    result = json.loads(done.stdout.removeprefix("RESULT "))
    assert result["version"] == "9.0"
    assert set(result["speeds"]) == whats
    for speeds in result["speeds"].values():
        assert len(speeds) == 2
        assert min(speeds) > 0
