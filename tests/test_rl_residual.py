"""Residual reinforcement learning: another policy's action, and a learned part that is
added to it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from embodied.cli import main
from embodied.core import Observation, PolicySpec
from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_task
from embodied.envs.sb3 import SB3VecEnv
from embodied.envs.vector_env import GroundVectorEnv
from embodied.envs.worlds import Worlds
from embodied.policies.registry import find_policy
from embodied.policies.rl.actor import Actor, ActorConfig, ActorPolicy
from embodied.policies.rl.config import ALGORITHMS, OFF_POLICY, RLConfig
from embodied.policies.rl.residual import (
    Residual,
    ResidualPolicy,
    corrected,
    corrections_hz,
)
from embodied.policies.rl.residual_env import ResidualVecEnv
from embodied.policies.rl.sb3 import SB3Learner, make_env
from embodied.policies.run_folder import INFO
from embodied.rollout.episode_stats import AFTER_SUCCESS_S
from embodied.rollout.rollout import rollout
from tests.ground import TOTE_TRANSFER, env_config

REACH = get_task(TOTE_TRANSFER).stage("reach")


class Biased:
    """The expert with a fault: it always pushes to the side."""

    def __init__(self, worlds: Worlds, push: float) -> None:
        self._policy = find_policy("expert").make(worlds)
        self._push = push
        self.spec = self._policy.spec

    def reset(self, ids: Any, observation: Observation, seeds: Any) -> None:
        self._policy.reset(ids, observation, seeds)

    def act(self, observation: Observation) -> np.ndarray:
        action = np.array(self._policy.act(observation), np.float32)
        action[:, 0] -= self._push
        return action


def reaching_config() -> EnvConfig:
    spec = find_policy("expert").spec(TOTE_TRANSFER)
    return env_config(
        control_mode=spec.control_mode,
        control_hz=spec.control_hz,
        level="L1",
        goal_progress=REACH.goal_progress,
        horizon_s=2.5,
    )


def reaching(num: int) -> Worlds:
    return Worlds(reaching_config(), num)


def residual_env(num: int, scale: float = 0.5) -> ResidualVecEnv:
    """Worlds in which the expert reaches, and is corrected."""
    env = SB3VecEnv(GroundVectorEnv(reaching_config(), num), AFTER_SUCCESS_S)
    base = find_policy("expert").make(env.env.worlds)
    return ResidualVecEnv(env, base, Residual("expert", scale, 20, 8.0))


def constant(worlds: Worlds, action: np.ndarray) -> ActorPolicy:
    """A correction that is always the same."""
    inputs = worlds.agent_layout.size + worlds.state_layout.size + len(action)
    actor = Actor(ActorConfig(inputs, (), len(action), squash="clip"))
    zeros = torch.zeros((len(action), inputs))
    actor.layers[0].load_state_dict({"weight": zeros, "bias": torch.from_numpy(action)})
    return ActorPolicy(actor, PolicySpec())


def with_correction(
    worlds: Worlds, base: Any, action: np.ndarray, scale: float = 0.5
) -> ResidualPolicy:
    return ResidualPolicy(
        base, constant(worlds, action), Residual("expert", scale, 20, 8.0)
    )


@pytest.mark.slow
def test_no_correction_is_the_base_to_the_last_bit() -> None:
    worlds = reaching(3)
    alone = rollout(worlds, find_policy("expert").make(worlds), range(5))
    policy = with_correction(
        worlds, find_policy("expert").make(worlds), np.zeros(7, np.float32)
    )
    assert policy.spec.privileged
    assert rollout(worlds, policy, range(5)) == alone


def test_a_correction_mends_a_fault() -> None:
    worlds = reaching(4)
    back = np.zeros(7, np.float32)
    faulty = rollout(worlds, Biased(worlds, 0.5), range(4))
    back[0] = 1
    mended = rollout(
        worlds, with_correction(worlds, Biased(worlds, 0.5), back), range(4)
    )
    assert not any(result.success_at_end for result in faulty)
    assert all(result.success_at_end for result in mended)


def test_corrections_are_held_and_kept_in_bounds() -> None:
    assert (corrections_hz(200), corrections_hz(20), corrections_hz(50)) == (20, 20, 50)
    base_action = np.array([[0.9, -0.0, 0.3]], np.float32)
    correction = np.array([[1.0, 0.0, -1.0]], np.float32)
    np.testing.assert_allclose(
        corrected(base_action, correction, 0.2), [[1.0, 0.0, 0.1]], atol=1e-7
    )
    assert np.signbit(corrected(base_action, correction, 0.2)[0, 1])


@pytest.mark.parametrize("num", [1, 3])
def test_a_learner_acts_in_what_is_evaluated(num: int) -> None:
    """The same episodes end the same, as a learner's worlds and as a policy's."""
    push = np.array([0.3, 0, 0, 0, 0, 0, 0], np.float32)
    env = residual_env(num)
    env.seed(3)
    env.reset()
    ends: dict[int, dict[str, Any]] = {}
    for _ in range(60):
        _, _, over, infos = env.step(np.tile(push, (num, 1)))
        for world in np.flatnonzero(over).tolist():
            ends.setdefault(world, infos[world])

    # As long a push in the same direction, on top of the expert.
    worlds = reaching(num)
    policy = with_correction(worlds, find_policy("expert").make(worlds), push)
    for world, result in enumerate(rollout(worlds, policy, range(3, 3 + num))):
        assert ends[world]["is_success"] == result.success_at_end
        assert ends[world]["progress"] == pytest.approx(result.progress_end, abs=1e-3)


def test_the_learner_sees_what_the_base_wants() -> None:
    env = residual_env(2)
    observation = env.reset()
    assert set(observation) == {"agent_pos", "environment_state", "base_action"}
    assert np.abs(observation["base_action"]).max() > 0.1
    for name, part in observation.items():
        assert env.observation_space[name].contains(part[0])


def test_an_episode_that_ends_early_is_rewarded_for_its_own_steps() -> None:
    """Where it ends while a correction is held, the next one begins with the base."""
    env = residual_env(2)
    env.reset()

    for _ in range(60):
        observation, reward, over, infos = env.step(np.zeros((2, 7), np.float32))
        assert ((reward >= 0) & (reward <= 1)).all()
        for world in np.flatnonzero(over).tolist():
            # The last observation is the old episode's, not the first of the next one.
            last = infos[world]["terminal_observation"]
            assert set(last) == set(observation)
            assert np.abs(last["agent_pos"] - observation["agent_pos"][world]).max() > 0
        if over.any():
            break
    assert over.any()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_correction_begins_as_none(algorithm: str) -> None:
    rl_config = RLConfig(
        TOTE_TRANSFER,
        algorithm=algorithm,
        num_envs=2,
        stage="reach",
        base="expert",
        demonstrations=1 if algorithm in OFF_POLICY else 0,
    )
    env, residual = make_env(rl_config)
    learner = SB3Learner(rl_config, env, residual)
    assert learner.info()["spec"] == asdict(
        replace(find_policy("expert").spec(TOTE_TRANSFER), privileged=True)
    )

    # Before it has learned anything, the expert acts alone.
    observation = env.reset()
    action, _ = learner.algorithm.predict(observation, deterministic=True)
    assert not action.any()
    if algorithm in OFF_POLICY:
        # Demonstrations are the expert's, so they hold no correction either.
        prior = learner.algorithm.replay_buffer.prior
        assert not prior.actions[: prior.pos].any()
        assert prior.dones[: prior.pos].any()


def test_a_base_is_corrected_with_plans_of_the_delay_asked_for() -> None:
    ages_s = []
    for delay_ms in (0.0, 200.0):
        env, _ = make_env(
            RLConfig(TOTE_TRANSFER, num_envs=1, base="expert", delay_ms=delay_ms)
        )
        env.reset()
        for _ in range(20):
            env.step(np.zeros((1, *env.action_space.shape), np.float32))
        ages_s.append(env.venv.base.mean_plan_age_s(0))
    assert ages_s[1] - ages_s[0] == pytest.approx(0.2, abs=0.02)


@pytest.mark.slow
def test_train_a_correction_and_evaluate_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    twice = tmp_path / "twice"
    words = f"train {TOTE_TRANSFER} --algo sac --stage reach --num-envs 2".split()
    words += ["--steps", "40", "--demos", "1", "--json"]

    # a correction of the expert, and one of the corrected expert
    first = f"--base expert --residual 0.1 -o {run}".split()
    assert main.main([*words, *first]) == 0
    assert find_policy(str(run)).planner_hz == find_policy("expert").planner_hz
    assert main.main([*words, "--base", str(run), "-o", str(twice)]) == 0

    # what is corrected has been copied
    for file in run.iterdir():
        file.unlink()
    stored = json.loads((twice / INFO).read_text())
    assert stored["residual"]["base"] == "base"
    assert (stored["residual"]["scale"], stored["residual"]["hz"]) == (0.2, 20)
    spec = find_policy(str(twice)).spec(TOTE_TRANSFER)
    assert (spec.control_hz, spec.privileged) == (200, True)

    output = tmp_path / "eval"
    command = f"eval {TOTE_TRANSFER} --policy {twice} --stage reach --episodes 2"
    command += f" --workers 1 --delay-ms 100 -o {output}"
    assert main.main(command.split()) == 0
    (cell,) = json.loads((output / "results.json").read_text())["cells"]
    assert cell["episodes"][0]["mean_plan_age_s"] > 0.1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--algo", "sac", "--base", "exprt"], "Did you mean 'expert'"),
        (
            ["--algo", "sac", "--base", "expert", "--residual", "0"],
            "above 0 and at most 1",
        ),
        (["--algo", "ppo", "--base", "expert", "--demos", "3"], "ppo does not"),
        (["--algo", "sac", "--delay-ms", "100"], "--delay-ms: only with --base"),
        (["--algo", "sac", "--base", "expert", "--delay-ms", "-1"], "at least 0"),
        (
            ["--algo", "ppo", "--engine", "warp", "--base", "expert"],
            "leave out the engine",
        ),
    ],
)
def test_what_does_not_go_together(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["train", TOTE_TRANSFER, *words, "-o", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
