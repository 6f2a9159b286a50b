"""Recorded episodes of the real task replay from their file, bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest

from embodied.cli.main import main
from embodied.datasets.reader import Dataset
from embodied.datasets.replay import replay, replay_config
from embodied.envs.registry import get_task, task_names
from embodied.envs.worlds import Worlds
from tests.commands import embodied, run_python
from tests.dataset_recordings import EPISODES, record
from tests.datasets_fakes import open_hdf5
from tests.ground import some_of

# Prints whether each episode of a file came out identical, in a process of its own.
REPLAY = """
import sys
from pathlib import Path
from embodied.datasets.replay import replay
from embodied.envs.config import EnvConfig
from embodied.envs.worlds import Worlds

def make_worlds(metadata):
    config = dict(metadata["config"], cameras=())
    return Worlds(EnvConfig(**config), 2)

for report in replay(Path(sys.argv[1]), make_worlds):
    print(report.identical, report)
"""


@pytest.mark.parametrize(
    "level",
    [
        pytest.param("L1", marks=pytest.mark.slow),
        pytest.param("L3", marks=pytest.mark.slow),
        pytest.param("L4", marks=pytest.mark.slow),
    ],
)
def test_an_episode_replays_in_another_process(level: str, tmp_path: Path) -> None:
    path = tmp_path / "data.hdf5"
    collect = f"collect ToteTransfer -o {path} --episodes 3 --level {level}"
    options = "--no-cameras --num-envs 3 --workers 1 --noise 0.3"
    assert main([*collect.split(), *options.split()]) == 0

    # Another process has nothing of this one's worlds to lean on.
    output = run_python("-c", REPLAY, path)

    lines = output.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("True") for line in lines), output


@pytest.mark.parametrize("task", some_of(task_names(), 3, pytest.mark.slow))
def test_a_seed_gives_the_start_that_was_recorded(task: str, tmp_path: Path) -> None:
    robot = get_task(task).default_robot
    path = record(tmp_path / "data.hdf5", task, robot, horizon_s=0.05)

    with Dataset(path) as dataset:
        config = replay_config(dataset.header.metadata)
    reports = replay(path, lambda _: Worlds(config))
    assert [report.seed_gives_start for report in reports] == [True] * EPISODES


def test_of_many_episodes_only_those_that_differ_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = record(tmp_path / "data.hdf5", "PanelReset", "arm", horizon_s=0.05)
    with open_hdf5(path, "r+") as file:
        file["data/demo_2/streams/action/value"][3] *= -1
    assert embodied("data", "replay", path, "--verify") == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:5]] == ["0", "1", "2", "3"]

    monkeypatch.setattr("embodied.cli.data.replay.MAX_LISTED", EPISODES - 1)
    assert embodied("data", "replay", path, "--verify") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[0] == "2"
    assert "differs from" in lines[1]
    assert lines[2] == "3 of 4 identical, bit for bit"
