"""LeRobot's older format holds what the dataset holds, as a reader of others has it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from embodied.core import SKILLS
from embodied.datasets.export.lerobot_v2 import spans
from embodied.datasets.reader import Dataset
from embodied.datasets.writer import EpisodeWriter
from tests.commands import embodied, refused
from tests.datasets_fakes import fake_episode, fake_header

FRAMES = (3, 7, 5)  # of the episodes
CAMERA = "observation.images.front"
TASK = "annotation.human.action.task_description"
SUBTASK = "annotation.human.action.subtask"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "set.hdf5"
    with EpisodeWriter(path, fake_header(robot="arm")) as writer:
        for seed, frames in enumerate(FRAMES):
            writer.write(fake_episode(seed, frames))
    return path


def export(path: Path, *words: object) -> Path:
    target = path.parent / "v2"
    command = ("data", "export", path, "-o", target, "--format", "lerobot", "--v2")
    assert embodied(*command, *words) == 0
    return target


def lines(folder: Path, name: str) -> list[Any]:
    text = (folder / "meta" / f"{name}.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def table(folder: Path, episode: int) -> dict[str, Any]:
    name = f"data/chunk-000/episode_{episode:06d}.parquet"
    return pq.read_table(folder / name).to_pydict()


def test_each_episode_is_a_table_and_a_video(path: Path) -> None:
    folder = export(path)
    info = json.loads((folder / "meta" / "info.json").read_text())
    assert info["codebase_version"] == "v2.1"
    assert (info["total_episodes"], info["total_frames"]) == (3, sum(FRAMES))
    assert (info["total_videos"], info["total_chunks"]) == (3, 1)

    dataset = Dataset(path)
    first = 0
    tasks = {line["task_index"]: line["task"] for line in lines(folder, "tasks")}
    for number, line in enumerate(lines(folder, "episodes")):
        episode = dataset.episode(number)
        columns = table(folder, number)
        place = {"episode_chunk": 0, "episode_index": number}
        assert line["length"] == FRAMES[number] == len(columns["index"])
        assert (folder / info["data_path"].format(**place)).exists()
        assert columns["index"] == list(range(first, first + FRAMES[number]))
        action = np.array(columns["action"], np.float32)
        assert np.array_equal(action, episode.actions)
        for column in ("task_index", TASK):
            assert {tasks[k] for k in columns[column]} == {episode.meta.instruction}
        assert line["tasks"] == [episode.meta.instruction]

        video = folder / info["video_path"].format(**place, video_key=CAMERA)
        with av.open(str(video)) as container:
            times = [picture.time for picture in container.decode(video=0)]
        assert times == pytest.approx(columns["timestamp"])
        first += FRAMES[number]

    own = lines(folder, "episodes_stats")
    assert [line["episode_index"] for line in own] == [0, 1, 2]
    highest = dataset.episode(1).actions.max(axis=0)
    assert own[1]["stats"]["action"]["max"] == pytest.approx(highest.tolist())


def test_the_parts_are_named_as_gr00t_reads_them(path: Path) -> None:
    modality = json.loads((export(path) / "meta" / "modality.json").read_text())
    dataset = Dataset(path)
    episode = dataset.episode(0)
    for kind, array in (
        ("state", episode.obs["agent_pos"]),
        ("action", episode.actions),
    ):
        ends = [part["end"] for part in modality[kind].values()]
        starts = [part["start"] for part in modality[kind].values()]
        assert [*starts, array.shape[1]] == [0, *ends]
    assert modality["video"] == {"front": {"original_key": CAMERA}}
    assert modality["annotation"] == {"human.action.task_description": {}}


def test_gr00ts_loader_finds_what_it_demands(path: Path) -> None:
    # what `LeRobotSingleDataset._get_metadata` of Isaac-GR00T does with an export
    meta = export(path) / "meta"
    modality = json.loads((meta / "modality.json").read_text())
    info = json.loads((meta / "info.json").read_text())
    statistics = json.loads((meta / "stats.json").read_text())

    for kind, vector in (("state", "observation.state"), ("action", "action")):
        assert {"max", "min", "mean", "std", "q01", "q99"} <= statistics[vector].keys()
        for values in statistics[vector].values():
            for part in modality[kind].values():
                indices = np.arange(part["start"], part["end"])
                assert np.isfinite(np.array(values)[indices]).all()
    for place in modality["video"].values():
        feature = info["features"][place["original_key"]]
        sizes = [
            feature["shape"][feature["names"].index(name)]
            for name in ("height", "width", "channels")
        ]
        assert sizes == [8, 8, 3]
        assert feature["info"]["video.fps"] == info["fps"]
    for line in lines(meta.parent, "episodes"):
        assert line["length"] == FRAMES[line["episode_index"]]


def test_parts_that_do_not_fill_a_vector_are_one() -> None:
    layout = [("joint_pos", 7), ("width", 1)]
    expected = {"joint_pos": {"start": 0, "end": 7}, "width": {"start": 7, "end": 8}}
    assert spans(layout, 8) == expected
    assert spans(layout, 9) == {"all": {"start": 0, "end": 9}}


def test_subtasks_are_sentences_of_the_table(path: Path) -> None:
    folder = export(path, "--subtasks")
    tasks = {line["task_index"]: line["task"] for line in lines(folder, "tasks")}
    dataset = Dataset(path)
    for number in range(len(FRAMES)):
        meta = dataset.episodes[number]
        shown = [tasks[k] for k in table(folder, number)[SUBTASK]]
        assert set(shown) <= {meta.instruction, *SKILLS}
        assert set(shown) & set(SKILLS)
    modality = json.loads((folder / "meta" / "modality.json").read_text())
    assert "human.action.subtask" in modality["annotation"]


@pytest.mark.parametrize("version", ["v2", pytest.param("v3", marks=pytest.mark.slow)])
def test_the_reader_of_another_tool_takes_it(path: Path, version: str) -> None:
    # Rerun's own reader, which tells the versions apart
    from rerun.experimental import LeRobotReader

    folder = path.parent / "set"
    words = ("data", "export", path, "-o", folder, "--format", "lerobot")
    assert embodied(*words, *(("--v2",) if version == "v2" else ())) == 0

    reader = LeRobotReader(folder)
    assert reader.version == version
    assert reader.episodes() == [0, 1, 2]
    dataset = Dataset(path)
    for number in reader.episodes():
        numbers: list[Any] = []
        pictures: list[Any] = []
        for chunk in reader.stream(number).to_chunks():
            columns = chunk.to_record_batch().to_pydict()
            if chunk.entity_path == "/action":
                for name, values in columns.items():
                    numbers += values if name.endswith("scalars") else []
            if chunk.entity_path == f"/{CAMERA}" and not chunk.is_static:
                for name, values in columns.items():
                    pictures += values if name.endswith("sample") else []
        actions = dataset.episode(number).actions
        assert np.array_equal(np.array(numbers, np.float32), actions)
        assert len(pictures) == len(actions)


def test_the_flag_is_refused_where_it_has_no_effect(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("data", "export", path, "-o", tmp_path / "x", "--format", "minari", "--v2")
    assert "--v2 has an effect only with --format lerobot" in refused(capsys, *words)
