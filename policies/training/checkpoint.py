"""Tensors and optimisers on disk: safetensors and JSON, each file replaced whole,
nothing in it executed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """As safetensors, wherever the tensors are."""
    content = {
        name: value.detach().cpu().contiguous() for name, value in tensors.items()
    }
    _replace(path, save(content))  # `save_file` would let its owner alone read it


def write_json(path: Path, value: Any) -> None:
    """Raises ValueError for numbers that are not finite."""
    _replace(path, json.dumps(value, indent=1, allow_nan=False).encode())


def _replace(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def optimizer_tensors(stored: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of an optimiser's `state_dict`, by names such as `3/exp_avg`."""
    return {
        f"{k}/{name}": value
        for k, row in stored["state"].items()
        for name, value in row.items()
    }


def optimizer_state(
    tensors: Mapping[str, Tensor], groups: list[dict[str, Any]]
) -> dict[str, Any]:
    """The `state_dict` that `optimizer_tensors` was made from, given its
    `param_groups`.
    """
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        number, name = key.split("/")
        state.setdefault(int(number), {})[name] = value
    return {"state": state, "param_groups": groups}
