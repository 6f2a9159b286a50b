"""A linear head, which makes latents of a model's hidden states.

The latents are those of a run of `embodied train`: its controller acts on them. A head is a
folder with its weights and `head.json`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save

from embodied.errors import EmbodiedError, one_line
from embodied.files import replace_bytes
from embodied.policies.run_folder import write_json

WEIGHTS = "head.safetensors"
INFO = "head.json"  # a folder with this file is a head
# strengths of the ridge that are tried, as shares of the mean square of the inputs
RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
# smaller standard deviations of hidden states are taken for none
MIN_STD = 1e-6


@dataclass(frozen=True)
class HeadInfo:
    """What a head was fitted to.

    Attributes:
        asked: hash of the model and of its question.
        run: the path of the run whose latents it makes.
        run_weights: hash of that run's weights.
        ridge: the strength of the ridge.
        explained: the share of the variance of latents that it explains in the episodes
            held out; below 0 if their mean were better.
        fitted: number of plans that it was fitted to.
        held_out: number of plans held out.
    """

    asked: str
    run: str
    run_weights: str
    ridge: float
    explained: float
    fitted: int
    held_out: int


@dataclass(frozen=True)
class Head:
    """The weights of a head.

    Attributes:
        weight: (L, H) float32.
        bias: (L,) float32.
        low: (L,) float32, the smallest latents that it was fitted to.
        high: (L,) float32, the largest.
    """

    weight: np.ndarray
    bias: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def latent(self, hidden: np.ndarray) -> np.ndarray:  # (H,) -> (L,) float32
        """Returns the latent of a hidden state, within the range of those fitted to.

        It takes one hidden state, as the rounding of a product depends on the number of
        rows.
        """
        return np.clip(self.weight @ hidden + self.bias, self.low, self.high)


def fit_head(
    hidden: np.ndarray, latent: np.ndarray, is_held_out: np.ndarray
) -> tuple[Head, float, float]:
    """Returns the head by ridge regression, its ridge, and the share explained.

    Of several ridges the one is taken that explains most of the latents held out.

    Args:
        hidden: (n, H) hidden states.
        latent: (n, L) latents.
        is_held_out: (n,) bool.

    Raises:
        EmbodiedError: there is nothing to fit, or nothing held out; or a hidden state is
            not finite.
    """
    is_fitted = ~is_held_out
    if not is_fitted.any() or not is_held_out.any():
        raise EmbodiedError(
            "a head needs episodes to fit and episodes held out: at least 2"
        )
    if not np.isfinite(hidden).all():
        raise EmbodiedError("the model's hidden states are not finite")

    # normalise the inputs, so that one ridge suits all of them
    x = hidden[is_fitted].astype(np.float64)
    y = latent[is_fitted].astype(np.float64)
    mean_x = x.mean(axis=0)
    scale = 1 / np.maximum(x.std(axis=0), MIN_STD)
    mean_y = y.mean(axis=0)
    x = (x - mean_x) * scale
    gram = x.T @ x / len(x)
    cross = x.T @ (y - mean_y) / len(x)

    best: tuple[float, float, np.ndarray] | None = None
    held_x = (hidden[is_held_out].astype(np.float64) - mean_x) * scale
    held_y = latent[is_held_out].astype(np.float64) - mean_y
    for ridge in RIDGES:
        solved = np.linalg.solve(gram + ridge * np.eye(len(gram)), cross)  # (H, L)
        explained = _explained(held_y, held_x @ solved)
        if best is None or explained > best[0]:
            best = (explained, ridge, solved)
    assert best is not None
    explained, ridge, solved = best

    weight = (solved * scale[:, None]).T
    head = Head(
        weight=weight.astype(np.float32),
        bias=(mean_y - weight @ mean_x).astype(np.float32),
        low=y.min(axis=0).astype(np.float32),
        high=y.max(axis=0).astype(np.float32),
    )
    return head, ridge, explained


def write_head(folder: Path, head: Head, info: HeadInfo) -> None:
    """Writes the folder of a head; its info last, which makes it one."""
    folder.mkdir(parents=True, exist_ok=True)
    # safetensors writes the memory of an array as it lies, whatever its order
    arrays = {name: np.ascontiguousarray(value) for name, value in vars(head).items()}
    replace_bytes(folder / WEIGHTS, save(arrays))
    write_json(folder / INFO, asdict(info))


def read_head(folder: Path) -> tuple[Head, HeadInfo]:
    """Returns the head in a folder.

    Raises:
        EmbodiedError: there is none, or it is damaged.
    """
    if not (folder / INFO).is_file():
        raise EmbodiedError(
            f"{folder} is no head: no {INFO} in it. `embodied fit-head` makes one."
        )
    try:
        stored: dict[str, Any] = json.loads((folder / INFO).read_text("utf-8"))
        head = Head(**load_file(folder / WEIGHTS))
        info = HeadInfo(**stored)
    # damaged files raise errors of many kinds
    except Exception as error:
        raise EmbodiedError(
            f"the head in {folder} is damaged: {type(error).__name__}: "
            f"{one_line(error)[:200]}"
        ) from error

    width = len(head.bias)
    sizes = [len(head.weight), len(head.low), len(head.high)]
    if head.weight.ndim != 2 or any(size != width for size in sizes):
        raise EmbodiedError(f"the head in {folder} is damaged: sizes differ")
    return head, info


def _explained(values: np.ndarray, predicted: np.ndarray) -> float:
    """Returns the share of the variance of values (n, L) that is explained.

    Args:
        values: (n, L), of which the mean of those fitted to was subtracted.
        predicted: (n, L).
    """
    total = float((values**2).sum())
    left = float(((values - predicted) ** 2).sum())
    return 1 - left / total if total else 0.0
