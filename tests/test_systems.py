"""Every system that imitation trains, with every head: trained, found, evaluated, resumed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from embodied.benchmark.results_file import read_results
from embodied.cli.sweep import training_ages
from embodied.policies.registry import find_policy
from embodied.policies.run_folder import INFO, WEIGHTS, weights_hash
from embodied.policies.vla.head_config import HEADS
from embodied.policies.vla.run_folder import VLARun
from embodied.policies.vla.single_run import SingleRun
from tests.commands import TASK, embodied, episodes_of, refused

pytestmark = pytest.mark.usefixtures("few_threads")

SYSTEMS = {
    "dual": (),
    **{f"single-{head}": ("--system", "single", "--head", head) for head in HEADS},
}


@pytest.mark.slow
@pytest.mark.parametrize("system", SYSTEMS)
def test_a_system_is_trained_found_evaluated_and_resumed(
    system: str, short: None, pictures: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = ["train", pictures, "-o", run, *SYSTEMS[system]]
    assert embodied(*words, "--steps", 3) == 0
    kind, _, head = system.partition("-")
    source = find_policy(str(run))
    assert isinstance(source, VLARun if kind == "dual" else SingleRun)
    assert source.info.head is None or source.info.head.name == head
    # a single system knows no ages of plans, by which a sweep would tell runs apart
    assert bool(training_ages(str(run))) == (kind == "dual")

    # late plans and a bridge of chunks; the same twice, in other numbers of worlds
    late = ["eval", TASK, "--policy", run, "--delay-ms", 250, "--episodes", 2]
    if kind == "single":
        late += ["--bridge", "rtc"]
    assert embodied(*late, "-o", tmp_path / "one", "--workers", 1, "--num-envs", 1) == 0
    assert embodied(*late, "-o", tmp_path / "two", "--workers", 1, "--num-envs", 2) == 0
    [cell] = read_results(tmp_path / "one" / "results.json").cells
    assert not any(episode.fault for episode in cell.episodes)
    assert episodes_of(tmp_path / "one") == episodes_of(tmp_path / "two")

    # it is lengthened, and other runs go on from it
    before = weights_hash(run)
    assert embodied(*words, "--steps", 4, "--resume") == 0
    assert weights_hash(run) != before
    later = ["train", pictures, "-o", tmp_path / "later", "--from", run]
    assert embodied(*later, *SYSTEMS[system], "--steps", 1) == 0


def test_a_run_of_another_system_is_refused_by_name(
    trained: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fixed = ["train", pictures, "--steps", 2]
    single = ["--system", "single", "--head", "flow"]
    out = tmp_path / "out"
    error = refused(capsys, *fixed, *single, "-o", out, "--from", trained)
    assert f"the run {trained} is a dual system, not a single one" in error

    # the info of a single system, which is looked at before its weights
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(trained / WEIGHTS, other)
    stored = json.loads((trained / INFO).read_text())
    stored["kind"] = "single"
    stored["head"] = {"name": "mlp", "rows": 50, "chunk_hz": 50.0, "width": 192}
    stored["training"]["system"] = "single with the head mlp"
    (other / INFO).write_text(json.dumps(stored))
    for words in ([], single):
        error = refused(capsys, *fixed, *words, "-o", out, "--from", other)
        assert f"the run {other} is a single system with the head mlp" in error
        assert "give --system single --head mlp" in error
    assert not out.exists()

    # nor is another system resumed in its folder
    error = refused(capsys, *fixed, *single, "-o", trained, "--resume")
    assert "was trained with system 'dual', not 'single with the head flow'" in error
    error = refused(capsys, "eval", TASK, "--policy", other, "-o", tmp_path / "eval")
    assert "do not fit" in error


def test_runs_from_before_there_was_a_choice_are_dual_systems(
    trained: Path, pictures: Path, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    shutil.copytree(trained, old)
    stored = json.loads((old / INFO).read_text())
    del stored["head"], stored["training"]["system"]
    (old / INFO).write_text(json.dumps(stored))
    source = find_policy(str(old))
    assert isinstance(source, VLARun)
    assert source.info.head is None
    words = ["train", pictures, "-o", old, "--steps", 3, "--resume"]
    assert embodied(*words) == 0
