"""Reinforcement learning: what is learned leaves Stable-Baselines3 as it was, and is a
policy like any other.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from stable_baselines3.common.vec_env import VecEnvWrapper

from embodied.benchmark.results_file import read_results
from embodied.cli import main, train_rl
from embodied.cli.terms import Terms, evaluation_terms
from embodied.core import PolicySpec
from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_task
from embodied.envs.sb3 import SB3VecEnv
from embodied.envs.vector_env import GroundVectorEnv
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.policies.registry import find_policy
from embodied.policies.rl import sb3 as sb3_module
from embodied.policies.rl.actor import Actor, ActorConfig, ActorPolicy
from embodied.policies.rl.config import ALGORITHMS, RLConfig
from embodied.policies.rl.demonstrations import demonstrate, expert_teacher
from embodied.policies.rl.learner_env import LearnerVecEnv
from embodied.policies.rl.sb3 import train_sb3
from embodied.policies.rl.sb3_algorithms import learned_actor, make_algorithm
from embodied.policies.rl.sb3_checkpoint import learner_tensors, restore_learner
from embodied.policies.run_folder import (
    CHECKPOINT,
    CURVES,
    HISTORY,
    INFO,
    WEIGHTS,
    read_info,
)
from embodied.policies.training.budget import Budget
from embodied.policies.training.figures import FIGURES
from embodied.rollout.episode_stats import AFTER_SUCCESS_S
from embodied.rollout.rollout import rollout
from tests.ground import TOTE_TRANSFER, env_config, started_worlds

REACH = get_task(TOTE_TRANSFER).stage("reach")


def sb3_env(num: int = 2, **settings: Any) -> SB3VecEnv:
    settings = {"level": "L1", "control_mode": "ee_delta", **settings}
    return SB3VecEnv(GroundVectorEnv(env_config(**settings), num), AFTER_SUCCESS_S)


@pytest.fixture
def env() -> Iterator[LearnerVecEnv]:
    env = LearnerVecEnv(sb3_env())
    env.measure_observation_scale(0)
    yield env
    env.close()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_actor_acts_as_the_algorithm_does(
    env: LearnerVecEnv, algorithm: str
) -> None:
    learner = make_algorithm(
        RLConfig(TOTE_TRANSFER, algorithm=algorithm, num_envs=2), env
    )
    actor = learned_actor(learner, env)

    # some observations are clipped
    uniform = np.random.default_rng(0).uniform(-7, 7, (20, len(env.mean)))
    raw = (env.mean + env.std * uniform).astype(np.float32)
    expected, _ = learner.predict(env.scaled(raw), deterministic=True)
    with torch.inference_mode():
        action = actor(torch.from_numpy(raw)).numpy()

    np.testing.assert_allclose(action, expected, atol=1e-5)
    assert np.abs(action).max() > 1e-3


class ScriptedEnv(VecEnvWrapper):
    """Four worlds that end in all the ways there are, in their first step."""

    # success, progress, truncated
    ENDS = ((False, 0.1, False), (True, 0.5, True), (False, 0.2, True))

    def reset(self) -> Any:
        self.observation = self.venv.reset()
        return self.observation

    def step_wait(self) -> Any:
        infos = []
        for world, (success, progress, truncated) in enumerate(self.ENDS):
            last = {name: part[world] for name, part in self.observation.items()}
            infos.append(
                {
                    "is_success": success,
                    "progress": progress,
                    "TimeLimit.truncated": truncated,
                    "terminal_observation": last,
                }
            )

        # The last world's episode goes on.
        infos.append(
            {"is_success": False, "progress": 0.3, "TimeLimit.truncated": False}
        )

        reward = np.array([0.1, 0.6, 0.25, 0.0], np.float32)
        over = np.array([True, True, True, False])
        return self.observation, reward, over, infos


def test_the_command_offers_all_algorithms() -> None:
    assert train_rl.ALGORITHMS == ALGORITHMS


def test_rewards_lead_to_success() -> None:
    """0 is to be done; losing costs as much as earning nothing for ever, being late
    does not.
    """
    env = LearnerVecEnv(ScriptedEnv(sb3_env(4)), goal=0.5, discount=0.9)
    env.reset()
    observation, reward, _, infos = env.step(np.zeros((4, 7), np.float32))
    assert np.shape(observation) == (4, len(env.mean))
    assert (np.abs(np.asarray(observation)) <= 5).all()
    np.testing.assert_allclose(reward, [-10, 0, -0.6, -1], rtol=1e-5)
    # nothing follows a success, so nothing is estimated beyond it
    truncated = [info["TimeLimit.truncated"] for info in infos]
    assert truncated == [False, False, True, False]


def test_half_of_what_is_replayed_was_demonstrated() -> None:
    worlds_env = sb3_env(goal_progress=REACH.goal_progress, horizon_s=REACH.horizon_s)
    env = LearnerVecEnv(worlds_env, REACH.goal_progress)
    teacher = expert_teacher(worlds_env.env.worlds)
    env.measure_observation_scale(0, teacher)
    learner = make_algorithm(RLConfig(TOTE_TRANSFER, num_envs=2, demonstrations=3), env)
    replay = learner.replay_buffer
    replay.prior = demonstrate(env, teacher, replay, 3)

    rewards = replay.prior.rewards[: replay.prior.pos]
    assert rewards.max() > -0.02
    assert replay.prior.dones[: replay.prior.pos].sum() >= 3

    # experience of its own, with rewards that cannot be taken for others
    zeros = np.zeros((2, len(env.mean)), np.float32)
    action = np.zeros((2, 7), np.float32)
    for _ in range(5):
        replay.add(zeros, zeros, action, np.full(2, 9.0), np.zeros(2, bool), [{}, {}])
    batch = replay.sample(64)
    assert (batch.rewards > 1).sum() == 32
    assert batch.observations.shape == (64, len(env.mean))

    with pytest.raises(EmbodiedError, match="did not succeed"):
        demonstrate(env, lambda: np.ones((2, 7), np.float32), replay, 1)


def shortly(**settings: Any) -> RLConfig:
    budget = Budget(max_steps=540)
    return RLConfig(TOTE_TRANSFER, stage="reach", num_envs=2, budget=budget, **settings)


@pytest.mark.slow
def test_the_same_seed_learns_the_same(tmp_path: Path) -> None:
    # Each run begins with one demonstration; what it has learned are its weights.
    def learned(seed: int, name: str) -> dict[str, torch.Tensor]:
        folder = tmp_path / name
        train_sb3(shortly(demonstrations=1, seed=seed), folder)
        assert json.loads((folder / HISTORY).read_text())[-1]["share"] == 1
        assert read_info(folder)["training"]["demonstrations"] == 1
        return load_file(folder / WEIGHTS)

    first = learned(0, "first")
    second = learned(0, "second")
    other = learned(1, "other")
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["layers.0.weight"], other["layers.0.weight"])


@pytest.fixture
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_learner_goes_on_from_its_tensors(algorithm: str) -> None:
    """Two that have the same tensors learn the same from then on; one that began anew
    would not.
    """

    def made(seed: int) -> Any:
        env = LearnerVecEnv(sb3_env(goal_progress=REACH.goal_progress, horizon_s=1.0))
        learner = make_algorithm(
            RLConfig(TOTE_TRANSFER, algorithm=algorithm, num_envs=2), env
        )
        learner.learning_starts = 40
        learner.gradient_steps = 1
        env.measure_observation_scale(seed)
        return learner

    def goes_on(learner: Any) -> dict[str, torch.Tensor]:
        learner._last_obs = None  # new episodes, as at the beginning of a sitting
        learner.set_random_seed(7)
        learner.learn(total_timesteps=140, reset_num_timesteps=False)
        return learner_tensors(learner)

    # `second` takes over the tensors of `first`, and both go on alike.
    first = made(0)
    second = made(0)
    first.learn(total_timesteps=140)
    stored = {name: value.clone() for name, value in learner_tensors(first).items()}
    restore_learner(second, stored)
    assert second.num_timesteps == first.num_timesteps >= 140
    after = goes_on(first)
    again = goes_on(second)
    # One that only has the same beginnings learns something else.
    anew = goes_on(made(0))
    assert after.keys() == again.keys()
    assert all(torch.equal(after[name], again[name]) for name in after)
    assert any(
        not torch.equal(after[name], anew[name])
        for name in after
        if name.startswith("policy:")
    )


@pytest.mark.slow
def test_interrupted_training_keeps_the_policy_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    words = f"train {TOTE_TRANSFER} --algo sac --stage reach --num-envs 2".split()
    words += f"--demos 1 --steps 600 -o {folder}".split()
    monkeypatch.setattr(sb3_module, "ROW_EVERY_S", 0.0)
    plain = sb3_module._Progress._on_step

    def interrupted(progress: Any) -> bool:
        if progress.num_timesteps >= 200:
            raise KeyboardInterrupt
        return plain(progress)

    # what was learned is kept
    monkeypatch.setattr(sb3_module._Progress, "_on_step", interrupted)
    assert main.main(words) == 130
    assert "--resume" in capsys.readouterr().err
    assert find_policy(str(folder)).spec(TOTE_TRANSFER).privileged
    assert (folder / CHECKPOINT).exists()

    # only the same training goes on
    monkeypatch.setattr(sb3_module._Progress, "_on_step", plain)
    assert main.main([*words, "--resume", "--seed", "5"]) == 2
    assert "trained with seed 0, not 5" in capsys.readouterr().err
    assert main.main([*words, "--resume"]) == 0
    rows = json.loads((folder / HISTORY).read_text())
    steps = [row["steps"] for row in rows]
    assert steps == sorted(steps)
    assert steps[-1] == 600
    assert set(rows[-1]) < set(FIGURES)
    assert (folder / CURVES).exists()
    assert {198, 202} <= set(steps)  # it was interrupted in the step to 200
    assert [row["seconds"] for row in rows] == sorted(row["seconds"] for row in rows)

    # what is finished is left alone, and lengthened by more steps
    assert main.main([*words, "--resume"]) == 0
    assert f"{folder} is finished" in capsys.readouterr().err
    assert main.main([*words, "--resume", "--steps", "700"]) == 0
    longer = json.loads((folder / HISTORY).read_text())
    assert longer[: len(rows)] == rows
    assert longer[-1]["steps"] == 700
    assert main.main([*words, "--resume", "--steps", "50"]) == 2
    assert "has had 700 steps already" in capsys.readouterr().err
    assert json.loads((folder / HISTORY).read_text()) == longer


def actor_policy(worlds: Worlds) -> ActorPolicy:
    torch.manual_seed(0)
    inputs = worlds.agent_layout.size + worlds.state_layout.size
    return ActorPolicy(Actor(ActorConfig(inputs, (8,), 7)), PolicySpec())


@pytest.mark.parametrize("num", [1, 3, 17])
def test_an_actor_does_not_depend_on_how_many_worlds_there_are(num: int) -> None:
    worlds = started_worlds(num, control_mode="ee_delta")
    action = actor_policy(worlds).act(worlds.observe())
    assert action.shape == (num, 7)

    alone = started_worlds(1, control_mode="ee_delta")
    first = actor_policy(alone).act(alone.observe())[0]
    assert first.tobytes() == action[0].tobytes()


def test_a_stage_is_success_earlier_in_the_task() -> None:
    assert 0 < REACH.goal_progress < 1
    config = env_config(goal_progress=0.001, horizon_s=2.0, level="L1")
    worlds = Worlds(config, 1)
    worlds.reset(np.array([0]), [0])
    assert worlds.max_steps == 40
    results = [worlds.step(np.zeros((1, 8))) for _ in range(12)]
    assert [bool(r.success[0]) for r in results].index(True) == 9  # held for 0.5 s


@pytest.mark.parametrize("wrong", [{"goal_progress": 0.0}, {"horizon_s": -1.0}])
def test_a_stage_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(EmbodiedError):
        EnvConfig(TOTE_TRANSFER, **wrong)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def reach_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the stage `reach`, shortly trained."""
    folder = tmp_path_factory.mktemp("runs") / "reach"
    words = f"train {TOTE_TRANSFER} --algo ppo --stage reach --num-envs 2".split()
    assert main.main([*words, "-o", str(folder), "--steps", "300", "--json"]) == 0
    return folder


def eval_words(policies: str, output: Path) -> list[str]:
    words = f"eval {TOTE_TRANSFER} --policy {policies} --episodes 2 --workers 1"
    return [*words.split(), "-o", str(output)]


def test_what_was_learned_is_a_policy(reach_run: Path) -> None:
    source = find_policy(str(reach_run))
    assert source.planner_hz is None
    spec = source.spec(TOTE_TRANSFER)
    assert spec == PolicySpec("ee_delta", 20, privileged=True)

    worlds = Worlds(env_config(control_mode="ee_delta", horizon_s=1.0), 2)
    results = rollout(worlds, source.make(worlds), [1, 2])
    assert [result.duration_s for result in results] == [1.0, 1.0]


def test_it_is_evaluated_as_it_was_trained(
    reach_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "eval"
    assert main.main(eval_words(f"hold {reach_run}", output)) == 0

    printed = capsys.readouterr()
    notice = f"measured at stage reach and level L1, as {reach_run} learned it"
    assert printed.err.startswith(notice)
    assert "reach   L1 reach  none" in printed.out
    page = (output / "report.html").read_text()
    assert "The reach policy succeeds in" in page
    assert "L1, stage reach" in page

    # The results remember the stage, too.
    condition = read_results(output / "results.json").cells[1].condition
    assert (condition.stage, condition.level) == ("reach", "L1")


def test_stage_and_level_can_be_given(reach_run: Path, tmp_path: Path) -> None:
    assert evaluation_terms(["expert", str(reach_run)], "", ["L3"]) == Terms(
        "", ("L3",), ""
    )
    assert evaluation_terms(["expert", "random"], None, None) == Terms("", ("L2",), "")

    # a run of the whole task
    other = tmp_path / "other"
    shutil.copytree(reach_run, other)
    stored = json.loads((other / INFO).read_text())
    (other / INFO).write_text(json.dumps({**stored, "stage": ""}))
    runs = [str(reach_run), str(other)]
    message = r"different stages .*reach: reach, .*other: the whole task.*--stage"
    with pytest.raises(EmbodiedError, match=message):
        evaluation_terms(runs, None, None)
    assert evaluation_terms(runs, "lift", None).levels == ("L1",)


def test_weights_that_do_not_fit_are_named(
    reach_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(reach_run, run)
    (run / WEIGHTS).write_bytes(b"nothing")
    assert main.main(eval_words(str(run), tmp_path / "eval")) == 2
    assert "do not fit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ToteTransfr", "--algo", "sac"], "Did you mean 'ToteTransfer'"),
        (["ToteTransfer", "--algo", "sac", "--stage", "rech"], "Did you mean 'reach'"),
        (["ToteTransfer", "--algo", "sac", "--robot", "leg"], "robot 'leg'"),
        (["ToteTransfer", "another", "--algo", "sac"], "give the name of one task"),
        (
            ["ToteTransfer", "--algo", "ppo", "--demos", "8"],
            "sac and td3 learn from demonstrations",
        ),
        (["ToteTransfer", "--algo", "sac", "--num-envs", "0"], "must be above 0"),
    ],
)
def test_wrong_names(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["train", *words, "-o", str(tmp_path / "run")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
