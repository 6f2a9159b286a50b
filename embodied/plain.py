"""Numbers of numpy and other libraries as Python's own, for configs and for JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from numbers import Integral, Real
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Returns a value with Python's own numbers, words and lists in place of arrays.

    Tuples, lists and mappings keep their kind; what is no number and no array, such as
    a path or a robot, is returned as it is.
    """
    # numpy's float64 and str_ are Python's float and str as well
    is_basic = isinstance(value, bool | int | float | str)
    if is_basic and type(value).__module__ != "numpy":
        return value
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if type(value) is list:
        return [plain(item) for item in value]
    if type(value) is tuple:
        return tuple(plain(item) for item in value)
    return _plain_number(value)


def _plain_number(value: Any) -> Any:
    """Returns an array or number of a library as Python's own; else the value itself."""
    if isinstance(value, np.ndarray):
        # item by item, since `tolist` would show the rounding of small floats
        return plain(value[()] if not value.ndim else list(value))
    if isinstance(value, np.bool_ | np.str_):
        return value.item()
    if isinstance(value, Integral):
        return int(value)

    # 0.1 as np.float32 is meant to be 0.1, not the nearest number that it can hold
    if isinstance(value, np.floating) and value.itemsize < np.dtype(float).itemsize:
        return float(str(value))
    if isinstance(value, Real):
        return float(value)

    # tensors of torch and the like
    to_list = getattr(value, "tolist", None)
    return value if to_list is None else to_list()


def make_fields_plain(config: Any) -> None:
    """Makes the fields of a frozen dataclass plain; for its `__post_init__`."""
    for f in fields(config):
        object.__setattr__(config, f.name, plain(getattr(config, f.name)))


def why_not_json(value: Any) -> str:
    """Returns why a plain value cannot be stored as JSON; "" if it can."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        return str(error)
    return ""
