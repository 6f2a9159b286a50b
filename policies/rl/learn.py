"""Reinforcement learning on the CPU engine, by Stable-Baselines3; the learner runs on CUDA where there is one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import VecEnvWrapper

from embodied.core import PolicySpec
from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_robot, get_task
from embodied.envs.sb3 import SB3VecEnv
from embodied.errors import EmbodiedError, unknown
from embodied.policies.rl.actor import CLIP, Actor, ActorConfig

ALGORITHMS = ("sac", "td3", "ppo")
HIDDEN = (256, 256)
SCALING_STEPS = 60  # random ones, from which the scale of the observations is taken
WINDOW = 100  # episodes that a figure is the mean of
Progress = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class LearnConfig:
    """What is learned, and for how long."""

    task: str
    robot: str | None = None
    algorithm: str = "sac"
    stage: str = ""  # of the task's; empty: the whole task
    level: str = "L1"
    minutes: float = 5.0
    num_envs: int = 16
    seed: int = 0
    control_mode: str = "ee_delta"
    stop_at: float = 0.98  # share of the last episodes that succeeded, at which it is learned

    def env_config(self) -> EnvConfig:
        """The worlds: success ends an episode. Raises EmbodiedError for what does not exist."""
        if self.robot:
            get_robot(self.robot)
        task = get_task(self.task)
        stage = task.stage(self.stage) if self.stage else None
        return EnvConfig(
            task=self.task,
            robot=self.robot,
            control_mode=self.control_mode,
            level=self.level,
            goal_progress=stage.goal_progress if stage else 1.0,
            horizon_s=stage.horizon_s if stage else None,
            terminate_on_success=True,
        )


class StateVectors(VecEnvWrapper):
    """Observations as one scaled vector (N, P + E), and a reward that is less than 0 until the task is done.

    Were it positive, an agent would rather go on earning than end the episode by success.
    """

    def __init__(self, venv: SB3VecEnv) -> None:
        parts = venv.observation_space.spaces
        self.names = ("agent_pos", "environment_state")
        size = sum(int(np.prod(parts[name].shape or ())) for name in self.names)
        super().__init__(venv, spaces.Box(-CLIP, CLIP, (size,), np.float32), venv.action_space)
        self.mean, self.std = np.zeros(size, np.float32), np.ones(size, np.float32)

    def measure_scale(self, seed: int) -> None:
        """Takes mean and deviation from random actions; what hardly varies is left as large as it is."""
        rng, seen = np.random.default_rng(seed), [self._flat(self.venv.reset())]
        for _ in range(SCALING_STEPS):
            actions = rng.uniform(-1, 1, (self.num_envs, *(self.action_space.shape or ()))).astype(np.float32)
            seen.append(self._flat(self.venv.step(actions)[0]))
        rows = np.concatenate(seen)
        self.mean, self.std = rows.mean(0), np.maximum(rows.std(0), 0.02).astype(np.float32)

    def reset(self) -> np.ndarray:  # (N, P + E)
        return self._scaled(self._flat(self.venv.reset()))

    def step_wait(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        shown, reward, over, infos = self.venv.step_wait()
        for info in infos:
            if "terminal_observation" in info:
                last = {name: values[None] for name, values in info["terminal_observation"].items()}
                info["terminal_observation"] = self._scaled(self._flat(last))[0]
        return self._scaled(self._flat(shown)), reward - 1, over, infos

    def _flat(self, shown: Any) -> np.ndarray:
        return np.concatenate([shown[name] for name in self.names], axis=1).astype(np.float32)

    def _scaled(self, rows: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = np.clip((rows - self.mean) / self.std, -CLIP, CLIP)
        return scaled


class _Watch(BaseCallback):
    """Counts successes, reports now and then, and stops when time is up or the task is learned."""

    def __init__(self, config: LearnConfig, report: Progress) -> None:
        super().__init__()
        self._config, self._report = config, report
        self._begun, self._told = time.monotonic(), 0.0
        self._done: list[tuple[bool, float]] = []  # success and greatest progress of the last episodes
        self.history: list[dict[str, float]] = []

    def _on_step(self) -> bool:
        for info, over in zip(self.locals["infos"], self.locals["dones"], strict=True):
            if over:
                self._done.append((bool(info["is_success"]), float(info["progress"])))
        self._done = self._done[-WINDOW:]
        seconds = time.monotonic() - self._begun
        learned = len(self._done) == WINDOW and self._share() >= self._config.stop_at
        late = seconds > 60 * self._config.minutes
        if learned or late or seconds - self._told > 5:
            self._told = seconds
            self._tell(seconds)
        return not (learned or late)

    def _share(self) -> float:
        return float(np.mean([success for success, _ in self._done])) if self._done else 0.0

    def _tell(self, seconds: float) -> None:
        progress = float(np.mean([p for _, p in self._done])) if self._done else 0.0
        share = min(seconds / (60 * self._config.minutes), 1.0)
        row = {"share": share, "seconds": round(seconds, 1), "steps": float(self.num_timesteps)}
        self.history.append({**row, "success": self._share(), "progress": round(progress, 4)})
        self._report(self.history[-1])


@dataclass(frozen=True)
class Learned:
    """What came of it."""

    actor: Actor
    spec: PolicySpec
    metadata: dict[str, Any]
    history: list[dict[str, float]]


def learn(config: LearnConfig, report: Progress) -> Learned:
    """Trains until the time is up or 98 of 100 episodes in a row succeed.

    Raises EmbodiedError for an unknown algorithm, task, robot or stage.
    """
    if config.algorithm not in ALGORITHMS:
        raise unknown("algorithm", config.algorithm, ALGORITHMS)
    if config.minutes <= 0 or config.num_envs < 1:
        raise EmbodiedError(f"minutes {config.minutes:g} and num_envs {config.num_envs} must be above 0")
    worlds = config.env_config()
    arguments = {name: value for name, value in vars(worlds).items() if name != "task"}
    env: Any = gymnasium.make_vec(get_task(config.task).env_id, num_envs=config.num_envs, **arguments)
    env.reset(seed=config.seed)
    vectors = StateVectors(SB3VecEnv(env))
    try:
        vectors.measure_scale(config.seed)
        watch = _Watch(config, report)
        algorithm = _algorithm(config, vectors)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # two that wait for each other are ten times slower where other work goes on
        try:
            algorithm.learn(total_timesteps=10**9, callback=watch)
        finally:
            torch.set_num_threads(threads)
        spec = PolicySpec(worlds.control_mode, worlds.control_hz, privileged=True)
        return Learned(_actor(algorithm, vectors), spec, env.unwrapped.worlds.metadata(), watch.history)
    finally:
        vectors.close()


def _algorithm(config: LearnConfig, vectors: StateVectors) -> BaseAlgorithm:
    common: dict[str, Any] = {"policy": "MlpPolicy", "env": vectors, "seed": config.seed, "device": "auto"}
    if config.algorithm == "ppo":
        nets = {"net_arch": list(HIDDEN), "activation_fn": torch.nn.Tanh}
        batch: dict[str, Any] = {"n_steps": 64, "batch_size": 16 * config.num_envs}
        return PPO(**common, **batch, gamma=0.98, ent_coef=0.001, policy_kwargs=nets)
    off: dict[str, Any] = {
        "learning_starts": 2000,
        "batch_size": 256,
        "gamma": 0.96,
        "policy_kwargs": {"net_arch": list(HIDDEN)},
    }
    off |= {"train_freq": 1, "gradient_steps": 8, "learning_rate": 5e-4, "buffer_size": 300_000}
    if config.algorithm == "sac":
        return SAC(**common, **off, ent_coef="auto_0.1")
    size = (vectors.action_space.shape or (0,))[0]
    return TD3(**common, **off, action_noise=NormalActionNoise(np.zeros(size), 0.2 * np.ones(size)))


def _actor(algorithm: BaseAlgorithm, vectors: StateVectors) -> Actor:
    """The deterministic part of what was learned, free of Stable-Baselines3."""
    policy: Any = algorithm.policy
    if isinstance(algorithm, PPO):
        layers, activation, squash = [*policy.mlp_extractor.policy_net, policy.action_net], "tanh", "clip"
    elif isinstance(algorithm, SAC):
        layers, activation, squash = [*policy.actor.latent_pi, policy.actor.mu], "relu", "tanh"
    else:
        layers, activation, squash = list(policy.actor.mu), "relu", "tanh"
    linear = [layer for layer in layers if isinstance(layer, torch.nn.Linear)]
    config = ActorConfig(linear[0].in_features, HIDDEN, linear[-1].out_features, activation, squash)
    actor = Actor(config)
    for mine, learned in zip(actor.layers, linear, strict=True):
        mine.load_state_dict({name: value.cpu() for name, value in learned.state_dict().items()})
    actor.mean.copy_(torch.from_numpy(vectors.mean))
    actor.std.copy_(torch.from_numpy(vectors.std))
    return actor
