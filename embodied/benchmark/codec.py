"""Encodes dataclasses as plain JSON values, and decodes them.

A number that is not finite becomes null. Decoding is strict: an object must have exactly
the fields of its dataclass, each with the type that the dataclass declares.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import numpy as np

from embodied.errors import EmbodiedError

T = TypeVar("T")


class DecodeError(EmbodiedError):
    """A JSON value does not fit the dataclass that it is decoded into."""


def encode(value: Any) -> Any:
    """Returns dataclasses, arrays, mappings and sequences as values for `json`."""
    if isinstance(value, np.ndarray | np.generic):
        return encode(value.tolist())

    # `is_dataclass` also holds for the class itself, which is no value
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in fields(value)}

    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}

    if isinstance(value, list | tuple):
        return [encode(item) for item in value]

    if isinstance(value, float) and not math.isfinite(value):
        return None

    return value


def decode(kind: type[T], content: Any, where: str) -> T:
    """Returns a dataclass from an object that has exactly its fields.

    Args:
        kind: the dataclass.
        content: a value that `json` read.
        where: location of the content for error messages, e.g. "cells[0].condition".

    Raises:
        DecodeError: a field is missing, unknown or of another type; it names the field.
    """
    # `cache` needs a hashable argument, and mypy does not know that `kind` is hashable
    hashable: Any = kind
    hints = _field_types(hashable)
    if not isinstance(content, dict) or set(content) != set(hints):
        given = sorted(content) if isinstance(content, dict) else type(content).__name__
        raise DecodeError(
            f"{where} must have the fields {sorted(hints)}, found {given}"
        )

    # decode in the file's order, so that the error names the file's first fault
    values = {
        name: _decode_value(hints[name], value, f"{where}.{name}")
        for name, value in content.items()
    }
    return kind(**values)


@cache
def _field_types(kind: type[Any]) -> dict[str, Any]:
    """Returns field -> its type hint, for the fields of a dataclass."""
    hints = get_type_hints(kind)
    return {f.name: hints[f.name] for f in fields(kind)}


def _decode_value(hint: Any, value: Any, where: str) -> Any:
    """Returns a JSON value converted to a field's type.

    Args:
        hint: the type of the field.
        value: the value as `json` read it.
        where: its location for error messages.
    """
    alternatives = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if value is None and NoneType in alternatives:
        return None

    # `encode` writes numbers that are not finite as null
    if value is None and float in alternatives:
        return math.nan

    # `type(...) is` and not isinstance, here and below: bool is a subclass of int
    if float in alternatives and type(value) is int:
        return float(value)

    for alternative in alternatives:
        if is_dataclass(alternative) and isinstance(alternative, type):
            return decode(alternative, value, where)
        if get_origin(alternative) is tuple and isinstance(value, list):
            return _decode_tuple(alternative, value, where)
        if type(value) is _json_type(alternative):
            return value

    raise DecodeError(f"{where} is {value!r}, expected {hint}")


def _decode_tuple(hint: Any, values: list[Any], where: str) -> tuple[Any, ...]:
    """Returns a JSON list converted to the tuple type of a field."""
    # tuple[X, ...] stands for any number of items of type X
    item_hints = get_args(hint)
    if item_hints[-1] is Ellipsis:
        item_hints = item_hints[:1] * len(values)
    if len(item_hints) != len(values):
        raise DecodeError(f"{where} is {values!r}, expected {hint}")

    pairs = zip(item_hints, values, strict=True)
    return tuple(
        _decode_value(item_hint, item, f"{where}[{k}]")
        for k, (item_hint, item) in enumerate(pairs)
    )


def _json_type(hint: Any) -> type:
    """Returns the Python type that `json` gives to a value of this type hint."""
    origin = get_origin(hint) or hint
    return dict if origin in (dict, Mapping) else origin
