"""Merges and exports that are killed at any moment, and go on: nothing tells of the kill."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest

from embodied.cli.main import main
from embodied.datasets import growing
from embodied.datasets.growing import growing_file, undo_path
from embodied.datasets.schema import DatasetError
from embodied.datasets.writer import EpisodeWriter
from tests.datasets_fakes import fake_episode, fake_header

ROOT = Path(__file__).parent.parent
NUM_EPISODES = 14
PER_STEP = 3
KILLS = 3  # of each output, one after the other

# The command line with steps of a few episodes; the first argument is a file that
# exists as soon as the work begins.
RUN = f"""
import sys
from pathlib import Path
from embodied.datasets import growing
from embodied.datasets.export import lerobot, lerobot_v2
growing.ITEMS_PER_STEP = {PER_STEP}
lerobot.EPISODES_PER_FILE = {PER_STEP}
from embodied.cli.main import main
Path(sys.argv[1]).touch()
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two datasets, whose seeds take turns."""
    folder = tmp_path_factory.mktemp("sources")
    paths = [folder / "even.hdf5", folder / "odd.hdf5"]
    for parity, path in enumerate(paths):
        with EpisodeWriter(path, fake_header()) as writer:
            for seed in range(parity, NUM_EPISODES, 2):
                writer.write(fake_episode(seed, 60))
    return paths


def start(words: list[Any], begun: Path) -> subprocess.Popen[bytes]:
    begun.unlink(missing_ok=True)
    command = [sys.executable, "-c", RUN, str(begun), *map(str, words)]
    child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    while not begun.exists() and child.poll() is None:
        time.sleep(0.01)
    return child


def seconds(words: list[Any], begun: Path) -> float:
    """How long a command takes after its imports."""
    with start(words, begun) as child:
        begin = time.perf_counter()
        assert child.wait() == 0
        return time.perf_counter() - begin


def killed_and_resumed(
    words: list[Any], output: Path, begun: Path, duration_s: float
) -> int:
    """Kills a command again and again, then lets it end; returns how often it died."""
    rng = np.random.default_rng(len(words))
    died = 0
    for kill in range(KILLS):
        with start([*words, *(["--resume"] if kill else [])], begun) as child:
            # The first one dies in the midst of its work, the others at any moment.
            while not kill and child.poll() is None and not any(output.iterdir()):
                time.sleep(0.001)
            try:
                child.wait(rng.uniform(0, 0.4) * duration_s)
            except subprocess.TimeoutExpired:
                child.kill()
                died += 1
    with start([*words, "--resume"], begun) as child:
        assert child.wait() == 0
    return died


def numbers(path: Path) -> Iterator[Any]:
    """What a file holds, however it was packed."""
    if path.suffix == ".parquet":
        yield pq.read_table(path).to_pylist()
    elif path.suffix == ".mp4":
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                yield frame.pts, frame.to_ndarray(format="rgb24").tobytes()
    else:
        yield path.read_bytes()


def files_in(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(each for each in path.rglob("*") if each.is_file())


WORDS = {
    "merge": ("merge",),
    "robomimic": ("export", "--format", "robomimic"),
    "minari": ("export", "--format", "minari"),
    "lerobot video": ("export", "--format", "lerobot"),
    "lerobot images": ("export", "--format", "lerobot", "--images", "image"),
    "lerobot v2": ("export", "--format", "lerobot", "--v2", "--subtasks"),
    "rerun": ("export", "--format", "rerun"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", WORDS)
def test_what_was_killed_and_resumed_equals_what_was_not(
    sources: list[Path], tmp_path: Path, name: str
) -> None:
    if name == "rerun":
        pytest.importorskip("rerun")
    verb, *flags = WORDS[name]
    outputs = [tmp_path / folder / "set-v0" for folder in ("left", "killed")]
    for output in outputs:
        output.parent.mkdir()
    words = [["data", verb, *sources, "-o", output, *flags] for output in outputs]

    duration_s = seconds(words[0], tmp_path / "begun")
    folder = outputs[1].parent
    died = killed_and_resumed(words[1], folder, tmp_path / "begun", duration_s)

    assert died > 0
    for output in outputs:
        assert [each.name for each in output.parent.iterdir()] == ["set-v0"]
    left, killed = map(files_in, outputs)
    relative = [each.relative_to(outputs[0]) for each in left]
    assert [each.relative_to(outputs[1]) for each in killed] == relative
    for one, other in zip(left, killed, strict=True):
        if name == "rerun" and one.suffix == ".rrd":
            continue  # which holds times of its making
        assert list(numbers(one)) == list(numbers(other)), one


class Stop(BaseException):
    """Stands for a kill, after which no block is left in order."""


def write_numbers(path: Path, resume: bool, stop: Callable[[int], None]) -> None:
    """Writes a growing file of 30 groups; `stop` is called before each of them."""
    with growing_file(path, path.with_name("w"), "x", resume) as file:
        for first, end in file.steps(30):
            with file.step(end) as new:
                for number in range(first, end):
                    stop(number)
                    group = new.h5.create_group(f"group_{number}")
                    group["values"] = np.arange(2000) * number
                    group.attrs["number"] = number
                    new.h5.attrs["last"] = number
                    if number % 2:
                        new.h5.flush()


@pytest.mark.parametrize("at", [0, 1, 5, 9, 10, 17, 29])
def test_a_step_that_was_cut_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(growing, "ITEMS_PER_STEP", 5)
    path = tmp_path / "grown"
    write_numbers(path, resume=False, stop=lambda number: None)
    undisturbed = path.read_bytes()
    path.unlink()

    # What lies there at the moment of a kill, of which the process knows no more.
    kept: dict[str, bytes] = {}

    def stop(number: int) -> None:
        if number == at:
            for file in tmp_path.iterdir():
                kept[file.name] = file.read_bytes()
            raise Stop

    with pytest.raises(Stop):
        write_numbers(path, resume=False, stop=stop)
    for name, content in kept.items():
        (tmp_path / name).write_bytes(content)

    begun: list[int] = []
    write_numbers(path, resume=True, stop=begun.append)
    assert begun[0] == at // 5 * 5
    assert path.read_bytes() == undisturbed
    assert [each.name for each in tmp_path.iterdir()] == ["grown"]
    with h5py.File(path, locking=False) as file:
        assert [int(file[f"group_{n}"].attrs["number"]) for n in range(30)] == [
            *range(30)
        ]


def test_a_writing_of_something_else_is_not_resumed(tmp_path: Path) -> None:
    path = tmp_path / "grown"

    def stop(number: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_numbers(path, resume=False, stop=stop)
    assert undo_path(tmp_path / "w").exists()
    with (
        pytest.raises(DatasetError, match="other sources or other flags"),
        growing_file(path, tmp_path / "w", "y", resume=True),
    ):
        pass
    write_numbers(path, resume=False, stop=lambda number: None)
    assert [each.name for each in tmp_path.iterdir()] == ["grown"]


def test_what_is_complete_has_nothing_to_resume(
    sources: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "both.hdf5"
    words = ["data", "merge", *map(str, sources), "-o", str(target)]
    assert main(words) == 0
    before = target.read_bytes()
    assert main([*words, "--resume"]) == 0
    assert "is there already: nothing to do" in capsys.readouterr().out
    assert target.read_bytes() == before
