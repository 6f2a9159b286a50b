"""Whether what a file says of all its episodes is of the kinds that readers expect."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from embodied.core import ActionInterface, Layout
from embodied.datasets.schema import Header


def wrong_entry(header: Header) -> str:
    """Returns the name of an entry that makes no sense; "" if all do.

    An entry that is missing is none: other tools may say less.
    """
    if header.record_hz < 1:
        return "record_hz"
    if header.planner_hz is not None and not _is_rate(header.planner_hz):
        return "planner_hz"
    if not isinstance(header.metadata, dict):
        return "metadata"
    if header.correction is not None and not isinstance(header.correction, dict):
        return "correction"
    for name, is_sound in ENTRIES.items():
        if name in header.metadata and not is_sound(header.metadata[name]):
            return f"{name} in the metadata"
    config = header.metadata.get("config", {})
    for name, is_sound in CONFIG_ENTRIES.items():
        if config.get(name) is not None and not is_sound(config[name]):
            return f"config.{name} in the metadata"
    return ""


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
    try:
        parts = tuple((name, width) for name, width in value)
        Layout(parts).slices()
    except (TypeError, ValueError):
        return False
    return all(
        _is_text(name) and type(width) is int and width >= 0 for name, width in parts
    )


def _is_interface(value: Any) -> bool:
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
