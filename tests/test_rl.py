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
from stable_baselines3.common.logger import Logger

from embodied.benchmark.results_file import read_results
from embodied.cli import main
from embodied.cli.terms import Terms, terms_of
from embodied.core import PolicySpec
from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_task
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.policies.registry import find_policy
from embodied.policies.rl import learn as learn_module
from embodied.policies.rl.actor import Actor, ActorConfig, ActorPolicy
from embodied.policies.rl.config import ALGORITHMS, LearnConfig
from embodied.policies.rl.demonstrations import demonstrate, teacher_of
from embodied.policies.rl.sb3_checkpoint import learner_tensors, restore_learner
from embodied.policies.rl.trial_worlds import TrialWorlds
from embodied.policies.rl.vectors import StateVectors
from embodied.policies.run_folder import CHECKPOINT, HISTORY, WEIGHTS, read_info
from embodied.rollout.rollout import rollout
from tests.ground import TOTE_TRANSFER, env_config, started_worlds

REACH = get_task(TOTE_TRANSFER).stage("reach")


def trial_worlds(num: int = 2, **settings: Any) -> TrialWorlds:
    return TrialWorlds(
        Worlds(
            env_config(**{"level": "L1", "control_mode": "ee_delta", **settings}), num
        )
    )


@pytest.fixture
def vectors() -> Any:
    made = StateVectors(trial_worlds())
    made.measure_scale(0)
    yield made
    made.close()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_actor_acts_as_the_algorithm_does(
    vectors: StateVectors, algorithm: str
) -> None:
    made = learn_module._algorithm(
        LearnConfig(TOTE_TRANSFER, algorithm=algorithm, num_envs=2), vectors
    )
    actor = learn_module._actor(made, vectors)
    rng = np.random.default_rng(0)
    raw = vectors.mean + vectors.std * rng.uniform(
        -7, 7, (20, len(vectors.mean))
    ).astype(np.float32)
    expected, _ = made.predict(vectors._scaled(raw), deterministic=True)
    with torch.inference_mode():
        found = actor(torch.from_numpy(raw)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.abs(found).max() > 1e-3


class Told(TrialWorlds):
    """Worlds that say of a step what they are told to."""

    def step_wait(self) -> Any:
        infos = [
            {
                "is_success": False,
                "progress": 0.1,
                "TimeLimit.truncated": False,
                "terminal_observation": self.shown(0),
            },
            {
                "is_success": True,
                "progress": 0.5,
                "TimeLimit.truncated": False,
                "terminal_observation": self.shown(1),
            },
            {
                "is_success": False,
                "progress": 0.2,
                "TimeLimit.truncated": True,
                "terminal_observation": self.shown(2),
            },
            {"is_success": False, "progress": 0.3, "TimeLimit.truncated": False},
        ]
        reward = np.array([0.1, 0.6, 0.25, 0.0], np.float32)
        over = np.array([True, True, True, False])
        return self._next(np.zeros(0, np.int64)), reward, over, infos

    def shown(self, world: int) -> dict[str, np.ndarray]:
        return {
            name: values[world]
            for name, values in self._next(np.zeros(0, np.int64)).items()
        }


def test_rewards_lead_to_success() -> None:
    """0 is to be done; losing costs as much as earning nothing for ever, being late
    does not.
    """
    told = Told(Worlds(env_config(level="L1", control_mode="ee_delta"), 4))
    made = StateVectors(told, goal=0.5, discount=0.9)
    made.reset()
    shown, reward, *_ = made.step(np.zeros((4, 7), np.float32))
    assert shown.shape == (4, len(made.mean))
    assert (np.abs(np.asarray(shown)) <= 5).all()
    np.testing.assert_allclose(reward, [-10, 0, -0.6, -1], rtol=1e-5)


def test_episodes_end_a_second_after_success() -> None:
    trial = trial_worlds(goal_progress=0.001, horizon_s=3.0)
    trial.reset()
    ends: list[Any] = [trial.step(np.zeros((2, 7), np.float32)) for _ in range(31)]
    # success holds for 0.5 s, and lasts for 1 s
    assert [bool(over.any()) for _, _, over, _ in ends].index(True) == 29
    (info, _) = ends[29][3]
    assert info["is_success"]
    assert not info["TimeLimit.truncated"]
    assert (
        info["terminal_observation"]["agent_pos"].shape
        == ends[0][0]["agent_pos"][0].shape
    )


def test_half_of_what_is_seen_again_was_demonstrated() -> None:
    stage: dict[str, Any] = {
        "goal_progress": REACH.goal_progress,
        "horizon_s": REACH.horizon_s,
    }
    trial = trial_worlds(**stage)
    made = StateVectors(trial, REACH.goal_progress)
    teacher = teacher_of(trial.worlds)
    made.measure_scale(0, teacher)
    algorithm = learn_module._algorithm(
        LearnConfig(TOTE_TRANSFER, num_envs=2, demonstrations=3), made
    )
    memory = algorithm.replay_buffer
    memory.prior = demonstrate(made, teacher, memory, 3)
    seen = memory.prior.rewards[: memory.prior.pos]
    assert seen.max() > -0.02
    assert memory.prior.dones[: memory.prior.pos].sum() >= 3
    for _ in range(5):  # of its own: rewards that cannot be taken for others
        zeros = np.zeros((2, len(made.mean)), np.float32)
        memory.add(
            zeros,
            zeros,
            np.zeros((2, 7), np.float32),
            np.full(2, 9.0),
            np.zeros(2, bool),
            [{}, {}],
        )
    batch = memory.sample(64)
    assert (batch.rewards > 1).sum() == 32
    assert batch.observations.shape == (64, len(made.mean))
    with pytest.raises(EmbodiedError, match="did not succeed"):
        demonstrate(made, lambda: np.ones((2, 7), np.float32), memory, 1)


def shortly(**settings: Any) -> LearnConfig:
    return LearnConfig(
        TOTE_TRANSFER, **{"stage": "reach", "num_envs": 2, "max_steps": 540, **settings}
    )


@pytest.mark.slow
def test_the_same_seed_learns_the_same(tmp_path: Path) -> None:
    def learned(seed: int, name: str) -> dict[str, torch.Tensor]:
        learn_module.learn(
            shortly(demonstrations=1, seed=seed), tmp_path / name, lambda row: None
        )
        assert json.loads((tmp_path / name / HISTORY).read_text())[-1]["share"] == 1
        assert read_info(tmp_path / name)["metadata"]["learning"]["demonstrations"] == 1
        return load_file(tmp_path / name / WEIGHTS)

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


@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_learner_goes_on_from_its_tensors(algorithm: str) -> None:
    """Two that have the same tensors learn the same from then on; one that began anew
    would not.
    """

    def made(seed: int) -> Any:
        vectors = StateVectors(
            trial_worlds(goal_progress=REACH.goal_progress, horizon_s=1.0)
        )
        learner = learn_module._algorithm(
            LearnConfig(TOTE_TRANSFER, algorithm=algorithm, num_envs=2), vectors
        )
        learner.learning_starts = 40
        learner.gradient_steps = 1
        learner.set_logger(Logger(folder=None, output_formats=[]))
        vectors.measure_scale(seed)
        return learner

    def goes_on(learner: Any) -> dict[str, torch.Tensor]:
        learner.env.venv.draw_from(7)
        learner._last_obs = None  # new episodes, as at the beginning of a sitting
        learner.set_random_seed(7)
        learner.learn(total_timesteps=140, reset_num_timesteps=False)
        return learner_tensors(learner)

    first = made(0)
    second = made(0)
    first.learn(total_timesteps=140)
    stored = {name: value.clone() for name, value in learner_tensors(first).items()}
    restore_learner(second, stored)
    assert second.num_timesteps == first.num_timesteps >= 140
    after = goes_on(first)
    again = goes_on(second)
    anew = goes_on(made(0))
    assert after.keys() == again.keys()
    assert all(torch.equal(after[name], again[name]) for name in after)
    assert any(
        not torch.equal(after[name], anew[name])
        for name in after
        if name.startswith("policy:")
    )


def test_interrupted_training_keeps_the_policy_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "train",
        TOTE_TRANSFER,
        "--algo",
        "sac",
        "--stage",
        "reach",
        "--num-envs",
        "2",
        "--demos",
        "1",
    ]
    words += ["--steps", "600", "-o", str(tmp_path / "run")]
    monkeypatch.setattr(learn_module, "TELL_EVERY_S", 0.0)
    plain = learn_module._Watch._on_step

    def interrupted(watch: Any) -> bool:
        if watch.num_timesteps >= 200:
            raise KeyboardInterrupt
        return plain(watch)

    monkeypatch.setattr(learn_module._Watch, "_on_step", interrupted)
    assert main.main(words) == 130
    assert "--resume" in capsys.readouterr().err
    assert find_policy(str(tmp_path / "run")).spec(TOTE_TRANSFER).privileged
    assert (tmp_path / "run" / CHECKPOINT).exists()
    monkeypatch.setattr(learn_module._Watch, "_on_step", plain)
    assert main.main([*words, "--resume", "--seed", "5"]) == 2
    assert "trained with seed 0, not 5" in capsys.readouterr().err
    assert main.main([*words, "--resume"]) == 0
    rows = json.loads((tmp_path / "run" / HISTORY).read_text())
    steps = [row["steps"] for row in rows]
    assert steps == sorted(steps)
    assert steps[-1] == 600
    assert {198, 202} <= set(steps)  # it was interrupted in the step to 200
    assert [row["seconds"] for row in rows] == sorted(row["seconds"] for row in rows)
    assert not (tmp_path / "run" / CHECKPOINT).exists()
    assert main.main([*words, "--resume"]) == 0  # finished: left alone
    assert json.loads((tmp_path / "run" / HISTORY).read_text()) == rows


@pytest.mark.parametrize("num", [1, 3, 17])
def test_an_actor_does_not_depend_on_how_many_worlds_there_are(num: int) -> None:
    torch.manual_seed(0)
    worlds = started_worlds(num, control_mode="ee_delta")
    policy = ActorPolicy(
        Actor(
            ActorConfig(worlds.agent_layout.size + worlds.state_layout.size, (8,), 7)
        ),
        PolicySpec(),
    )
    action = policy.act(worlds.observe())
    assert action.shape == (num, 7)
    torch.manual_seed(0)
    alone = started_worlds(1, control_mode="ee_delta")
    again = ActorPolicy(
        Actor(ActorConfig(alone.agent_layout.size + alone.state_layout.size, (8,), 7)),
        PolicySpec(),
    )
    assert again.act(alone.observe())[0].tobytes() == action[0].tobytes()


def test_a_stage_is_success_earlier_in_the_task() -> None:
    stage = get_task(TOTE_TRANSFER).stage("reach")
    worlds = Worlds(
        EnvConfig(
            TOTE_TRANSFER, goal_progress=0.001, horizon_s=2.0, num_threads=1, level="L1"
        ),
        1,
    )
    worlds.reset(np.array([0]), [0])
    assert worlds.max_steps == 40
    results = [worlds.step(np.zeros((1, 8))) for _ in range(12)]
    assert [bool(r.success[0]) for r in results].index(True) == 9  # held for 0.5 s
    assert 0 < stage.goal_progress < 1
    for wrong in ({"goal_progress": 0.0}, {"horizon_s": -1.0}):
        with pytest.raises(EmbodiedError):
            EnvConfig(TOTE_TRANSFER, **wrong)


def test_train_by_trial_and_evaluate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "reach"
    words = [
        "train",
        TOTE_TRANSFER,
        "--algo",
        "ppo",
        "--stage",
        "reach",
        "--num-envs",
        "2",
    ]
    assert main.main([*words, "-o", str(run), "--steps", "300", "--json"]) == 0
    assert find_policy(str(run)).planner_hz is None
    spec = find_policy(str(run)).spec(TOTE_TRANSFER)
    assert (spec.control_mode, spec.control_hz, spec.privileged) == (
        "ee_delta",
        20,
        True,
    )
    worlds = Worlds(
        EnvConfig(TOTE_TRANSFER, control_mode="ee_delta", horizon_s=1.0, num_threads=1),
        2,
    )
    results = rollout(worlds, find_policy(str(run)).make(worlds), [1, 2])
    assert [result.duration_s for result in results] == [1.0, 1.0]
    output = tmp_path / "eval"
    command = [
        "eval",
        TOTE_TRANSFER,
        "--policy",
        "hold",
        str(run),
        "--episodes",
        "2",
        "--workers",
        "1",
        "-o",
        str(output),
    ]
    capsys.readouterr()
    assert main.main(command) == 0
    told = capsys.readouterr()
    assert told.err.startswith(
        f"measured at stage reach and level L1, as {run} learned it"
    )
    assert "reach   L1 reach  none" in told.out
    assert "The reach policy succeeds in" in (output / "report.html").read_text()
    assert "L1, stage reach" in (output / "report.html").read_text()
    condition = read_results(output / "results.json").cells[1].condition
    assert (condition.stage, condition.level) == ("reach", "L1")
    assert terms_of(["expert", str(run)], "", ["L3"]) == Terms("", ("L3",), "")
    assert terms_of(["expert", "random"], None, None) == Terms("", ("L2",), "")
    other = tmp_path / "other"
    shutil.copytree(run, other)
    stored = json.loads((other / "policy.json").read_text())
    (other / "policy.json").write_text(json.dumps({**stored, "stage": ""}))
    with pytest.raises(
        EmbodiedError,
        match=r"different stages .*reach: reach, .*other: the whole task.*--stage",
    ):
        terms_of([str(run), str(other)], None, None)
    assert terms_of([str(run), str(other)], "lift", None).levels == ("L1",)
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
        (
            ["ToteTransfer", "--algo", "ppo", "--demos", "8"],
            "sac and td3 learn from demonstrations",
        ),
        (["ToteTransfer", "--algo", "sac", "--num-envs", "0"], "must be above 0"),
    ],
)
def test_wrong_names(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["train", *words, "-o", str(tmp_path / "run")]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
