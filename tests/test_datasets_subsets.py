"""Filtering and splitting: which episodes go where, and what comes with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from embodied.datasets.conditions import OPERATORS, Condition, chosen_numbers
from embodied.datasets.reader import Dataset
from embodied.datasets.splitting import Part, split
from embodied.datasets.writer import EpisodeWriter
from embodied.errors import EmbodiedError
from tests.commands import embodied, refused
from tests.datasets_fakes import (
    SEEDS,
    fake_episode,
    fake_header,
    file_digest,
    open_hdf5,
    same,
    write_dataset,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Twenty episodes whose force is ten times their seed, every third a failure."""
    path = tmp_path / "set.hdf5"
    with EpisodeWriter(path, fake_header()) as episodes:
        for seed in range(20):
            episode = fake_episode(seed, success=seed % 3 > 0, images=False)
            force_n = None if seed == 7 else 10.0 * seed
            meta = replace(
                episode.meta,
                peak_contact_force_n=force_n,
                variation={"mass": seed / 10, "colour": "red", "list": [1, 2]},
            )
            episodes.write(replace(episode, meta=meta))
    return path


def seeds_where(path: Path, *texts: str) -> list[int]:
    with Dataset(path) as dataset:
        conditions = [Condition.parse(text) for text in texts]
        numbers = chosen_numbers(dataset, conditions)
        return [dataset.episodes[number].seed for number in numbers]


@pytest.mark.parametrize(
    ("texts", "seeds"),
    [
        (["seed<3"], [0, 1, 2]),
        (["seed <= 3", "success = true"], [1, 2]),
        (["success=false", "seed>15"], [18]),
        # seed 7 has no force, so no condition on it holds
        (["peak_contact_force_n>=60", "peak_contact_force_n<100"], [6, 8, 9]),
        (["peak_contact_force_n!=60", "seed>5", "seed<9"], [8]),
        (["variation.mass<0.25"], [0, 1, 2]),
        (["variation.colour=red", "number==4"], [4]),
        (["instruction='take tote 11'"], [11]),
        (["mask=failure", "seed<7"], [0, 3, 6]),
        (["mask!=success", "seed<7"], [0, 3, 6]),
        (["task=Fake", "policy=expert", "level=L1", "seed=1e1"], [10]),
        (["duration_s<0"], []),
    ],
)
def test_conditions(path: Path, texts: list[str], seeds: list[int]) -> None:
    assert seeds_where(path, *texts) == seeds


def test_attributes_of_other_tools_count(path: Path) -> None:
    with open_hdf5(path, "r+") as file:
        file["data/demo_2"].attrs["audit"] = "REVIEW"
        file["data/demo_3"].attrs["quality"] = 0.5

    assert seeds_where(path, "audit=REVIEW") == [2]
    assert seeds_where(path, "quality>0.4") == [3]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("seed", "is no condition"),
        ("seed<", "is no condition"),
        ("<5", "is no condition"),
        ("__import__('os')", "is no condition"),
        ("forse_n<5", "unknown attribute"),
        ("variation.list=1", "unknown attribute"),
        ("seed<red", "cannot be decided: seed is 0"),
        ("success=1", "cannot be decided: success is False"),
        ("task<Fake", "only = and != apply"),
        ("mask<success", "only = and != apply"),
    ],
)
def test_conditions_that_mean_nothing_are_refused(
    path: Path, text: str, reason: str
) -> None:
    with pytest.raises(EmbodiedError, match=reason):
        seeds_where(path, text)


@given(st.text(max_size=30), st.sampled_from(list(OPERATORS)), st.text(max_size=10))
@example("a", "<=", "=")
def test_any_text_is_a_condition_or_refused(name: str, sign: str, value: str) -> None:
    try:
        condition = Condition.parse(f"{name}{sign}{value}")
    except EmbodiedError:
        return
    assert condition.operator in OPERATORS
    for attribute in (None, True, 3, 0.5, "word", frozenset({"train"})):
        try:
            holds = condition.holds({condition.name: attribute})
        except EmbodiedError:
            continue
        assert holds in (True, False)


SHARES = [Part("train", share=0.8), Part("valid", share=0.1), Part("test")]


@given(st.sets(st.integers(0, 10**6), max_size=60), st.integers(0, 5))
def test_a_split_by_shares_is_complete_and_stable(
    seeds: set[int], split_seed: int
) -> None:
    ordered = sorted(seeds)
    found = split(ordered, SHARES, split_seed)

    assert list(found) == ["train", "valid", "test"]
    assert sorted(i for part in found.values() for i in part) == list(range(len(seeds)))

    # an episode stays where it is when others are taken away
    fewer = ordered[::2]
    again = split(fewer, SHARES, split_seed)
    for name, members in again.items():
        assert {fewer[i] for i in members} <= {ordered[i] for i in found[name]}


@given(st.sets(st.integers(0, 10**6), min_size=5, max_size=60))
def test_a_split_by_count_is_exact(seeds: set[int]) -> None:
    parts = [Part("valid", count=2), Part("train"), Part("test", count=3)]
    found = split(sorted(seeds), parts)

    assert [len(found[name]) for name in ("valid", "test")] == [2, 3]
    assert sorted(i for part in found.values() for i in part) == list(range(len(seeds)))


def test_whole_shares_lose_nothing() -> None:
    parts = [Part.parse(text) for text in ("a=70%", "b=20%", "c=10%")]
    assert sum(map(len, split(range(2000), parts).values())) == 2000
    assert len(split(range(2000), parts)["b"]) == pytest.approx(400, abs=60)
    assert split(range(99), parts) != split(range(99), parts, split_seed=1)


@pytest.mark.parametrize(
    ("texts", "reason"),
    [
        (["a"], "is no part"),
        (["a=0"], "is no part"),
        (["a=0.0"], "is no part"),
        (["a=120%"], "is no part"),
        (["a=-1"], "is no part"),
        (["../a=3"], "no part can be named"),
        (["a=3", "a=4"], "'a' names more than one part"),
        (["a=3", "b=0.5"], "cannot be mixed"),
        (["a=rest", "b=rest"], "only one part"),
        (["a=0.7", "b=0.4"], "more than 1"),
        (["a=30"], "the parts want 30 episodes, of 20 that exist"),
    ],
)
def test_parts_that_do_not_go_together_are_refused(
    texts: list[str], reason: str
) -> None:
    with pytest.raises(EmbodiedError, match=reason):
        split(range(20), [Part.parse(text) for text in texts])


def test_filter_copies_episodes_with_their_masks(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_hdf5(path, "r+") as file:
        file["mask/mine"] = [b"demo_3", b"demo_9", b"demo_12"]
    target = tmp_path / "some.hdf5"
    before = file_digest(path)
    words = ("data", "filter", path, "seed>4", "success=false", "-o", target)

    assert embodied(*words) == 0
    assert "5 of 20 episodes" in capsys.readouterr().out
    with Dataset(target) as dataset, Dataset(path) as source:
        assert [meta.seed for meta in dataset.episodes] == [6, 9, 12, 15, 18]
        assert all(
            same(dataset.episode(i), source.episode(meta.seed))
            for i, meta in enumerate(dataset.episodes)
        )
        assert dataset.mask("mine") == [1, 2]
        assert dataset.mask("success") == []
        assert dataset.header == source.header

    assert file_digest(path) == before
    assert "exists; choose another name" in refused(capsys, *words)
    assert embodied(*words, "--overwrite") == 0
    onto_itself = ("data", "filter", path, "seed>4", "-o", path, "--overwrite")
    assert "is the file that is read" in refused(capsys, *onto_itself)
    nothing = ("data", "filter", path, "seed>99", "-o", tmp_path / "none.hdf5")
    assert "none of 20 episodes" in refused(capsys, *nothing)
    assert not (tmp_path / "none.hdf5").exists()


def test_a_filtered_whole_is_the_file_itself(tmp_path: Path) -> None:
    path = write_dataset(tmp_path / "set.hdf5", SEEDS)
    target = tmp_path / "all.hdf5"
    assert embodied("data", "filter", path, "seed>=0", "-o", target) == 0
    assert file_digest(target) == file_digest(path)


def test_split_writes_files_or_masks(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "parts"
    assert embodied("data", "split", path, "a=5", "b=rest", "-o", folder) == 0
    seeds = []
    for name, count in (("a", 5), ("b", 15)):
        with Dataset(folder / f"{name}.hdf5") as dataset:
            assert len(dataset) == count
            seeds += [meta.seed for meta in dataset.episodes]
    assert sorted(seeds) == list(range(20))

    target = tmp_path / "masked.hdf5"
    words = ("data", "split", path, "valid=3", "train=rest", "--masks", "-o", target)
    assert embodied(*words) == 0
    with Dataset(target) as dataset:
        assert len(dataset) == 20
        parts = [dataset.mask("valid"), dataset.mask("train")]
        assert len(parts[0]) == 3
        # what is learned from are successes, as in every other file
        assert sorted(parts[0] + parts[1]) == dataset.mask("success")

    capsys.readouterr()
    tiny = ("data", "split", path, "a=0.0001", "b=rest", "-o", tmp_path / "tiny")
    assert "a would be empty" in refused(capsys, *tiny)
    assert not (tmp_path / "tiny").exists()
