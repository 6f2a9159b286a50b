"""Reinforcement learning on the engine `warp`: thousands of worlds and the learner on
one device, by rsl_rl's PPO.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
from safetensors.torch import load_file

from embodied.core import PolicySpec
from embodied.envs.registry import get_task
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.policies.checkpoint import write_tensors
from embodied.policies.rl.config import LearnConfig
from embodied.policies.rl.run_folder import (
    ActorInfo,
    check_same,
    save_actor,
    what_is_learned,
)
from embodied.policies.run_folder import CHECKPOINT, INFO, read_history

if TYPE_CHECKING:
    from embodied.policies.rl.learn import Progress
    from embodied.policies.rl.ppo import PpoTrainer

ROW_EVERY_S = 5.0


def learn_on_device(
    config: LearnConfig, run: Path, report: Progress, resume: bool = False
) -> None:
    """Trains into a run folder until time is up or the share of the last episodes that
    succeeded is high enough.

    It is evaluated on the CPU engine like any other. With `resume` an unfinished run
    goes on from its last checkpoint, and a finished one is left alone. Raises
    EmbodiedError where rsl_rl is not installed, for what the engine refuses, and where
    `run` is of another training.
    """
    if resume:
        check_same(config, run)
        if (run / INFO).exists() and not (run / CHECKPOINT).exists():
            return
    trainer = _trainer(config)
    try:
        _Run(config, run, trainer, resume).go_on(report)
    finally:
        trainer.env.close()


def _trainer(config: LearnConfig) -> PpoTrainer:
    try:
        from embodied.policies.rl.ppo import PpoConfig, PpoTrainer
    except ModuleNotFoundError as error:
        raise EmbodiedError(
            f"--engine warp learns by rsl_rl, and {error.name} is missing: pip install 'embodied-ground[rl]'"
        ) from error
    worlds = config.env_config()
    arguments = {name: value for name, value in vars(worlds).items() if name != "task"}
    env: Any = gymnasium.make_vec(
        get_task(config.task).env_id, num_envs=config.num_envs, **arguments
    )
    return PpoTrainer(env, PpoConfig(goal=worlds.goal_progress, seed=config.seed))


class _Run:
    """A trainer, its folder and its clock."""

    def __init__(
        self, config: LearnConfig, run: Path, trainer: PpoTrainer, resume: bool
    ) -> None:
        self.config = config
        self.path = run
        self.trainer = trainer
        self.history: list[dict[str, float]] = []
        self.before_s = 0.0  # in earlier sittings
        self.info = self._info()
        if resume and (run / CHECKPOINT).exists():
            self._restore()

    def go_on(self, report: Progress) -> None:
        """Learns to the end; a checkpoint after each leg, none when it is done."""
        begun = time.monotonic()
        told = -ROW_EVERY_S
        done = False
        while not done:
            figures = self.trainer.update()
            seconds = time.monotonic() - begun
            share = self.config.share(self.before_s + seconds, self.trainer.steps)
            done = share >= 1 or figures["success"] >= self.config.stop_at
            if done or self.trainer.between_legs or seconds - told > ROW_EVERY_S:
                told = seconds
                self.history.append(
                    {
                        "share": share,
                        "seconds": round(self.before_s + seconds, 1),
                        **figures,
                    }
                )
                report(self.history[-1])
            if done or self.trainer.between_legs:
                self._save(done)

    def _save(self, done: bool) -> None:
        """The state to go on from is one file, so that a run that is killed never has
        half of it.
        """
        save_actor(self.path, self.trainer.actor(), self.info, self.history)
        if done:
            (self.path / CHECKPOINT).unlink(missing_ok=True)
        else:
            write_tensors(self.path / CHECKPOINT, self.trainer.checkpoint())

    def _restore(self) -> None:
        try:
            self.trainer.restore(load_file(self.path / CHECKPOINT))
        except Exception as error:
            text = str(error).splitlines()[0]
            raise EmbodiedError(
                f"the checkpoint {self.path / CHECKPOINT} does not fit: {text}"
            ) from error
        rows = read_history(self.path)
        self.history = [row for row in rows if row["steps"] <= self.trainer.steps]
        self.before_s = self.history[-1]["seconds"] if self.history else 0.0

    def _info(self) -> ActorInfo:
        config = self.config
        worlds = Worlds(replace(config.env_config(), engine="cpu"))
        try:
            metadata = {**worlds.metadata(), "learning": what_is_learned(config)}
        finally:
            worlds.close()
        spec = PolicySpec(
            worlds.config.control_mode, worlds.config.control_hz, privileged=True
        )
        net = self.trainer.actor().config
        return ActorInfo(
            metadata["task"],
            metadata["robot"],
            spec,
            net,
            config.algorithm,
            config.stage,
            metadata,
        )
