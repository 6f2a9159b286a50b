"""PPO on tensors: it learns, it goes on where it stopped, and what it learned is an
actor like any other.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("rsl_rl")

from embodied.cli import main
from embodied.errors import EmbodiedError
from embodied.policies.rl import warp as warp_module
from embodied.policies.rl.config import RLConfig
from embodied.policies.rl.ppo import PpoConfig, PpoTrainer
from embodied.policies.rl.warp import train_warp
from embodied.policies.run_folder import CHECKPOINT, HISTORY, WEIGHTS
from embodied.policies.training.budget import Budget
from embodied.policies.training.figures import CLOCKS, REINFORCEMENT
from embodied.policies.training.resume import is_finished
from tests.ground import TOTE_TRANSFER

N = 64
HORIZON = 20
NEAR = 0.1
SMALL = PpoConfig(hidden=(32,), leg_steps=64, min_steps=16, min_samples=1)


class Points:
    """N points in a plane that are to be driven to the origin, as torch tensors; it
    tells them where they are.
    """

    single_action_space = SimpleNamespace(shape=(2,))

    def __init__(self) -> None:
        self.pos = torch.zeros(N, 2)
        self.age = torch.zeros(N, dtype=torch.int64)
        self._rng = torch.Generator()

    def reset(self, seed: int) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        self._rng.manual_seed(seed)
        self._begin(torch.ones(N, dtype=torch.bool))
        return self._observation(), {}

    def step(
        self, action: torch.Tensor
    ) -> tuple[Any, torch.Tensor, torch.Tensor, torch.Tensor, dict[str, Any]]:
        self.pos += 0.2 * action.clamp(-1, 1)
        self.age += 1

        reward = (1 - self.pos.norm(dim=1) / 3).clamp(0, 1)
        # An episode ends at the goal, far outside, or at the horizon.
        success = self.pos.norm(dim=1) < NEAR
        lost = self.pos.norm(dim=1) > 2.5
        truncated = (self.age >= HORIZON) & ~success & ~lost
        self._begin(success | lost | truncated)

        return (
            self._observation(),
            reward,
            success | lost,
            truncated,
            {"is_success": success, "progress": reward},
        )

    def close(self) -> None:
        """There is nothing to free."""

    def _begin(self, which: torch.Tensor) -> None:
        start = 2 * torch.rand(N, 2, generator=self._rng) - 1
        self.pos = torch.where(which[:, None], start, self.pos)
        self.age = torch.where(which, 0, self.age)

    def _observation(self) -> dict[str, torch.Tensor]:
        return {"agent_pos": self.pos, "environment_state": torch.zeros(N, 1)}


def trained(
    updates: int, trainer: PpoTrainer | None = None
) -> tuple[PpoTrainer, list[dict[str, float]]]:
    trainer = trainer or PpoTrainer(Points(), SMALL)
    return trainer, [trainer.update() for _ in range(updates)]


@pytest.mark.slow
def test_it_learns() -> None:
    trainer, rows = trained(60)
    assert rows[0]["success"] < 0.3
    assert rows[-1]["success"] > 0.9
    assert rows[-1]["reward"] > rows[0]["reward"]
    assert rows[-1]["steps"] == trainer.steps == 60 * SMALL.min_steps * N


def test_figures_are_of_worlds_without_noise_that_teach_nothing() -> None:
    trainer = PpoTrainer(Points(), SMALL)
    assert trainer.num_quiet == N // 8

    actions: list[torch.Tensor] = []
    step = trainer.env.step
    trainer.env.step = lambda action: (actions.append(action), step(action))[1]
    before = trainer._state
    trainer.update()

    # The same network, which has learned nothing yet, tells the actions without noise.
    fresh = PpoTrainer(Points(), SMALL)
    with torch.no_grad():
        expected = fresh.ppo.actor(before)
    quiet = trainer.num_quiet
    torch.testing.assert_close(actions[0][:quiet], expected[:quiet])
    assert (actions[0] - expected)[quiet:].abs().min() > 0
    assert trainer.ppo.storage.observations.batch_size[1] == N - quiet


def test_an_episode_that_ended_counts_in_its_own_world() -> None:
    trainer = PpoTrainer(Points(), SMALL)
    won = torch.ones(8)
    lost = torch.zeros(8)
    some = torch.arange(8) < 4

    trainer.success.zero_()
    trainer.add_to_figures(won, won, some)
    trainer.add_to_figures(lost, lost, ~some)
    assert trainer.success.sum(1).tolist() == [1.0] * 4 + [0.0] * 4

    # Several episodes of one world add up.
    for _ in range(8):
        trainer.add_to_figures(won, won, ~some)
    assert trainer.success.sum(1).tolist() == [1.0] * 4 + [8.0] * 4


def test_few_worlds_act_longer_between_two_updates() -> None:
    trainer = PpoTrainer(
        Points(), PpoConfig(hidden=(4,), min_steps=24, min_samples=4096, leg_steps=1200)
    )
    assert trainer.steps_per_update == 64  # of 64 worlds
    assert trainer.config.steps_per_update(4096) == 24
    trainer.update()
    assert trainer.steps == 4096
    assert not trainer.between_legs
    trainer.updates = 1200 // 64
    assert trainer.between_legs


def test_going_on_is_the_same_as_not_stopping() -> None:
    whole, _ = trained(8)
    half, _ = trained(4)
    assert half.between_legs

    # Another trainer takes over half-way, from a checkpoint alone.
    stored = {name: value.clone() for name, value in half.checkpoint().items()}
    again = PpoTrainer(Points(), SMALL)
    again.restore(stored)
    trained(4, again)

    resumed = again.checkpoint()
    for name, value in whole.checkpoint().items():
        assert value.numpy().tobytes() == resumed[name].numpy().tobytes(), name
    weight = "actor:mlp.0.weight"
    assert not torch.equal(whole.checkpoint()[weight], stored[weight])


def test_the_actor_acts_as_the_algorithm_does() -> None:
    trainer, _ = trained(2)
    # some are clipped
    raw = torch.from_numpy(
        np.random.default_rng(0).normal(0, 3, (40, 3)).astype(np.float32)
    )
    with torch.no_grad():
        expected = trainer.ppo.actor({"state": raw}).clamp(-1, 1)
        np.testing.assert_allclose(trainer.actor()(raw), expected, atol=1e-6)
    assert expected.abs().max() > 1e-3


def test_losing_costs_more_than_going_on_without_success() -> None:
    trainer = PpoTrainer(Points(), PpoConfig(goal=0.5, hidden=(4,), discount=0.9))
    reward = torch.tensor([0.0, 0.25, 0.5, 0.9, 0.0])
    lost = torch.tensor([False, False, False, False, True])
    np.testing.assert_allclose(
        trainer.learner_reward(reward, lost), [-0.1, -0.06, 0, 0, -1], atol=1e-7
    )


WORDS = f"train {TOTE_TRANSFER} --algo ppo --engine warp --stage reach".split()


@pytest.mark.slow
def test_train_on_warp_and_evaluate_on_the_cpu(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # as of many worlds: it would take a minute
    monkeypatch.setattr(PpoConfig, "steps_per_update", lambda config, worlds: 24)
    run = tmp_path / "run"
    words = [*WORDS, *f"--device cpu --num-envs 4 --steps 192 -o {run}".split()]
    assert main.main(words) == 0
    last = json.loads((run / HISTORY).read_text())[-1]
    assert (last["share"], last["steps"]) == (1.0, 192.0)
    assert {"seconds", "success", "progress", "reward", "value_loss"} < set(last)
    assert is_finished(run)
    assert (run / CHECKPOINT).exists()  # it may be lengthened

    command = f"eval {TOTE_TRANSFER} --policy {run} --stage reach --episodes 2"
    command += f" --workers 1 -o {tmp_path / 'eval'}"
    assert main.main(command.split()) == 0

    # it is finished
    weights = (run / WEIGHTS).read_bytes()
    assert main.main([*words, "--resume"]) == 0
    assert (run / WEIGHTS).read_bytes() == weights
    capsys.readouterr()
    assert main.main([*words, "--resume", "--stage", "lift"]) == 2
    assert "was trained with stage 'reach', not 'lift'" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_that_was_cut_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C after a checkpoint, then --resume: the same weights as those of a run that
    nothing stopped.
    """
    monkeypatch.setattr(
        warp_module, "make_trainer", lambda config: PpoTrainer(Points(), SMALL)
    )
    config = RLConfig(
        TOTE_TRANSFER,
        algorithm="ppo",
        engine="warp",
        num_envs=N,
        budget=Budget(max_steps=8 * SMALL.min_steps * N),
    )
    rows: list[dict[str, float]] = []
    train_warp(config, tmp_path / "whole", rows.append)

    def interrupt(row: dict[str, float]) -> None:
        if row["steps"] > 5 * SMALL.min_steps * N:
            raise KeyboardInterrupt

    # A row, and with it a checkpoint, after every update.
    monkeypatch.setattr(warp_module, "ROW_EVERY_S", -1.0)
    with pytest.raises(KeyboardInterrupt):
        train_warp(config, tmp_path / "cut", interrupt)
    assert (tmp_path / "cut" / CHECKPOINT).exists()
    train_warp(config, tmp_path / "cut", rows.append, resume=True)

    whole, cut = ((tmp_path / name / WEIGHTS).read_bytes() for name in ("whole", "cut"))
    assert whole == cut

    history = json.loads((tmp_path / "cut" / HISTORY).read_text())
    assert set(history[-1]) == {*CLOCKS, *REINFORCEMENT}
    steps = [row["steps"] for row in history]
    assert steps == sorted(set(steps))
    assert steps[-1] == 8 * SMALL.min_steps * N

    # So does a finished run that is lengthened, however short it was at first.
    for updates in (1, 6):
        folder = tmp_path / f"short{updates}"
        short = Budget(max_steps=updates * SMALL.min_steps * N)
        train_warp(replace(config, budget=short), folder)
        train_warp(config, folder, resume=True)
        assert (folder / WEIGHTS).read_bytes() == whole

    # A checkpoint that was damaged is named, and nothing is trained from it.
    config = replace(config, budget=Budget(max_steps=9 * SMALL.min_steps * N))
    (tmp_path / "cut" / CHECKPOINT).write_bytes(b"nothing")
    with pytest.raises(EmbodiedError, match="does not fit"):
        train_warp(config, tmp_path / "cut", rows.append, resume=True)


def test_what_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def message_of(words: list[str]) -> str:
        assert main.main([*words, "-o", str(tmp_path / "run")]) == 2
        return capsys.readouterr().err

    assert "sac learns on the engine 'cpu'" in message_of([*WORDS, "--algo", "sac"])
    assert "must be above 0" in message_of([*WORDS, "--num-envs", "0"])
    assert "at least 2 worlds" in message_of([*WORDS, "--num-envs", "1"])
    if not torch.cuda.is_available():
        assert "no CUDA device" in message_of([*WORDS, "--num-envs", "2"])

    # An installation without the extra `rl`.
    monkeypatch.setitem(sys.modules, "rsl_rl.algorithms", None)
    monkeypatch.delitem(sys.modules, "embodied.policies.rl.ppo")
    assert "pip install 'embodied-ground[rl]'" in message_of(
        [*WORDS, "--num-envs", "2", "--device", "cpu"]
    )
    assert not list(tmp_path.glob("run/*"))
