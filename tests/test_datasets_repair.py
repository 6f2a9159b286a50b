"""Repair saves every whole episode and never a wrong number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from embodied.datasets.reader import Dataset
from embodied.datasets.repairing import repair
from embodied.datasets.schema import DatasetError
from embodied.datasets.writer import EpisodeWriter
from tests.commands import embodied, refused
from tests.datasets_fakes import (
    SEEDS,
    fake_episode,
    fake_header,
    file_digest,
    open_hdf5,
    same,
    unsealed,
    write_dataset,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "set.hdf5", SEEDS)


def saved_seeds(target: Path) -> list[int]:
    """The seeds in a repaired file, each of which must be as it was recorded."""
    with Dataset(target) as dataset:
        for number, meta in enumerate(dataset.episodes):
            assert same(dataset.episode(number), fake_episode(meta.seed))
        return [meta.seed for meta in dataset.episodes]


def test_a_truncated_file_gives_up_what_lies_before_the_cut(
    path: Path, tmp_path: Path
) -> None:
    whole = path.read_bytes()
    target = tmp_path / "saved.hdf5"
    cut_file = tmp_path / "cut.hdf5"
    content_size = unsealed(path).stat().st_size
    counts = []
    shares = (0.02, 0.2, 0.4, 0.6, 0.8, 0.95, 0.999)
    for share in shares:
        cut_file.write_bytes(whole[: int(share * len(whole))])
        target.unlink(missing_ok=True)
        try:
            report = repair(cut_file, target)
        except DatasetError:
            assert not target.exists()
            counts.append(0)
            continue
        assert report.cut_bytes == max(0, content_size - int(share * len(whole)))
        seeds = saved_seeds(target)
        assert len(seeds) == report.saved
        counts.append(report.saved)

    # an episode before the cut is saved, though the list of episodes is lost
    assert counts[0] == 0
    for share, count in zip(shares, counts, strict=True):
        content_share = share * len(whole) / content_size
        assert count >= min(content_share, 1) * len(SEEDS) - 2, share
    assert list(tmp_path.glob("tmp*")) == []


def test_a_whole_file_is_copied_byte_for_byte(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "saved.hdf5"
    report = repair(path, target)
    assert report.saved == len(SEEDS)
    assert report.lost == ()
    assert file_digest(target) == file_digest(path)


def test_damaged_episodes_are_named_and_left_out(path: Path, tmp_path: Path) -> None:
    with open_hdf5(path, "r+") as file:
        del file["data/demo_1"].attrs["num_samples"]
        del file["data/demo_3/actions"]
        file["data/demo_4"].attrs["variation"] = "{"
        del file["data/demo_10/actions"]
        file["data/demo_10/actions"] = np.zeros((1, 3), np.float32)
    # a picture that cannot be decompressed
    with open_hdf5(path) as file:
        chunk = file["data/demo_5/obs/front_image"].id.get_chunk_info(1)
    with path.open("r+b") as raw:
        raw.seek(chunk.byte_offset)
        raw.write(b"\xff" * chunk.size)

    target = tmp_path / "saved.hdf5"
    report = repair(path, target)

    assert [one.demo for one in report.lost] == [
        "demo_1",
        "demo_3",
        "demo_4",
        "demo_5",
        "demo_10",
    ]
    assert all(one.reason for one in report.lost)
    assert saved_seeds(target) == [0, 2, 6, 7, 8, 9, 11, 40]


def test_an_unfinished_collection_is_joined(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_dataset(tmp_path / "set.hdf5", [1, 2])
    writer = EpisodeWriter(path, fake_header(), "resume")
    for seed in (7, 5):
        writer.write(fake_episode(seed))
    (tmp_path / "set.hdf5.parts" / "seed_6.hdf5").write_bytes(b"torn")

    for source in (path, tmp_path / "set.hdf5.parts"):
        target = tmp_path / "joined.hdf5"
        words = ("data", "repair", source, "-o", target, "--overwrite")
        assert embodied(*words) == 0
        assert saved_seeds(target) == [1, 2, 5, 7]
        printed = capsys.readouterr().out
        assert "4 episodes saved, 1 lost" in printed
        assert "seed_6.hdf5" in printed


@pytest.mark.parametrize("content", [b"hello, world", b"", b"\x89HDF\r\n\x1a\nxxxx"])
def test_what_cannot_be_saved_is_refused(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.hdf5"
    path.write_bytes(content)
    target = tmp_path / "saved.hdf5"

    error = refused(capsys, "data", "repair", path, "-o", target)
    assert f"nothing of {path} can be saved" in error
    assert not target.exists()

    missing = refused(capsys, "data", "repair", tmp_path / "no.hdf5", "-o", target)
    assert "neither a dataset" in missing
    itself = ("data", "repair", path, "-o", path, "--overwrite")
    assert "is the file that is read" in refused(capsys, *itself)
