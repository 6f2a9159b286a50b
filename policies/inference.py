"""Infers networks in batches of a fixed size.

A network's output depends slightly on the batch size, due to rounding. With a fixed size,
the output for a world depends neither on the number of worlds nor on the other rows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

BATCH_ROWS = 16

# Takes the numbers of the rows to infer, (BATCH_ROWS,) int64; each of the outputs that it
# returns has BATCH_ROWS rows.
InferRows = Callable[[np.ndarray], list[Tensor]]


def infer_in_batches(num_rows: int, infer: InferRows) -> list[np.ndarray]:
    """Infers rows 0 to `num_rows` - 1 in batches of exactly `BATCH_ROWS`.

    Args:
        num_rows: the number of rows, at least 1.
        infer: a function that is called once per batch. The last batch is padded by
            repeating the last row.

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
