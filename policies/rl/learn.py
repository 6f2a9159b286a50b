"""Reinforcement learning on the CPU engine, by Stable-Baselines3; the learner runs on CUDA where there is one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.noise import NormalActionNoise

from embodied.core import PolicySpec
from embodied.envs.worlds import Worlds
from embodied.policies.catalog import env_config, make_policy, planner_hz, policy_spec
from embodied.policies.rl.actor import Actor, ActorConfig
from embodied.policies.rl.config import LearnConfig
from embodied.policies.rl.demonstrations import MixedReplay, demonstrate, teacher_of
from embodied.policies.rl.residual import Residual, corrections_hz
from embodied.policies.rl.trial_worlds import Base, TrialWorlds
from embodied.policies.rl.vectors import StateVectors

HIDDEN = {"sac": (128, 128), "td3": (128, 128), "ppo": (256, 256)}  # on a CPU updates cost more than worlds do
DISCOUNT = {"sac": 0.96, "td3": 0.96, "ppo": 0.98}
LOOKAHEAD = 3  # steps that a return of an off-policy learner sums up
MEMORY = 300_000  # steps
RANDOM_STEPS = {True: 500, False: 2000}  # at first, with demonstrations and without
LEARNING_RATE = {"sac": 5e-4, "td3": 5e-4, "ppo": 3e-4}
COOLING = 0.9  # of the learning rate, lost by the end
WINDOW = 200  # episodes that a figure is the mean of
Progress = Callable[[dict[str, float]], None]


class _Watch(BaseCallback):
    """Counts successes, cools down, reports now and then, and stops when time is up or the task is learned."""

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
        share = self._config.share(seconds, self.num_timesteps)
        rate = LEARNING_RATE[self._config.algorithm] * (1 - COOLING * share)
        self.model.lr_schedule = lambda _: rate
        if learned or share >= 1 or seconds - self._told > 5:
            self._told = seconds
            self._tell(seconds, share)
        return not (learned or share >= 1)

    def _share(self) -> float:
        return float(np.mean([success for success, _ in self._done])) if self._done else 0.0

    def _tell(self, seconds: float, share: float) -> None:
        progress = float(np.mean([p for _, p in self._done])) if self._done else 0.0
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
    residual: Residual | None = None  # what it corrects


def learn(config: LearnConfig, report: Progress) -> Learned:
    """Trains until the time is up or 98% of the last 200 episodes succeeded.

    Raises EmbodiedError for an unknown task, robot, stage or base.
    """
    trial = corrected_worlds(config) if config.base else TrialWorlds(own_worlds(config), seed=config.seed)
    worlds = trial.worlds
    vectors = StateVectors(trial, worlds.config.goal_progress, DISCOUNT[config.algorithm])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # two that wait for each other are ten times slower where other work goes on
    try:
        teacher = teacher_of(worlds) if config.demonstrations else None
        vectors.measure_scale(config.seed, teacher)
        algorithm = _algorithm(config, vectors)
        if teacher is not None:
            memory = algorithm.replay_buffer
            memory.prior = demonstrate(vectors, teacher, memory, config.demonstrations)
        watch = _Watch(config, report)
        algorithm.set_logger(Logger(folder=None, output_formats=[]))  # its own would leave a folder in /tmp
        algorithm.learn(total_timesteps=10**9, callback=watch)
        metadata = {**worlds.metadata(), "learning": asdict(config)}
        residual = trial.base.residual if trial.base else None
        return Learned(_actor(algorithm, vectors), trial.spec, metadata, watch.history, residual)
    finally:
        torch.set_num_threads(threads)
        vectors.close()


def own_worlds(config: LearnConfig) -> Worlds:
    """Worlds that the learner alone acts in."""
    return Worlds(config.env_config(), config.num_envs)


def corrected_worlds(config: LearnConfig) -> TrialWorlds:
    """Worlds as the base needs them, in which it acts. Raises EmbodiedError as `make_policy`."""
    spec = policy_spec(config.base, config.task, config.robot)
    wanted = env_config(spec, config.task, config.level, "train", config.robot)
    own = config.env_config()
    worlds = Worlds(
        replace(
            wanted, obs="both" if spec.cameras else "state", goal_progress=own.goal_progress, horizon_s=own.horizon_s
        ),
        config.num_envs,
    )
    residual = Residual(config.base, config.residual, corrections_hz(spec.control_hz), planner_hz(config.base))
    return TrialWorlds(worlds, Base(make_policy(config.base, worlds), residual), config.seed)


def _algorithm(config: LearnConfig, vectors: StateVectors) -> Any:
    name = config.algorithm
    nets: dict[str, Any] = {"net_arch": list(HIDDEN[name])}
    common: dict[str, Any] = {"policy": "MlpPolicy", "env": vectors, "seed": config.seed, "device": "auto"}
    common |= {"gamma": DISCOUNT[name], "policy_kwargs": nets, "learning_rate": LEARNING_RATE[name]}
    if name == "ppo":
        nets["activation_fn"] = torch.nn.Tanh
        return PPO(**common, n_steps=64, batch_size=16 * config.num_envs, ent_coef=0.001)
    common |= {"learning_starts": RANDOM_STEPS[config.demonstrations > 0], "batch_size": 256}
    common |= {"train_freq": 1, "gradient_steps": 8, "buffer_size": MEMORY, "replay_buffer_class": MixedReplay}
    common |= {"replay_buffer_kwargs": {"n_steps": LOOKAHEAD, "gamma": DISCOUNT[name]}}
    if name == "sac":
        return SAC(**common, ent_coef="auto_0.1")
    size = (vectors.action_space.shape or (0,))[0]
    return TD3(**common, action_noise=NormalActionNoise(np.zeros(size), 0.2 * np.ones(size)))


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
    hidden = tuple(layer.out_features for layer in linear[:-1])
    config = ActorConfig(linear[0].in_features, hidden, linear[-1].out_features, activation, squash)
    actor = Actor(config)
    for mine, learned in zip(actor.layers, linear, strict=True):
        mine.load_state_dict({name: value.cpu() for name, value in learned.state_dict().items()})
    actor.mean.copy_(torch.from_numpy(vectors.mean))
    actor.std.copy_(torch.from_numpy(vectors.std))
    return actor
