"""What goes out through an export comes back through an import with the same numbers,
and what comes from elsewhere is never trusted.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.core import ActionInterface
from embodied.datasets.export.lerobot import export_lerobot
from embodied.datasets.export.robomimic import export_robomimic
from embodied.datasets.export.selection import Choice, Selection
from embodied.datasets.importing.action_range import ActionRange
from embodied.datasets.importing.foreign import vector_layout
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import Episode
from embodied.datasets.writer import EpisodeWriter
from tests.commands import embodied, refused
from tests.datasets_fakes import fake_episode, fake_header


def write(path: Path, frames: list[int], seed: int, images: bool, state: int) -> None:
    """Writes a dataset whose arrays depend on the arguments alone."""
    header = fake_header(
        robot="arm",
        agent_layout=[["joint_pos", 3], ["gripper_width", 1]],
        state_layout=[["tote_pos_w", state]],
        joint_interface={
            "mode": "joint",
            "groups": [
                {
                    "name": "arm",
                    "labels": ["a", "b", "c"],
                    "unit": "rad",
                    "frame": "joint",
                    "low": [-1.0, -2.0, -3.0],
                    "high": [1.0, 2.0, 3.0],
                }
            ],
        },
    )
    with EpisodeWriter(path, header) as writer:
        for number, count in enumerate(frames):
            episode = fake_episode(seed + number, count, number % 2 == 0, images)
            obs = dict(episode.obs)
            if state:
                rng = np.random.default_rng(seed)
                obs["environment_state"] = rng.random((count, state), np.float32)
            meta = replace(episode.meta, variation={"mass": 0.5, "colour": ["red"]})
            # what only takes by hand, corrected and generated episodes say
            if number % 2:
                meta = replace(
                    meta,
                    operator="ann",
                    device="keyboard",
                    marked=True,
                    takeovers=2,
                    takeover_s=1.5,
                    source_file="few.hdf5",
                    source_episode=3,
                    source_segments="[3, 4]",
                )
            writer.write(replace(episode, obs=obs, meta=meta))


def assert_same_frames(one: Episode, other: Episode) -> None:
    """Compares all that exports keep, bit for bit."""
    assert other.meta == one.meta
    assert other.obs.keys() == one.obs.keys()
    for key, rows in one.obs.items():
        assert np.array_equal(other.obs[key], rows), key
        assert other.obs[key].dtype == rows.dtype
    assert np.array_equal(other.actions, one.actions)
    assert np.array_equal(other.rewards, one.rewards)
    assert np.array_equal(other.frame_tick, one.frame_tick)

    # Success at the ends of the frames' periods, which are five control steps long.
    success = one.streams["success"].value[4::5].astype(bool)
    assert np.array_equal(other.streams["success"].value.astype(bool), success)


@pytest.mark.slow
@settings(max_examples=12, deadline=None)
@given(
    frames=st.lists(st.integers(1, 6), min_size=1, max_size=4),
    seed=st.integers(0, 1000),
    images=st.booleans(),
    state=st.integers(0, 2),
    robomimic=st.booleans(),
)
def test_same_numbers_through_export_and_import(
    frames: list[int], seed: int, images: bool, state: int, robomimic: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "set.hdf5"
        write(path, frames, seed, images, state)
        out = Path(folder) / "out"
        back = Path(folder) / "back.hdf5"
        selection = Selection([path], Choice("all"))
        if robomimic:
            export_robomimic(selection, selection.load(images=True), out)
        else:
            episodes = selection.load(images=True)
            export_lerobot(selection, episodes, out, "image", False)
        selection.close()
        assert embodied("data", "import", out, "-o", back) == 0

        with Dataset(path) as dataset, Dataset(back) as imported:
            assert len(imported) == len(dataset)
            for number in range(len(dataset)):
                assert_same_frames(dataset.episode(number), imported.episode(number))
                if robomimic:
                    states = dataset.read(number, "states")
                    assert np.array_equal(imported.read(number, "states"), states)
            assert imported.agent_layout == dataset.agent_layout
            stored = imported.header.metadata["action_interface"]
            assert stored == dataset.header.metadata["joint_interface"]
            assert ActionInterface.of(stored).labels == ("arm.a", "arm.b", "arm.c")


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.floats(-1e4, 1e4, width=32), st.floats(-0.875, 0.875, width=32)),
        min_size=1,
        max_size=20,
    )
)
def test_foreign_actions_are_scaled_by_a_range_that_is_kept(
    rows: list[tuple[float, float]],
) -> None:
    actions = np.array(rows, np.float32)
    found = ActionRange.of([actions[:1], actions[1:]] if len(rows) > 1 else [actions])

    normalized = found.to_normalized(actions)

    assert (np.abs(normalized) <= 1).all()
    half = (found.high - found.low) / 2
    physical = found.low + half + half * normalized
    assert physical == pytest.approx(actions.astype(float), abs=1e-3, rel=1e-5)
    if (np.abs(actions) <= 1).all():
        assert np.array_equal(normalized, actions)


def test_layouts_of_names() -> None:
    names = ("joint_pos.0", "joint_pos.1", "gripper", "x", "y", "pos.0")
    assert vector_layout("state", names) == (
        ("joint_pos", 2),
        ("gripper", 1),
        ("x", 1),
        ("y", 1),
        ("pos", 1),
    )


@pytest.fixture
def lerobot(tmp_path: Path) -> Path:
    """An export without our notes, as if it came from elsewhere."""
    write(tmp_path / "set.hdf5", [3, 4], 0, images=True, state=0)
    selection = Selection([tmp_path / "set.hdf5"], Choice("all"))
    folder = tmp_path / "lerobot"
    export_lerobot(selection, selection.load(images=True), folder, "video", False)
    for notes in folder.glob("meta/embodied*"):
        notes.unlink()
    (tmp_path / "set.hdf5").unlink()
    return folder


def edit_info(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    info = json.loads((folder / "meta/info.json").read_text())
    edit(info)
    (folder / "meta/info.json").write_text(json.dumps(info))


def replace_column(folder: Path, name: str, values: list[Any]) -> None:
    """Replaces a column of the frames."""
    path = folder / "data/chunk-000/file-000.parquet"
    table = pq.read_table(path)
    place = table.column_names.index(name)
    pq.write_table(table.set_column(place, name, pa.array(values)), path)


def replace_episode_column(folder: Path, name: str, values: list[Any]) -> None:
    path = folder / "meta/episodes/chunk-000/file-000.parquet"
    table = pq.read_table(path)
    place = table.column_names.index(name)
    pq.write_table(table.set_column(place, name, pa.array(values)), path)


def import_refused(
    capsys: pytest.CaptureFixture[str], source: Path, *words: Any
) -> str:
    """Imports what must be refused; nothing is left of it. Returns the message."""
    target = source.parent / "out.hdf5"
    message = refused(capsys, "data", "import", source, "-o", target, *words)
    left = [file.name for file in source.parent.iterdir() if "out.hdf5" in file.name]
    assert left == []
    return message


def test_a_set_from_elsewhere(lerobot: Path, tmp_path: Path) -> None:
    assert embodied("data", "import", lerobot, "-o", tmp_path / "back.hdf5") == 0

    with Dataset(tmp_path / "back.hdf5") as dataset:
        assert [meta.num_samples for meta in dataset.episodes] == [3, 4]
        assert dataset.episodes[1].instruction == "take tote 1"
        assert dataset.header.metadata["imported_from"] == "LeRobotDataset v3.0"
        assert dataset.agent_layout.parts == (("joint_pos", 3), ("gripper_width", 1))
        assert dataset.read(1, "obs/front_image").shape == (4, 8, 8, 3)


def test_an_import_is_not_replayed(
    lerobot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    embodied("data", "import", lerobot, "-o", tmp_path / "back.hdf5")
    message = refused(capsys, "data", "replay", tmp_path / "back.hdf5")
    assert "it was imported from LeRobotDataset v3.0, which keeps no physics" in message


def test_success_is_never_guessed(
    lerobot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "--success has no effect" in import_refused(
        capsys, lerobot, "--success", "yes"
    )
    edit_info(lerobot, lambda info: info["features"].pop("next.success"))

    assert "give --success yes or --success no" in import_refused(capsys, lerobot)
    target = lerobot.parent / "back.hdf5"
    assert embodied("data", "import", lerobot, "-o", target, "--success", "no") == 0
    with Dataset(target) as dataset:
        assert not any(meta.success for meta in dataset.episodes)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda info: info.update(codebase_version="v2.1"), "of version v2.1; v3.0 is"),
        (lambda info: info.update(fps=29.97), "fps is 29.97, but must be a whole"),
        (lambda info: info.update(fps=1000), "1 to 400 frames per second, not 1000"),
        (lambda info: info["features"].pop("action"), "has no action; its features"),
        (lambda info: info.update(features=[]), "has no features"),
        (
            lambda info: info["features"]["action"].update(shape=[7]),
            "has rows of 3 float64, but info.json says 7 numbers",
        ),
        (
            lambda info: info["features"]["observation.images.front"].update(
                shape=[16, 8, 3]
            ),
            "8 x 8 large, but said to be 16 x 8",
        ),
    ],
)
def test_what_info_json_must_say(
    edit: Callable[[dict[str, Any]], object],
    message: str,
    lerobot: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    edit_info(lerobot, edit)
    assert message in import_refused(capsys, lerobot)


def test_paths_that_a_set_names_are_not_followed(lerobot: Path, tmp_path: Path) -> None:
    edit_info(lerobot, lambda info: info.update(data_path="/etc/passwd"))
    edit_info(lerobot, lambda info: info.update(video_path="../../{video_key}"))
    edit_info(
        lerobot,
        lambda info: info["features"].update(
            {"../../secret": {"dtype": "video", "shape": [8, 8, 3]}}
        ),
    )

    assert embodied("data", "import", lerobot, "-o", tmp_path / "back.hdf5") == 0


@pytest.mark.parametrize(
    "relative",
    [
        "meta/info.json",
        "meta/episodes/chunk-000/file-000.parquet",
        "data/chunk-000/file-000.parquet",
        "videos/observation.images.front/chunk-000/file-000.mp4",
    ],
)
def test_links_that_lead_out_are_refused(
    relative: str, lerobot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outside = tmp_path / "outside"
    (lerobot / relative).rename(outside)
    (lerobot / relative).symlink_to(outside)
    assert "leads out of" in import_refused(capsys, lerobot)


def test_files_that_are_missing_or_broken(
    lerobot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = lerobot / "data/chunk-000/file-000.parquet"
    whole = frames.read_bytes()
    frames.write_bytes(whole[: len(whole) // 2])
    assert "cannot be read" in import_refused(capsys, lerobot)
    frames.unlink()
    assert "is incomplete: there is no data/chunk-000" in import_refused(
        capsys, lerobot
    )
    (lerobot / "meta/info.json").write_text("{")
    assert "is not JSON" in import_refused(capsys, lerobot)


def test_names_that_are_not_utf8_are_refused(
    lerobot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frames = lerobot / "data/chunk-000/file-000.parquet"
    data = frames.read_bytes()
    assert b"timestamp" in data
    frames.write_bytes(data.replace(b"timestamp", b"\xff\xfemestamp"))
    assert "cannot be read" in import_refused(capsys, lerobot)


def test_a_list_of_files_is_no_video(
    lerobot: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = lerobot / "videos/observation.images.front/chunk-000/file-000.mp4"
    video.rename(tmp_path / "secret.mp4")
    video.write_text(f"ffconcat version 1.0\nfile {tmp_path}/secret.mp4\n")
    with av.open(str(tmp_path / "secret.mp4")) as container:
        assert next(container.decode(video=0))

    assert "cannot be decoded" in import_refused(capsys, lerobot)


def test_numbers_that_cannot_be_right(
    lerobot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replace_column(lerobot, "next.reward", [0.0, float("nan")] + [0.0] * 5)
    assert "rewards of episode 0 hold NaN" in import_refused(capsys, lerobot)
    replace_column(lerobot, "action", [[0.0] * 3] * 6 + [[0.0] * 2])
    assert "action in" in import_refused(capsys, lerobot)
    replace_column(lerobot, "action", [[0.0] * 3] * 6 + [[0.0, 0.0, float("inf")]])
    assert "actions of episode 1 hold NaN" in import_refused(capsys, lerobot)
    replace_column(lerobot, "action", [["x"] * 3] * 7)
    assert "info.json says 3 numbers" in import_refused(capsys, lerobot)


def test_tables_of_episodes_that_cannot_be_right(
    lerobot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = "videos/observation.images.front/from_timestamp"
    replace_episode_column(lerobot, start, [0.0, 5.0])
    assert "has 4 frames, but" in import_refused(capsys, lerobot)
    replace_episode_column(lerobot, "length", [3, 9])
    assert "but the table of episodes says 9" in import_refused(capsys, lerobot)
    replace_episode_column(lerobot, "data/file_index", ["../x", "../x"])
    assert "row 0 of the table of episodes has no valid data/file" in import_refused(
        capsys, lerobot
    )


@pytest.fixture
def robomimic(tmp_path: Path) -> Path:
    """A file as robosuite writes it, with eleven demos."""
    path = tmp_path / "low_dim.hdf5"
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        kwargs = {"robots": ["Panda"], "control_freq": 20}
        env_args = {"env_name": "Lift", "type": 1, "env_kwargs": kwargs}
        data.attrs["env_args"] = json.dumps(env_args)
        for number in range(11):
            demo = data.create_group(f"demo_{number}")
            demo["actions"] = rng.uniform(-1, 1, (4, 7))
            demo["states"] = rng.random((4, 32))
            demo["rewards"] = np.full(4, float(number))
            demo["obs/robot0_eef_pos"] = rng.random((4, 3))
            demo["obs/object"] = rng.random((4, 10))
            shape = (4, 8, 8, 3)
            demo["obs/agentview_image"] = rng.integers(0, 256, shape, np.uint8)
            demo["obs/depth"] = rng.random((4, 8, 8, 1))
            demo.attrs["num_samples"] = 4
            demo.attrs["ep_meta"] = json.dumps({"lang": f"lift cube {number}"})
    return path


def test_a_file_of_robosuite(
    robomimic: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "back.hdf5"
    assert embodied("data", "import", robomimic, "-o", target, "--success", "yes") == 0
    assert "left out: depth" in capsys.readouterr().out

    with Dataset(target) as dataset, h5py.File(robomimic) as file:
        assert dataset.header.record_hz == 20
        assert dataset.header.metadata["robot"] == "Panda"
        # The tenth demo comes after the second.
        instructions = [meta.instruction for meta in dataset.episodes]
        assert instructions == [f"lift cube {number}" for number in range(11)]
        assert dataset.agent_layout.parts == (("robot0_eef_pos", 3),)
        assert dataset.state_layout.parts == (("object", 10),)
        demo: Any = file["data/demo_10"]
        actions = demo["actions"][()].astype(np.float32)
        assert np.array_equal(dataset.read(10, "actions"), actions)
        pictures = demo["obs/agentview_image"][()]
        assert np.array_equal(dataset.read(10, "obs/agentview_image"), pictures)
        assert np.array_equal(dataset.read(10, "states"), demo["states"][()])


def break_robomimic(path: Path, edit: Callable[[Any], object]) -> None:
    with h5py.File(path, "r+") as file:
        edit(file)


def outside(file: Any, key: str) -> None:
    """Puts a link to another file in the place of an array."""
    del file[key]
    file[key] = h5py.ExternalLink("other.hdf5", "/x")


def in_raw_file(file: Any, key: str) -> None:
    """Puts an array whose values lie in another file in the place of one."""
    del file[key]
    file.create_dataset(key, (4, 7), "f8", external=[("/etc/hostname", 0, 224)])


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda file: outside(file, "data/demo_0"), "demo_0 of"),
        (
            lambda file: outside(file, "data/demo_3/actions"),
            "has no array actions of its",
        ),
        (
            lambda file: outside(file, "data/demo_3/obs/object"),
            "has no array obs/object",
        ),
        (
            lambda file: in_raw_file(file, "data/demo_2/actions"),
            "has no array actions of",
        ),
        (lambda file: file.pop("data"), "it has no group /data, but nothing"),
        (lambda file: file["data"].attrs.pop("env_args"), "per second: give --hz"),
        (lambda file: file.pop("data/demo_5/obs/object"), "has no array obs/object of"),
        (
            lambda file: file["data/demo_4/rewards"].write_direct(np.full(4, np.nan)),
            "rewards of episode 4 hold NaN",
        ),
    ],
)
def test_files_of_robomimic_that_are_refused(
    edit: Callable[[Any], object],
    message: str,
    robomimic: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    break_robomimic(robomimic, edit)
    assert message in import_refused(capsys, robomimic, "--success", "yes")


def test_what_is_no_hdf5_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "set.hdf5").write_text("nothing")
    assert "cannot be opened as HDF5" in import_refused(capsys, tmp_path / "set.hdf5")
    assert "is no LeRobot dataset: it has no meta/info.json" in import_refused(
        capsys, tmp_path
    )
