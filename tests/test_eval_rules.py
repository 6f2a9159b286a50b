"""`embodied eval` with stopping rules, and with policies that raise."""

from __future__ import annotations

from pathlib import Path

import pytest

from embodied.benchmark.results_file import read_results
from embodied.datasets.reader import Dataset
from embodied.datasets.storage import part_files, part_seed
from embodied.datasets.writer import EpisodeWriter
from embodied.policies import registry
from embodied.policies.collection import Recording, collection_header
from embodied.policies.episodes import EpisodeRunner, env_config_for
from embodied.policies.registry import find_policy
from tests.commands import QUICKLY, TASK, embodied, episodes_of, refused
from tests.raising_policy import ALWAYS, BAD_SEED, NEVER, SOMETIMES


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> None:
    """Policies `sometimes`, `always` and `never`, which raise so often."""
    for name, source in (
        ("sometimes", SOMETIMES),
        ("always", ALWAYS),
        ("never", NEVER),
    ):
        built_in = registry.BuiltIn(f"tests.raising_policy:{name.upper()}", "raises")
        monkeypatch.setitem(registry.BUILT_IN, name, built_in)
        assert source.weights_hash == ""


def test_a_policy_that_raises_loses_that_episode_alone(
    short: None,
    raising: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("eval", TASK, "--episodes", 5, *QUICKLY)
    assert embodied(*words, "--policy", "sometimes", "-o", tmp_path / "some") == 0
    assert "1 with a fault" in capsys.readouterr().out
    assert embodied(*words, "--policy", "never", "-o", tmp_path / "never") == 0

    [some] = episodes_of(tmp_path / "some")
    [never] = episodes_of(tmp_path / "never")
    assert [e.index for e in some] == [0, 1, 2, 3, 4]
    lost = some[BAD_SEED - 10_000]
    assert (lost.fault, lost.ended) == ("policy_raised", "fault")
    assert lost.error.startswith(
        "ZeroDivisionError: one over nothing (raising_policy.py"
    )

    # the others are as if nothing had happened
    others = [e for e in some if not e.error]
    assert others == [e for e in never if e.seed != BAD_SEED]
    page = (tmp_path / "some" / "report.html").read_text()
    assert "one over nothing" in page


def test_a_policy_that_always_raises_is_an_error(
    short: None, raising: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("eval", TASK, "--episodes", 2, "--policy", "always", *QUICKLY)
    error = refused(capsys, *words, "--json", "-o", tmp_path / "x")
    assert "raised in each of its episodes (2), first: ZeroDivisionError" in error


def test_a_cell_stops_when_its_interval_is_narrow(
    short: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("eval", TASK, "--policy", "hold", "--episodes", 60, *QUICKLY)
    until = ("--until", 0.1)
    assert embodied(*words, *until, "-o", tmp_path / "a") == 0
    [cell] = read_results(tmp_path / "a" / "results.json").cells
    # 0 of 20 is 0 to 16%, 0 of 10 is 0 to 28%
    assert len(cell.episodes) == 20
    assert cell.rule == "until the interval is ±10 points"

    # the same rule finds nothing more to do
    before = cell
    assert embodied(*words, *until, "-o", tmp_path / "a", "--resume") == 0
    [cell] = read_results(tmp_path / "a" / "results.json").cells
    assert cell == before
    wider = (*words, "--until", 0.2, "-o", tmp_path / "a", "--resume")
    assert embodied(*wider) == 0
    assert read_results(tmp_path / "a" / "results.json").cells == (before,)
    assert "e.g. 0.03 for 3 points" in refused(
        capsys, *words, "--until", 3, "-o", tmp_path / "b"
    )


@pytest.mark.slow
def test_a_cell_stops_when_it_is_told_apart(
    short: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two that never succeed: with every episode left, none could be told apart."""
    words = ("eval", TASK, "--policy", "hold", *QUICKLY)
    base = tmp_path / "base"
    random = (
        "eval",
        TASK,
        "--policy",
        "random",
        "--episodes",
        12,
        "-o",
        base,
        *QUICKLY,
    )
    assert embodied(*random) == 0
    out = tmp_path / "out"
    against = ("--against", base, "-o", out)
    assert embodied(*words, "--episodes", 12, *against) == 0
    [cell] = read_results(out / "results.json").cells
    assert len(cell.episodes) == 10
    assert cell.rule.startswith("until told apart from random, at a level of 0.05")

    error = refused(
        capsys, *words, "--episodes", 13, "--against", base, "-o", tmp_path / "x"
    )
    assert "measured over the seeds 10000 to 10011" in error
    error = refused(
        capsys, *words, "--level", "L3", "--against", base, "-o", tmp_path / "x"
    )
    assert (
        "was not measured in ToteTransfer arm L3, but in ToteTransfer arm L2" in error
    )
    assert "missing" in refused(capsys, *words, "--against", tmp_path / "no", "-o", "x")


def test_a_part_of_a_collection_can_be_repeated(short: None, tmp_path: Path) -> None:
    """As after the death of a process, which had written some of its episodes."""
    config = env_config_for(find_policy("hold").spec(TASK), TASK, "L1", "train")
    runner = EpisodeRunner("hold", config, num_envs=2)
    path = tmp_path / "set.hdf5"
    recording = Recording(runner, path, collection_header(runner, 20))
    with EpisodeWriter(path, recording.header):
        first = recording([3, 4], lambda result: None)
        again = recording([3, 4, 5], lambda result: None)
        assert again[:2] == first
        assert {part_seed(part) for part in part_files(path)} == {3, 4, 5}
    with Dataset(path) as dataset:
        assert len(dataset) == 3
