"""Whether what a file says of all its episodes is of the kinds that readers expect."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from embodied.core import ActionInterface, Layout
from embodied.datasets.schema import Header

WIDEST = 10**6  # numbers in one part of a vector
HIGHEST_HZ = 10**6  # of frames, whoever recorded them


def wrong_entry(header: Header) -> str:
    """Returns the name of an entry that makes no sense; "" if all do.

    A missing entry is no fault: other tools may say less.
    """
    wrong = [name for name, is_sound in _attributes(header) if not is_sound]
    if wrong:
        return wrong[0]

    wrong += _unsound(header.metadata, ENTRIES)
    if not wrong:
        wrong += [
            f"config.{name}" for name in _unsound(_config(header), CONFIG_ENTRIES)
        ]
    return f"{wrong[0]} in the metadata" if wrong else ""


def _attributes(header: Header) -> list[tuple[str, bool]]:
    """Returns the attributes by name, and whether they make sense."""
    return [
        ("record_hz", 1 <= header.record_hz <= HIGHEST_HZ),
        ("planner_hz", header.planner_hz is None or _is_rate(header.planner_hz)),
        ("metadata", _is_object(header.metadata)),
        ("correction", header.correction is None or _is_object(header.correction)),
    ]


def _config(header: Header) -> dict[str, Any]:
    """Returns the worlds' config without what is None, which stands for a default."""
    config = header.metadata.get("config", {})
    return {name: value for name, value in config.items() if value is not None}


def _unsound(
    values: Mapping[str, Any], kinds: Mapping[str, Callable[[Any], bool]]
) -> list[str]:
    """Returns the names of the values that are not of their kinds."""
    return [
        name
        for name, is_sound in kinds.items()
        if name in values and not is_sound(values[name])
    ]


def _is_rate(value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and math.isfinite(value) and value > 0


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_text, value))


def _is_layout(value: Any) -> bool:
    """Returns whether a value is pairs (name, width) that make a `Layout`."""
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
    """Returns whether it makes an `ActionInterface` with finite limits for each row."""
    try:
        interface = ActionInterface.of(value)
        low = [float(one) for one in interface.low]
        high = [float(one) for one in interface.high]
        sizes = {len(low), len(high), len(interface.labels), len(interface.rows())}
    except (AttributeError, KeyError, TypeError, ValueError):
        return False
    return len(sizes) == 1 and all(map(math.isfinite, (*low, *high)))


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
