"""The torch device on which networks are trained."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext

import torch

from embodied.errors import EmbodiedError

AUTO = "auto"
DEVICE_NAMES = "auto, cpu, cuda or cuda:<number>"


def training_device(name: str = AUTO) -> torch.device:
    """Returns the device of a name; `auto` is the GPU if there is one, and the CPU otherwise.

    Raises:
        EmbodiedError: there is no such device on this machine.
    """
    if name == AUTO:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")

    # torch has more kinds of devices, but only these two are supported
    unknown = EmbodiedError(f"no device {name!r}: give {DEVICE_NAMES}")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise unknown from None
    if device.type not in ("cpu", "cuda"):
        raise unknown

    # `cuda` without a number is the first GPU
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        raise EmbodiedError(
            f"no device {name!r}: torch {torch.__version__} finds {count} CUDA devices; "
            "give --device cpu, or install a torch that was built for this GPU"
        )
    return device


def memory_bytes(device: torch.device) -> int:
    """Returns the free memory of a GPU, or the total memory of the machine for the CPU."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def half_precision(device: torch.device) -> AbstractContextManager[object]:
    """Returns a context that computes in bfloat16 on CUDA; it has no effect on the CPU."""
    if device.type != "cuda":
        return nullcontext()
    return torch.autocast("cuda", torch.bfloat16)
