"""Loads the package of the extra `transformers` when it is needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from embodied.errors import EmbodiedError


def load_transformers() -> Any:
    """Returns the module `transformers`, whose import takes some seconds.

    Raises:
        EmbodiedError: the module is not installed; the message names the extra.
    """
    try:
        return import_module("transformers")
    except ModuleNotFoundError as error:
        raise EmbodiedError(
            f"transformers: needs the package {error.name}: "
            "pip install 'embodied-ground[transformers]'"
        ) from error
