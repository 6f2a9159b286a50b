"""Whatever a file declares or links to, readers name it and hold little memory."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import h5py
import numpy as np
import pytest

from embodied.datasets import trial
from embodied.datasets.array_specs import PLAN_OPTIONAL
from embodied.datasets.audit.run import audit
from embodied.datasets.export.selection import Choice, Selection
from embodied.datasets.importing.robomimic import RobomimicFile
from embodied.datasets.reader import Dataset
from embodied.datasets.repairing import repair
from embodied.datasets.schema import DatasetError
from embodied.datasets.statistics import statistics
from embodied.datasets.subsets import write_subset
from embodied.errors import EmbodiedError
from tests.commands import run_python
from tests.datasets_fakes import open_hdf5, write_dataset, write_in_old_form
from tests.fuzz_datasets import ORIGINAL, original

HUGE = 10**12
DEMO = "data/demo_0"
# arrays of every kind that readers know
ARRAYS = (
    "actions",
    "states",
    "image_tick",
    "obs/agent_pos",
    "obs/front_image",
    "streams/action/value",
    "streams/action/t",
    "plans/subtask",
    "start/state",
    "start/fields/geom_size",
)
OPTIONAL = ("obs/front_image", "plans/subtask", "start/fields/geom_size")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "set.hdf5", [1])


def put(path: Path, key: str, write: Callable[[Any, str], Any]) -> None:
    """Puts something else in the place of an array of the first episode."""
    with open_hdf5(path, "r+") as file:
        del file[f"{DEMO}/{key}"]
        write(file, f"{DEMO}/{key}")


@pytest.mark.parametrize(
    ("key", "chunked"),
    [*((key, False) for key in ARRAYS), ("actions", True), ("obs/front_image", True)],
)
def test_what_declares_more_than_the_file_holds_is_refused(
    path: Path, key: str, chunked: bool
) -> None:
    options = {"chunks": (1, 7), "compression": "gzip"} if chunked else {}
    put(
        path,
        key,
        lambda file, name: file.create_dataset(name, (HUGE, 7), "f8", **options),
    )

    tracemalloc.start()
    with pytest.raises(DatasetError, match="declares .* GB, but holds 0 bytes"):
        Dataset(path).episode(0)
    with pytest.raises(DatasetError, match="declares .* GB, but holds 0 bytes"):
        Dataset(path).read(0, key)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**24


def test_every_reader_refuses_it(path: Path) -> None:
    put(path, "actions", lambda file, name: file.create_dataset(name, (HUGE, 7), "f8"))
    with pytest.raises(DatasetError, match="declares"):
        statistics(Dataset(path), [0], ["actions"])
    with pytest.raises(DatasetError, match="declares"):
        Selection([path], Choice(mask="all"))
    with pytest.raises(DatasetError, match="declares"):
        RobomimicFile(path, hz=10)


def test_no_name_is_made_for_each_of_a_thousand_million_columns(path: Path) -> None:
    put(path, "actions", lambda file, name: file.create_dataset(name, (3, 10**9), "f4"))
    with pytest.raises(DatasetError, match="declares"):
        Selection([path], Choice(mask="all"))


@pytest.mark.parametrize("key", ARRAYS)
def test_no_link_leads_out_of_the_file(path: Path, key: str, tmp_path: Path) -> None:
    other = write_dataset(tmp_path / "other.hdf5", [1])
    layout = h5py.VirtualLayout((3, 2), "f4")
    layout[:] = h5py.VirtualSource(other, f"{DEMO}/actions", (3, 3))[:, :2]
    raw = [(str(other), 0, h5py.h5f.UNLIMITED)]
    links: tuple[Callable[[Any, str], Any], ...] = (
        lambda file, name: file.__setitem__(
            name, h5py.ExternalLink(other, f"{DEMO}/{key}")
        ),
        lambda file, name: file.create_virtual_dataset(name, layout),
        lambda file, name: file.create_dataset(name, (3, 2), "f4", external=raw),
    )
    for write in links:
        put(path, key, write)
        with pytest.raises(EmbodiedError, match="unknown array in demo_0"):
            Dataset(path).read(0, key)

        # what is optional is not there, the rest is missed
        if key in OPTIONAL:
            episode = Dataset(path).episode(0)
            found = {**episode.obs, **episode.plans, **episode.start_fields}
            assert key.rpartition("/")[2] not in found
        else:
            with pytest.raises(DatasetError, match=r"has no array .*"):
                Dataset(path).episode(0)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("actions", np.zeros(3), "actions has 1 axes in place of 2"),
        ("actions", np.zeros((2, 3)), "actions has 2 rows in place of 3"),
        ("rewards", np.full(3, b"much"), "rewards holds no rows of numbers"),
        ("frame_tick", 7, "frame_tick holds no rows of numbers"),
        ("obs/front_image", np.zeros((3, 8, 8, 3)), "front_image holds .* no pictures"),
        ("obs/front_image", np.zeros((3, 8, 8, 4), np.uint8), "of 4 channels"),
        ("streams/action/t", np.zeros(4), "action/value has 15 rows in place of 4"),
        ("plans/subtask", np.zeros(9), "plans has arrays of different lengths"),
        (
            "plans/subtask",
            np.zeros((2, 3), int),
            "subtask must be a 1-D array of integers, not 2-D",
        ),
        (
            "plans/tick_arrived",
            np.zeros(2),
            "tick_arrived must be a 1-D array of integers",
        ),
        ("start/state", np.zeros((2, 2)), "start/state is no vector"),
        ("start/fields/geom_size", "big", "start/geom_size holds no numbers"),
    ],
)
def test_arrays_that_do_not_fit_are_named(
    path: Path, key: str, value: Any, message: str
) -> None:
    put(path, key, lambda file, name: file.__setitem__(name, value))
    with pytest.raises(DatasetError, match=message):
        Dataset(path).episode(0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", 1.5),
        ("seed", "one"),
        ("duration_s", np.nan),
        ("duration_s", np.zeros(3)),
        ("success_at_end", 1),
        ("instruction", 3),
        ("variation", "[1]"),
        ("num_samples", -1),
    ],
)
def test_attributes_of_another_kind_are_named(
    path: Path, name: str, value: Any
) -> None:
    with open_hdf5(path, "r+") as file:
        del file[DEMO].attrs[name]
        file[DEMO].attrs[name] = value
    with pytest.raises(DatasetError, match="is damaged: .*demo_0"):
        Dataset(path).episode(0)


def test_an_attribute_that_is_not_utf_8_is_named(path: Path) -> None:
    with open_hdf5(path, "r+") as file:
        attributes = file[DEMO].attrs
        del attributes["instruction"]
        attributes.create("instruction", b"\xff\xfe", dtype=h5py.string_dtype())
    with pytest.raises(DatasetError, match="is damaged: .*demo_0"):
        Dataset(path).episode(0)


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("config", [1]),
        ("agent_layout", [["joint_pos", -1]]),
        ("state_layout", {"a": 1}),
        ("joint_interface", {"mode": "joint", "groups": [{"name": "arm"}]}),
        ("versions", "3.17"),
        ("physics_hz", 0),
        ("segmentation_names", [1, 2]),
        ("config.control_hz", "fast"),
        ("config.cameras", "front"),
    ],
)
def test_an_entry_of_the_metadata_that_makes_no_sense_is_named(
    path: Path, entry: str, value: Any
) -> None:
    with open_hdf5(path, "r+") as file:
        metadata = json.loads(file["meta"].attrs["metadata"])
        group = metadata["config"] if entry.startswith("config.") else metadata
        group[entry.removeprefix("config.")] = value
        file["meta"].attrs["metadata"] = json.dumps(metadata)
    with pytest.raises(
        DatasetError, match=f"{entry} in the metadata of /meta makes no"
    ):
        Dataset(path).header  # noqa: B018


def test_a_refusal_is_one_line_whatever_the_file_says(path: Path) -> None:
    with open_hdf5(path, "r+") as file:
        file["meta"].attrs["schema_version"] = np.zeros((8, 8))
    with pytest.raises(DatasetError, match="has schema version") as caught:
        len(Dataset(path))
    assert "\n" not in str(caught.value)


def test_a_file_without_masks_can_be_copied(path: Path) -> None:
    with open_hdf5(path, "r+") as file:
        for name in list(file["mask"]):
            del file[f"mask/{name}"]
    copy = path.with_name("copy.hdf5")
    write_subset(Dataset(path), [0], copy)
    assert len(Dataset(copy)) == 1


def loops(path: Path) -> Path:
    """Writes a file on which the HDF5 library comes to no end: a heap of no size."""
    content = bytearray(path.read_bytes())
    heap = content.index(b"GCOL")
    content[heap + 16 : heap + 32] = bytes(16)
    changed = path.with_name("loops.hdf5")
    changed.write_bytes(content)
    return changed


def test_a_file_on_which_hdf5_loops_is_refused_by_every_reader(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = write_in_old_form(path, path.with_name("old.hdf5"))
    assert len(Dataset(old)) == 1
    looping = loops(old)
    monkeypatch.setattr(trial, "LONGEST_STEP_S", 0.5)
    for read in (
        lambda: len(Dataset(looping)),
        lambda: RobomimicFile(looping, hz=10),
        lambda: audit(looping, replays=False),
        lambda: repair(looping, path.with_name("saved.hdf5")),
    ):
        with pytest.raises(
            DatasetError, match=r"loops.hdf5 is damaged: .* endless loop"
        ):
            read()


def test_a_file_that_crashes_hdf5_is_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    script = path.with_name("crash.py")
    script.write_text(crash)
    monkeypatch.setattr(trial.trial_walk, "__file__", str(script))
    # without a heap the form with checksums is not tried
    RobomimicFile(path, hz=10).close()
    with open_hdf5(path, "r+") as file:
        file.attrs["text"] = "of variable length"
    with pytest.raises(DatasetError, match=r"crashes HDF5's library \(SIGSEGV\)"):
        RobomimicFile(path, hz=10)


def test_trees_of_the_older_format_are_tried_in_a_newer_file(tmp_path: Path) -> None:
    mixed = tmp_path / "mixed.hdf5"
    with h5py.File(mixed, "w", libver=("v108", "v108")) as file:
        file.create_dataset("a", data=np.zeros((100, 100)), chunks=(10, 10))
    assert trial.has_checksums(mixed)

    content = mixed.read_bytes()
    assert b"GCOL" not in content
    with patch.object(trial, "_failure", return_value="was tried") as tried:
        trial.require_end(mixed, is_foreign=False)
        assert not tried.called
        with pytest.raises(DatasetError, match="was tried"):
            trial.require_end(mixed, is_foreign=True)


def test_the_file_that_is_mutated_has_plans_of_every_kind(tmp_path: Path) -> None:
    original(tmp_path, "new")
    with h5py.File(tmp_path / ORIGINAL) as file:
        written = set(file["data/demo_0/plans"])
    assert written >= {spec.name for spec in PLAN_OPTIONAL}


@pytest.mark.slow
def test_mutated_files_are_read_or_refused_by_name(tmp_path: Path) -> None:
    run_python("-W", "ignore", "-m", "tests.fuzz_datasets", tmp_path, 0, 600)


@pytest.mark.parametrize("key", ["obs/front_image", "streams/action/value"])
def test_an_audit_excludes_an_episode_that_cannot_be_read(path: Path, key: str) -> None:
    two = write_dataset(path.with_name("two.hdf5"), [1, 2])
    with open_hdf5(two, "r+") as file:
        del file[f"{DEMO}/{key}"]
        options = {"chunks": (1, 8, 8, 3), "compression": "gzip"}
        if key.endswith("image"):
            file.create_dataset(f"{DEMO}/{key}", (HUGE, 8, 8, 3), "u1", **options)
        else:
            file.create_dataset(f"{DEMO}/{key}", (HUGE, 3), "f4")

    one = audit(two, replays=False)
    damage = [
        finding.message
        for finding in one.episodes[0].findings
        if finding.check == "fault"
    ]
    assert "demo_0" in one.demos("EXCLUDE")
    assert any("declares" in message for message in damage)
    assert not [f for f in one.episodes[1].findings if f.check == "fault"]
