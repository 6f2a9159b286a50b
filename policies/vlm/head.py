"""A linear head, which maps a model's hidden states to latents.

The latents are in the form of a policy that `embodied train` trained, whose controller acts
on them. A head is stored as a folder with its weights and `head.json`.
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
# The strengths of ridge regression that are tried, as shares of the mean square of the
# inputs. The best one depends on the number of plans and on the model.
RIDGES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
# The smallest standard deviation by which a hidden value is divided, because a constant one
# has none.
MIN_STD = 1e-6


@dataclass(frozen=True)
class HeadInfo:
    """The model, the run and the plans that a head was fitted to, and how well it fits.

    Attributes:
        asked: the hash of the model and of its question (see `asked_hash`).
        run: the path of the run whose latents the head predicts.
        run_weights: the hash of that run's weights.
        ridge: the strength of ridge regression.
        explained: the share of the latents' variance that the head explains in held-out
            episodes; below 0 if their mean were a better prediction.
        fitted: the number of plans that the head was fitted to.
        held_out: the number of held-out plans.
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
        weight: (L, H) float32, for latents of L and hidden states of H numbers.
        bias: (L,) float32.
        low: (L,) float32, the smallest values of the latents that the head was fitted to.
        high: (L,) float32, the largest values of these latents.
    """

    weight: np.ndarray
    bias: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def latent(self, hidden: np.ndarray) -> np.ndarray:  # (H,) -> (L,) float32
        """Returns the latent of a hidden state, clipped to the range of the fitted latents.

        It takes a single hidden state, because the rounding of a matrix product depends on
        the number of rows.
        """
        return np.clip(self.weight @ hidden + self.bias, self.low, self.high)


def fit_head(
    hidden: np.ndarray, latent: np.ndarray, is_held_out: np.ndarray
) -> tuple[Head, float, float]:
    """Fits a head by ridge regression.

    Of the strengths in RIDGES, the strength that explains most of the held-out latents is
    used.

    Args:
        hidden: (n, H) hidden states.
        latent: (n, L) latents.
        is_held_out: (n,) bool, whether a row is held out.

    Returns:
        The head, the strength of the regression, and the share of the held-out latents'
        variance that is explained.

    Raises:
        EmbodiedError: all rows or none are held out; or a hidden state is not finite.
    """
    is_fitted = ~is_held_out
    if not is_fitted.any() or not is_held_out.any():
        raise EmbodiedError(
            "a head needs episodes to fit and episodes held out: at least 2"
        )
    if not np.isfinite(hidden).all():
        raise EmbodiedError("the model's hidden states are not finite")

    # normalise the inputs, so that one strength suits all of them
    x = hidden[is_fitted].astype(np.float64)  # (m, H), of the m fitted rows
    y = latent[is_fitted].astype(np.float64)  # (m, L)
    mean_x = x.mean(axis=0)
    scale = 1 / np.maximum(x.std(axis=0), MIN_STD)
    mean_y = y.mean(axis=0)
    x = (x - mean_x) * scale

    # the normal equations of ridge regression: (gram + ridge I) coefficients = cross
    gram = x.T @ x / len(x)
    cross = x.T @ (y - mean_y) / len(x)

    # solve the equations for each strength, and take the best solution on held-out rows
    held_out_x = (hidden[is_held_out].astype(np.float64) - mean_x) * scale
    held_out_y = latent[is_held_out].astype(np.float64) - mean_y
    solutions = []
    for ridge in RIDGES:
        coefficients = np.linalg.solve(gram + ridge * np.eye(len(gram)), cross)
        explained = _explained_share(held_out_y, held_out_x @ coefficients)
        solutions.append((explained, ridge, coefficients))
    explained, ridge, coefficients = max(solutions, key=lambda solution: solution[0])

    # undo the normalisation, so that the head takes raw hidden states
    weight = (coefficients * scale[:, None]).T
    head = Head(
        weight=weight.astype(np.float32),
        bias=(mean_y - weight @ mean_x).astype(np.float32),
        low=y.min(axis=0).astype(np.float32),
        high=y.max(axis=0).astype(np.float32),
    )
    return head, ridge, explained


def write_head(folder: Path, head: Head, info: HeadInfo) -> None:
    """Writes the folder of a head.

    The info is written last, because a folder counts as a head by its info.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # safetensors writes the memory of an array as it is, so rows must be contiguous
    arrays = {name: np.ascontiguousarray(value) for name, value in vars(head).items()}
    replace_bytes(folder / WEIGHTS, save(arrays))
    write_json(folder / INFO, asdict(info))


def read_head(folder: Path) -> tuple[Head, HeadInfo]:
    """Returns the head in a folder.

    Raises:
        EmbodiedError: there is no head in the folder, or it is damaged.
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

    # each array has one row or number per element of a latent
    latent_size = len(head.bias)
    sizes = [len(head.weight), len(head.low), len(head.high)]
    if head.weight.ndim != 2 or any(size != latent_size for size in sizes):
        raise EmbodiedError(f"the head in {folder} is damaged: sizes differ")
    return head, info


def _explained_share(values: np.ndarray, predicted: np.ndarray) -> float:
    """Returns the share of the variance of values that predictions explain.

    Args:
        values: (n, L) values, from which the mean of the fitted values was subtracted.
        predicted: (n, L) the predictions of these values.
    """
    total = float((values**2).sum())
    unexplained = float(((values - predicted) ** 2).sum())
    return 1 - unexplained / total if total else 0.0
