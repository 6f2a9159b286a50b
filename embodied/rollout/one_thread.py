"""Limits computations to one thread, so that results do not depend on the machine."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Limits libraries and processes that start within the context to one thread.

    With one thread, floating-point sums have the same order everywhere.
    """
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)

    # torch reads the environment only when it is imported
    torch = sys.modules.get("torch")
    num_threads = torch.get_num_threads() if torch else 0
    if torch:
        torch.set_num_threads(1)

    try:
        yield
    finally:
        if torch:
            torch.set_num_threads(num_threads)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
