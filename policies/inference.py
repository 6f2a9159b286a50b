"""Inference of networks in batches of one fixed size.

A network gives other bits for other batch sizes. With one size, what a world is told
depends neither on the number of worlds nor on the other rows of its batch.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

BATCH_ROWS = 16

# Infers the rows of the given numbers, (BATCH_ROWS,) int64; each output has these rows.
InferRows = Callable[[np.ndarray], list[Tensor]]


def infer_in_batches(num_rows: int, infer: InferRows) -> list[np.ndarray]:
    """Infers rows 0 to `num_rows` - 1 in batches of exactly `BATCH_ROWS`.

    Args:
        num_rows: how many rows there are, at least 1.
        infer: is called once per batch. The last batch is filled up with repetitions of
            the last row.

    Returns:
        The outputs of `infer`, each with `num_rows` rows.
    """
    batches: list[list[np.ndarray]] = []
    for first in range(0, num_rows, BATCH_ROWS):
        rows = np.minimum(np.arange(first, first + BATCH_ROWS), num_rows - 1)
        with torch.inference_mode():
            outputs = infer(rows)
        batches.append([output.numpy()[: num_rows - first] for output in outputs])
    return [np.concatenate(parts) for parts in zip(*batches, strict=True)]
