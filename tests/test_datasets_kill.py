"""Killing a collection at any moment: every episode that was acknowledged is there,
whole, and it can go on.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from embodied.datasets.reader import Dataset
from embodied.datasets.writer import EpisodeWriter
from tests.datasets_fakes import fake_episode, fake_header, same

ROOT = Path(__file__).parent.parent
EPISODES = 12
TRIALS = 10
COLLECT = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from embodied.datasets.writer import EpisodeWriter
from tests.datasets_fakes import fake_episode, fake_header
made = [fake_episode(seed) for seed in range({EPISODES})]
print("ready", flush=True)
with EpisodeWriter(Path(sys.argv[1]), fake_header()) as episodes:
    for one in made:
        episodes.write(one)
        print(one.meta.seed, flush=True)
print("closed", flush=True)
"""


def run_and_kill(path: Path, after_s: float) -> list[str]:
    """What a collecting process said before it was killed."""
    command = [sys.executable, "-c", COLLECT, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(after_s)
        child.kill()
        return child.stdout.read().split()


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, float]:
    """The file of a collection that was left in peace, and how long that took."""
    path = tmp_path_factory.mktemp("clean") / "set.hdf5"
    made = [fake_episode(seed) for seed in range(EPISODES)]
    start = time.perf_counter()
    with EpisodeWriter(path, fake_header()) as episodes:
        for one in made:
            episodes.write(one)
    return path.read_bytes(), time.perf_counter() - start


@pytest.mark.parametrize("trial", range(TRIALS))
def test_a_kill_loses_nothing_that_was_acknowledged(
    tmp_path: Path, clean: tuple[bytes, float], trial: int
) -> None:
    path = tmp_path / "set.hdf5"
    (whole_file, takes_s) = clean
    # some fall into the joining
    said = run_and_kill(path, 1.4 * takes_s * (trial + 0.5) / TRIALS)
    acknowledged = [int(word) for word in said if word != "closed"]
    if acknowledged:
        with Dataset(path) as dataset:
            seeds = [meta.seed for meta in dataset.episodes]
            assert set(acknowledged) <= set(seeds) <= {*acknowledged, len(acknowledged)}
            assert all(
                same(dataset.episode(i), fake_episode(seed))
                for i, seed in enumerate(seeds)
            )
    with EpisodeWriter(path, fake_header(), "resume") as episodes:
        for seed in sorted(set(range(EPISODES)) - episodes.seeds):
            episodes.write(fake_episode(seed))
    assert path.read_bytes() == whole_file
    assert [p.name for p in tmp_path.iterdir()] == ["set.hdf5"]
