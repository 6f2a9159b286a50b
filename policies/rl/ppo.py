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

from embodied.policies.checkpoint import optimizer_state, optimizer_tensors
from embodied.policies.rl.actor import CLIP, Actor, ActorConfig
from embodied.policies.rl.config import NOT_THERE

# one world in so many acts without noise, to show what was learned so far; from it
# nothing is learned
QUIET = 8
COUNTED = 64  # of those worlds' last episodes, at least, figures are the means
Shown = Mapping[str, Tensor]  # "agent_pos" (N, P) and "environment_state" (N, E)


@dataclass(frozen=True)
class PpoConfig:
    """How PPO learns. A leg is what lies between two checkpoints.

    Chosen by single runs of `reach` with 64 worlds, which differ much from each other;
    not tried with thousands yet.
    """

    goal: float = 1.0  # reward at which the task, or its stage, is done
    seed: int = 0
    hidden: tuple[int, ...] = (256, 128, 64)
    # of each world between two updates, and more where the worlds are few:
    steps: int = 24
    # of all worlds between two updates, at least; from fewer the gradient is mostly
    # noise
    samples: int = 4096
    leg: int = 1200  # steps of each world, at most
    epochs: int = 5
    batches: int = 4
    learning_rate: float = 1e-3  # at first; it follows the policy's change afterwards
    kl: float = 0.03  # by which an update is to change the policy
    discount: float = 0.95
    first_deviation: float = 1.0  # of actions

    def steps_of(self, worlds: int) -> int:
        """Of each of so many worlds between two updates."""
        return max(self.steps, math.ceil(self.samples / worlds))


class _Model(MLPModel):  # type: ignore[misc]  # rsl_rl has no types
    """rsl_rl's network; what it sees is scaled and clipped as an `Actor` does it."""

    def get_latent(
        self, obs: TensorDict, masks: Tensor | None = None, hidden_state: Any = None
    ) -> Tensor:
        return super().get_latent(obs, masks, hidden_state).clamp(-CLIP, CLIP)


class PpoTrainer:
    """Learns in `env`, a Gymnasium vector environment of torch tensors that begins new
    episodes by itself.

    Each leg begins with new episodes and random numbers of its own, whether or not the
    run was cut in between: going on from a checkpoint is the same, bit for bit, as
    never having stopped. At least two worlds are needed.
    """

    def __init__(self, env: Any, config: PpoConfig) -> None:
        self.env = env
        self.config = config
        torch.manual_seed(config.seed)
        self._state = _vector(env.reset(seed=0)[0])
        self.device = self._state.device
        n = self._state.batch_size[0]
        self.steps_each = config.steps_of(n)  # of each world between two updates
        self.quiet = max(1, n // QUIET)  # the first worlds
        self.ppo = _ppo(
            self._state[self.quiet :],
            env.single_action_space.shape[0],
            self.steps_each,
            config,
        )
        self.updates = 0
        last = math.ceil(COUNTED / self.quiet)
        # newest first
        self.success, self.progress = torch.zeros(
            (2, self.quiet, last), device=self.device
        )
        # progress of this episode
        self._best = torch.zeros(self.quiet, device=self.device)
        self.earned = torch.zeros((), device=self.device)  # mean of the last steps

    @property
    def steps(self) -> int:
        """Of all worlds, so far."""
        return self.updates * self.steps_each * self._state.batch_size[0]

    def update(self) -> dict[str, float]:
        """Acts for some steps and learns from them; returns figures."""
        if self.between_legs:
            torch.manual_seed(self.config.seed + self.updates)
            self._state = _vector(self.env.reset(seed=self.steps)[0])
            self._best.zero_()
        with torch.no_grad():
            self.earned = torch.stack(
                [self._step() for _ in range(self.steps_each)]
            ).mean()
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
        quiet = slice(None, self.quiet)
        noisy = slice(self.quiet, None)
        action = torch.cat(
            [self.ppo.actor(self._state[quiet]), self.ppo.act(self._state[noisy])]
        )
        shown, reward, terminated, truncated, info = self.env.step(action)
        self._state = _vector(shown)
        ended = terminated | truncated
        earned = self._earned(reward, terminated & ~info["is_success"])[noisy]
        self.ppo.process_env_step(
            self._state[noisy],
            earned,
            ended[noisy],
            {"time_outs": truncated[noisy].float()},
        )
        self._count(
            info["is_success"][quiet].float(),
            info["progress"][quiet].float(),
            ended[quiet],
        )
        return earned.mean()

    def _count(self, success: Tensor, progress: Tensor, ended: Tensor) -> None:
        """Keeps how episodes of the quiet worlds (Q,) ended."""
        self._best = torch.maximum(self._best, progress)
        for last, new in ((self.success, success), (self.progress, self._best)):
            last[...] = torch.where(
                ended[:, None], torch.cat([new[:, None], last[:, :-1]], dim=1), last
            )
        self._best = torch.where(ended, 0.0, self._best)

    def _earned(self, reward: Tensor, lost: Tensor) -> Tensor:
        """(N,) so scaled that returns are in [-1, 0]. 0 is to be done; losing is as bad
        as earning nothing for ever.
        """
        near = (1 - NOT_THERE) * (reward.float() / self.config.goal - 1) - NOT_THERE
        short = torch.where(reward < self.config.goal, near, 0.0)
        return torch.where(lost, -1.0, short * (1 - self.config.discount))

    def _figures(self) -> dict[str, float]:
        # asks the device once
        shares = torch.stack(
            [self.success.mean(), self.progress.mean(), self.earned]
        ).tolist()
        named = dict(zip(("success", "progress", "reward"), shares, strict=True))
        return {
            "steps": float(self.steps),
            **named,
            "learning_rate": self.ppo.learning_rate,
        }

    def actor(self) -> Actor:
        """What was learned, without its noise."""
        model = self.ppo.actor
        layers = [layer for layer in self.ppo.actor.mlp if isinstance(layer, nn.Linear)]
        sizes = layers[0].in_features, self.config.hidden, layers[-1].out_features
        actor = Actor(ActorConfig(*sizes, activation="elu", squash="clip"))
        for mine, learned in zip(actor.layers, layers, strict=True):
            mine.load_state_dict(
                {name: value.cpu() for name, value in learned.state_dict().items()}
            )
        actor.mean.copy_(model.obs_normalizer.mean)
        actor.std.copy_(model.obs_normalizer.std + model.obs_normalizer.eps)
        return actor

    def checkpoint(self) -> dict[str, Tensor]:
        """All that a later trainer needs to go on."""
        parts = {
            "actor": self.ppo.actor.state_dict(),
            "critic": self.ppo.critic.state_dict(),
            "optimizer": optimizer_tensors(self.ppo.optimizer.state_dict()),
            "trainer": {
                "success": self.success,
                "progress": self.progress,
                **self._numbers(),
            },
        }
        return {
            f"{part}.{name}": value
            for part, tensors in parts.items()
            for name, value in tensors.items()
        }

    def _numbers(self) -> dict[str, Tensor]:
        rate = torch.tensor(self.ppo.learning_rate, dtype=torch.float64)
        return {"updates": torch.tensor(self.updates), "learning_rate": rate}

    def restore(self, stored: Mapping[str, Tensor]) -> None:
        """Goes on from a checkpoint. Raises RuntimeError or KeyError where it is of
        another network or other worlds.
        """
        parts: dict[str, dict[str, Tensor]] = {}
        for key, value in stored.items():
            part, name = key.split(".", 1)
            parts.setdefault(part, {})[name] = value
        self.ppo.actor.load_state_dict(parts["actor"])
        self.ppo.critic.load_state_dict(parts["critic"])
        groups = self.ppo.optimizer.state_dict()["param_groups"]
        self.ppo.learning_rate = groups[0]["lr"] = float(
            parts["trainer"]["learning_rate"]
        )
        self.ppo.optimizer.load_state_dict(optimizer_state(parts["optimizer"], groups))
        self.updates = int(parts["trainer"]["updates"])
        self.success.copy_(parts["trainer"]["success"])
        self.progress.copy_(parts["trainer"]["progress"])


def _vector(shown: Shown) -> TensorDict:
    """A copy, since the environment may write its next observation into the same
    memory.
    """
    state = torch.cat([shown["agent_pos"], shown["environment_state"]], dim=1).float()
    return TensorDict({"state": state}, batch_size=[len(state)], device=state.device)


def _ppo(state: TensorDict, actions: int, steps: int, config: PpoConfig) -> PPO:
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
