"""Reinforcement learning: what is learned leaves Stable-Baselines3 as it was, and is a policy like any other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch

from embodied.cli import main
from embodied.core import PolicySpec
from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_task
from embodied.envs.sb3 import SB3VecEnv
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.policies.catalog import make_policy, planner_hz, policy_spec
from embodied.policies.rl import learn as learn_module
from embodied.policies.rl.actor import Actor, ActorConfig, ActorPolicy
from embodied.policies.rl.learn import ALGORITHMS, LearnConfig, StateVectors
from embodied.rollout.rollout import rollout
from tests.ground import TOTE_TRANSFER, started

SETTINGS = {"num_threads": 1, "level": "L1", "control_mode": "ee_delta", "terminate_on_success": True}


@pytest.fixture
def vectors() -> Any:
    env: Any = gymnasium.make_vec(get_task(TOTE_TRANSFER).env_id, num_envs=2, **SETTINGS)
    env.reset(seed=0)
    made = StateVectors(SB3VecEnv(env))
    made.measure_scale(0)
    yield made
    made.close()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_actor_acts_as_the_algorithm_does(vectors: StateVectors, algorithm: str) -> None:
    made = learn_module._algorithm(LearnConfig(TOTE_TRANSFER, algorithm=algorithm, num_envs=2), vectors)
    actor = learn_module._actor(made, vectors)
    rng = np.random.default_rng(0)
    raw = vectors.mean + vectors.std * rng.uniform(-7, 7, (20, len(vectors.mean))).astype(np.float32)
    expected, _ = made.predict(vectors._scaled(raw), deterministic=True)
    with torch.inference_mode():
        found = actor(torch.from_numpy(raw)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found).max() > 1e-3


def test_rewards_are_below_zero_until_success(vectors: StateVectors) -> None:
    vectors.reset()
    shown, reward, *_ = vectors.step(np.zeros((2, 7), np.float32))
    assert shown.shape == (2, len(vectors.mean))
    assert (np.abs(np.asarray(shown)) <= 5).all()
    assert ((reward >= -1) & (reward <= 0)).all()


@pytest.mark.parametrize("num", [1, 3, 17])
def test_an_actor_does_not_depend_on_how_many_worlds_there_are(num: int) -> None:
    torch.manual_seed(0)
    worlds = started(num, control_mode="ee_delta")
    policy = ActorPolicy(Actor(ActorConfig(worlds.agent_layout.size + worlds.state_layout.size, (8,), 7)), PolicySpec())
    action = policy.act(worlds.observe())
    assert action.shape == (num, 7)
    torch.manual_seed(0)
    alone = started(1, control_mode="ee_delta")
    again = ActorPolicy(Actor(ActorConfig(alone.agent_layout.size + alone.state_layout.size, (8,), 7)), PolicySpec())
    assert again.act(alone.observe())[0].tobytes() == action[0].tobytes()


def test_a_stage_is_success_earlier_in_the_task() -> None:
    stage = get_task(TOTE_TRANSFER).stage("reach")
    worlds = Worlds(EnvConfig(TOTE_TRANSFER, goal_progress=0.001, horizon_s=2.0, num_threads=1, level="L1"), 1)
    worlds.reset(np.array([0]), [0])
    assert worlds.max_steps == 40
    results = [worlds.step(np.zeros((1, 8))) for _ in range(12)]
    assert [bool(r.success[0]) for r in results].index(True) == 9  # held for 0.5 s
    assert 0 < stage.goal_progress < 1
    for wrong in ({"goal_progress": 0.0}, {"horizon_s": -1.0}):
        with pytest.raises(EmbodiedError):
            EnvConfig(TOTE_TRANSFER, **wrong)


def test_train_by_trial_and_evaluate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, words = tmp_path / "reach", ["train", TOTE_TRANSFER, "--algo", "ppo", "--stage", "reach", "--num-envs", "2"]
    assert main.main([*words, "-o", str(run), "--minutes", "0.05", "--json"]) == 0
    assert planner_hz(str(run)) is None
    spec = policy_spec(str(run), TOTE_TRANSFER)
    assert (spec.control_mode, spec.control_hz, spec.privileged) == ("ee_delta", 20, True)
    worlds = Worlds(EnvConfig(TOTE_TRANSFER, control_mode="ee_delta", horizon_s=1.0, num_threads=1), 2)
    results = rollout(worlds, make_policy(str(run), worlds), [1, 2])
    assert [result.duration_s for result in results] == [1.0, 1.0]
    output = tmp_path / "eval"
    command = ["eval", TOTE_TRANSFER, "--policy", str(run), "--stage", "reach", "--episodes", "2", "-o", str(output)]
    assert main.main(command) == 0
    assert (output / "report.html").exists()
    (run / "policy.safetensors").write_bytes(b"nothing")
    capsys.readouterr()
    assert main.main([*command, "--overwrite"]) == 2
    assert "do not fit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ToteTransfr", "--algo", "sac"], "Did you mean 'ToteTransfer'"),
        (["ToteTransfer", "--algo", "sac", "--stage", "rech"], "Did you mean 'reach'"),
        (["ToteTransfer", "--algo", "sac", "--robot", "leg"], "robot 'leg'"),
        (["ToteTransfer", "another", "--algo", "sac"], "give one task's name"),
    ],
)
def test_wrong_names(words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["train", *words, "-o", str(tmp_path / "run")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
