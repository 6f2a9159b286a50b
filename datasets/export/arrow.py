"""Loading pyarrow, an optional dependency, when Parquet files are written or read."""

from __future__ import annotations

import importlib
from typing import Any

from embodied.errors import EmbodiedError


def load_pyarrow() -> Any:
    """Returns the module `pyarrow`, with `pyarrow.parquet` loaded.

    Raises:
        EmbodiedError: pyarrow is not installed; the message says what to install.
    """
    try:
        importlib.import_module("pyarrow.parquet")
        return importlib.import_module("pyarrow")
    except ImportError as error:
        raise EmbodiedError(
            "LeRobot's Parquet files need pyarrow, which is not installed:"
            " pip install 'embodied-ground[export]'"
        ) from error
