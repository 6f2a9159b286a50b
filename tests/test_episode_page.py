"""The page of an episode: what is recorded is on it, and nothing of it is executed."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from embodied.benchmark import tracks
from embodied.benchmark.episode_page import episode_page, outcome
from embodied.datasets.reader import Dataset
from embodied.datasets.writer import EpisodeWriter
from tests.commands import embodied, refused
from tests.datasets_fakes import SEEDS, fake_episode, fake_header, write_dataset

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "set.hdf5", SEEDS)


def test_the_page_holds_pictures_streams_and_outcome(path: Path) -> None:
    with Dataset(path) as dataset:
        page = episode_page(dataset, 3)

    assert "take tote 3" in page
    assert "The episode succeeded." in page
    assert page.count("data:video/mp4;base64,") == 1
    for stream in ("joint_target", "action", "intended", "Progress and reward"):
        assert stream in page
    # it needs nothing from elsewhere
    assert re.findall(r'(?:src|href)="(?!data:)', page) == []


def test_words_of_a_file_are_never_executed(tmp_path: Path) -> None:
    path = tmp_path / "evil.hdf5"
    episode = fake_episode(1, images=False)
    meta = replace(episode.meta, instruction=EVIL, variation={EVIL: EVIL})
    layout = [[EVIL, 4]]
    group = {"name": EVIL, "labels": [EVIL] * 3, "unit": EVIL, "frame": EVIL}
    group |= {"low": [-1.0] * 3, "high": [1.0] * 3}
    interface = {"mode": "joint", "groups": [group]}
    header = fake_header(
        EVIL, robot=EVIL, agent_layout=layout, joint_interface=interface
    )
    with EpisodeWriter(path, header) as episodes:
        episodes.write(replace(episode, meta=meta))

    with Dataset(path) as dataset:
        page = episode_page(dataset, 0)
    assert EVIL not in page
    assert page.count("<script>") == 1
    assert "No pictures were recorded." in page


def test_how_an_episode_ended() -> None:
    meta = fake_episode(1).meta
    assert outcome(meta) == "succeeded"
    assert outcome(replace(meta, fault="diverged")) == "ended by the fault diverged"
    undone = replace(meta, success_at_end=False)
    assert outcome(undone) == "had succeeded, but not at its end"
    failed = replace(undone, success_once=False, progress_max=0.25)
    assert outcome(failed) == "failed at a progress of 0.25"


def test_a_time_is_at_one_place_in_all_tracks() -> None:
    time_s = np.array([0.0, 2.0, 4.0])
    line = tracks.Line("x", time_s, np.array([0.0, np.nan, 1.0]))
    chart = tracks.chart([line], 4.0)
    band = tracks.bands([tracks.Band(0.0, 4.0, 1, "reach")], 4.0)

    left = tracks.LEFT_PX
    room = tracks.WIDTH_PX - left - tracks.RIGHT_PX
    assert f'points="{left:.1f},' in chart
    assert f" {left + room:.1f}," in chart
    assert f'x="{left:.1f}" y="4.0" width="{room:.1f}"' in band
    assert ">reach</text>" in band
    # too narrow for its word
    narrow = tracks.bands([tracks.Band(0.0, 0.1, 1, "reach")], 4.0)
    assert ">reach</text>" not in narrow


def test_a_stream_without_numbers_is_drawn() -> None:
    nothing = tracks.Line("x", np.array([0.0]), np.array([np.nan]))
    assert "polyline" in tracks.chart([nothing], 1.0)


def test_the_verb_writes_a_page_and_a_video(
    path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert embodied("data", "show", path, 2) == 0
    assert "take tote 2" in Path("set_episode_2.html").read_text()

    video = tmp_path / "episode.mp4"
    page = tmp_path / "page.html"
    words = ("data", "show", path, "--seed", 40, "--video", video, "-o", page)
    assert embodied(*words) == 0
    assert "take tote 40" in page.read_text()
    with av.open(str(video)) as container:
        frames = [
            frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)
        ]
    assert len(frames) == 3

    assert "no episode 13" in refused(capsys, "data", "show", path, 13)
    assert "no episode of seed 99" in refused(
        capsys, "data", "show", path, "--seed", 99
    )
    assert "is the dataset" in refused(capsys, "data", "show", path, "-o", path)
    assert "1 --seed 40: give an episode's number or its seed" in refused(
        capsys, "data", "show", path, 1, "--seed", 40
    )


def test_a_video_needs_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "blind.hdf5"
    with EpisodeWriter(path, fake_header()) as episodes:
        episodes.write(fake_episode(1, images=False))
    words = ("data", "show", path, "--video", tmp_path / "x.mp4")
    assert "has no pictures" in refused(capsys, *words)
