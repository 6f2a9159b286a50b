"""Demonstrations read for training: the same from memory and from disk."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from embodied.core import PHYSICS_HZ
from embodied.datasets.schema import DatasetError
from embodied.datasets.writer import EpisodeWriter
from embodied.policies.training import loading as loading_module
from embodied.policies.training.budget import Budget
from embodied.policies.training.config import ImitationConfig
from embodied.policies.training.frames import DiskFrames, MemoryFrames
from embodied.policies.training.loading import reading_workers
from embodied.policies.training.samples import (
    EpisodeList,
    Samples,
    load_samples,
    samples_bytes,
    training_episodes,
)
from tests.datasets_fakes import (
    CONTROL_HZ,
    IMAGE_SHAPE,
    METADATA,
    RECORD_HZ,
    fake_episode,
    fake_header,
    open_hdf5,
)

CPU = torch.device("cpu")
FRAMES = 6  # of each episode
HISTORY_S = 0.2
SIDE = IMAGE_SHAPE[0]


def write(path: Path, seeds: Iterable[int]) -> Path:
    config = {**METADATA["config"], "image_size": SIDE}

    with EpisodeWriter(path, fake_header(config=config)) as writer:
        for seed in seeds:
            episode = fake_episode(seed, frames=FRAMES)
            quat_wxyz = np.random.default_rng(seed).normal(size=(2, 1, 4))
            # Two plans, made of the first and the third frame.
            plans = {
                **episode.plans,
                "tick_frame": np.array([0, 2]) * PHYSICS_HZ // RECORD_HZ,
                "subtask": np.array([0, 1]),
                "goal_quat_wxyz": quat_wxyz,
            }
            writer.write(replace(episode, plans=plans))

    return path


@pytest.fixture
def parts(tmp_path: Path) -> EpisodeList:
    """Some episodes of two datasets, in another order than on disk."""
    first = write(tmp_path / "first.hdf5", range(5))
    second = write(tmp_path / "second.hdf5", range(10, 13))
    return [(first, [3, 0, 4]), (second, [1])]


def load(parts: EpisodeList, in_memory: bool) -> Samples:
    return load_samples(parts, ("front",), HISTORY_S, in_memory)


def test_pictures_are_the_same_from_memory_and_from_disk(parts: EpisodeList) -> None:
    in_memory = load(parts, in_memory=True)
    on_disk = load(parts, in_memory=False)
    assert isinstance(in_memory.frames, MemoryFrames)
    assert isinstance(on_disk.frames, DiskFrames)

    steps = ("agent_pos", "action")
    for name, value in vars(in_memory).items():
        if isinstance(value, torch.Tensor) and name not in steps:
            # nan where a goal is not in view
            torch.testing.assert_close(
                getattr(on_disk, name), value, rtol=0, atol=0, equal_nan=True
            )
    for name in steps:
        values = getattr(in_memory, name)
        from_disk = getattr(on_disk, name)
        assert from_disk.shape == values.shape
        # windows within an episode, rows of several in any order, and single ones
        last = len(values) - 1
        for numbers in ([[0, 1, 1], [2, 3, 4]], [[last, 2], [0, 1]], [5, 3]):
            chosen = torch.tensor(numbers)
            assert torch.equal(from_disk[chosen], values[chosen])

    rows = torch.randperm(4 * FRAMES, generator=torch.Generator().manual_seed(0))
    expected = in_memory.frames.take(rows)
    assert expected.shape == (4 * FRAMES, 1, *IMAGE_SHAPE)
    assert torch.equal(on_disk.frames.take(rows), expected)


def test_pictures_on_disk_can_be_sent_to_a_worker(parts: EpisodeList) -> None:
    frames = load(parts, in_memory=False).frames
    rows = torch.tensor([0, 4 * FRAMES - 1])
    expected = frames.take(rows)  # its files are open now
    there = copy.deepcopy(frames)  # as a pickle does it
    assert torch.equal(there.take(rows), expected)


def test_rows_stay_within_their_episode(parts: EpisodeList) -> None:
    samples = load(parts, in_memory=True)
    steps = len(samples.action) // 4
    episode = samples.last_step // steps
    assert torch.equal(samples.last_step, (episode + 1) * steps - 1)
    for name in ("step", "frame_step"):
        assert torch.equal(getattr(samples, name) // steps, episode)
    for name in ("newest_frame", "earlier_frame"):
        assert torch.equal(getattr(samples, name) // FRAMES, episode)
    assert (samples.earlier_frame <= samples.newest_frame).all()
    assert (samples.frame_step <= samples.step).all()
    assert samples.control_hz == CONTROL_HZ


def test_arrays_of_other_lengths_are_named(parts: EpisodeList) -> None:
    path, _ = parts[1]
    with open_hdf5(path, "r+") as file:
        ticks = file["data/demo_1/streams/agent_pos/t"][()]
        del file["data/demo_1/streams/agent_pos/t"]
        file["data/demo_1/streams/agent_pos/t"] = ticks[:-1]
    with pytest.raises(DatasetError, match=r"in demo_1, .* rows, but streams/agent"):
        load(parts, in_memory=True)


def test_large_datasets_are_read_by_workers(
    parts: EpisodeList, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = tuple(path for path, _ in parts)
    config = ImitationConfig(paths, ("front",), Budget())
    needed = sum(samples_bytes(part, ("front",)) for part in training_episodes(paths))
    assert needed % (FRAMES * SIDE * SIDE * 3) == 0

    # The pictures fit into memory exactly, then by a byte too little.
    share = loading_module.MEMORY_SHARE
    monkeypatch.setattr(loading_module, "memory_bytes", lambda device: needed / share)
    assert reading_workers(config, CPU) == 0
    monkeypatch.setattr(
        loading_module, "memory_bytes", lambda device: needed / share - 1
    )
    assert reading_workers(config, CPU) >= 1


def test_pictures_that_are_missing_are_named(parts: EpisodeList) -> None:
    with pytest.raises(DatasetError, match=r"no pictures of the cameras \['wrist'\]"):
        load_samples(parts, ("front", "wrist"), HISTORY_S)
