"""Recorded episodes of the real task replay from their file, bit for bit."""

from __future__ import annotations

from pathlib import Path

import pytest

from embodied.cli.main import main
from tests.commands import run_python

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
