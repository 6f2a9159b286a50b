"""Training on several ranks of torchrun: one policy, as if one process had trained it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from embodied.errors import EmbodiedError
from embodied.policies.run_folder import CHECKPOINT, WEIGHTS, read_history, read_info
from embodied.policies.training import loading
from embodied.policies.training.config import BATCH_SIZE
from embodied.policies.training.distributed import ALONE, Ranks, device_of_rank
from embodied.policies.training.loading import MEMORY_SHARE, reading_workers
from embodied.torchrun import Launch, this_launch
from tests.commands import LONGEST_CHILD_S, ROOT, embodied, refused
from tests.test_training import make_requests
from tests.training import CONFIG, make_learner, make_run, make_samples
from tests.two_ranks import STEPS

TWO = Launch(rank=1, ranks=2, local_rank=1, local_ranks=2)
VARIABLES = {
    "RANK": "1",
    "WORLD_SIZE": "2",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "localhost",
}
# float32 sums in another order, over the largest entry
ROUNDING = 1e-5


def torchrun(*words: object, folder: Path | None = None) -> Any:
    """Runs a module in two processes; returns how it ended, with its output."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    return subprocess.run(
        [*command, "-m", *map(str, words)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST_CHILD_S,
    )


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which two ranks left all that they found."""
    folder = tmp_path_factory.mktemp("two_ranks")
    ended = torchrun("tests.two_ranks", "everything", folder)
    assert ended.returncode == 0, ended.stderr
    return folder


@pytest.fixture(scope="module")
def found(shared: Path) -> list[dict[str, Any]]:
    """What each rank found."""
    return [json.loads((shared / f"rank_{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.slow
def test_two_ranks_have_the_gradient_of_one_process(found: list[Any]) -> None:
    for rank in found:
        assert rank["difference"] < ROUNDING


@pytest.mark.slow
def test_all_ranks_have_the_same_networks(found: list[Any], shared: Path) -> None:
    first, second = found
    assert first["trained"] == second["trained"]
    assert first["resumed"] == second["resumed"] != first["trained"]
    assert first["resumed_steps"] == second["resumed_steps"] == STEPS + 2
    # rank 1 wrote nothing
    assert not (shared / "run_1").exists()


@pytest.mark.slow
def test_two_ranks_train_what_one_process_trains(shared: Path, tmp_path: Path) -> None:
    learner = make_learner()
    run = make_run(tmp_path, learner, STEPS)
    run.train()
    rows = read_history(shared / "run_0")
    for ours, theirs in zip(run.history, rows, strict=False):
        for name in ("valid_loss", "train_loss", "passes", "steps"):
            assert theirs[name] == pytest.approx(ours[name], rel=1e-3)


@pytest.mark.slow
def test_the_same_seed_trains_the_same_weights(found: list[Any]) -> None:
    for rank in found:
        assert rank["trained_again"] == rank["trained"]


@pytest.mark.slow
def test_rank_0_says_when_the_time_is_over(found: list[Any]) -> None:
    first, second = found
    assert first["timed_steps"] == second["timed_steps"] > 0
    assert first["timed"] == second["timed"]


@pytest.mark.slow
def test_ctrl_c_ends_all_ranks_at_one_step(found: list[Any]) -> None:
    assert [rank["stopped_at"] for rank in found] == [3, 3]


@pytest.mark.slow
def test_a_rank_that_fails_ends_all_and_speaks_alone(tmp_path: Path) -> None:
    ended = torchrun("tests.two_ranks", "failure", tmp_path)
    assert ended.returncode == 1
    errors = [line for line in ended.stderr.splitlines() if line.startswith("error:")]
    assert errors == ["error: rank 1 has no disk"]


@pytest.mark.slow
def test_the_command_trains_on_two_ranks(pictures: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    words = ("embodied", "train", pictures, "-o", run, "--device", "cpu", "--json")
    ended = torchrun(*words, "--steps", 2, folder=tmp_path)
    assert ended.returncode == 0, ended.stderr
    # one process printed one line
    assert json.loads(ended.stdout)["steps"] == 2
    command = read_info(run)["command"]
    assert command.startswith("torchrun --nproc-per-node 2 -m embodied train ")

    # one process goes on with what two began
    assert embodied(*words[1:], "--steps", 3, "--resume") == 0
    assert read_history(run)[-1]["steps"] == 3
    before = load_file(run / CHECKPOINT)["progress:steps"]
    assert int(before) == 3
    assert (run / WEIGHTS).exists()


def test_torchrun_is_read_from_its_variables() -> None:
    assert this_launch(VARIABLES) == TWO
    assert this_launch({**VARIABLES, "WORLD_SIZE": "16"}).words == [
        *("torchrun", "--nnodes", "8", "--nproc-per-node", "2", "-m", "embodied")
    ]

    # without torchrun, or with only some of its variables, a process is alone
    assert this_launch({}) == this_launch({"WORLD_SIZE": "2", "RANK": "1"}) == Launch()
    assert Launch().command(["train", "a b.hdf5"]) == "embodied train 'a b.hdf5'"
    with pytest.raises(EmbodiedError, match="must be whole numbers"):
        this_launch({**VARIABLES, "RANK": "first"})


@pytest.fixture
def under_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("under_torchrun")
@pytest.mark.parametrize(
    "words",
    [
        ("train", "ToteTransfer", "--algo", "sac"),
        ("collect", "ToteTransfer", "--policy", "expert"),
        ("eval", "ToteTransfer", "--policy", "expert"),
    ],
)
def test_what_cannot_be_shared_is_refused(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    error = refused(capsys, *words, "-o", out)
    assert "torchrun started 2 processes, and each would do all the work" in error
    assert not out.exists()


def test_each_rank_has_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name in ("auto", "cuda"):
        assert device_of_rank(name, TWO) == torch.device("cuda", 1)
        assert device_of_rank(name, Launch()) == torch.device("cuda")
    assert device_of_rank("cpu", TWO) == torch.device("cpu")

    with pytest.raises(EmbodiedError, match="would put all 2 processes on one GPU"):
        device_of_rank("cuda:1", TWO)
    # one process on each of two machines
    assert device_of_rank("cuda:1", Launch(1, 2, 0, 1)) == torch.device("cuda", 1)
    with pytest.raises(EmbodiedError, match="give --nproc-per-node 2, or --device cpu"):
        device_of_rank("cuda", Launch(0, 3, 0, 3))


def test_ranks_share_a_batch_equally() -> None:
    request = next(iter(make_requests(make_samples(1), batch_size=6)))
    parts = [request.part(rank, 3) for rank in range(3)]
    for name, value in vars(request).items():
        joined = torch.cat([getattr(part, name) for part in parts])
        assert torch.equal(joined, value), name

    ALONE.require_equal_parts(7)
    Ranks(1, 3).require_equal_parts(6)
    with pytest.raises(EmbodiedError, match="a multiple of 3, e.g. --batch-size 9"):
        Ranks(1, 3).require_equal_parts(7)


def test_ranks_share_the_memory_of_their_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # the samples of training and of validation need 200 bytes, twice which may be used
    monkeypatch.setattr(loading, "training_episodes", lambda paths: ([], []))
    monkeypatch.setattr(loading, "samples_bytes", lambda episodes, cameras: 100)
    monkeypatch.setattr(loading, "memory_bytes", lambda device: 400 / MEMORY_SHARE)
    cpu = torch.device("cpu")
    assert reading_workers(CONFIG, cpu, local_ranks=2) == 0
    assert reading_workers(CONFIG, cpu, local_ranks=3) >= 1


def test_batch_sizes_tell_trainings_apart() -> None:
    usual = replace(CONFIG, batch_size=BATCH_SIZE).identity()
    assert usual["batch_size"] is None  # as in runs that are older than the choice
    assert replace(CONFIG, batch_size=96).identity() == {**usual, "batch_size": 96}
    with pytest.raises(EmbodiedError, match="batch_size must be at least 1, not 0"):
        replace(CONFIG, batch_size=0)
