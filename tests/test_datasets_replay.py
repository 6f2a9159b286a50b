"""Replay: recorded episodes come out the same, bit for bit, and what is not the same is
named.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embodied.datasets.recorder import Recorder
from embodied.datasets.replay import MakeWorlds, replay
from embodied.datasets.writer import EpisodeWriter
from embodied.rollout.rollout import rollout
from tests.datasets_fake_worlds import FakePolicy, fake_worlds
from tests.datasets_fakes import fake_header, open_hdf5

LENGTHS = {3: 20, 5: 7, 8: 31, 9: 1, 14: 12}


def make(num_worlds: int) -> MakeWorlds:
    return lambda metadata: fake_worlds({}, num_worlds=num_worlds)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with EpisodeWriter(tmp_path / "set.hdf5", fake_header()) as episodes:
        rollout(
            fake_worlds(LENGTHS, num_worlds=2),
            FakePolicy(4),
            list(LENGTHS),
            [Recorder(episodes)],
        )
    return tmp_path / "set.hdf5"


@pytest.mark.parametrize("num_worlds", [1, 2, 5, 8])
def test_replays_are_identical(path: Path, num_worlds: int) -> None:
    reports = replay(path, make(num_worlds))
    assert [(r.number, r.seed, r.steps) for r in reports] == [
        (i, s, LENGTHS[s]) for i, s in enumerate(LENGTHS)
    ]
    assert all(report.identical and report.differences == () for report in reports)


@pytest.mark.parametrize("num_worlds", [1, 3])
def test_a_tampered_action_is_found_and_its_tick_named(
    path: Path, num_worlds: int
) -> None:
    with open_hdf5(path, "r+") as file:
        action = file["data/demo_2/streams/action/value"]
        action[11, 1] = np.nextafter(action[11, 1], np.float32(2))
    reports = replay(path, make(num_worlds))
    assert [report.first_mismatch_tick for report in reports] == [
        None,
        None,
        (11 + 1) * 8,
        None,
        None,
    ]
    assert [report.identical for report in reports] == [True, True, False, True, True]


def test_a_tampered_start_is_found(path: Path) -> None:
    with open_hdf5(path, "r+") as file:
        file["data/demo_1/start/fields/task/drag"][()] *= 1 + 1e-12
    assert [report.first_mismatch_tick for report in replay(path, make(2))] == [
        None,
        8,
        None,
        None,
        None,
    ]


def test_only_the_episodes_asked_for_are_run(path: Path) -> None:
    assert [report.seed for report in replay(path, make(2), [4, 0])] == [14, 3]
    with pytest.raises(IndexError, match="no episode 5"):
        replay(path, make(2), [5])


def test_what_is_not_as_it_was_is_told(path: Path) -> None:
    with open_hdf5(path, "r+") as file:
        file["meta"].attrs["metadata"] = fake_header(model_hash="another").metadata_json
    assert {report.differences for report in replay(path, make(2))} == {("model_hash",)}
