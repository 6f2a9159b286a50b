"""All that a learner of Stable-Baselines3's needs to go on, as tensors: its own archive
holds pickles.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from embodied.policies.checkpoint import optimizer_state, optimizer_tensors

REMEMBERED = (
    "observations",
    "next_observations",
    "actions",
    "rewards",
    "dones",
    "timeouts",
)
OWN = "own"
MEMORY = "memory"


def learner_tensors(algorithm: Any) -> dict[str, Tensor]:
    """Networks, optimisers, the weight of entropy, and an off-policy learner's memory,
    by names `part:name`.
    """
    parts = {
        part: optimizer_tensors(state) if _is_optimizer(state) else state
        for part, state in algorithm.get_parameters().items()
    }
    counts = {
        "steps": torch.tensor(algorithm.num_timesteps),
        "updates": torch.tensor(algorithm._n_updates),
    }
    parts[OWN] = {**counts, **_entropy_weight(algorithm)}
    parts[MEMORY] = _memory(algorithm)
    return {
        f"{part}:{name}": value
        for part, tensors in parts.items()
        for name, value in tensors.items()
    }


def restore_learner(algorithm: Any, stored: Mapping[str, Tensor]) -> None:
    """Goes on from `learner_tensors`. Raises KeyError, ValueError or RuntimeError where
    they are of another learner.
    """
    parts: dict[str, dict[str, Tensor]] = {}
    for key, value in stored.items():
        part, name = key.split(":", 1)
        parts.setdefault(part, {})[name] = value
    now = algorithm.get_parameters()
    algorithm.set_parameters(
        {
            part: optimizer_state(parts.get(part, {}), state["param_groups"])
            if _is_optimizer(state)
            else parts[part]
            for part, state in now.items()
        }
    )
    algorithm.num_timesteps = int(parts[OWN]["steps"])
    algorithm._n_updates = int(parts[OWN]["updates"])
    for name, value in _entropy_weight(algorithm).items():
        value.copy_(parts[OWN][name])
    _remember(algorithm, parts.get(MEMORY, {}))


def _is_optimizer(state: Mapping[str, Any]) -> bool:
    return "param_groups" in state


def _entropy_weight(algorithm: Any) -> dict[str, Tensor]:
    """SAC learns it beside its networks."""
    weight = getattr(algorithm, "log_ent_coef", None)
    return {} if weight is None else {"log_ent_coef": weight.detach()}


def _memory(algorithm: Any) -> dict[str, Tensor]:
    """What lies in the memory of an off-policy learner, without its room for more."""
    memory = getattr(algorithm, "replay_buffer", None)
    if memory is None:
        return {}
    rows = {
        name: torch.from_numpy(getattr(memory, name)[: memory.size()])
        for name in REMEMBERED
    }
    return {"position": torch.tensor(memory.pos), **rows}


def _remember(algorithm: Any, stored: Mapping[str, Tensor]) -> None:
    memory = getattr(algorithm, "replay_buffer", None)
    if memory is None:
        return
    for name in REMEMBERED:
        rows = stored[name].numpy()
        getattr(memory, name)[: len(rows)] = rows
    memory.pos = int(stored["position"])
    memory.full = len(stored["rewards"]) == memory.buffer_size
