"""PPO in worlds whose arrays are torch tensors: rsl_rl's algorithm and storage, in a
loop that can stop and go on.
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
from embodied.policies.rl.actor import CLIP, Actor, ActorConfig
from embodied.policies.rl.config import STEP_COST

# One world in so many acts without noise, to show what was learned so far; from it
# nothing is learned.
QUIET = 8
# Figures are means over so many of the quiet worlds' last episodes, at least.
COUNTED_EPISODES = 64
# "agent_pos" (N, P) and "environment_state" (N, E)
TensorObservation = Mapping[str, Tensor]


@dataclass(frozen=True)
class PpoConfig:
    """How PPO learns. A leg is what lies between two checkpoints.

    Chosen by single runs of `reach` with 64 worlds, which differ much from each other;
    not tried with thousands yet.
    """

    goal: float = 1.0  # reward at which the task, or its stage, is done
    seed: int = 0
    hidden: tuple[int, ...] = (256, 128, 64)
    # steps of each world between two updates, and more where the worlds are few:
    steps: int = 24
    # steps of all worlds between two updates, at least; from fewer the gradient is
    # mostly noise
    samples: int = 4096
    leg: int = 1200  # steps of each world, at most
    epochs: int = 5
    batches: int = 4
    learning_rate: float = 1e-3  # at first; it follows the policy's change afterwards
    kl: float = 0.03  # by which an update is to change the policy
    discount: float = 0.95
    first_deviation: float = 1.0  # of actions

    def steps_of(self, worlds: int) -> int:
        """Returns the steps of each of so many worlds between two updates."""
        return max(self.steps, math.ceil(self.samples / worlds))


class _Model(MLPModel):  # type: ignore[misc]  # rsl_rl has no types
    """rsl_rl's network; its input is scaled and clipped as an `Actor` does it."""

    def get_latent(
        self, obs: TensorDict, masks: Tensor | None = None, hidden_state: Any = None
    ) -> Tensor:
        return super().get_latent(obs, masks, hidden_state).clamp(-CLIP, CLIP)


class PpoTrainer:
    """Learns in a vector environment of torch tensors.

    Each leg begins with new episodes and random numbers of its own, whether or not the
    run was cut in between: going on from a checkpoint is the same, bit for bit, as
    never having stopped.
    """

    def __init__(self, env: Any, config: PpoConfig) -> None:
        """Begins episodes in an environment.

        Args:
            env: A Gymnasium vector environment of at least two worlds, which begins
                new episodes by itself.
            config: How to learn.
        """
        self.env = env
        self.config = config
        torch.manual_seed(config.seed)
        self._state = _state_of(env.reset(seed=0)[0])
        self.device = self._state.device

        n = self._state.batch_size[0]
        self.steps_each = config.steps_of(n)  # of each world between two updates
        self.quiet = max(1, n // QUIET)  # the first worlds
        self.ppo = _make_ppo(
            self._state[self.quiet :],
            env.single_action_space.shape[0],
            self.steps_each,
            config,
        )
        self.updates = 0

        # of the last episodes of each quiet world, newest first
        counted = math.ceil(COUNTED_EPISODES / self.quiet)
        self.success = torch.zeros((self.quiet, counted), device=self.device)
        self.progress = torch.zeros((self.quiet, counted), device=self.device)
        # greatest progress of the present ones
        self._best = torch.zeros(self.quiet, device=self.device)
        self.earned = torch.zeros((), device=self.device)  # mean of the last steps

    @property
    def steps(self) -> int:
        """Steps of all worlds so far."""
        return self.updates * self.steps_each * self._state.batch_size[0]

    def update(self) -> dict[str, float]:
        """Acts for some steps and learns from them; returns figures."""
        if self.between_legs:
            torch.manual_seed(self.config.seed + self.updates)
            self._state = _state_of(self.env.reset(seed=self.steps)[0])
            self._best.zero_()

        with torch.no_grad():
            earned = [self._step() for _ in range(self.steps_each)]
            self.earned = torch.stack(earned).mean()
            self.ppo.compute_returns(self._state[self.quiet :])
        losses = self.ppo.update()
        self.updates += 1

        return {
            **self._figures(),
            "value_loss": losses["value"],
            "entropy": losses["entropy"],
        }

    @property
    def between_legs(self) -> bool:
        """Whether this is a moment for a checkpoint."""
        return self.updates % max(1, self.config.leg // self.steps_each) == 0

    def _step(self) -> Tensor:
        """Acts once in all worlds; returns the mean of what the noisy ones earned."""
        quiet = slice(None, self.quiet)
        noisy = slice(self.quiet, None)
        action = torch.cat(
            [self.ppo.actor(self._state[quiet]), self.ppo.act(self._state[noisy])]
        )
        observation, reward, terminated, truncated, info = self.env.step(action)
        self._state = _state_of(observation)

        ended = terminated | truncated
        earned = self.earned_of(reward, terminated & ~info["is_success"])[noisy]
        self.ppo.process_env_step(
            self._state[noisy],
            earned,
            ended[noisy],
            {"time_outs": truncated[noisy].float()},
        )
        self.count(
            info["is_success"][quiet].float(),
            info["progress"][quiet].float(),
            ended[quiet],
        )
        return earned.mean()

    def count(self, success: Tensor, progress: Tensor, ended: Tensor) -> None:
        """Keeps how the episodes of quiet worlds (Q,) ended."""
        self._best = torch.maximum(self._best, progress)
        for last, new in ((self.success, success), (self.progress, self._best)):
            shifted = torch.cat([new[:, None], last[:, :-1]], dim=1)
            last[...] = torch.where(ended[:, None], shifted, last)
        self._best = torch.where(ended, 0.0, self._best)

    def earned_of(self, reward: Tensor, lost: Tensor) -> Tensor:
        """Returns what a learner earns (N,), scaled so that returns are in [-1, 0].

        0 is to be done; losing is as bad as earning nothing for ever.
        """
        near = (1 - STEP_COST) * (reward.float() / self.config.goal - 1) - STEP_COST
        short = torch.where(reward < self.config.goal, near, 0.0)
        return torch.where(lost, -1.0, short * (1 - self.config.discount))

    def _figures(self) -> dict[str, float]:
        # the device is waited for once
        means = torch.stack([self.success.mean(), self.progress.mean(), self.earned])
        success, progress, reward = means.tolist()
        return {
            "steps": float(self.steps),
            "success": success,
            "progress": progress,
            "reward": reward,
            "learning_rate": self.ppo.learning_rate,
        }

    def actor(self) -> Actor:
        """Returns what was learned, without its noise."""
        model = self.ppo.actor
        layers = [layer for layer in model.mlp if isinstance(layer, nn.Linear)]
        actor = Actor(
            ActorConfig(
                inputs=layers[0].in_features,
                hidden=self.config.hidden,
                actions=layers[-1].out_features,
                activation="elu",
                squash="clip",
            )
        )
        for ours, learned in zip(actor.layers, layers, strict=True):
            ours.load_state_dict(
                {name: value.cpu() for name, value in learned.state_dict().items()}
            )
        actor.mean.copy_(model.obs_normalizer.mean)
        actor.std.copy_(model.obs_normalizer.std + model.obs_normalizer.eps)
        return actor

    def checkpoint(self) -> dict[str, Tensor]:
        """Returns all that a later trainer needs to go on."""
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
        """Goes on from a checkpoint.

        Raises:
            RuntimeError: It is of another network, or of another number of worlds.
            KeyError: It is of something else.
        """
        parts = split_parts(stored)
        own = parts["trainer"]
        self.ppo.actor.load_state_dict(parts["actor"])
        self.ppo.critic.load_state_dict(parts["critic"])

        self.ppo.learning_rate = float(own["learning_rate"])
        groups = self.ppo.optimizer.state_dict()["param_groups"]
        groups[0]["lr"] = self.ppo.learning_rate
        self.ppo.optimizer.load_state_dict(optimizer_state(parts["optimizer"], groups))

        self.updates = int(own["updates"])
        self.success.copy_(own["success"])
        self.progress.copy_(own["progress"])


def _state_of(observation: TensorObservation) -> TensorDict:
    """Returns a copy, since the environment may write its next observation into the
    same memory.
    """
    parts = [observation["agent_pos"], observation["environment_state"]]
    state = torch.cat(parts, dim=1).float()
    return TensorDict({"state": state}, batch_size=[len(state)], device=state.device)


def _make_ppo(state: TensorDict, actions: int, steps: int, config: PpoConfig) -> PPO:
    groups = {"actor": ["state"], "critic": ["state"]}
    shape: dict[str, Any] = {
        "hidden_dims": config.hidden,
        "activation": "elu",
        "obs_normalization": True,
    }
    noise = {
        "class_name": GaussianDistribution,
        "init_std": config.first_deviation,
        "std_type": "log",
    }
    actor = _Model(state, groups, "actor", actions, distribution_cfg=noise, **shape)
    critic = _Model(state, groups, "critic", 1, **shape)

    device = str(state.device)
    storage = RolloutStorage("rl", state.batch_size[0], steps, state, [actions], device)
    return PPO(
        actor,
        critic,
        storage,
        num_learning_epochs=config.epochs,
        num_mini_batches=config.batches,
        gamma=config.discount,
        entropy_coef=0.0,
        learning_rate=config.learning_rate,
        desired_kl=config.kl,
        device=device,
    )
