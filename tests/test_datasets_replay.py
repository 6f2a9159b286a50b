"""Replay: recorded episodes come out the same, bit for bit; what does not is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embodied.core import PHYSICS_HZ
from embodied.datasets.recorder import Recorder
from embodied.datasets.replay import (
    MakeWorlds,
    changes,
    deviation,
    replay,
    replay_config,
)
from embodied.datasets.schema import DatasetError
from embodied.datasets.writer import EpisodeWriter
from embodied.envs.config import EnvConfig
from embodied.rollout.rollout import rollout
from tests.datasets_fake_worlds import FakePolicy, fake_worlds
from tests.datasets_fakes import RECORD_HZ, TICKS_PER_STEP, fake_header, open_hdf5

LENGTHS = {3: 20, 5: 7, 8: 31, 9: 1, 14: 12}  # seed -> control steps


def make(num_worlds: int) -> MakeWorlds:
    return lambda metadata: fake_worlds({}, num_worlds=num_worlds)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "set.hdf5"
    worlds = fake_worlds(LENGTHS, num_worlds=2)
    with EpisodeWriter(path, fake_header()) as episodes:
        rollout(worlds, FakePolicy(4), list(LENGTHS), [Recorder(episodes, RECORD_HZ)])
    return path


@pytest.mark.parametrize("num_worlds", [1, 2, 5, 8])
def test_replays_are_identical(path: Path, num_worlds: int) -> None:
    reports = replay(path, make(num_worlds))

    assert [report.number for report in reports] == list(range(len(LENGTHS)))
    assert {report.seed: report.steps for report in reports} == LENGTHS
    for report in reports:
        assert report.identical
        assert report.differences == ()


@pytest.mark.parametrize("num_worlds", [1, 3])
def test_a_tampered_action_is_found_and_its_tick_named(
    path: Path, num_worlds: int
) -> None:
    step = 11
    # The smallest change that a float32 can hold.
    with open_hdf5(path, "r+") as file:
        action = file["data/demo_2/streams/action/value"]
        action[step, 1] = np.nextafter(action[step, 1], np.float32(2))

    reports = replay(path, make(num_worlds))

    tick = (step + 1) * TICKS_PER_STEP
    ticks = [report.first_mismatch_tick for report in reports]
    assert ticks == [None, None, tick, None, None]
    assert [report.identical for report in reports] == [True, True, False, True, True]


def test_a_tampered_start_is_found(path: Path) -> None:
    with open_hdf5(path, "r+") as file:
        file["data/demo_1/start/fields/task/drag"][()] *= 1 + 1e-12

    reports = replay(path, make(2))

    ticks = [report.first_mismatch_tick for report in reports]
    assert ticks == [None, TICKS_PER_STEP, None, None, None]


def test_only_the_episodes_asked_for_are_run(path: Path) -> None:
    reports = replay(path, make(2), [4, 0])

    assert [report.seed for report in reports] == [14, 3]
    with pytest.raises(IndexError, match="no episode 5"):
        replay(path, make(2), [5])


def test_differences_from_the_recording_are_reported(path: Path) -> None:
    other_model = fake_header(model_hash="another")
    with open_hdf5(path, "r+") as file:
        file["meta"].attrs["metadata"] = other_model.metadata_json

    reports = replay(path, make(2))

    assert {report.differences for report in reports} == {("model_hash",)}


@pytest.mark.parametrize("number", [1, 2])
def test_how_far_it_deviates_and_from_when(path: Path, number: int) -> None:
    with open_hdf5(path, "r+") as file:
        file[f"data/demo_{number}/start/state"][1] += 0.25

    report = replay(path, make(2), [number])[0]

    # drag brings the two closer, and the start is no step
    assert report.first_mismatch_tick == TICKS_PER_STEP
    assert report.first_mismatch_s == TICKS_PER_STEP / PHYSICS_HZ
    assert 0.2 < report.largest_rad < 0.25
    assert report.largest_m == 0
    assert not report.seed_gives_start


def test_identical_episodes_deviate_by_nothing(path: Path) -> None:
    for report in replay(path, make(3)):
        assert report.largest_m == report.largest_rad == 0
        assert report.first_mismatch_s is None
        assert report.seed_gives_start


def test_deviations_of_orientations_are_angles() -> None:
    units = np.array(["m", "rad", "quat", "quat", "quat", "quat"])
    angle = 0.3
    one = np.array([1.0, 2.0, np.cos(0), 0, 0, 0])
    turned = np.array([1.5, 2.1, np.cos(angle / 2), np.sin(angle / 2), 0, 0])

    assert deviation(one, turned, units) == pytest.approx((0.5, angle))
    # q and -q are the same orientation
    flipped = np.concatenate([one[:2], -one[2:]])
    assert deviation(one, flipped, units) == (0, 0)


def test_what_changed_is_named_with_its_values() -> None:
    recorded = {"model_hash": "abc", "versions": {"mujoco": "3.16.0", "numpy": "2.4"}}
    present = {"model_hash": "xyz", "versions": {"mujoco": "3.17.0", "numpy": "2.4"}}

    assert changes(recorded, recorded) == ()
    assert changes(recorded, present) == (
        "model_hash was abc, is xyz",
        "mujoco was 3.16.0, is 3.17.0",
    )


@pytest.mark.parametrize("robot", ["/somewhere/evil.toml", "no_such_robot", None])
def test_a_robot_that_a_file_names_by_path_is_not_followed(robot: str | None) -> None:
    metadata = {"config": {"task": "ToteTransfer", "robot": robot}}

    with pytest.raises(DatasetError, match="description with --robot; known robots"):
        replay_config(metadata)
    assert replay_config(metadata, "arm").robot == "arm"
    with pytest.raises(DatasetError, match="no config of worlds"):
        replay_config({})


def test_worlds_for_a_replay_see_nothing() -> None:
    config = {"task": "ToteTransfer", "robot": "arm", "obs": "both", "engine": "warp"}
    metadata = {"config": {**config, "cameras": ["overview"], "camera_hz": 20}}

    assert replay_config(metadata) == EnvConfig("ToteTransfer", "arm")
