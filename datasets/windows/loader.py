"""Batches of windows, in an order that a seed alone decides."""

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

    The batches depend on the seed and on nothing else: not on the number of workers,
    nor on how they are started. A loader that got the `state_dict` of another one goes
    on with the batch after the last one that the other gave.

    Attributes:
        epoch: the present one, from 0.
        position: how many batches of it were given.
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
            windows: what to load.
            batch_size: windows of a batch; those left over in an epoch are left out.
            seed: of the order and of the ages of plans.
            workers: processes that read and decompress; 0 for this process alone.
            weights: how often each of the files is drawn from, relative to the others;
                None for each window once in an epoch.
            context: how workers are started: `fork`, `spawn` or `forkserver`; torch's
                default if None.
            pin_memory: whether batches can be sent to a GPU while it computes.

        Raises:
            EmbodiedError: there are fewer windows than one batch has, fewer workers than
                0, or the weights are not one positive number for each file.
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
        self._weights = None if weights is None else [float(one) for one in weights]
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
            # its own, or the loader would draw from torch's global random numbers
            generator=torch.Generator(),
        )

    def __len__(self) -> int:
        """The number of batches of an epoch."""
        return len(self._windows) // self._batch_size

    def __iter__(self) -> Iterator[Batch]:
        """Yields the batches of the present epoch that were not given yet."""
        for batch in self._loader:
            self.position += 1
            yield batch
        self.epoch += 1
        self.position = 0

    def state_dict(self) -> dict[str, Any]:
        """Returns where it stands, to be kept in a checkpoint."""
        return {
            "epoch": self.epoch,
            "position": self.position,
            "seed": self._seed,
            "batch_size": self._batch_size,
            "windows": len(self._windows),
            "weights": self._weights,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from where another loader stood; takes effect at the next `for`.

        Raises:
            EmbodiedError: the other had another seed, batch size, number of windows or
                weights.
        """
        own = self.state_dict()
        for name in ("seed", "batch_size", "windows", "weights"):
            if state[name] != own[name]:
                raise EmbodiedError(
                    f"a loader with {name} {own[name]} cannot go on from one with "
                    f"{state[name]}"
                )
        self.epoch = state["epoch"]
        self.position = state["position"]

    def requests(self) -> Iterator[Request]:
        """Yields the requests of the present epoch's batches, from the next one on."""
        epoch = self.epoch
        order = self._order(epoch)
        size = self._batch_size
        for number in range(self.position, len(self)):
            rng = np.random.default_rng([self._seed, epoch, number])
            chosen = order[number * size : (number + 1) * size]
            yield Request(chosen, rng.random(size))

    def _order(self, epoch: int) -> np.ndarray:
        """Returns the numbers of an epoch's windows in the order in which they come."""
        rng = np.random.default_rng([self._seed, epoch])
        count = len(self._windows)
        # With weights, windows are drawn with replacement: first the file, then any of
        # its windows.
        if self._weights is not None:
            share = np.array(self._weights) / np.sum(self._weights)
            file = rng.choice(len(share), count, p=share)
            counts = np.array(self._windows.counts)
            start = np.cumsum(counts) - counts
            within = (rng.random(count) * counts[file]).astype(np.int64)
            return start[file] + within

        return rng.permutation(count)


def _check_weights(weights: Sequence[float], windows: Windows) -> None:
    files = len(windows.files)
    if len(weights) != files or not all(0 < weight < math.inf for weight in weights):
        raise EmbodiedError(
            f"weights must be {files} positive numbers, one for each file, not "
            f"{list(weights)}"
        )


class _Requests:
    """The requests of a loader's present epoch, as torch's loader asks for them."""

    def __init__(self, loader: WindowLoader) -> None:
        self._loader = loader

    def __iter__(self) -> Iterator[Any]:
        return self._loader.requests()

    def __len__(self) -> int:
        return len(self._loader)


def _stack(windows: Any) -> Batch:
    """Returns the batch in what torch takes for a list of windows to be stacked."""
    stacked: StackedWindows = windows
    return stacked.stack
