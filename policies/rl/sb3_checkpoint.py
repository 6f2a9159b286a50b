"""Checkpoints of Stable-Baselines3's algorithms as tensors, without pickles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from embodied.policies.checkpoint import (
    join_parts,
    optimizer_state,
    optimizer_tensors,
    split_parts,
)

# The names of a replay buffer's arrays, (steps, N, ...) each.
REPLAY_ARRAYS = (
    "observations",
    "next_observations",
    "actions",
    "rewards",
    "dones",
    "timeouts",
)
# The names of the parts that are neither networks nor optimisers.
OWN = "own"  # the algorithm's counters and entropy coefficient
REPLAY = "replay"  # the replay buffer


def learner_tensors(algorithm: Any) -> dict[str, Tensor]:
    """Returns the whole state of an algorithm as tensors.

    The state consists of networks, optimisers and counters, and of the entropy coefficient
    and the replay buffer if the algorithm has them.
    """
    parts: dict[str, Mapping[str, Tensor]] = {}
    # name -> `state_dict` of a network or an optimiser
    for part, state in algorithm.get_parameters().items():
        parts[part] = optimizer_tensors(state) if _is_optimizer(state) else state

    parts[OWN] = {
        "steps": torch.tensor(algorithm.num_timesteps),
        "updates": torch.tensor(algorithm._n_updates),
        **_entropy_weight(algorithm),
    }
    parts[REPLAY] = _replay_tensors(algorithm)
    return join_parts(parts)


def restore_learner(algorithm: Any, stored: Mapping[str, Tensor]) -> None:
    """Restores the state of an algorithm from `learner_tensors`.

    Raises:
        KeyError: the state is of another algorithm.
        ValueError: the state is of another algorithm.
        RuntimeError: the networks have other sizes.
    """
    parts = split_parts(stored)
    parameters: dict[str, Any] = {}
    for part, state in algorithm.get_parameters().items():
        if _is_optimizer(state):
            # before the first update an optimiser has no tensors
            groups = state["param_groups"]
            parameters[part] = optimizer_state(parts.get(part, {}), groups)
        else:
            parameters[part] = parts[part]
    algorithm.set_parameters(parameters)

    # the entropy coefficient is a tensor of the algorithm, so it is changed in place
    own = parts[OWN]
    algorithm.num_timesteps = int(own["steps"])
    algorithm._n_updates = int(own["updates"])
    for name, value in _entropy_weight(algorithm).items():
        value.copy_(own[name])
    _restore_replay(algorithm, parts.get(REPLAY, {}))


def _is_optimizer(state: Mapping[str, Any]) -> bool:
    return "param_groups" in state


def _entropy_weight(algorithm: Any) -> dict[str, Tensor]:
    """Returns the entropy coefficient, which only SAC learns."""
    weight = getattr(algorithm, "log_ent_coef", None)
    return {} if weight is None else {"log_ent_coef": weight.detach()}


def _replay_tensors(algorithm: Any) -> dict[str, Tensor]:
    """Returns the filled part of a replay buffer as tensors, to store it."""
    replay = getattr(algorithm, "replay_buffer", None)
    if replay is None:
        return {}

    size = replay.size()
    # the buffer is a ring: the next step is written at `position`
    tensors = {"position": torch.tensor(replay.pos)}
    for name in REPLAY_ARRAYS:
        tensors[name] = torch.from_numpy(getattr(replay, name)[:size])
    return tensors


def _restore_replay(algorithm: Any, stored: Mapping[str, Tensor]) -> None:
    """Fills the replay buffer, if there is one, from `_replay_tensors`."""
    replay = getattr(algorithm, "replay_buffer", None)
    if replay is None:
        return

    for name in REPLAY_ARRAYS:
        rows = stored[name].numpy()
        getattr(replay, name)[: len(rows)] = rows
    replay.pos = int(stored["position"])
    replay.full = len(stored["rewards"]) == replay.buffer_size
