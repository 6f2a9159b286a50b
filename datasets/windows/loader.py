"""Batches of windows, in an order that depends on a seed only."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader

from embodied.datasets.windows.dataset import Batch, Request, StackedWindows, Windows
from embodied.errors import EmbodiedError
from embodied.seeding import checked_seed


class WindowLoader:
    """Batches of windows, shuffled anew in each epoch.

        loader = WindowLoader(windows, batch_size=64, seed=0, workers=2)
        for _ in range(epochs):
            for batch in loader:
                ...

    The batches depend on the seed only, not on the number of workers or on how workers are
    started. After `load_state_dict` with the state of another loader, a loader continues
    with the batch that follows the other loader's last batch.

    Attributes:
        epoch: the current epoch, from 0.
        position: the number of batches of this epoch that were yielded already.
    """

    def __init__(
        self,
        windows: Windows,
        batch_size: int,
        seed: int = 0,
        workers: int = 0,
        weights: Sequence[float] | None = None,
        context: str | None = None,
        pin_memory: bool = False,
    ) -> None:
        """Prepares to load; workers are started with the first batch.

        Args:
            windows: the windows to load.
            batch_size: the number of windows per batch. A last, smaller batch of an epoch
                is dropped.
            seed: the seed of the order of windows, and of the ages of their plans.
            workers: the number of additional processes that read and decompress; 0 to do
                so in this process.
            weights: one weight per file. Windows are drawn from the files in proportion
                to the weights, with replacement. None to yield each window once per
                epoch.
            context: how workers are started: `fork`, `spawn` or `forkserver`; None for
                torch's default.
            pin_memory: whether to put batches in pinned memory, from which they are
                copied to a GPU while it computes.

        Raises:
            EmbodiedError: there are fewer windows than `batch_size`, `workers` is
                negative, or `weights` is not one positive number per file.
        """
        checked_seed(seed)
        if not 1 <= batch_size <= len(windows):
            raise EmbodiedError(
                f"batch_size must be from 1 to {len(windows)}, as many windows as there "
                f"are, not {batch_size}"
            )
        if workers < 0:
            raise EmbodiedError(f"workers must be at least 0, not {workers}")
        if weights is not None:
            _check_weights(weights, windows)
        self.epoch = 0
        self.position = 0
        self._weights = (
            None if weights is None else [float(weight) for weight in weights]
        )
        self._windows = windows
        self._batch_size = batch_size
        self._seed = seed
        self._loader = DataLoader(
            windows,
            batch_sampler=_Requests(self),
            collate_fn=_stack,
            num_workers=workers,
            multiprocessing_context=context if workers else None,
            persistent_workers=workers > 0,
            pin_memory=pin_memory,
            # without a generator, torch's global random state would be changed
            generator=torch.Generator(),
        )

    def __len__(self) -> int:
        """Returns the number of batches per epoch."""
        return len(self._windows) // self._batch_size

    def __iter__(self) -> Iterator[Batch]:
        """Yields the remaining batches of the current epoch, then begins the next one."""
        for batch in self._loader:
            self.position += 1
            yield batch
        self.epoch += 1
        self.position = 0

    def state_dict(self) -> dict[str, Any]:
        """Returns the loader's position, to be stored in a checkpoint."""
        return {
            "epoch": self.epoch,
            "position": self.position,
            "seed": self._seed,
            "batch_size": self._batch_size,
            "windows": len(self._windows),
            "weights": self._weights,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Sets the position from the state of another loader, for the next iteration.

        Raises:
            EmbodiedError: the other loader had another seed, batch size, number of
                windows or other weights.
        """
        # the position is only valid for the same sequence of batches
        settings = self.state_dict()
        for name in ("seed", "batch_size", "windows", "weights"):
            if state[name] != settings[name]:
                raise EmbodiedError(
                    f"a loader with {name} {settings[name]} cannot go on from one with "
                    f"{state[name]}"
                )
        self.epoch = state["epoch"]
        self.position = state["position"]

    def requests(self) -> Iterator[Request]:
        """Yields the requests for the remaining batches of the current epoch."""
        epoch = self.epoch
        order = self._order(epoch)
        size = self._batch_size
        for number in range(self.position, len(self)):
            rng = np.random.default_rng([self._seed, epoch, number])
            windows = order[number * size : (number + 1) * size]
            # random ages of the plans, from 0 for the smallest to 1 for the largest
            yield Request(numbers=windows, age=rng.random(size))

    def _order(self, epoch: int) -> np.ndarray:
        """Returns the numbers of the windows in the order of an epoch."""
        rng = np.random.default_rng([self._seed, epoch])
        count = len(self._windows)
        # with weights, draw with replacement: first the file, then one of its windows
        if self._weights is not None:
            probability = np.array(self._weights) / np.sum(self._weights)
            file = rng.choice(len(probability), count, p=probability)
            # windows are numbered file by file
            counts = np.array(self._windows.counts)
            first_window = np.cumsum(counts) - counts
            number_in_file = (rng.random(count) * counts[file]).astype(np.int64)
            return first_window[file] + number_in_file

        return rng.permutation(count)


def _check_weights(weights: Sequence[float], windows: Windows) -> None:
    """Raises EmbodiedError unless there is one positive number per file."""
    files = len(windows.files)
    if len(weights) != files or not all(0 < weight < math.inf for weight in weights):
        raise EmbodiedError(
            f"weights must be {files} positive numbers, one for each file, not "
            f"{list(weights)}"
        )


class _Requests:
    """The requests of a loader's current epoch, as a batch sampler of torch's loader."""

    def __init__(self, loader: WindowLoader) -> None:
        self._loader = loader

    def __iter__(self) -> Iterator[Any]:
        return self._loader.requests()

    def __len__(self) -> int:
        return len(self._loader)


def _stack(windows: Any) -> Batch:
    """Returns the batch; torch's loader calls this function as its `collate_fn`.

    Args:
        windows: the result of `Windows.__getitems__`, for which torch's type hints say
            a list.
    """
    stacked: StackedWindows = windows
    return stacked.stack
