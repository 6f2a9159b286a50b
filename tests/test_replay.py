"""Recorded episodes of the real task, replayed from the file in another process: the
same states, bit for bit.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from embodied.cli.main import main

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


@pytest.mark.parametrize("level", ["L1", "L3", "L4"])
def test_an_episode_replays_in_another_process(level: str, tmp_path: Path) -> None:
    path = tmp_path / "data.hdf5"
    words = [
        "collect",
        "ToteTransfer",
        "-o",
        str(path),
        "--episodes",
        "3",
        "--level",
        level,
        "--no-cameras",
    ]
    assert main([*words, "--num-envs", "3", "--workers", "1", "--noise", "0.3"]) == 0
    done = subprocess.run(
        [sys.executable, "-c", REPLAY, str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("True") for line in lines), done.stdout
