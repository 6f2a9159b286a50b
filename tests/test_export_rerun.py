"""A recording of Rerun holds what the dataset holds, as Rerun's own reader has it."""

from __future__ import annotations

import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from embodied.datasets.export.frames import depth_in_m
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import Episode
from embodied.datasets.writer import EpisodeWriter
from tests.commands import embodied, refused
from tests.datasets_fakes import RECORD_HZ, fake_episode, fake_header, open_hdf5

FRAMES = (3, 7, 5)  # of the episodes
NAMES = ["nothing", "table", "tote"]


def with_truth(episode: Episode, depth: np.dtype[Any]) -> Episode:
    """Returns an episode with depth and segmentation of its camera."""
    rng = np.random.default_rng(episode.meta.seed)
    shape = (*episode.obs["front_image"].shape[:3], 1)
    far = 3 if depth.kind == "f" else 3000
    truth = {
        "front_depth": (far * rng.random(shape)).astype(depth),
        "front_segmentation": rng.integers(0, len(NAMES), shape, np.uint16),
    }
    return replace(episode, obs={**episode.obs, **truth})


def write(path: Path, depth: np.dtype[Any]) -> Path:
    header = fake_header(robot="arm", segmentation_names=NAMES)
    with EpisodeWriter(path, header) as writer:
        for seed, frames in enumerate(FRAMES):
            writer.write(with_truth(fake_episode(seed, frames), depth))
    return path


def read(path: Path) -> dict[str, dict[str, list[Any]]]:
    """Returns what a recording holds: place -> column -> values in the order of time."""
    from rerun.chunk import RrdReader

    places: dict[str, dict[str, list[Any]]] = {}
    for chunk in RrdReader(path).stream().to_chunks():
        columns = places.setdefault(chunk.entity_path, {})
        for name, values in chunk.to_record_batch().to_pydict().items():
            columns.setdefault(name.rpartition(":")[2], []).extend(values)
    return places


@pytest.mark.parametrize("depth", [np.dtype(np.uint16), np.dtype(np.float32)])
def test_the_numbers_come_back(tmp_path: Path, depth: np.dtype[Any]) -> None:
    path = write(tmp_path / "set.hdf5", depth)
    target = tmp_path / "rrd"
    words = ("data", "export", path, "-o", target, "--format", "rerun")
    assert embodied(*words) == 0

    dataset = Dataset(path)
    files = sorted(target.glob("*.rrd"))
    assert len(files) == len(FRAMES)
    for number, file in enumerate(files):
        episode = dataset.episode(number)
        places = read(file)

        action = places["/action"]
        assert np.array_equal(np.array(action["scalars"], np.float32), episode.actions)
        assert action["frame"] == list(range(FRAMES[number]))
        seconds = [time.total_seconds() for time in action["time"]]
        assert seconds == pytest.approx(np.arange(FRAMES[number]) / RECORD_HZ)
        told = json.loads(places["/episode"]["text"][0][0])
        assert told["seed"] == episode.meta.seed
        assert places["/instruction"]["text"] == [[episode.meta.instruction]]

        files_of_pictures = places["/camera/front/image"]["blob"]
        for blob, picture in zip(
            files_of_pictures, episode.obs["front_image"], strict=True
        ):
            shown = Image.open(io.BytesIO(bytes(blob[0])))
            assert np.array_equal(np.asarray(shown), picture)
        for kind, dtype, expected in (
            ("depth", np.float32, depth_in_m(episode.obs["front_depth"])),
            ("segmentation", np.uint16, episode.obs["front_segmentation"]),
        ):
            buffers = places[f"/camera/front/{kind}"]["buffer"]
            content = b"".join(bytes(buffer[0]) for buffer in buffers)
            found = np.frombuffer(content, dtype).reshape(expected.shape)
            assert np.array_equal(found, expected)


def test_the_package_is_named_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "set.hdf5", np.dtype(np.uint16))
    monkeypatch.setitem(sys.modules, "rerun", None)
    target = tmp_path / "rrd"
    words = ("data", "export", path, "-o", target, "--format", "rerun")
    assert "pip install 'embodied-ground[rerun]'" in refused(capsys, *words)
    assert not target.exists()


@pytest.mark.parametrize("form", ["robomimic", "minari", "lerobot"])
def test_the_other_formats_hold_depth_and_things_or_say_that_they_do_not(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "set.hdf5", np.dtype(np.uint16))
    target = tmp_path / "set-v0"
    words = ("data", "export", path, "-o", target, "--format", form)
    assert embodied(*words, *(("--images", "image") if form == "lerobot" else ())) == 0
    if form == "lerobot":
        assert "left out: depth and segmentation" in capsys.readouterr().out
        return

    episode = Dataset(path).episode(1)
    is_file = form == "robomimic"
    file = target if is_file else target / "data" / "main_data.hdf5"
    place = "data/demo_1/obs" if is_file else "episode_1/observations"
    with open_hdf5(file) as exported:
        rows = exported[f"{place}/front_depth"][: FRAMES[1]]
        things = exported[f"{place}/front_segmentation"][: FRAMES[1]]
    assert rows.dtype == np.float32
    assert np.array_equal(rows, depth_in_m(episode.obs["front_depth"]))
    assert np.array_equal(things, episode.obs["front_segmentation"])
