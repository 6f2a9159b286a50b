"""Mutated datasets through the readers: each is read, or refused with a named error.

    python -m tests.fuzz_datasets FOLDER FIRST COUNT [old]

prints what went wrong with which seeds, and ends with status 1 if anything did. A case
follows from its seed alone, and from "old", which takes HDF5's old form, without
checksums, for the file that is mutated. They run in a process of their own, since a file that is
damaged enough may end it: that is HDF5's library, and counts as wrong, too.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from embodied.datasets.array_specs import PLAN_OPTIONAL
from embodied.datasets.audit.run import audit
from embodied.datasets.export.lerobot import export_lerobot
from embodied.datasets.export.selection import Choice, Selection
from embodied.datasets.importing.lerobot import LeRobotFolder
from embodied.datasets.importing.robomimic import RobomimicFile
from embodied.datasets.info import dataset_info
from embodied.datasets.reader import Dataset
from embodied.datasets.repairing import repair
from embodied.datasets.replay import replay_config
from embodied.datasets.statistics import statistics
from embodied.datasets.subsets import write_subset
from embodied.errors import EmbodiedError
from tests.datasets_fakes import write_dataset, write_in_old_form

LONGEST_CASE_S = 60
MEMORY_BYTES = 6 * 2**30  # of address space: what declares more must not be asked for
READERS = 7
ORIGINAL = "original.hdf5"
LEROBOT_SHARE = 0.05  # of the cases
FEWER = (
    *(f"streams/{name}" for name in ("intended", "joint_target", "reward", "progress")),
    *(f"plans/{name}" for name in ("seq", "tick_start", "tick_done", "completion")),
    *(f"plans/{name}" for name in ("goal_vel_w", "gripper", "base_goal_w")),
)
# the axes of optional arrays of plans, which `ArraySpec.shape` names by letters
PLAN_AXES = {"L": 4, "H": 2, "A": 3, "W": 2, "E": 1, "R": 2, "T": 5}
JSON_VALUES = [
    None,
    True,
    -1,
    0,
    2.5,
    10**30,
    "",
    "../../x",
    [],
    {},
    ["a"],
    [10**9],
    float("nan"),
]
# what may stand where something else did
TEXTS = ["", "{", "[]", "null", "\u2603", "x" * 3000, "../../etc/passwd", "nan", "-1"]


def main(folder: Path, first: int, count: int, form: str) -> int:
    """Runs the cases in child processes; one that dies or hangs is named, and replaced.

    HDF5's library does both for a few files: it cannot be stopped from within.
    """
    original(folder, form)
    wrong = 0
    seed = first
    stop = first + count
    status = folder / "seed"
    while seed < stop:
        status.write_text(f"{seed}")
        words = [sys.executable, "-m", "tests.fuzz_datasets", folder, seed, stop]
        with subprocess.Popen([*map(str, words), "child"]) as child:
            code = _wait(child, status)
        if code in (0, 1):
            wrong += code
            seed = stop
        else:
            wrong += 1
            seed = int(status.read_text()) + 1
            print(f"seed {seed - 1}: the process ended with {code}, or hung")
    print(f"seeds {first} to {stop - 1}: {wrong} processes with something wrong")
    return int(wrong > 0)


def _wait(child: subprocess.Popen[bytes], status: Path) -> int:
    """Returns the exit status of a child, which is killed where it stays at one seed."""
    while True:
        before = status.read_text()
        try:
            return child.wait(3 * LONGEST_CASE_S)
        except subprocess.TimeoutExpired:
            if status.read_text() == before:
                child.kill()
                return child.wait()


def run_cases(folder: Path, first: int, stop: int) -> int:
    """Runs the cases of some seeds in this process; returns how many went wrong."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    wrong = 0
    with (folder / "seed").open("w") as status:
        for seed in range(first, stop):
            # rewritten in place: after a crash it names the case
            os.pwrite(status.fileno(), f"{seed:<20}".encode(), 0)
            try:
                run_case(folder, seed)
            except Exception:
                wrong += 1
                print(f"seed {seed}: {traceback.format_exc()}", flush=True)
    return wrong


def run_case(folder: Path, seed: int) -> None:
    """Mutates a file and reads it.

    Raises:
        Exception: anything but an error with a name, which is a fault of the readers.
    """
    rng = np.random.default_rng(seed)
    if rng.random() < LEROBOT_SHARE:
        lerobot = mutated_lerobot(folder, rng)
        reader = partial(_import_lerobot, lerobot)
    else:
        path = folder / "mutated.hdf5"
        path.write_bytes((folder / ORIGINAL).read_bytes())
        mutate(path, rng)
        reader = readers(path, folder)[int(rng.integers(READERS))]

    with no_longer_than(LONGEST_CASE_S):
        try:
            reader()
        except EmbodiedError as error:
            if "\n" in str(error):
                raise AssertionError("the error is of several lines") from error


def original(folder: Path, form: str) -> None:
    """Writes the file that is mutated, unless it is there: in the form "new" or "old"."""
    path = folder / ORIGINAL
    if not path.exists():
        write_dataset(path, [1])
        with h5py.File(path, "r+") as file:
            demo = file["data/demo_0"]
            demo["obs/front_depth"] = np.ones((3, 8, 8, 1), np.uint16)
            # one of each kind is enough, and the rest costs time
            for name in FEWER:
                del demo[name]
            # plans of every kind of payload
            for spec in PLAN_OPTIONAL:
                row_shape = [PLAN_AXES.get(axis, axis) for axis in spec.row_axes]
                rows = np.zeros((2, *map(int, row_shape)), spec.dtype)
                demo[f"plans/{spec.name}"] = rows
        if form == "old":
            write_in_old_form(path, folder / "old.hdf5").replace(path)


def mutated_lerobot(folder: Path, rng: np.random.Generator) -> Path:
    """Returns a LeRobot dataset of which one file is changed."""
    whole = folder / "lerobot"
    if not whole.exists():
        selection = Selection([folder / ORIGINAL], Choice(mask="all"))
        export_lerobot(selection, selection.load(images=True), whole, "image")
        selection.close()

    changed = folder / "mutated"
    shutil.rmtree(changed, ignore_errors=True)
    shutil.copytree(whole, changed)
    files = sorted(path for path in changed.rglob("*") if path.is_file())
    path = files[int(rng.integers(len(files)))]
    if path.suffix == ".json" and rng.random() < 0.7:
        path.write_text(_changed_json(path.read_text(), rng))
    else:
        path.write_bytes(_damaged(bytearray(path.read_bytes()), rng))
    return changed


def _changed_json(text: str, rng: np.random.Generator) -> str:
    """Returns JSON in which one value has become another one.

    A text that an earlier change has made no JSON of stays as it is.
    """
    try:
        content = json.loads(text)
    except ValueError:
        return text
    place = content
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return json.dumps(content)
        key = keys[int(rng.integers(len(keys)))]
        is_deeper = isinstance(place[key], dict | list) and rng.random() < 0.7
        if not is_deeper:
            place[key] = JSON_VALUES[int(rng.integers(len(JSON_VALUES)))]
            return json.dumps(content)
        place = place[key]


def mutate(path: Path, rng: np.random.Generator) -> None:
    """Changes a file in one of many ways."""
    if rng.random() < 0.4:
        content = bytearray(path.read_bytes())
        path.write_bytes(_damaged(content, rng))
        return
    with h5py.File(path, "r+") as file:
        for _ in range(int(rng.integers(1, 4))):
            _change_item(file, rng)


def _damaged(content: bytearray, rng: np.random.Generator) -> bytes:
    """Returns content with flipped, cut, cleared or doubled bytes."""
    kind = rng.integers(4)
    place = int(rng.integers(len(content)))
    if kind == 0:
        for _ in range(int(rng.integers(1, 20))):
            content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
    elif kind == 1:
        del content[place:]
    elif kind == 2:
        length = min(int(rng.integers(1, 2000)), len(content) - place)
        content[place : place + length] = bytes(length)
    else:
        length = int(rng.integers(1, 2000))
        content[place:place] = content[place : place + length]
    return bytes(content)


def _change_item(file: Any, rng: np.random.Generator) -> None:
    """Changes an attribute, or a group or an array."""
    names: list[str] = []
    file.visit(names.append)
    name = names[int(rng.integers(len(names)))]
    item = file[name]
    if rng.random() < 0.45:
        attributes = list(item.attrs)
        if attributes:
            attribute = attributes[int(rng.integers(len(attributes)))]
            before = item.attrs[attribute]
            del item.attrs[attribute]
            if isinstance(before, str) and before.startswith("{"):
                item.attrs[attribute] = _changed_json(before, rng)
            elif rng.random() < 0.8:
                item.attrs[attribute] = _value(rng)
        return

    kind = rng.integers(8)
    if kind == 0:
        file.move(name, f"{name}_{rng.choice(['old', 'image', 'depth', '0'])}")
    elif kind == 1 and isinstance(item, h5py.Dataset) and item.size:
        _change_numbers(item, rng)
    else:
        del file[name]
        if kind >= 3:
            _put(file, name, int(kind), rng)


def _put(file: Any, name: str, kind: int, rng: np.random.Generator) -> None:
    """Puts something else in the place of an item."""
    if kind == 3:
        huge = int(rng.choice([10**6, 10**9, 10**12]))
        shape = ((huge, 7), (huge,), (3, huge))[int(rng.integers(3))]
        chunked = {"chunks": True, "compression": "gzip"} if rng.random() < 0.5 else {}
        dtype = rng.choice(["f4", "u1", "f8", "i8"])
        file.create_dataset(name, shape=shape, dtype=dtype, **chunked)
    elif kind == 4:
        links = (
            h5py.ExternalLink("original.hdf5", f"/{name}"),
            h5py.SoftLink("/data"),
            h5py.SoftLink("/nowhere"),
            h5py.ExternalLink("/etc/passwd", "/"),
        )
        file[name] = links[int(rng.integers(len(links)))]
    elif kind == 5:
        file.create_group(name)
    else:
        file[name] = _value(rng)


def _change_numbers(item: Any, rng: np.random.Generator) -> None:
    """Writes NaN, infinity, or the largest or smallest numbers into an array."""
    if item.dtype.kind == "f":
        value = rng.choice(
            [np.nan, np.inf, -np.inf, 1e300 if item.dtype == "f8" else 9]
        )
    elif item.dtype.kind in "iu":
        limits = np.iinfo(item.dtype)
        value = limits.max if rng.random() < 0.5 else limits.min
    else:
        return
    place = tuple(int(rng.integers(length)) for length in item.shape)
    item[place] = value


def _value(rng: np.random.Generator) -> Any:
    """Returns some number, text or array."""
    shapes = [(), (0,), (1,), (3,), (3, 7), (2, 0, 3), (3, 8, 8, 3)]
    shape = shapes[int(rng.integers(len(shapes)))]
    values = [
        str(rng.choice(TEXTS)),
        float(rng.choice([np.nan, np.inf, -1.5, 1e308])),
        int(rng.choice([0, -1, 2**63 - 1, 400])),
        rng.integers(0, 9, shape),
        np.full(shape, b"demo_9"),
        rng.normal(0, 1, shape),
        rng.integers(0, 2, shape).astype(bool),
    ]
    return values[int(rng.integers(len(values)))]


def readers(path: Path, folder: Path) -> list[Callable[[], None]]:
    """Returns the `READERS` ways to read a file."""
    return [
        partial(_read_all, path),
        partial(_select, path),
        partial(_repair, path, folder),
        partial(_import, path),
        partial(_audit, path),
        partial(_copy, path, folder),
        partial(_measure, path),
    ]


def _read_all(path: Path) -> None:
    with Dataset(path) as dataset:
        replayed: Any = None
        for number in range(len(dataset)):
            episode = dataset.episode(number)
            assert episode.meta == dataset.episodes[number]
            for key in dataset.keys(number):
                dataset.read(number, key, slice(0, 2))
        for mask in dataset.masks:
            dataset.mask(mask)
        replayed = dataset.header
        replay_config(replayed.metadata, "arm")


def _select(path: Path) -> None:
    selection = Selection([path], Choice(mask="all"))
    try:
        for episode in selection.load(images=True):
            assert len(episode.actions) == len(episode.agent_pos)
    finally:
        selection.close()


def _repair(path: Path, folder: Path) -> None:
    repair(path, folder / "repaired.hdf5")


def _import(path: Path) -> None:
    with RobomimicFile(path, hz=10) as file:
        file.action_range()
        for _ in file.load(success=None):
            pass


def _import_lerobot(folder: Path) -> None:
    lerobot = LeRobotFolder(folder)
    lerobot.action_range()
    for _ in lerobot.load(success=True):
        pass


def _audit(path: Path) -> None:
    audit(path, replays=False)


def _copy(path: Path, folder: Path) -> None:
    with Dataset(path) as dataset:
        write_subset(dataset, range(len(dataset)), folder / "copy.hdf5")


def _measure(path: Path) -> None:
    dataset_info(path)
    with Dataset(path) as dataset:
        statistics(dataset, range(len(dataset)))


@contextmanager
def no_longer_than(seconds: int) -> Iterator[None]:
    """Raises TimeoutError in a block that takes longer."""

    def stop(number: int, frame: Any) -> None:
        raise TimeoutError(f"it took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    begin = int(sys.argv[2])
    if sys.argv[4:] == ["child"]:
        sys.exit(int(run_cases(folder, begin, int(sys.argv[3])) > 0))
    sys.exit(main(folder, begin, int(sys.argv[3]), "".join(sys.argv[4:]) or "new"))
