"""Reads files that describe a server, for servers that do not describe themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embodied.core import PolicySpec
from embodied.errors import EmbodiedError, unknown
from embodied.plan import PlanShape
from embodied.policies.remote.client import TIMEOUT_S, Endpoint
from embodied.policies.remote.wire import PROMPT, STATE, Keys, ServerInfo
from embodied.policies.settings_file import Kinds, check_kinds, read_toml

URI = re.compile(r"wss?://[^\s/@]+(/[^\s]*)?")
DEFAULT_HZ = 20  # the default frame rate of our datasets
DEFAULT_IMAGE_SIZE = 96  # pixels, the default of our worlds
# The keys of a file, with the types of their values.
KEYS: Kinds = {
    "address": ((str,), "a text"),
    "actions": ((int,), "a whole number"),
    "chunk_steps": ((int,), "a whole number"),
    "chunk_hz": ((int, float), "a number"),
    "planner_hz": ((int, float), "a number"),
    "control_mode": ((str,), "a text"),
    "control_hz": ((int,), "a whole number"),
    "image_size": ((int,), "a whole number"),
    "units": ((str,), "a text"),
    "timeout_s": ((int, float), "a number"),
    "state_key": ((str,), "a text"),
    "prompt_key": ((str,), "a text"),
    "cameras": ((dict,), 'a table of CAMERA = "KEY"'),
}
NEEDED = ("address", "actions", "chunk_steps")  # the keys that must be given
UNITS = ("normalised", "physical")  # of actions; the first is the default


@dataclass(frozen=True)
class Settings:
    """The description of a server.

    Attributes:
        endpoint: the server's address, and how to talk to it.
        info: the server's requirements and outputs.
        keys: the names of observations in messages.
        physical: whether the server's actions are in physical units, not in [-1, 1].
    """

    endpoint: Endpoint
    info: ServerInfo
    keys: Keys = field(default_factory=Keys)
    physical: bool = False


def read_settings(path: Path) -> Settings:
    """Reads the description of a server from a TOML file.

    Raises:
        EmbodiedError: the file cannot be read, or an entry is missing, unknown or wrong.
    """
    entries = read_toml(path)
    try:
        return checked_settings(entries)
    except EmbodiedError as error:
        raise EmbodiedError(f"{path}: {error}") from error


def checked_settings(entries: dict[str, Any]) -> Settings:
    """Returns the description of a server from the entries of a file.

    Raises:
        EmbodiedError: an entry is missing, unknown or wrong.
    """
    _check(entries)

    # the description that a server of this package would send itself
    cameras = entries.get("cameras", {})
    spec = PolicySpec(
        control_mode=entries.get("control_mode", "joint"),
        control_hz=entries.get("control_hz", DEFAULT_HZ),
        cameras=tuple(cameras),
        image_size=entries.get("image_size", DEFAULT_IMAGE_SIZE),
    )
    info = ServerInfo(
        gives="actions",
        spec=spec,
        planner_hz=float(entries.get("planner_hz", 4.0)),
        shape=PlanShape(
            effectors=0,
            chunk_steps=entries["chunk_steps"],
            chunk_actions=entries["actions"],
        ),
        chunk_hz=float(entries.get("chunk_hz", DEFAULT_HZ)),
    )

    # the names of observations in its messages, and its address
    keys = Keys(
        prompt=entries.get("prompt_key", PROMPT),
        state=entries.get("state_key", STATE),
        images=cameras,
        is_ours=False,
    )
    timeout_s = float(entries.get("timeout_s", TIMEOUT_S))
    endpoint = Endpoint(entries["address"], timeout_s=timeout_s)
    physical = entries.get("units") == "physical"
    return Settings(endpoint, info, keys, physical=physical)


def _check(entries: dict[str, Any]) -> None:
    """Raises EmbodiedError if an entry is missing, unknown or wrong."""
    check_kinds(entries, KEYS)
    # 10,000 is far beyond useful rates, sizes and times; the bound only catches slips
    for name, value in entries.items():
        if isinstance(value, int | float) and not 0 < value < 10_000:
            raise EmbodiedError(f"{name} must be above 0 and below 10000, not {value}")
    missing = [name for name in NEEDED if name not in entries]
    if missing:
        raise EmbodiedError(f"{' and '.join(missing)} must be given")

    if URI.fullmatch(entries["address"]) is None:
        raise EmbodiedError(
            f"address must be like ws://127.0.0.1:8000, not {entries['address']!r}"
        )
    if entries.get("units", UNITS[0]) not in UNITS:
        raise unknown("units", entries["units"], UNITS)
    for camera, key in entries.get("cameras", {}).items():
        if not isinstance(key, str):
            raise EmbodiedError(f"the key of the camera {camera} must be a text")
