"""Killing a collection at any moment.

Every episode that was acknowledged is there, whole, and the collection can go on.
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
from tests.ground import some_of

ROOT = Path(__file__).parent.parent
NUM_EPISODES = 12
NUM_TRIALS = 10

# Prints the seed of each episode when its `write` has returned.
COLLECT = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from embodied.datasets.writer import EpisodeWriter
from tests.datasets_fakes import fake_episode, fake_header

episodes = [fake_episode(seed) for seed in range({NUM_EPISODES})]
print("ready", flush=True)
with EpisodeWriter(Path(sys.argv[1]), fake_header()) as writer:
    for episode in episodes:
        writer.write(episode)
        print(episode.meta.seed, flush=True)
print("closed", flush=True)
"""


def run_and_kill(path: Path, after_s: float) -> list[int]:
    """The seeds that a collecting process acknowledged before it was killed."""
    command = [sys.executable, "-c", COLLECT, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(after_s)
        child.kill()
        printed = child.stdout.read().split()
    return [int(word) for word in printed if word != "closed"]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, float]:
    """The file of a collection that was left in peace, and the seconds it took."""
    path = tmp_path_factory.mktemp("clean") / "set.hdf5"
    episodes = [fake_episode(seed) for seed in range(NUM_EPISODES)]

    start = time.perf_counter()
    with EpisodeWriter(path, fake_header()) as writer:
        for episode in episodes:
            writer.write(episode)
    duration_s = time.perf_counter() - start
    return path.read_bytes(), duration_s


@pytest.mark.parametrize("trial", some_of(range(NUM_TRIALS), 2, pytest.mark.slow))
def test_a_kill_loses_nothing_that_was_acknowledged(
    tmp_path: Path, clean: tuple[bytes, float], trial: int
) -> None:
    path = tmp_path / "set.hdf5"
    whole_file, duration_s = clean

    # Some of the kills fall into the merging.
    after_s = 1.4 * duration_s * (trial + 0.5) / NUM_TRIALS
    acknowledged = run_and_kill(path, after_s)

    # What was acknowledged can be read, and maybe the episode after it.
    if acknowledged:
        with Dataset(path) as dataset:
            seeds = [meta.seed for meta in dataset.episodes]
            assert set(acknowledged) <= set(seeds) <= {*acknowledged, len(acknowledged)}
            for number, seed in enumerate(seeds):
                assert same(dataset.episode(number), fake_episode(seed))

    # The rest can be collected, and then nothing tells of the kill.
    with EpisodeWriter(path, fake_header(), "resume") as writer:
        for seed in sorted(set(range(NUM_EPISODES)) - writer.seeds):
            writer.write(fake_episode(seed))
    assert path.read_bytes() == whole_file
    assert [file.name for file in tmp_path.iterdir()] == ["set.hdf5"]
