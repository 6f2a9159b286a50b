"""PPO in worlds whose arrays are torch tensors.

Algorithm and storage are from rsl_rl. The loop around them is not, so that a training can be
stopped and resumed bit for bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from rsl_rl.algorithms import PPO
from rsl_rl.models import MLPModel
from rsl_rl.modules import GaussianDistribution
from rsl_rl.storage import RolloutStorage
from tensordict import TensorDict
from torch import Tensor, nn

from embodied.policies.checkpoint import (
    join_parts,
    optimizer_state,
    optimizer_tensors,
    split_parts,
)
from embodied.policies.rl.actor import OBSERVATION_LIMIT, Actor
from embodied.policies.rl.reward import step_reward
from embodied.seeding import later_seed

# One world in this many is quiet: there the policy acts without noise, to measure its
# performance. Quiet worlds are not used for learning.
WORLDS_PER_QUIET_ONE = 8
# Figures are means over the last episodes in quiet worlds, at least this many.
COUNTED_EPISODES = 64
# "agent_pos" -> (N, P), "environment_state" -> (N, S)
TensorObservation = Mapping[str, Tensor]


@dataclass(frozen=True)
class PpoConfig:
    """The settings of PPO.

    The defaults were chosen by single runs of `reach` with 64 worlds, which vary much.
    They have not been tried with thousands of worlds yet.

    Attributes:
        goal: the progress at which the task or its stage is done.
        seed: the seed of all random numbers in the training.
        hidden: the widths of the hidden layers of actor and critic.
        min_steps: the smallest number of steps of each world between two updates.
        min_samples: the smallest number of steps of all worlds between two updates; with
            fewer samples the gradient is mostly noise.
        leg_steps: the largest number of steps of each world in a leg, which is the part of
            a training between two checkpoints.
        epochs: the number of passes over the samples per update.
        minibatches: the number of minibatches per pass.
        learning_rate: the initial learning rate; it is adapted so that updates meet
            `target_kl`.
        target_kl: the wanted KL divergence of the policies before and after an update.
        discount: the discount factor per step.
        initial_std: the initial standard deviation of the noise on actions.
    """

    goal: float = 1.0
    seed: int = 0
    hidden: tuple[int, ...] = (256, 128, 64)
    min_steps: int = 24
    min_samples: int = 4096
    leg_steps: int = 1200
    epochs: int = 5
    minibatches: int = 4
    learning_rate: float = 1e-3
    target_kl: float = 0.03
    discount: float = 0.95
    initial_std: float = 1.0

    def steps_per_update(self, num_worlds: int) -> int:
        """Returns the number of steps of each of N worlds between two updates."""
        return max(self.min_steps, math.ceil(self.min_samples / num_worlds))


class _Model(MLPModel):  # type: ignore[misc]  # rsl_rl has no types
    """rsl_rl's network, with its normalised input clipped as in `Actor`."""

    def get_latent(
        self, obs: TensorDict, masks: Tensor | None = None, hidden_state: Any = None
    ) -> Tensor:
        """Returns the input of the first layer; rsl_rl's method does not clip it."""
        scaled = super().get_latent(obs, masks, hidden_state)
        return scaled.clamp(-OBSERVATION_LIMIT, OBSERVATION_LIMIT)


class PpoTrainer:
    """Trains in a vector environment of torch tensors.

    Each leg begins with new episodes and with its own random numbers, even if the
    training is not interrupted. So resuming from a checkpoint gives the same result, bit
    for bit, as an uninterrupted training.

    Attributes:
        env: the vector environment.
        ppo: rsl_rl's algorithm.
        num_quiet: Q, the number of quiet worlds; these are the first Q worlds.
        steps_per_update: the number of steps of each world between two updates.
        updates: the number of updates so far.
        success: (Q, episodes) 1 for success, 0 for failure, of the last episodes in each
            quiet world, newest first; 0 for episodes that did not happen yet.
        progress: (Q, episodes) the largest progress in each of these episodes.
        mean_reward: the mean reward of the other worlds since the last update.
    """

    def __init__(self, env: Any, config: PpoConfig) -> None:
        """Sets up the algorithm for the shapes of an environment.

        Args:
            env: a Gymnasium vector environment of at least two worlds, with automatic
                resets.
            config: the settings.
        """
        self.env = env
        self.config = config
        torch.manual_seed(config.seed)
        # only the shapes are used, so any seed will do: the first update resets again
        self._state = _observation_dict(env.reset(seed=0)[0])
        self.device = self._state.device

        num_worlds = self._state.batch_size[0]
        self.steps_per_update = config.steps_per_update(num_worlds)
        # in quiet worlds the policy acts without noise, and does not learn
        self.num_quiet = max(1, num_worlds // WORLDS_PER_QUIET_ONE)
        self.ppo = _make_ppo(
            self._state[self.num_quiet :],
            num_actions=env.single_action_space.shape[0],
            steps_per_update=self.steps_per_update,
            config=config,
        )
        self.updates = 0

        # the outcomes of episodes in quiet worlds, from which figures are computed
        episodes_per_world = math.ceil(COUNTED_EPISODES / self.num_quiet)
        shape = (self.num_quiet, episodes_per_world)
        self.success = torch.zeros(shape, device=self.device)
        self.progress = torch.zeros(shape, device=self.device)
        # (Q,) the largest progress so far in the current episodes
        self._best_progress = torch.zeros(self.num_quiet, device=self.device)
        self.mean_reward = torch.zeros((), device=self.device)

    @property
    def steps(self) -> int:
        """Steps of all worlds so far."""
        return self.updates * self.steps_per_update * self._state.batch_size[0]

    def update(self) -> dict[str, float]:
        """Acts for `steps_per_update` steps, learns from them, and returns figures."""
        if self.between_legs:
            # a leg begins: with its own random numbers and new episodes
            torch.manual_seed(later_seed(self.config.seed, self.updates))
            self._state = _observation_dict(self.env.reset(seed=self.steps)[0])
            self._best_progress.zero_()

        with torch.no_grad():
            rewards = [self._step() for _ in range(self.steps_per_update)]
            self.mean_reward = torch.stack(rewards).mean()
            self.ppo.compute_returns(self._state[self.num_quiet :])
        losses = self.ppo.update()
        self.updates += 1

        return {
            **self._figures(),
            "value_loss": losses["value"],
            "entropy": losses["entropy"],
        }

    @property
    def between_legs(self) -> bool:
        """Whether the next update begins a leg, so that a checkpoint can be written."""
        updates_per_leg = max(1, self.config.leg_steps // self.steps_per_update)
        return self.updates % updates_per_leg == 0

    def _step(self) -> Tensor:
        """Acts once in all worlds; returns the mean reward of the worlds with noise."""
        # `actor` returns the mean of the policy's distribution, `act` a sample of it
        quiet = slice(None, self.num_quiet)
        noisy = slice(self.num_quiet, None)
        action = torch.cat(
            [self.ppo.actor(self._state[quiet]), self.ppo.act(self._state[noisy])]
        )
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._state = _observation_dict(observation)

        # Learn from the noisy worlds. After a time-out, rsl_rl adds the value of the last
        # state to the reward.
        ended = terminated | truncated
        lost = terminated & ~info["is_success"]
        learner_reward = self.learner_reward(reward, lost)[noisy]
        self.ppo.process_env_step(
            self._state[noisy],
            learner_reward,
            ended[noisy],
            {"time_outs": truncated[noisy].float()},
        )

        # measure the performance in the quiet worlds, which act without noise
        self.add_to_figures(
            info["is_success"][quiet].float(),
            info["progress"][quiet].float(),
            ended[quiet],
        )
        return learner_reward.mean()

    def add_to_figures(self, success: Tensor, progress: Tensor, ended: Tensor) -> None:
        """Adds a step of the Q worlds that act without noise to the outcomes of episodes.

        Args:
            success: (Q,) 1 for success at this step, else 0.
            progress: (Q,) the progress at this step, in [0, 1].
            ended: (Q,) bool, whether the step ended an episode.
        """
        self._best_progress = torch.maximum(self._best_progress, progress)

        # if an episode ended, insert its outcome first, and drop the oldest outcome
        for outcomes, outcome in (
            (self.success, success),
            (self.progress, self._best_progress),
        ):
            shifted = torch.cat([outcome[:, None], outcomes[:, :-1]], dim=1)
            outcomes[...] = torch.where(ended[:, None], shifted, outcomes)
        self._best_progress = torch.where(ended, 0.0, self._best_progress)

    def learner_reward(self, progress: Tensor, lost: Tensor) -> Tensor:
        """Returns the rewards (N,) of `rl.reward`, scaled so that returns are in [-1, 0].

        Args:
            progress: (N,) the progress in [0, 1], which is the worlds' own reward.
            lost: (N,) bool, whether the task was lost at this step.
        """
        reward = step_reward(torch, progress.float(), self.config.goal)
        # losing costs 1 / (1 - discount) in `rl.reward`, so 1 with this scale
        return torch.where(lost, -1.0, reward * (1 - self.config.discount))

    def _figures(self) -> dict[str, float]:
        """Returns the figures of the training so far, a row of its history."""
        # stacked to one tensor, so that the CPU waits for the GPU only once
        means = [self.success.mean(), self.progress.mean(), self.mean_reward]
        success, progress, reward = torch.stack(means).tolist()
        return {
            "steps": float(self.steps),
            "success": success,
            "progress": progress,
            "reward": reward,
            "learning_rate": self.ppo.learning_rate,
        }

    def actor(self) -> Actor:
        """Returns the learned policy without its noise, as an actor on the CPU."""
        model = self.ppo.actor
        normalizer = model.obs_normalizer
        return Actor.from_layers(
            layers=[layer for layer in model.mlp if isinstance(layer, nn.Linear)],
            mean=normalizer.mean,
            std=normalizer.std + normalizer.eps,  # rsl_rl divides by this sum
            activation="elu",
            squash="clip",
        )

    def checkpoint(self) -> dict[str, Tensor]:
        """Returns the whole state of the training, to continue it later."""
        # the learning rate is adapted during training
        rate = torch.tensor(self.ppo.learning_rate, dtype=torch.float64)

        return join_parts(
            {
                "actor": self.ppo.actor.state_dict(),
                "critic": self.ppo.critic.state_dict(),
                "optimizer": optimizer_tensors(self.ppo.optimizer.state_dict()),
                "trainer": {
                    "success": self.success,
                    "progress": self.progress,
                    "updates": torch.tensor(self.updates),
                    "learning_rate": rate,
                },
            }
        )

    def restore(self, stored: Mapping[str, Tensor]) -> None:
        """Restores the state of a checkpoint.

        Raises:
            RuntimeError: the sizes of the networks or the number of worlds differ.
            KeyError: it is not a checkpoint of this algorithm.
        """
        parts = split_parts(stored)
        trainer = parts["trainer"]
        self.ppo.actor.load_state_dict(parts["actor"])
        self.ppo.critic.load_state_dict(parts["critic"])

        # the optimiser: its settings are no tensors, except for the learning rate
        self.ppo.learning_rate = float(trainer["learning_rate"])
        groups = self.ppo.optimizer.state_dict()["param_groups"]
        groups[0]["lr"] = self.ppo.learning_rate  # all parameters are in one group
        moments = parts.get("optimizer", {})  # there are none before the first update
        self.ppo.optimizer.load_state_dict(optimizer_state(moments, groups))

        self.updates = int(trainer["updates"])
        self.success.copy_(trainer["success"])
        self.progress.copy_(trainer["progress"])


def _observation_dict(observation: TensorObservation) -> TensorDict:
    """Returns an observation as rsl_rl's input `state` (N, P + S).

    It is a copy, since the environment may reuse the memory of an observation.
    """
    parts = [observation["agent_pos"], observation["environment_state"]]
    state = torch.cat(parts, dim=1).float()
    return TensorDict({"state": state}, batch_size=[len(state)], device=state.device)


def _make_ppo(
    state: TensorDict, num_actions: int, steps_per_update: int, config: PpoConfig
) -> PPO:
    """Returns rsl_rl's PPO.

    Args:
        state: the observations of the worlds with noise, of which only the shape is used.
        num_actions: A, the number of elements of an action.
        steps_per_update: the number of steps of each world between two updates.
        config: the settings.
    """
    # network -> its inputs
    groups = {"actor": ["state"], "critic": ["state"]}
    shape: dict[str, Any] = {
        "hidden_dims": config.hidden,
        "activation": "elu",
        "obs_normalization": True,
    }
    noise = {
        "class_name": GaussianDistribution,
        "init_std": config.initial_std,
        "std_type": "log",
    }
    actor = _Model(state, groups, "actor", num_actions, distribution_cfg=noise, **shape)
    critic = _Model(state, groups, "critic", 1, **shape)  # its only output is the value

    # "rl" is rsl_rl's storage for reinforcement learning; the other is for distillation
    device = str(state.device)
    storage = RolloutStorage(
        "rl",
        num_envs=state.batch_size[0],
        num_transitions_per_env=steps_per_update,
        obs=state,
        actions_shape=[num_actions],
        device=device,
    )
    return PPO(
        actor,
        critic,
        storage,
        num_learning_epochs=config.epochs,
        num_mini_batches=config.minibatches,
        gamma=config.discount,
        entropy_coef=0.0,
        learning_rate=config.learning_rate,
        desired_kl=config.target_kl,
        device=device,
    )
