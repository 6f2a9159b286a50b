"""Reinforcement learning on the engine `cpu`, with Stable-Baselines3."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from embodied.core import PolicySpec
from embodied.envs.sb3 import SB3VecEnv
from embodied.envs.worlds import Worlds
from embodied.policies.dual_system import DualSystemConfig
from embodied.policies.episodes import env_config_for
from embodied.policies.latency import Constant, PlanLatency
from embodied.policies.registry import find_policy
from embodied.policies.rl.config import RLConfig, make_vec_env
from embodied.policies.rl.demonstrations import (
    Teacher,
    demonstrate,
    expert_teacher,
    no_correction,
)
from embodied.policies.rl.learner_env import LearnerVecEnv
from embodied.policies.rl.residual import Residual, corrections_hz
from embodied.policies.rl.residual_env import ResidualVecEnv
from embodied.policies.rl.run_folder import ActorInfo, copy_base
from embodied.policies.rl.sb3_algorithms import (
    DISCOUNT,
    LEARNING_RATE,
    begin_without_correction,
    learned_actor,
    make_algorithm,
)
from embodied.policies.rl.sb3_checkpoint import learner_tensors, restore_learner
from embodied.policies.training.resume import has_work_left
from embodied.policies.training.run import OnRow, TrainingRun
from embodied.rollout.episode_stats import AFTER_SUCCESS_S
from embodied.seeding import GLOBAL_SEED_LIMIT, later_seed

COOLING = 0.9  # the learning rate falls by this share until the budget is spent
WINDOW_EPISODES = 200  # figures are means over this many last episodes
ROW_EVERY_S = 5.0  # time between two rows of figures
CHECKPOINT_EVERY_S = 60.0  # time between two checkpoints
ENDLESS_STEPS = 10**9  # more than any training takes, since its budget ends it


def train_sb3(
    config: RLConfig, folder: Path, on_row: OnRow | None = None, resume: bool = False
) -> None:
    """Trains until the budget is spent, or until nearly all recent episodes succeeded.

    Args:
        config: the settings.
        folder: the folder of the run.
        on_row: a function that is called with each row of figures.
        resume: whether to continue from the last checkpoint. A run that has already
            spent the budget is left as it is.

    Raises:
        EmbodiedError: there is no such task, robot, stage, base or device; or the
            checkpoint is of another network.
    """
    if resume and not has_work_left(folder, config.identity(), config.budget):
        return

    env, residual = make_env(config)
    # The networks are small, so several torch threads mostly wait for each other. On a
    # machine that others use, too, that is ten times slower than one thread.
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        # the run contains a copy of its base
        kept_residual = copy_base(residual, folder)
        learner = SB3Learner(config, env, kept_residual)
        run = TrainingRun(
            folder, learner, config.budget, identity=config.identity(), on_row=on_row
        )
        run.train(resume)
    finally:
        torch.set_num_threads(threads)
        env.close()


def make_env(config: RLConfig) -> tuple[LearnerVecEnv, Residual | None]:
    """Returns the worlds to learn in, and the residual; None without a base policy.

    Raises:
        EmbodiedError: there is no such base policy, or it is for another task.
    """
    if not config.base:
        # episodes end soon after success, since little is learned from what follows
        worlds_env: Any = SB3VecEnv(
            make_vec_env(config.env_config(), config.num_envs),
            after_success_s=AFTER_SUCCESS_S,
        )
        residual = None
    else:
        base = find_policy(config.base)
        spec = base.spec(config.task, config.robot)
        residual = Residual(
            base=config.base,
            scale=config.residual,
            hz=corrections_hz(spec.control_hz),
            planner_hz=base.planner_hz,
        )
        worlds_env = _residual_env(config, spec, residual)

    # the reward depends on the progress at the goal (`rl.reward`)
    goal = config.env_config().goal_progress  # in (0, 1]
    discount = DISCOUNT[config.algorithm]
    env = LearnerVecEnv(worlds_env, goal, discount)
    env.seed(config.seed)
    return env, residual


def _residual_env(
    config: RLConfig, spec: PolicySpec, residual: Residual
) -> ResidualVecEnv:
    """Returns worlds in which the base acts, and the learner corrects it.

    Args:
        config: the settings.
        spec: the base's requirements on the worlds.
        residual: the size and rate of the corrections.
    """
    # rates and control mode are the base's, goal and horizon come from the settings
    base_config = env_config_for(
        spec, config.task, level=config.level, split="train", robot=config.robot
    )
    learner_config = config.env_config()
    # the learner gets no images; the base observes the worlds separately
    env_config = replace(
        base_config,
        obs="state",
        goal_progress=learner_config.goal_progress,
        horizon_s=learner_config.horizon_s,
    )
    env = SB3VecEnv(
        make_vec_env(env_config, config.num_envs), after_success_s=AFTER_SUCCESS_S
    )

    dual = None
    if residual.planner_hz:
        latency = PlanLatency(downlink=Constant(config.delay_ms))
        dual = DualSystemConfig(residual.planner_hz, latency)
    base = find_policy(config.base).make(env.env.worlds, dual)
    return ResidualVecEnv(env, base, residual)


class SB3Learner:
    """The `Learner` that trains with an algorithm of Stable-Baselines3."""

    packages: tuple[str, ...] = ("torch", "stable-baselines3")

    def __init__(
        self, config: RLConfig, env: LearnerVecEnv, residual: Residual | None = None
    ) -> None:
        """Sets up the algorithm, and runs the demonstrations if there are any.

        Args:
            config: the settings.
            env: an environment that `make_env` returned.
            residual: the residual that `copy_base` returned; None to learn without a base.
        """
        self.config = config
        self.env = env
        self._residual = residual
        # all rows of the vector environment share one `Worlds`
        self._worlds: Worlds = env.get_attr("worlds", [0])[0]
        self._spec = _learned_spec(config, self._worlds)

        teacher = self._teacher() if config.demonstrations else None
        # measured before the replay buffer is filled, which stores normalised observations
        env.measure_observation_scale(config.seed, teacher)
        self.algorithm = make_algorithm(config, env)
        if config.base:
            begin_without_correction(self.algorithm)
        if teacher is not None:
            # half of each batch is drawn from the teacher's episodes
            replay = self.algorithm.replay_buffer
            replay.prior = demonstrate(
                env, teacher, like=replay, episodes=config.demonstrations
            )

    def _teacher(self) -> Teacher:
        """Returns the teacher: the base without corrections if there is one, or the expert."""
        if self.config.base:
            return no_correction(self.env)
        return expert_teacher(self._worlds)

    @property
    def steps(self) -> int:
        return int(self.algorithm.num_timesteps)

    def train(self, run: TrainingRun) -> None:
        """Trains until the end or Ctrl-C, and saves a checkpoint in both cases."""
        try:
            self.algorithm.learn(
                total_timesteps=ENDLESS_STEPS,
                callback=_Progress(run, self.config),
                reset_num_timesteps=self.steps == 0,  # not in a resumed training
            )
        except KeyboardInterrupt:
            run.save_checkpoint()
            raise
        run.save_checkpoint()

    def weights(self) -> Mapping[str, Tensor]:
        return learned_actor(self.algorithm, self.env).state_dict()

    def info(self) -> dict[str, Any]:
        """Returns the information that is needed to use the actor, as JSON values."""
        metadata = self._worlds.metadata()
        info = ActorInfo(
            task=metadata["task"],
            robot=metadata["robot"],
            spec=self._spec,
            net=learned_actor(self.algorithm, self.env).config,
            algorithm=self.config.algorithm,
            stage=self.config.stage,
            metadata=metadata,
            residual=self._residual,
        )
        return info.to_json()

    def checkpoint(self) -> Mapping[str, Tensor]:
        return learner_tensors(self.algorithm)

    def restore(self, stored: Mapping[str, Tensor]) -> None:
        """Restores a checkpoint, and continues with new random numbers."""
        restore_learner(self.algorithm, stored)
        seed = later_seed(self.config.seed, self.steps, GLOBAL_SEED_LIMIT)
        self.algorithm.set_random_seed(seed)


def _learned_spec(config: RLConfig, worlds: Worlds) -> PolicySpec:
    """Returns the learned policy's requirements on the worlds."""
    if config.base:
        spec = find_policy(config.base).spec(config.task, config.robot)
    else:
        spec = PolicySpec(worlds.config.control_mode, worlds.config.control_hz)
    return replace(spec, privileged=True)


class _Progress(BaseCallback):
    """A callback that controls the training.

    It lowers the learning rate, counts successes, adds rows of figures and checkpoints,
    and stops the training when its budget is spent or the task is learned.
    """

    def __init__(self, run: TrainingRun, config: RLConfig) -> None:
        """Begins with no ended episodes."""
        super().__init__()
        self._run = run
        self._config = config
        self._last_row_s = time.monotonic()
        self._last_checkpoint_s = time.monotonic()
        # the outcomes of the last episodes
        self._success: deque[bool] = deque(maxlen=WINDOW_EPISODES)
        self._progress: deque[float] = deque(maxlen=WINDOW_EPISODES)

    def _on_step(self) -> bool:
        """Is called after each step of all worlds; returns whether to continue."""
        # `locals` are the variables of the algorithm's loop
        for info, ended in zip(self.locals["infos"], self.locals["dones"], strict=True):
            if ended:
                self._success.append(bool(info["is_success"]))
                self._progress.append(float(info["progress"]))

        # The learning rate falls linearly with the share of the budget that is spent. The
        # algorithm calls this schedule before each update.
        share = self._run.share()
        rate = LEARNING_RATE[self._config.algorithm] * (1 - COOLING * share)
        self.model.lr_schedule = lambda _: rate

        is_learned = (
            len(self._success) == WINDOW_EPISODES
            and np.mean(self._success) >= self._config.stop_at
        )
        is_over = is_learned or share >= 1

        # `SB3Learner.train` writes the last checkpoint
        now_s = time.monotonic()
        if is_over or now_s - self._last_row_s > ROW_EVERY_S:
            self._last_row_s = now_s
            self._run.add_row(share, self._figures())
        if not is_over and now_s - self._last_checkpoint_s > CHECKPOINT_EVERY_S:
            self._last_checkpoint_s = now_s
            self._run.save_checkpoint()
        return not is_over

    def _figures(self) -> dict[str, float]:
        """Returns the mean outcomes of the last episodes; 0 before the first one."""
        if not self._success:
            return {"success": 0.0, "progress": 0.0}
        return {
            "success": float(np.mean(self._success)),
            "progress": round(float(np.mean(self._progress)), 4),
        }
