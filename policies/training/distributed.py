"""Training by several processes, each of which computes a part of every batch.

`torchrun` starts the processes, and gives each a number, its rank. All ranks make the same
steps: each computes the gradient of its part of a batch, and the mean of these gradients
updates the networks of all. Rank 0 alone validates, reports, and writes files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import load
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous

from embodied.errors import EmbodiedError
from embodied.interrupts import CtrlCKept, ctrl_c_kept
from embodied.policies.checkpoint import tensors_as_bytes
from embodied.policies.device import training_device
from embodied.torchrun import Launch, this_launch

FAILURE = 2  # exit status of a rank that leaves the message to another one
INTERRUPTED = 130  # the same after Ctrl-C


class Ranks:
    """The processes that train together, as one of them sees the others.

    All ranks must call the methods that communicate (`agreed`, `mean`, `total`,
    `first_ones`, `average_gradients`) in the same order. With one rank, these return what
    they are given.
    """

    def __init__(self, rank: int = 0, size: int = 1, control: Any = None) -> None:
        """Describes this rank.

        Args:
            rank: the number of this process.
            size: the number of processes.
            control: the process group for tensors on the CPU; None with one rank.
        """
        self.rank = rank
        self.size = size
        self._control = control
        # what Ctrl-C did during `ctrl_c_agreed`
        self._kept = CtrlCKept()

    @property
    def is_first(self) -> bool:
        """Whether this process validates, reports, and writes files."""
        return self.rank == 0

    def require_equal_parts(self, batch_size: int) -> None:
        """Raises EmbodiedError unless each rank gets as many plans of a batch."""
        if batch_size % self.size:
            fitting = -(-batch_size // self.size) * self.size  # rounded up
            raise EmbodiedError(
                f"{self.size} processes cannot share a batch of {batch_size} plans "
                f"equally: give a multiple of {self.size}, e.g. --batch-size {fitting}, "
                "or another --nproc-per-node"
            )

    @contextmanager
    def ctrl_c_agreed(self) -> Iterator[None]:
        """Defers Ctrl-C until the next `agreed`, so that no rank waits for another in vain.

        With one rank, Ctrl-C works at once.
        """
        if self.size == 1:
            yield
            return
        with ctrl_c_kept() as kept:
            self._kept = kept
            yield

    def agreed(self, value: float) -> float:
        """Returns the value of rank 0.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed, on any rank.
        """
        if self.size == 1:
            return value
        votes = torch.zeros(2, dtype=torch.float64)
        votes[0] = value if self.is_first else 0.0
        votes[1] = float(self._kept.is_pressed)
        with _lost_rank_explained():
            dist.all_reduce(votes, group=self._control)

        first_value, pressed = votes.tolist()
        if pressed:
            raise KeyboardInterrupt
        return first_value

    def total(self, value: float) -> float:
        """Returns the sum of a value over the ranks."""
        if self.size == 1:
            return value
        total = torch.tensor(value, dtype=torch.float64)
        with _lost_rank_explained():
            dist.all_reduce(total, group=self._control)
        return float(total)

    def mean(self, value: Tensor) -> Tensor:
        """Returns the mean of a scalar over the ranks, on the same device."""
        if self.size == 1:
            return value
        total = value.detach().float().clone()
        with _lost_rank_explained():
            dist.all_reduce(total)
        return total / self.size

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replaces the gradients by their means over the ranks."""
        if self.size == 1:
            return
        gradients = [
            parameter.grad for parameter in parameters if parameter.grad is not None
        ]

        # one message is faster than one for each parameter
        joined = torch.cat([gradient.flatten() for gradient in gradients])
        with _lost_rank_explained():
            dist.all_reduce(joined)
        joined /= self.size

        sizes = [gradient.numel() for gradient in gradients]
        means = torch.split(joined, sizes)
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.view_as(gradient))

    def first_ones(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Returns the named tensors of rank 0, on the CPU if they were sent."""
        if self.size == 1:
            return tensors
        content = tensors_as_bytes(tensors) if self.is_first else b""
        length = int(self.total(len(content)))  # the others add 0

        message = torch.empty(length, dtype=torch.uint8)
        if self.is_first:
            message = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        with _lost_rank_explained():
            dist.broadcast(message, src=0, group=self._control)
        return load(message.numpy().tobytes())


ALONE = Ranks()


def device_of_rank(name: str, launch: Launch | None = None) -> torch.device:
    """Returns the device on which this process trains: each rank has a GPU of its own.

    Args:
        name: a name for `training_device`.
        launch: how the process was started; as torchrun's variables say by default.

    Raises:
        EmbodiedError: there is no such device, or several ranks would share a GPU.
    """
    launch = launch or this_launch()
    device = training_device(name)
    if device.type == "cpu" or launch.ranks == 1:
        return device

    is_any_gpu = device == torch.device("cuda")  # no number was given
    if not is_any_gpu and launch.local_ranks > 1:
        raise EmbodiedError(
            f"--device {name} would put all {launch.local_ranks} processes on one GPU: "
            "give --device cuda, which gives each its own"
        )
    count = torch.cuda.device_count()
    if launch.local_ranks > count:
        raise EmbodiedError(
            f"torchrun started {launch.local_ranks} processes on this machine, but torch "
            f"finds {count} CUDA devices: give --nproc-per-node {count}, or --device cpu"
        )
    return torch.device("cuda", launch.local_rank) if is_any_gpu else device


@contextmanager
def joined_ranks(device: torch.device) -> Iterator[Ranks]:
    """Joins this process with all others that torchrun started, until the block ends.

    If ranks fail, only the first one to do so raises its error; the others, which fail of
    the same cause or because they lost it, exit silently. After Ctrl-C it is rank 0 that
    raises.

    Args:
        device: the device on which this process trains.
    """
    launch = this_launch()
    if launch.ranks == 1:
        yield ALONE
        return

    if device.type == "cuda":
        torch.cuda.set_device(device)
    store, rank, size = next(rendezvous("env://"))
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=size)
    control = dist.new_group(backend="gloo")
    try:
        yield Ranks(rank, size, control)
    except KeyboardInterrupt:
        if rank > 0:
            raise SystemExit(INTERRUPTED) from None
        raise
    except Exception:
        # without the store, rank 0 or torchrun is gone, and nobody else can speak
        with suppress(RuntimeError):
            if store.add("failures", 1) > 1:
                raise SystemExit(FAILURE) from None
        raise
    # not after an error: it may wait for ranks that are gone
    dist.destroy_process_group()


@contextmanager
def _lost_rank_explained() -> Iterator[None]:
    """Raises EmbodiedError in place of torch's errors if another rank cannot be reached."""
    try:
        yield
    except RuntimeError as error:  # torch has no type of error that all backends share
        reason = str(error).splitlines()[0]
        raise EmbodiedError(
            f"another process of this training has ended, or cannot be reached: {reason}"
        ) from error
