"""Loads the packages of the extra `remote` when they are needed."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

from embodied.errors import EmbodiedError


def load_msgpack() -> Any:
    """Returns the module `msgpack`.

    Raises:
        EmbodiedError: the module is not installed; the message names the extra.
    """
    return _module("msgpack")


def websockets_client() -> Any:
    """Returns the module `websockets.sync.client`; raises like `load_msgpack`."""
    return _module("websockets.sync.client")


def websockets_server() -> Any:
    """Returns the module `websockets.sync.server`; raises like `load_msgpack`."""
    return _module("websockets.sync.server")


def _module(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise EmbodiedError(
            f"remote policies need the package {error.name}: "
            "pip install 'embodied-ground[remote]'"
        ) from error
