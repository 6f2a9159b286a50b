"""One training run over several sittings: its folder, its history, its checkpoint."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest
import torch

from embodied.errors import EmbodiedError
from embodied.policies.checkpoint import join_parts, split_parts, write_tensors
from embodied.policies.run_folder import (
    CHECKPOINT,
    HISTORY,
    INFO,
    weights_hash,
    write_json,
)
from embodied.policies.training.budget import Budget
from embodied.policies.training.resume import check_same, has_work_left, is_finished
from embodied.policies.training.run import Row
from embodied.policies.vla.run_folder import load_net
from tests.training import CONFIG, make_learner, make_run


def interrupt(row: Row) -> None:
    if row["share"] > 0.5:
        raise KeyboardInterrupt


@pytest.mark.slow
def test_a_run_goes_on_where_it_was_cut(tmp_path: Path) -> None:
    cut = make_run(tmp_path, make_learner(), on_row=interrupt)
    with pytest.raises(KeyboardInterrupt):
        cut.train()
    assert not is_finished(tmp_path)
    # The row at which it was cut was not written yet.
    history = json.loads((tmp_path / HISTORY).read_text())
    assert len(history) == len(cut.history) - 1

    learner = make_learner()
    run = make_run(tmp_path, learner)
    run.train(resume=True)
    assert run.history[: len(history)] == history
    assert learner.steps == 40

    # Steps and seconds go on, too.
    steps = [row["steps"] for row in run.history]
    assert steps == sorted(set(steps))
    seconds = [row["seconds"] for row in run.history]
    assert seconds == sorted(seconds)
    processor_s = [row["processor_s"] for row in run.history]
    assert processor_s == sorted(processor_s)
    assert 0 < history[-1]["processor_s"] < processor_s[-1]
    assert is_finished(tmp_path)


@pytest.mark.slow
def test_a_checkpoint_holds_all_that_is_needed(tmp_path: Path) -> None:
    learner = make_learner()
    make_run(tmp_path, learner).train()
    stored = {name: value.clone() for name, value in learner.checkpoint().items()}

    again = make_learner()
    again.restore(stored)
    assert again.steps == learner.steps
    for name, value in again.checkpoint().items():
        assert torch.equal(value, stored[name]), name


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"nothing")
    with pytest.raises(EmbodiedError, match="does not fit"):
        make_run(tmp_path, make_learner()).train(resume=True)


def test_a_new_run_forgets_the_checkpoint_of_an_old_one(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"nothing")
    run = make_run(tmp_path, make_learner(), steps=2)
    run.train()
    assert run.history[-1]["steps"] == 2
    assert is_finished(tmp_path)


def test_only_the_same_training_goes_on(tmp_path: Path) -> None:
    same = CONFIG.identity()
    check_same(tmp_path, same)  # nothing is there yet
    make_run(tmp_path, make_learner(), steps=2).train()
    check_same(tmp_path, same)

    # One setting at a time differs.
    for change, message in (
        ({"seed": 5}, "was trained with seed 0, not 5"),
        ({"datasets": ["b.hdf5"]}, "with datasets made_up.hdf5, not b.hdf5"),
        ({"method": "magic"}, "was not trained by magic"),
    ):
        with pytest.raises(EmbodiedError, match=message):
            check_same(tmp_path, {**same, **change})


def test_a_finished_run_is_lengthened_by_a_larger_budget(tmp_path: Path) -> None:
    make_run(tmp_path, make_learner(), steps=4).train()
    identity = CONFIG.identity()
    assert is_finished(tmp_path)
    assert not has_work_left(tmp_path, identity, Budget(max_steps=4))
    assert has_work_left(tmp_path, identity, Budget(max_steps=5))
    assert has_work_left(tmp_path, identity, Budget(minutes=5))

    # What would add nothing is refused, with what would.
    for small, message in (
        (Budget(max_steps=3), "has had 4 steps already.*e.g. --steps 7"),
        (Budget(minutes=1e-6), "minutes already.*e.g. --minutes"),
    ):
        with pytest.raises(EmbodiedError, match=message):
            has_work_left(tmp_path, identity, small)

    before = json.loads((tmp_path / HISTORY).read_text())
    learner = make_learner()
    run = make_run(tmp_path, learner, steps=10)
    run.train(resume=True)
    assert learner.steps == 10
    assert run.history[: len(before)] == before
    assert run.history[-1]["steps"] == 10
    assert run.history[-1]["seconds"] > before[-1]["seconds"]
    assert is_finished(tmp_path)
    assert not has_work_left(tmp_path, identity, Budget(max_steps=10))


@pytest.mark.slow
def test_a_lengthening_that_is_cut_goes_on(tmp_path: Path) -> None:
    make_run(tmp_path, make_learner(), steps=4).train()
    with pytest.raises(KeyboardInterrupt):
        make_run(tmp_path, make_learner(), on_row=interrupt).train(resume=True)
    assert has_work_left(tmp_path, CONFIG.identity(), Budget(max_steps=40))

    learner = make_learner()
    make_run(tmp_path, learner).train(resume=True)
    assert learner.steps == 40
    assert is_finished(tmp_path)


def test_a_run_without_its_checkpoint_is_whole_but_cannot_be_lengthened(
    tmp_path: Path,
) -> None:
    make_run(tmp_path, make_learner(), steps=4).train()
    before = weights_hash(tmp_path)
    (tmp_path / CHECKPOINT).unlink()
    assert weights_hash(tmp_path) == before
    assert is_finished(tmp_path)
    assert load_net(tmp_path) is not None
    with pytest.raises(EmbodiedError, match="no checkpoint.safetensors.*--overwrite"):
        has_work_left(tmp_path, CONFIG.identity(), Budget(max_steps=5))

    # Version 0.1 recorded neither the budget nor that a run was finished.
    info = json.loads((tmp_path / INFO).read_text())
    del info["budget"], info["finished"]
    write_json(tmp_path / INFO, info)
    assert is_finished(tmp_path)
    assert not has_work_left(tmp_path, CONFIG.identity(), Budget(max_steps=4))


def test_a_budget_is_of_minutes_or_of_steps() -> None:
    assert Budget(minutes=2).share(seconds=60, steps=10**6) == 0.5
    assert Budget(minutes=2).share(seconds=600, steps=0) == 1.0
    assert Budget(minutes=2, max_steps=10).share(seconds=600, steps=5) == 0.5
    for wrong in ({"minutes": 0.0}, {"minutes": float("nan")}, {"max_steps": 0}):
        with pytest.raises(EmbodiedError, match="must be above 0"):
            Budget(**wrong)  # type: ignore[arg-type]


def test_parts_of_a_checkpoint_come_apart_again() -> None:
    parts = {"net": {"a:b": torch.ones(2)}, "optimizer": {"0/x": torch.zeros(1)}}
    joined = join_parts(parts)
    assert set(joined) == {"net:a:b", "optimizer:0/x"}
    assert split_parts(joined) == parts


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_json(tmp_path / INFO, [1])

    # A disk on which a file can be made, but not written.
    def full(self: Path, content: bytes) -> None:
        self.touch()
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(EmbodiedError, match="no space"):
        write_json(tmp_path / INFO, {})
    with pytest.raises(EmbodiedError, match="no space"):
        write_tensors(tmp_path / "net.safetensors", {})
    assert [path.name for path in tmp_path.iterdir()] == [INFO]
    assert (tmp_path / INFO).read_text() == "[\n 1\n]"
