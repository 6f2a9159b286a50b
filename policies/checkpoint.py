"""Stores tensors as safetensors: a policy's weights, an optimiser's state."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save
from torch import Tensor, nn

from embodied.errors import EmbodiedError
from embodied.files import replace_bytes
from embodied.policies.run_folder import INFO, WEIGHTS


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes a safetensors file; the tensors may be on any device."""
    # `save_file` of safetensors is not used, because other users could not read its files
    replace_bytes(path, tensors_as_bytes(tensors))


def tensors_as_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """Returns the content of a safetensors file; the tensors may be on any device."""
    return save(
        {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    )


def load_weights(network: nn.Module, folder: Path) -> None:
    """Loads the weights of a run folder into a network.

    Raises:
        EmbodiedError: the file is missing or damaged, or has other tensors than the
            network.
    """
    try:
        network.load_state_dict(load_file(folder / WEIGHTS))
    except Exception as error:  # torch and safetensors raise errors of many types
        raise EmbodiedError(
            f"the weights {folder / WEIGHTS} do not fit {INFO}: "
            f"{str(error).splitlines()[0]}"
        ) from error


def optimizer_tensors(stored: Mapping[str, Any]) -> dict[str, Tensor]:
    """Returns the tensors of an optimiser's `state_dict`, by names like `3/exp_avg`.

    A name is made of the number of a network's parameter, and the name of a quantity
    that the optimiser keeps for it. The other entry of a `state_dict`, `param_groups`,
    has no tensors.

    Args:
        stored: the `state_dict`.
    """
    return {
        f"{parameter}/{name}": value
        for parameter, quantities in stored["state"].items()
        for name, value in quantities.items()
    }


def optimizer_state(
    tensors: Mapping[str, Tensor], groups: list[dict[str, Any]]
) -> dict[str, Any]:
    """Returns the `state_dict` of an optimiser from its tensors; undoes `optimizer_tensors`.

    Args:
        tensors: the result of `optimizer_tensors`.
        groups: the optimiser's `param_groups`.
    """
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        parameter, name = key.split("/")
        state.setdefault(int(parameter), {})[name] = value
    return {"state": state, "param_groups": groups}


def join_parts(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Returns the tensors of several parts in one dict, by names like `net:bias`.

    Args:
        parts: the name of a part -> its tensors by name.
    """
    return {
        f"{part}:{name}": value
        for part, tensors in parts.items()
        for name, value in tensors.items()
    }


def split_parts(stored: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Returns the parts that `join_parts` joined, except parts without tensors."""
    parts: dict[str, dict[str, Tensor]] = {}
    for key, value in stored.items():
        part, name = key.split(":", 1)
        parts.setdefault(part, {})[name] = value
    return parts
