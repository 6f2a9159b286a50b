"""Checks that the header of a dataset file has entries of the types that readers need."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from embodied.core import ActionInterface, Layout
from embodied.datasets.schema import Header

WIDEST = 10**6  # largest plausible width of one part of a vector
HIGHEST_HZ = 10**6  # highest plausible frame rate


def first_invalid_entry(header: Header) -> str:
    """Returns the name of the first entry with an invalid value; "" if all are valid.

    A missing entry is valid, because other tools may write fewer entries.
    """
    for name, is_valid in _attributes(header):
        if not is_valid:
            return name

    for name in _invalid(header.metadata, ENTRIES):
        return f"{name} in the metadata"

    # the config is checked last, because only now it is known to be a JSON object
    for name in _invalid(_config(header), CONFIG_ENTRIES):
        return f"config.{name} in the metadata"
    return ""


def _attributes(header: Header) -> list[tuple[str, bool]]:
    """Checks the attributes of `/meta`; returns (name, whether the value is valid)."""
    return [
        ("record_hz", 1 <= header.record_hz <= HIGHEST_HZ),
        ("planner_hz", header.planner_hz is None or _is_rate(header.planner_hz)),
        ("metadata", _is_object(header.metadata)),
        ("correction", header.correction is None or _is_object(header.correction)),
    ]


def _config(header: Header) -> dict[str, Any]:
    """Returns the worlds' config without entries that are None, which mean a default."""
    config = header.metadata.get("config", {})
    return {name: value for name, value in config.items() if value is not None}


def _invalid(
    values: Mapping[str, Any], checks: Mapping[str, Callable[[Any], bool]]
) -> list[str]:
    """Returns the names of the values that fail their check.

    Args:
        values: the values, by name. Missing names are not checked.
        checks: the functions that return whether a value is valid, by the name of the
            value.
    """
    return [
        name
        for name, is_valid in checks.items()
        if name in values and not is_valid(values[name])
    ]


def _is_rate(value: Any) -> bool:
    """Returns whether a value is a finite, positive number."""
    # Python counts booleans as integers
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and value > 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_text, value))


def _is_layout(value: Any) -> bool:
    """Returns whether a value is a list of pairs (name, width) of a valid `Layout`."""
    try:
        parts = tuple((name, width) for name, width in value)
        Layout(parts).slices()
    except (TypeError, ValueError):
        return False
    return all(
        _is_text(name) and type(width) is int and 0 <= width <= WIDEST
        for name, width in parts
    )


def _is_interface(value: Any) -> bool:
    """Returns whether a value describes an `ActionInterface` with finite limits.

    Each element of an action needs a lower limit, an upper limit and a label.
    """
    try:
        interface = ActionInterface.of(value)
        low = [float(limit) for limit in interface.low]
        high = [float(limit) for limit in interface.high]
        lengths = {len(low), len(high), len(interface.labels), len(interface.rows())}
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    # the set has one entry if limits, labels and rows all have the same length
    return len(lengths) == 1 and all(map(math.isfinite, [*low, *high]))


ENTRIES: dict[str, Callable[[Any], bool]] = {
    "env_id": _is_text,
    "task": _is_text,
    "robot": _is_text,
    "robot_hash": _is_text,
    "config": _is_object,
    "versions": _is_object,
    "model_hash": _is_text,
    "physics_hz": _is_rate,
    "action_interface": _is_interface,
    "joint_interface": _is_interface,
    "agent_layout": _is_layout,
    "state_layout": _is_layout,
    "segmentation_names": _is_list_of_texts,
}
CONFIG_ENTRIES: dict[str, Callable[[Any], bool]] = {
    "control_hz": _is_rate,
    "camera_hz": _is_rate,
    "image_size": _is_rate,
    "cameras": _is_list_of_texts,
    "level": _is_text,
    "split": _is_text,
}
