"""Converts numbers of numpy and other libraries to Python's, for configs and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from numbers import Integral, Real
from typing import Any

import numpy as np


def to_python(value: Any) -> Any:
    """Returns a value with arrays and numbers converted to Python's lists and numbers.

    Tuples and lists keep their type; a mapping becomes a dictionary. Other objects, such
    as a path or a robot, are returned unchanged.
    """
    # numpy's float64 and str_ are subclasses of Python's float and str
    is_basic = isinstance(value, bool | int | float | str)
    if is_basic and type(value).__module__ != "numpy":
        return value
    if isinstance(value, Mapping):
        return {to_python(key): to_python(item) for key, item in value.items()}
    if type(value) is list:
        return [to_python(item) for item in value]
    if type(value) is tuple:
        return tuple(to_python(item) for item in value)
    return _plain_number(value)


def _plain_number(value: Any) -> Any:
    """Returns a library's array or number as Python's; any other value unchanged."""
    if isinstance(value, np.ndarray):
        # converted item by item, because `tolist` gives 0.10000000149 for np.float32(0.1)
        return to_python(value[()] if not value.ndim else list(value))
    if isinstance(value, np.bool_ | np.str_):
        return value.item()
    if isinstance(value, Integral):
        return int(value)

    # converted by its text, so that np.float32(0.1) becomes 0.1, not 0.10000000149
    if isinstance(value, np.floating) and value.itemsize < np.dtype(float).itemsize:
        return float(str(value))
    if isinstance(value, Real):
        return float(value)

    # tensors of torch and the like
    to_list = getattr(value, "tolist", None)
    return value if to_list is None else to_list()


def make_fields_plain(config: Any) -> None:
    """Converts all fields of a frozen dataclass by `to_python`, in its `__post_init__`.

    `object.__setattr__` can set fields although the dataclass is frozen.
    """
    for f in fields(config):
        object.__setattr__(config, f.name, to_python(getattr(config, f.name)))


def why_not_json(value: Any) -> str:
    """Returns the reason why a plain value cannot be stored as JSON; "" if it can."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        return str(error)
    return ""
