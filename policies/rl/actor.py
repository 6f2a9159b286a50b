"""The policy of reinforcement learning: an MLP on proprioception and privileged state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from embodied.core import Array, Observation, PolicySpec
from embodied.policies.inference import infer_in_batches

OBSERVATION_LIMIT = 5.0  # normalised observations are clipped to [-5, 5]
ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "elu": nn.functional.elu}


@dataclass(frozen=True)
class ActorConfig:
    """The sizes and functions of the network."""

    inputs: int  # P + S, width of the observation
    hidden: tuple[int, ...]  # widths of the hidden layers
    actions: int  # A
    activation: str = "relu"  # the function between layers, a key of ACTIVATIONS
    squash: str = "tanh"  # maps the output to [-1, 1]: "tanh" or "clip"

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> ActorConfig:
        return cls(**{**stored, "hidden": tuple(stored["hidden"])})


class Actor(nn.Module):
    """A network from observations (n, P + S) to actions (n, A) in [-1, 1].

    An observation is the proprioception (P), followed by the privileged state (S). It is
    normalised by a mean and standard deviation that are stored with the weights.
    """

    mean: Tensor  # (P + S,)
    std: Tensor  # (P + S,)

    def __init__(self, config: ActorConfig) -> None:
        """Makes the layers; mean and deviation of the observations are set later."""
        super().__init__()
        self.config = config
        widths = [config.inputs, *config.hidden, config.actions]
        self.layers = nn.ModuleList(
            nn.Linear(inputs, outputs) for inputs, outputs in pairwise(widths)
        )
        self.register_buffer("mean", torch.zeros(config.inputs))
        self.register_buffer("std", torch.ones(config.inputs))

    @classmethod
    def from_layers(
        cls,
        layers: Sequence[nn.Linear],
        mean: Tensor,
        std: Tensor,
        activation: str,
        squash: str,
    ) -> Actor:
        """Returns an actor with copies of trained layers.

        Args:
            layers: the layers from the observation to the action, on any device.
            mean: (P + S,) the mean of the observations.
            std: (P + S,) the standard deviation of the observations.
            activation: the function between the layers, a key of `ACTIVATIONS`.
            squash: how the last layer's output is mapped to [-1, 1]: "tanh" or "clip".
        """
        config = ActorConfig(
            inputs=layers[0].in_features,
            hidden=tuple(layer.out_features for layer in layers[:-1]),
            actions=layers[-1].out_features,
            activation=activation,
            squash=squash,
        )

        # the copy is on the CPU, since policies run there
        actor = cls(config)
        for copied, trained in zip(actor.layers, layers, strict=True):
            weights = trained.state_dict()
            copied.load_state_dict(
                {name: value.cpu() for name, value in weights.items()}
            )

        actor.mean.copy_(mean)
        actor.std.copy_(std)
        return actor

    def forward(self, observation: Tensor) -> Tensor:  # (n, P + S) -> (n, A)
        """Returns actions in [-1, 1]."""
        activation = ACTIVATIONS[self.config.activation]
        scaled = (observation - self.mean) / self.std
        hidden = scaled.clamp(-OBSERVATION_LIMIT, OBSERVATION_LIMIT)
        for layer in self.layers[:-1]:
            hidden = activation(layer(hidden))

        output = self.layers[-1](hidden)
        if self.config.squash == "tanh":
            return torch.tanh(output)
        return output.clamp(-1, 1)


class ActorPolicy:
    """An actor as a policy, which needs the privileged state."""

    def __init__(self, actor: Actor, spec: PolicySpec) -> None:
        self.spec = spec
        self._actor = actor.eval()

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        """Does nothing, since the policy has no state."""

    def act(self, observation: Observation) -> np.ndarray:
        """Returns the actions (N, A)."""
        parts = [observation.agent_pos, observation.environment_state]
        inputs = np.concatenate(parts, axis=1).astype(np.float32)  # (N, P + S)

        def infer(rows: np.ndarray) -> list[Tensor]:
            return [self._actor(torch.from_numpy(inputs[rows]))]

        # in batches of a fixed size, so that actions don't depend on the number of worlds;
        # the actions are the only output of the network
        [actions] = infer_in_batches(len(inputs), infer)
        return actions
