"""Reinforcement learning on the engine `warp`, with rsl_rl's PPO.

Thousands of worlds and the learner run on one GPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from embodied.core import PolicySpec
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.policies.rl.config import RLConfig, make_vec_env
from embodied.policies.rl.run_folder import ActorInfo
from embodied.policies.training.resume import has_work_left
from embodied.policies.training.run import OnRow, TrainingRun

if TYPE_CHECKING:
    from embodied.policies.rl.ppo import PpoTrainer

ROW_EVERY_S = 5.0  # time between two rows of figures


def train_warp(
    config: RLConfig, folder: Path, on_row: OnRow | None = None, resume: bool = False
) -> None:
    """Trains until the budget is spent, or until nearly all recent episodes succeeded.

    The policy is evaluated on the engine `cpu`, like any other.

    Args:
        config: the settings.
        folder: the folder of the run.
        on_row: a function that is called with each row of figures.
        resume: whether to continue from the last checkpoint. A run that has already
            spent the budget is left as it is.

    Raises:
        EmbodiedError: rsl_rl is not installed, the engine cannot simulate the worlds, or
            the checkpoint is of another network or number of worlds.
    """
    if resume and not has_work_left(folder, config.identity(), config.budget):
        return

    trainer = make_trainer(config)
    try:
        learner = WarpLearner(config, trainer)
        run = TrainingRun(
            folder, learner, config.budget, identity=config.identity(), on_row=on_row
        )
        run.train(resume)
    finally:
        trainer.env.close()


def make_trainer(config: RLConfig) -> PpoTrainer:
    """Returns a trainer with worlds on the engine `warp`.

    Raises:
        EmbodiedError: rsl_rl is not installed, or the engine cannot simulate the worlds.
    """
    try:
        from embodied.policies.rl.ppo import PpoConfig, PpoTrainer
    except ModuleNotFoundError as error:
        raise EmbodiedError(
            f"--engine warp learns by rsl_rl, and {error.name} is missing: "
            "pip install 'embodied-ground[rl]'"
        ) from error

    env_config = config.env_config()
    env = make_vec_env(env_config, config.num_envs)
    return PpoTrainer(env, PpoConfig(goal=env_config.goal_progress, seed=config.seed))


class WarpLearner:
    """The `Learner` that trains with PPO on the engine `warp`."""

    packages: tuple[str, ...] = ("torch", "rsl-rl-lib")

    def __init__(self, config: RLConfig, trainer: PpoTrainer) -> None:
        """Keeps the trainer, and the description of worlds in which the policy is used."""
        self._config = config
        self._trainer = trainer
        self._metadata = _cpu_metadata(config)

    @property
    def steps(self) -> int:
        return self._trainer.steps

    def train(self, run: TrainingRun) -> None:
        """Trains until the end, with a checkpoint before each leg (see `PpoTrainer`).

        A longer training continues from the last checkpoint, so its result is the same
        as without the stop.
        """
        # a training that ends within its first leg needs a checkpoint, too
        trainer = self._trainer
        if not trainer.updates:
            run.save_checkpoint()

        last_row_s = -ROW_EVERY_S  # so that the first update gives a row
        is_over = False
        while not is_over:
            figures = trainer.update()
            share = run.share()
            is_over = share >= 1 or figures["success"] >= self._config.stop_at

            now_s = run.seconds
            if is_over or trainer.between_legs or now_s - last_row_s > ROW_EVERY_S:
                last_row_s = now_s
                run.add_row(share, figures)
            if trainer.between_legs:
                run.save_checkpoint()

    def weights(self) -> Mapping[str, Tensor]:
        return self._trainer.actor().state_dict()

    def info(self) -> dict[str, Any]:
        """Returns the `ActorInfo` for the run folder, as JSON values.

        It describes worlds of the engine `cpu`, in which the policy is used. The actor
        needs the privileged state.
        """
        config = self._metadata["config"]
        spec = PolicySpec(config["control_mode"], config["control_hz"], privileged=True)
        info = ActorInfo(
            task=self._metadata["task"],
            robot=self._metadata["robot"],
            spec=spec,
            net=self._trainer.actor().config,
            algorithm=self._config.algorithm,
            stage=self._config.stage,
            metadata=self._metadata,
        )
        return info.to_json()

    def checkpoint(self) -> Mapping[str, Tensor]:
        return self._trainer.checkpoint()

    def restore(self, stored: Mapping[str, Tensor]) -> None:
        self._trainer.restore(stored)


def _cpu_metadata(config: RLConfig) -> dict[str, Any]:
    """Returns the metadata of the same worlds on the engine `cpu`.

    A run's metadata describe the worlds that its policy is used in, which are on `cpu`.
    """
    with closing(Worlds(replace(config.env_config(), engine="cpu"))) as worlds:
        return worlds.metadata()
