"""Disks that are full, or that refuse a write: one line, and nothing half written."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from embodied.datasets import h5_files
from embodied.datasets.merge import merge
from embodied.datasets.reader import Dataset
from embodied.datasets.writer import EpisodeWriter
from embodied.errors import EmbodiedError
from embodied.files import replace_text
from embodied.pages.contact_sheet import write_png
from embodied.policies.checkpoint import write_tensors
from embodied.policies.rl.residual import Residual
from embodied.policies.rl.run_folder import copy_base
from embodied.policies.run_folder import HISTORY, INFO, WEIGHTS, write_json
from embodied.rollout.video import write_mp4
from tests.datasets_fakes import fake_episode, fake_header, same, write_dataset
from tests.small_disk import SmallDisk, contents

ROOT = Path(__file__).parent.parent
# Shares of what a file needs, and the room that is left for it.
SHARES = (0.0, 0.02, 0.3, 0.6, 0.9, 0.97)
PAGE_BYTES = 4096
FRAMES = 40


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    disk = SmallDisk(tmp_path_factory.mktemp("disk"))
    yield disk
    disk.close()


@pytest.fixture
def folder(disk: SmallDisk, request: pytest.FixtureRequest) -> Path:
    """A folder of this test's own on the small disk."""
    name = re.sub(r"\W", "_", request.node.name)
    (disk.folder / name).mkdir()
    return disk.folder / name


def noise(*shape: int) -> np.ndarray:
    """Bytes that nothing compresses."""
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def write_run(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    write_tensors(folder / WEIGHTS, {"weight": torch.ones(20_000)})
    write_json(folder / HISTORY, [])
    write_json(folder / INFO, {})


# What writes files: each is called twice, first where there is room.
def text(folder: Path) -> None:
    replace_text(folder / "report.html", "Grüße\n" * 10_000)


def tensors(folder: Path) -> None:
    write_tensors(folder / "policy.safetensors", {"weight": torch.ones(20_000)})


def json(folder: Path) -> None:
    write_json(folder / "history.json", list(range(20_000)))


def video(folder: Path) -> None:
    write_mp4(folder / "film.mp4", noise(6, 64, 96, 3), fps=5, crf=10)


def picture(folder: Path) -> None:
    write_png(folder / "sheet.png", Image.fromarray(noise(96, 96, 3)), 10**9)


def joined(folder: Path) -> None:
    parts = [folder.parent / f"source_{number}.hdf5" for number in range(3)]
    for seed, part in enumerate(parts):
        if not part.exists():
            with EpisodeWriter(part, fake_header()) as writer:
                writer.write(fake_episode(seed, FRAMES))
    merge(parts, folder / "set.hdf5", overwrite=True)


def base_of_a_residual(folder: Path) -> None:
    source = folder.parent / "base"
    if not source.exists():
        write_run(source)
    copy_base(Residual(str(source), 0.1, 20, None), folder)


@pytest.mark.parametrize(
    "write",
    [text, tensors, json, video, picture, joined, base_of_a_residual],
    ids=lambda write: write.__name__,
)
def test_a_full_disk_leaves_what_was_there(
    write: Callable[[Path], None], disk: SmallDisk, folder: Path
) -> None:
    write(folder)
    before = contents(folder)
    size = max(map(len, before.values()))
    assert size > 5 * PAGE_BYTES

    for share in SHARES:
        with disk.with_room(int(share * size) // PAGE_BYTES * PAGE_BYTES):
            with pytest.raises(EmbodiedError, match="cannot write .*") as refused:
                write(folder)
            assert contents(folder) == before, share
        assert len(str(refused.value).splitlines()) == 1

    # and with room again
    write(folder)
    assert contents(folder) == before


def write_joined(path: Path, episodes: int) -> int:
    """Returns the size of a dataset that nothing disturbed."""
    with EpisodeWriter(path, fake_header()) as writer:
        for seed in range(episodes):
            writer.write(fake_episode(seed, FRAMES))
    return path.stat().st_size


@pytest.mark.parametrize("share", SHARES)
def test_a_collection_goes_on_when_there_is_room_again(
    share: float, disk: SmallDisk, folder: Path, tmp_path: Path
) -> None:
    # First an episode finds no room, then the joining of those that are written.
    target = folder / "set.hdf5"
    writer = EpisodeWriter(target, fake_header())
    for seed in range(3):
        writer.write(fake_episode(seed, FRAMES))
    before = contents(folder)
    part_bytes = len(before["set.hdf5.parts/seed_0.hdf5"])
    joined_bytes = write_joined(tmp_path / "three.hdf5", 3)

    for size, work in (
        (part_bytes, lambda: writer.write(fake_episode(3, FRAMES))),
        (joined_bytes, writer.close),
    ):
        with disk.with_room(int(share * size) // PAGE_BYTES * PAGE_BYTES):
            with pytest.raises(EmbodiedError, match="cannot write .*") as refused:
                work()
            assert contents(folder) == before
        assert len(str(refused.value).splitlines()) == 1

    # Another process goes on, and the file is that of an undisturbed collection.
    with EpisodeWriter(target, fake_header(), "resume") as again:
        again.write(fake_episode(3, FRAMES))
    write_joined(tmp_path / "four.hdf5", 4)
    assert target.read_bytes() == (tmp_path / "four.hdf5").read_bytes()


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("pwrite", errno.EIO),
        ("pwrite", errno.ENOSPC),
        ("ftruncate", errno.EFBIG),
        ("fsync", errno.EDQUOT),
        ("open", errno.EMFILE),
    ],
)
def test_any_call_of_the_system_may_fail(
    call: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever of the calls is the first to fail, the file is whole or not there."""
    original = getattr(os, call)
    calls_left = 0

    def failing(*arguments: object) -> object:
        nonlocal calls_left
        calls_left -= 1
        if calls_left < 0:
            raise OSError(code, os.strerror(code))
        return original(*arguments)

    def write(path: Path) -> str:
        """Returns what is said."""
        try:
            with h5_files.new_file(path, tmp_path / "temporary") as new:
                new.h5["rows"] = np.arange(9000)
                new.h5["rows"][:3] = 7
                # a group that HDF5 makes by itself would have the time in it
                new.h5.create_group("other")["rows"] = np.arange(3)
        except EmbodiedError as error:
            return str(error)
        return ""

    path = tmp_path / "set.hdf5"
    write(path)
    whole = contents(tmp_path)

    monkeypatch.setattr(h5_files.os, call, failing)
    for limit in range(1000):
        path.unlink(missing_ok=True)
        calls_left = limit
        said = write(path)
        if not said:
            break
        assert f"cannot write {path}: {os.strerror(code)}" in said
        assert contents(tmp_path) in ({}, whole)
    assert limit > 0
    assert contents(tmp_path) == whole


def test_a_write_may_take_less_than_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_dataset(tmp_path / "whole.hdf5", range(2))

    original = os.pwrite

    def some(descriptor: int, content: memoryview, position: int) -> int:
        return original(descriptor, content[:100], position)

    monkeypatch.setattr(h5_files.os, "pwrite", some)
    write_dataset(tmp_path / "bit_by_bit.hdf5", range(2))
    assert (tmp_path / "bit_by_bit.hdf5").read_bytes() == path.read_bytes()


def test_what_could_not_be_written_is_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HDF5 reads its own structures again, so they must be as it wrote them."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space")

    def write() -> None:
        rows = np.arange(9000).reshape(90, 100)
        with h5_files.new_file(tmp_path / "a.hdf5", tmp_path / "b") as new:
            new.h5.create_dataset("early", data=rows, chunks=(1, 100), compression=1)
            monkeypatch.setattr(h5_files.os, "pwrite", full)
            new.h5.create_dataset("late", data=rows, chunks=(1, 100), compression=1)
            new.h5["late"][3] = 7
            new.h5.flush()
            assert (new.h5["early"][()] == rows).all()
            assert (new.h5["late"][3] == 7).all()
            assert (new.h5["late"][4:] == rows[4:]).all()

    with pytest.raises(EmbodiedError, match="no space"):
        write()
    assert contents(tmp_path) == {}


@pytest.fixture
def hears_ctrl_c() -> Iterator[None]:
    """Also where the tests run in the background, which ignores Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("hears_ctrl_c")
def test_ctrl_c_waits_for_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = os.pwrite

    def interrupted(*arguments: object) -> object:
        signal.raise_signal(signal.SIGINT)
        return original(*arguments)

    # an episode is finished first
    writer = EpisodeWriter(tmp_path / "set.hdf5", fake_header())
    monkeypatch.setattr(h5_files.os, "pwrite", interrupted)
    for seed in range(2):
        with pytest.raises(KeyboardInterrupt):
            writer.write(fake_episode(seed))

    # joining stops between two episodes
    before = contents(tmp_path)
    assert len(before) == 2
    with pytest.raises(KeyboardInterrupt):
        writer.close()
    # what was joined so far may stay: joining goes on from it
    after = contents(tmp_path)
    assert {name: after[name] for name in before} == before

    monkeypatch.undo()
    EpisodeWriter(tmp_path / "set.hdf5", fake_header(), "resume").close()
    with Dataset(tmp_path / "set.hdf5") as dataset:
        assert same(dataset.episode(1), fake_episode(1))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_all_files_are_written_in_one_place() -> None:
    """Nothing else in the package opens a file to write to it.

    Exports fill a folder, which gets its name when it is whole; a repair reads a copy
    that is removed.
    """
    writing = re.compile(
        r"""\.write_(text|bytes)\(|h5py\.File\((?!\{)|shutil\.(copy|move)"""
        r"""|\bsave_file\(|\b(np|numpy|torch)\.save|\.tofile\(|json\.dump\("""
        r"""|\.save(fig)?\((?!\s*buffer)|(?<!av\.)\bopen\([^)]*["']r?b?[wax+]"""
        r"""|\bav\.open\((?!target|source)"""
    )
    own = {
        "embodied/files.py",
        "datasets/h5_files.py",
        "datasets/repairing.py",
        # what a killed writing goes on from, and the index at a dataset's end
        "datasets/growing.py",
        "datasets/index/opening.py",
        "datasets/index/seal.py",
        "datasets/trial_walk.py",  # it reads alone, and imports nothing of ours
        "policies/vlm/pairs.py",  # an export, too: it fills a folder
    }
    found = {}
    for package in ("embodied", "envs", "policies", "datasets"):
        for path in sorted((ROOT / package).rglob("*.py")):
            code = path.read_text(encoding="utf-8")
            hits = [match.group() for match in writing.finditer(code)]
            name = str(path.relative_to(ROOT))
            if hits and not name.startswith("datasets/export/"):
                found[name] = hits
    assert set(found) == own, found


# What a network drive without a lock daemon answers.
NO_LOCKS = """
#include <errno.h>
int flock(int descriptor, int operation) { errno = ENOLCK; return -1; }
int lockf(int descriptor, int command, long length) { errno = ENOLCK; return -1; }
"""
WRITE_AND_READ = """
import h5py, sys
from pathlib import Path
from embodied.datasets.reader import Dataset
from tests.datasets_fakes import write_dataset

try:
    h5py.File(sys.argv[2], "w")
except OSError:
    path = write_dataset(Path(sys.argv[1]), range(2))
    print(Dataset(path).episode(1).meta.seed, "written and read without locks")
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_datasets_need_no_locks(tmp_path: Path) -> None:
    source = tmp_path / "no_locks.c"
    library = tmp_path / "no_locks.so"
    source.write_text(NO_LOCKS)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)

    paths = [str(tmp_path / name) for name in ("set.hdf5", "other.hdf5")]
    said = subprocess.run(
        [sys.executable, "-c", WRITE_AND_READ, *paths],
        env={**os.environ, "LD_PRELOAD": str(library)},
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert said == "1 written and read without locks\n"
