"""Reinforcement learning on the CPU engine, by Stable-Baselines3; the learner runs on
CUDA where there is one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from stable_baselines3 import PPO, SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.noise import NormalActionNoise

from embodied.core import PolicySpec
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.policies.checkpoint import write_tensors
from embodied.policies.dual_system import DualSystemConfig
from embodied.policies.episodes import env_config_for
from embodied.policies.latency import Constant, PlanLatency
from embodied.policies.registry import find_policy
from embodied.policies.rl.actor import Actor, ActorConfig
from embodied.policies.rl.config import LearnConfig
from embodied.policies.rl.demonstrations import (
    MixedReplay,
    Teacher,
    demonstrate,
    teacher_of,
    uncorrected,
)
from embodied.policies.rl.residual import Residual, corrections_hz
from embodied.policies.rl.run_folder import check_same, save_learned, what_is_learned
from embodied.policies.rl.sb3_checkpoint import learner_tensors, restore_learner
from embodied.policies.rl.trial_worlds import Base, TrialWorlds
from embodied.policies.rl.vectors import StateVectors
from embodied.policies.run_folder import CHECKPOINT, INFO, read_history

# on a CPU updates cost more than worlds do
HIDDEN = {"sac": (128, 128), "td3": (128, 128), "ppo": (256, 256)}
DISCOUNT = {"sac": 0.96, "td3": 0.96, "ppo": 0.98}
LOOKAHEAD = 3  # steps that a return of an off-policy learner sums up
MEMORY = 300_000  # steps
RANDOM_STEPS = {True: 500, False: 2000}  # at first, with demonstrations and without
LEARNING_RATE = {"sac": 5e-4, "td3": 5e-4, "ppo": 3e-4}
COOLING = 0.9  # of the learning rate, lost by the end
WINDOW = 200  # episodes that a figure is the mean of
TELL_EVERY_S = 5.0
KEEP_EVERY_S = 60.0
Progress = Callable[[dict[str, float]], None]


class _Watch(BaseCallback):
    """Counts successes, cools down, reports and keeps now and then, and stops when time
    is up or the task learned.
    """

    def __init__(self, sitting: _Sitting, report: Progress) -> None:
        super().__init__()
        self._sitting = sitting
        self._config = sitting.config
        self._report = report
        self._begun = time.monotonic()
        self._told = 0.0
        self._kept = 0.0
        # success and greatest progress of the last episodes
        self._done: list[tuple[bool, float]] = []

    def _on_step(self) -> bool:
        for info, over in zip(self.locals["infos"], self.locals["dones"], strict=True):
            if over:
                self._done.append((bool(info["is_success"]), float(info["progress"])))
        self._done = self._done[-WINDOW:]
        now = time.monotonic() - self._begun
        learned = len(self._done) == WINDOW and self._share() >= self._config.stop_at
        share = self._config.share(self._sitting.before_s + now, self.num_timesteps)
        rate = LEARNING_RATE[self._config.algorithm] * (1 - COOLING * share)
        self.model.lr_schedule = lambda _: rate
        going = not (learned or share >= 1)
        if not going or now - self._told > TELL_EVERY_S:
            self._told = now
            self._tell(self._sitting.before_s + now, share)
        if going and now - self._kept > KEEP_EVERY_S:
            self._kept = now
            self._sitting.keep()
        return going

    def _share(self) -> float:
        return (
            float(np.mean([success for success, _ in self._done]))
            if self._done
            else 0.0
        )

    def _tell(self, seconds: float, share: float) -> None:
        progress = float(np.mean([p for _, p in self._done])) if self._done else 0.0
        row = {
            "share": share,
            "seconds": round(seconds, 1),
            "steps": float(self.num_timesteps),
        }
        self._sitting.history.append(
            {**row, "success": self._share(), "progress": round(progress, 4)}
        )
        self._report(self._sitting.history[-1])


class _Sitting:
    """A learner, its worlds, its folder and what it has told so far."""

    def __init__(
        self,
        config: LearnConfig,
        run: Path,
        algorithm: Any,
        vectors: StateVectors,
        trial: TrialWorlds,
    ):
        self.config = config
        self.run = run
        self.history = list[dict[str, float]]()
        self.before_s = 0.0
        self._algorithm = algorithm
        self._vectors = vectors
        self._trial = trial

    def go_on(self, report: Progress) -> None:
        """Learns to the end. What was learned so far is kept once a minute, and where
        it is interrupted.
        """
        watch = _Watch(self, report)
        begun_before = self._algorithm.num_timesteps > 0
        try:
            self._algorithm.learn(
                total_timesteps=10**9,
                callback=watch,
                reset_num_timesteps=not begun_before,
            )
        except KeyboardInterrupt:
            self.keep()
            raise
        self._save()
        (self.run / CHECKPOINT).unlink(missing_ok=True)

    def keep(self) -> None:
        """The policy so far, and all that it takes to go on."""
        self._save()
        write_tensors(self.run / CHECKPOINT, learner_tensors(self._algorithm))

    def _save(self) -> None:
        residual = self._trial.base.residual if self._trial.base else None
        metadata = {
            **self._trial.worlds.metadata(),
            "learning": what_is_learned(self.config),
        }
        actor = _actor(self._algorithm, self._vectors)
        save_learned(
            self.run,
            Learned(actor, self._trial.spec, metadata, self.history, residual),
            self.config,
        )

    def restore(self) -> None:
        """Goes on from the last checkpoint, with other starts and noise than at first.

        Raises EmbodiedError where it does not fit.
        """
        if not (self.run / CHECKPOINT).exists():
            return
        try:
            restore_learner(self._algorithm, load_file(self.run / CHECKPOINT))
        except Exception as error:
            text = str(error).splitlines()[0]
            raise EmbodiedError(
                f"the checkpoint {self.run / CHECKPOINT} does not fit: {text}"
            ) from error
        self.history = read_history(self.run)
        self.before_s = self.history[-1]["seconds"] if self.history else 0.0
        seed = self.config.seed + self._algorithm.num_timesteps
        self._algorithm.set_random_seed(seed)
        self._trial.draw_from(seed)


@dataclass(frozen=True)
class Learned:
    """What came of it."""

    actor: Actor
    spec: PolicySpec
    metadata: dict[str, Any]
    history: list[dict[str, float]]
    residual: Residual | None = None  # what it corrects


def learn(
    config: LearnConfig, run: Path, report: Progress, resume: bool = False
) -> None:
    """Trains into a run folder until the time is up or 98% of the last 200 episodes
    succeeded.

    With `resume` an unfinished run goes on from its last checkpoint, and a finished one
    is left alone. Raises EmbodiedError for an unknown task, robot, stage or base, and
    where `run` is of another training.
    """
    if resume:
        check_same(config, run)
        if (run / INFO).exists() and not (run / CHECKPOINT).exists():
            return
    trial = (
        corrected_worlds(config)
        if config.base
        else TrialWorlds(own_worlds(config), seed=config.seed)
    )
    vectors = StateVectors(
        trial, trial.worlds.config.goal_progress, DISCOUNT[config.algorithm]
    )
    threads = torch.get_num_threads()
    # two that wait for each other are ten times slower where other work goes on
    torch.set_num_threads(1)
    try:
        sitting = _Sitting(
            config, run, _learner(config, vectors, trial.worlds), vectors, trial
        )
        if resume:
            sitting.restore()
        sitting.go_on(report)
    finally:
        torch.set_num_threads(threads)
        vectors.close()


def _learner(config: LearnConfig, vectors: StateVectors, worlds: Worlds) -> Any:
    """The algorithm before its first step, with others' episodes in its memory where it
    is to have them.
    """
    teacher: Teacher | None = None
    if config.demonstrations:
        teacher = uncorrected(vectors) if config.base else teacher_of(worlds)
    vectors.measure_scale(config.seed, teacher)
    algorithm = _algorithm(config, vectors)
    if config.base:
        correct_nothing(algorithm)
    if teacher is not None:
        memory = algorithm.replay_buffer
        memory.prior = demonstrate(vectors, teacher, memory, config.demonstrations)
    # its own would leave a folder in /tmp
    algorithm.set_logger(Logger(folder=None, output_formats=[]))
    return algorithm


def correct_nothing(algorithm: Any) -> None:
    """Makes the actor's first actions 0, so that a base is no worse at first than it
    was.
    """
    actor = (
        algorithm.policy.action_net
        if isinstance(algorithm, PPO)
        else algorithm.policy.actor.mu
    )
    last = [layer for layer in actor.modules() if isinstance(layer, torch.nn.Linear)][
        -1
    ]
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.zeros_(last.bias)
    if isinstance(algorithm, TD3):
        algorithm.policy.actor_target.load_state_dict(
            algorithm.policy.actor.state_dict()
        )


def own_worlds(config: LearnConfig) -> Worlds:
    """Worlds that the learner alone acts in."""
    return Worlds(config.env_config(), config.num_envs)


def corrected_worlds(config: LearnConfig) -> TrialWorlds:
    """Worlds as the base needs them, in which it acts. Raises EmbodiedError as
    `find_policy`.
    """
    base = find_policy(config.base)
    spec = base.spec(config.task, config.robot)
    wanted = env_config_for(spec, config.task, config.level, "train", config.robot)
    own = config.env_config()
    worlds = Worlds(
        replace(
            wanted,
            obs="both" if spec.cameras else "state",
            goal_progress=own.goal_progress,
            horizon_s=own.horizon_s,
        ),
        config.num_envs,
    )
    residual = Residual(
        config.base,
        config.residual,
        corrections_hz(spec.control_hz),
        base.planner_hz,
    )
    latency = PlanLatency(downlink=Constant(config.delay_ms))
    dual = (
        DualSystemConfig(residual.planner_hz, latency) if residual.planner_hz else None
    )
    return TrialWorlds(worlds, Base(base.make(worlds, dual), residual), config.seed)


def _algorithm(config: LearnConfig, vectors: StateVectors) -> Any:
    name = config.algorithm
    nets: dict[str, Any] = {"net_arch": list(HIDDEN[name])}
    common: dict[str, Any] = {
        "policy": "MlpPolicy",
        "env": vectors,
        "seed": config.seed,
        "device": "auto",
    }
    common |= {
        "gamma": DISCOUNT[name],
        "policy_kwargs": nets,
        "learning_rate": LEARNING_RATE[name],
    }
    if name == "ppo":
        nets["activation_fn"] = torch.nn.Tanh
        return PPO(
            **common, n_steps=64, batch_size=16 * config.num_envs, ent_coef=0.001
        )
    common |= {
        "learning_starts": RANDOM_STEPS[config.demonstrations > 0],
        "batch_size": 256,
    }
    common |= {
        "train_freq": 1,
        "gradient_steps": 8,
        "buffer_size": MEMORY,
        "replay_buffer_class": MixedReplay,
    }
    common |= {"replay_buffer_kwargs": {"n_steps": LOOKAHEAD, "gamma": DISCOUNT[name]}}
    if name == "sac":
        return SAC(**common, ent_coef="auto_0.1")
    size = (vectors.action_space.shape or (0,))[0]
    return TD3(
        **common, action_noise=NormalActionNoise(np.zeros(size), 0.2 * np.ones(size))
    )


def _actor(algorithm: BaseAlgorithm, vectors: StateVectors) -> Actor:
    """The deterministic part of what was learned, free of Stable-Baselines3."""
    policy: Any = algorithm.policy
    if isinstance(algorithm, PPO):
        layers = [*policy.mlp_extractor.policy_net, policy.action_net]
        activation = "tanh"
        squash = "clip"
    elif isinstance(algorithm, SAC):
        layers = [*policy.actor.latent_pi, policy.actor.mu]
        activation = "relu"
        squash = "tanh"
    else:
        layers = list(policy.actor.mu)
        activation = "relu"
        squash = "tanh"
    linear = [layer for layer in layers if isinstance(layer, torch.nn.Linear)]
    hidden = tuple(layer.out_features for layer in linear[:-1])
    config = ActorConfig(
        linear[0].in_features, hidden, linear[-1].out_features, activation, squash
    )
    actor = Actor(config)
    for mine, learned in zip(actor.layers, linear, strict=True):
        mine.load_state_dict(
            {name: value.cpu() for name, value in learned.state_dict().items()}
        )
    actor.mean.copy_(torch.from_numpy(vectors.mean))
    actor.std.copy_(torch.from_numpy(vectors.std))
    return actor
