"""The files of a LeRobot export hold what the dataset holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.core import SKILLS
from embodied.datasets.export.frames import subtasks_of_frames
from embodied.datasets.export.lerobot import export_lerobot
from embodied.datasets.export.lerobot_features import Pictures
from embodied.datasets.export.selection import Choice, Selection
from embodied.datasets.reader import Dataset
from embodied.datasets.running_statistics import (
    PictureStatistics,
    VectorStatistics,
)
from embodied.datasets.schema import DatasetError
from embodied.datasets.writer import EpisodeWriter
from embodied.errors import EmbodiedError
from tests.commands import embodied, refused
from tests.datasets_fakes import RECORD_HZ, fake_episode, fake_header, write_dataset

FRAMES = (3, 7, 5)  # of the episodes
CAMERA = "observation.images.front"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "set.hdf5"
    with EpisodeWriter(path, fake_header(robot="arm")) as writer:
        for seed, frames in enumerate(FRAMES):
            writer.write(fake_episode(seed, frames, success=seed != 1))
    return path


def export(
    path: Path,
    choice: Choice | None = None,
    pictures: Pictures = "image",
    subtasks: bool = False,
) -> Path:
    """Exports a dataset beside it; all episodes by default."""
    target = path.parent / "lerobot"
    selection = Selection([path], choice or Choice(mask="all"))
    episodes = selection.load(pictures != "none")
    export_lerobot(selection, episodes, target, pictures, subtasks)
    return target


def rows(folder: Path, kind: str = "data") -> dict[str, list[Any]]:
    """The columns of the only Parquet file of a kind."""
    return pq.read_table(folder / kind / "chunk-000/file-000.parquet").to_pydict()


def test_frames_follow_one_another_in_the_order_of_the_file(path: Path) -> None:
    columns = rows(export(path))

    with Dataset(path) as dataset:
        episodes = [dataset.episode(number) for number in range(len(FRAMES))]
    for name, key in (("action", "actions"), ("next.reward", "rewards")):
        whole = np.concatenate([getattr(episode, key) for episode in episodes])
        assert np.array_equal(np.array(columns[name], np.float32), whole)
    state = np.concatenate([episode.obs["agent_pos"] for episode in episodes])
    assert np.array_equal(np.array(columns["observation.state"], np.float32), state)

    assert columns["index"] == list(range(sum(FRAMES)))
    assert columns["episode_index"] == [0] * 3 + [1] * 7 + [2] * 5
    assert columns["frame_index"] == [*range(3), *range(7), *range(5)]
    seconds = [frame / RECORD_HZ for frame in columns["frame_index"]]
    assert columns["timestamp"] == pytest.approx(seconds)
    assert np.flatnonzero(columns["next.done"]).tolist() == [2, 9, 14]


def test_success_is_that_at_the_end_of_each_frames_period(path: Path) -> None:
    success = rows(export(path))["next.success"]

    with Dataset(path) as dataset:
        stream = dataset.episode(1, images=False).streams["success"]
    # Five control steps make a frame.
    assert success[3:10] == stream.value[4::5].astype(bool).tolist()


def test_table_of_episodes_and_tasks(path: Path) -> None:
    folder = export(path)

    table = rows(folder, "meta/episodes")
    assert table["length"] == list(FRAMES)
    assert table["dataset_from_index"] == [0, 3, 10]
    assert table["dataset_to_index"] == [3, 10, 15]
    tasks = pq.read_table(folder / "meta/tasks.parquet").to_pydict()
    assert tasks["__index_level_0__"] == [f"take tote {seed}" for seed in range(3)]
    assert table["tasks"] == [[task] for task in tasks["__index_level_0__"]]

    info = json.loads((folder / "meta/info.json").read_text())
    assert info["codebase_version"] == "v3.0"
    assert info["fps"] == RECORD_HZ
    assert info["robot_type"] == "arm"
    assert (info["total_episodes"], info["total_frames"]) == (3, 15)


def test_pngs_are_the_frames_bit_for_bit(path: Path) -> None:
    import io

    from PIL import Image

    column = rows(export(path))[CAMERA]

    with Dataset(path) as dataset:
        frames = dataset.read(1, "obs/front_image")
    for row, frame in zip(column[3:10], frames, strict=True):
        assert np.array_equal(Image.open(io.BytesIO(row["bytes"])), frame)


def test_videos_show_every_frame_at_its_time(tmp_path: Path) -> None:
    # Grey pictures, each of another brightness, survive the encoding.
    path = tmp_path / "set.hdf5"
    brightness = []
    with EpisodeWriter(path, fake_header()) as writer:
        for seed, frames in enumerate(FRAMES):
            episode = fake_episode(seed, frames)
            levels = 10 + 20 * np.arange(frames, dtype=np.uint8) + seed
            episode.obs["front_image"][:] = levels[:, None, None, None]
            writer.write(episode)
            brightness += levels.tolist()
    folder = export(path, pictures="video")

    video = folder / "videos" / CAMERA / "chunk-000/file-000.mp4"
    with av.open(str(video)) as container:
        pictures = list(container.decode(video=0))
    means = [picture.to_ndarray(format="rgb24").mean() for picture in pictures]
    assert means == pytest.approx(brightness, abs=2)
    times = [picture.time for picture in pictures]
    assert times == pytest.approx([k / RECORD_HZ for k in range(15)], abs=1e-9)
    table = rows(folder, "meta/episodes")
    assert table[f"videos/{CAMERA}/from_timestamp"] == pytest.approx([0, 0.3, 1.0])
    assert table[f"videos/{CAMERA}/to_timestamp"] == pytest.approx([0.3, 1.0, 1.5])


def test_a_lower_rate_takes_what_is_true_at_its_ends(path: Path) -> None:
    columns = rows(export(path, Choice(mask="all", hz=RECORD_HZ // 2)))

    with Dataset(path) as dataset:
        episode = dataset.episode(1, images=False)
    # Frames 0, 2, 4, 6; the last period is cut short by the end.
    state = np.array(columns["observation.state"], np.float32)[2:6]
    action = np.array(columns["action"], np.float32)[2:6]
    assert np.array_equal(state, episode.obs["agent_pos"][::2])
    assert np.array_equal(action, episode.actions[[1, 3, 5, 6]])


def test_only_successes_unless_another_mask_is_asked_for(path: Path) -> None:
    assert rows(export(path, Choice()), "meta/episodes")["length"] == [3, 5]


def test_statistics_are_those_of_the_frames(path: Path) -> None:
    folder = export(path)

    statistics = json.loads((folder / "meta/stats.json").read_text())["action"]
    action = np.array(rows(folder)["action"], np.float32)
    assert statistics["mean"] == pytest.approx(action.mean(axis=0).tolist(), rel=1e-5)
    assert statistics["q10"] == pytest.approx(np.quantile(action, 0.1, axis=0).tolist())
    assert statistics["count"] == [15]
    own = rows(folder, "meta/episodes")
    assert own["stats/action/max"][1] == action[3:10].max(axis=0).tolist()
    assert np.shape(own[f"stats/{CAMERA}/mean"][0]) == (3, 1, 1)


def test_subtasks_hold_from_the_frame_that_first_knows_them(path: Path) -> None:
    with Dataset(path) as dataset:
        episode = dataset.episode(1, images=False)
    episode.plans["subtask"] = np.array([2, 2, 5, 3, 4])
    # At 40 ticks a frame: the fourth never arrived, the last one after the end.
    episode.plans["tick_arrived"] = np.array([0, 50, 81, -1, 999])

    assert subtasks_of_frames(episode, np.arange(7)) == ((0, SKILLS[2]), (3, SKILLS[5]))


def test_language_stands_in_every_row_of_its_episode(path: Path) -> None:
    columns = rows(export(path, subtasks=True))

    first = columns["language_persistent"][0]
    assert all(row == first for row in columns["language_persistent"][:3])
    assert all(row == [] for row in columns["language_events"])


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6), seed=st.integers(0, 99)
)
def test_statistics_do_not_depend_on_the_parts(sizes: list[int], seed: int) -> None:
    values = np.random.default_rng(seed).normal(5, 3, (sum(sizes), 2))
    collected = VectorStatistics("obs", 2)
    for part in np.split(values, np.cumsum(sizes)[:-1]):
        collected.add(part)

    result = collected.result()

    assert result["std"] == pytest.approx(values.std(axis=0))
    assert result["mean"] == pytest.approx(values.mean(axis=0))
    assert result["q90"] == pytest.approx(np.quantile(values, 0.9, axis=0))


def test_statistics_of_more_rows_than_are_kept() -> None:
    values = np.random.default_rng(0).random((700_000, 1))
    collected = VectorStatistics("obs", 1)
    for part in np.split(values, 7):
        collected.add(part)

    assert collected.result()["q10"] == pytest.approx(0.1, abs=5e-3)
    assert collected.result()["max"] == values.max()


def test_statistics_of_pictures() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (9, 8, 8, 3), np.uint8)
    collected = PictureStatistics()
    collected.add(pictures)

    result = collected.result()

    levels = pictures.reshape(-1, 3).astype(float)
    assert result["mean"] == pytest.approx(levels.mean(axis=0))
    assert result["std"] == pytest.approx(levels.std(axis=0))
    assert result["min"] == pytest.approx(levels.min(axis=0))
    assert result["max"] == pytest.approx(levels.max(axis=0))
    middle = np.quantile(levels, 0.5, axis=0, method="inverted_cdf")
    assert result["q50"] == pytest.approx(middle)


def test_files_of_other_robots_are_refused(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.hdf5"
    with EpisodeWriter(other, fake_header(robot="six")) as writer:
        writer.write(fake_episode(9))

    with pytest.raises(DatasetError, match="robot is 'arm' in the one, 'six' in the"):
        Selection([path, other], Choice())


def test_several_files_of_one_robot(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.hdf5"
    with EpisodeWriter(other, fake_header(robot="arm", task="Other")) as writer:
        writer.write(fake_episode(0, 4, images=False))
    selection = Selection([path, other], Choice())

    assert len(selection) == 3
    assert selection.spec.cameras == {}
    assert selection.omitted == [
        "camera front, which not all files have in the same size"
    ]


def test_nothing_is_left_of_an_export_that_fails(path: Path) -> None:
    selection = Selection([path], Choice())

    def broken() -> Any:
        yield next(iter(selection.load(images=True)))
        raise DatasetError("the rest cannot be read")

    with pytest.raises(DatasetError):
        export_lerobot(selection, broken(), path.parent / "out", "video", False)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--hz", 3), "so they can be exported at 1, 2, 5, 10 Hz, not at 3"),
        (("--mask", "goood"), "unknown mask in"),
        (("--mask", "failure"), "with --mask all every episode is taken"),
        (("--camera", "font"), "unknown camera that all files have in the same size"),
        (
            ("--images", "none", "--camera", "front"),
            "--camera has no effect with --images none",
        ),
    ],
)
def test_refusals(
    words: tuple[object, ...],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = write_dataset(tmp_path / "set.hdf5", range(2))
    command = ("data", "export", path, "-o", tmp_path / "out", "--format", "lerobot")

    assert message in refused(capsys, *command, *words)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_what_exists_is_not_replaced(path: Path) -> None:
    export(path)
    with pytest.raises(EmbodiedError, match="exists; choose another name after -o"):
        export(path)


def test_the_verb(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = path.parent / "out"
    command = ("data", "export", path, "-o", target, "--format", "lerobot")
    assert embodied(*command) == 0
    printed = capsys.readouterr().out
    assert "2 episodes; 1 not in the mask success" in printed
    assert (target / "meta/info.json").exists()
