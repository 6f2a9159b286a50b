"""A policy that reinforcement learning found: a plain network from the privileged state
to an action.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from embodied.core import Array, Observation, PolicySpec

BATCH = 16  # worlds at a time: results must not depend on how many there are
CLIP = 5.0  # of scaled observations
ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "elu": nn.functional.elu}


@dataclass(frozen=True)
class ActorConfig:
    """Widths of the network and how its output becomes an action in [-1, 1]."""

    inputs: int
    hidden: tuple[int, ...]
    actions: int
    activation: str = "relu"  # or tanh, elu
    squash: str = "tanh"  # or clip

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> ActorConfig:
        return cls(**{**stored, "hidden": tuple(stored["hidden"])})


class Actor(nn.Module):
    """Observations (n, P + E) -> actions (n, A). The scale of the observations is part
    of it.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: ActorConfig) -> None:
        super().__init__()
        self.config = config
        widths = [config.inputs, *config.hidden, config.actions]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.register_buffer("mean", torch.zeros(config.inputs))
        self.register_buffer("std", torch.ones(config.inputs))

    def forward(self, observation: Tensor) -> Tensor:
        activation = ACTIVATIONS[self.config.activation]
        x = ((observation - self.mean) / self.std).clamp(-CLIP, CLIP)
        for layer in self.layers[:-1]:
            x = activation(layer(x))
        x = self.layers[-1](x)
        return torch.tanh(x) if self.config.squash == "tanh" else x.clamp(-1, 1)


class ActorPolicy:
    """An actor as a policy: it sees the privileged state, and remembers nothing."""

    def __init__(self, actor: Actor, spec: PolicySpec) -> None:
        self.spec = spec
        self._actor = actor.eval()

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        """Does nothing: there is nothing to forget."""

    def act(self, observation: Observation) -> np.ndarray:
        parts = [observation.agent_pos, observation.environment_state]
        rows = np.concatenate(parts, axis=1).astype(np.float32)
        batches = -(-len(rows) // BATCH)
        padded = np.zeros((batches * BATCH, rows.shape[1]), np.float32)
        padded[: len(rows)] = rows

        actions = []
        with torch.inference_mode():
            for first in range(0, len(padded), BATCH):
                batch = torch.from_numpy(padded[first : first + BATCH])
                actions.append(self._actor(batch).numpy())
        return np.concatenate(actions)[: len(rows)]
