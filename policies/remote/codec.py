"""Encodes messages as bytes: msgpack with numpy arrays, as in openpi's protocol.

An array is encoded as a map of its bytes, dtype and shape. The other side is not trusted:
only plain data and arrays are read, no message can name code, and declared sizes are checked
before memory is allocated.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from embodied.errors import EmbodiedError, one_line
from embodied.policies.remote.packages import load_msgpack

MAX_BYTES = 64 * 2**20  # default for the largest message
# The largest number of items of a list or map. msgpack allocates memory for all items that a
# list declares, even if they do not follow.
MAX_ITEMS = 4096
MAX_DEPTH = 8  # levels of nested maps and lists
MAX_DIMENSIONS = 8  # dimensions of an array
MAX_SIDE = 2**31  # length of an array along one dimension

# The keys that mark a map as an array or as a number of numpy, as in openpi's protocol.
ARRAY = b"__ndarray__"
ARRAY_KEYS = {ARRAY, b"data", b"dtype", b"shape"}
NUMBER = b"__npgeneric__"
NUMBER_KEYS = {NUMBER, b"data", b"dtype"}
# numpy's names of dtypes without their byte order
_KINDS = ("?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8")
# numpy's name with the byte order, such as "<f4" -> dtype; arrays of other dtypes are
# neither sent nor read
DTYPES = {
    np.dtype(order + kind).str: np.dtype(order + kind)
    for kind in _KINDS
    for order in "<>"
}


class MessageError(EmbodiedError):
    """A message that violates the protocol."""


def pack(message: Mapping[str, Any]) -> bytes:
    """Returns a message as bytes.

    Args:
        message: the entries by name, each a text, number, None, list, map or numpy array.

    Raises:
        MessageError: an entry is of another type, or an array of a dtype not in DTYPES.
    """
    try:
        return load_msgpack().packb(dict(message), default=_as_map)
    except (TypeError, ValueError, OverflowError) as error:
        raise MessageError(f"this cannot be sent: {one_line(error)}") from error


def unpack(data: bytes | str, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Decodes a message. Its arrays are read-only.

    Args:
        data: the bytes; text is an error.
        max_bytes: the largest message to decode.

    Raises:
        MessageError: the message is larger than `max_bytes`, is not msgpack, or contains
            something that `pack` does not accept.
    """
    if isinstance(data, str):
        raise MessageError(f"expected a binary message, not the text {data[:80]!r}")
    if len(data) > max_bytes:
        raise MessageError(
            f"a message has {len(data)} bytes, where at most {max_bytes} are read"
        )
    msgpack = load_msgpack()
    try:
        message = msgpack.unpackb(
            data,
            object_hook=_from_map,
            max_array_len=MAX_ITEMS,
            max_map_len=MAX_ITEMS,
            max_ext_len=0,  # no extension types
        )
    except MessageError:
        raise
    # the errors that msgpack raises
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise MessageError(f"a message is no msgpack: {one_line(error)}") from error

    if not isinstance(message, dict):
        raise MessageError(f"a message is a {type(message).__name__}, expected a map")
    _check(message, depth=0)
    return message


def _as_map(value: object) -> dict[bytes, Any]:
    """Returns the map that represents a numpy array or number.

    Raises:
        TypeError: the value is neither, or its dtype is not in DTYPES.
    """
    if not isinstance(value, np.ndarray | np.generic):
        raise TypeError(f"a {type(value).__name__} is neither plain data nor an array")
    if value.dtype.str not in DTYPES:
        raise TypeError(f"arrays of {value.dtype} are not sent")
    if isinstance(value, np.generic):
        return {NUMBER: True, b"data": value.item(), b"dtype": value.dtype.str}
    return {
        ARRAY: True,
        b"data": value.tobytes(),
        b"dtype": value.dtype.str,
        b"shape": value.shape,
    }


def _from_map(entry: dict[Any, Any]) -> Any:
    """Returns the array or number that a map represents, or the map itself."""
    if ARRAY in entry:
        return _array(entry)
    if NUMBER in entry:
        return _number(entry)
    return entry


def _array(entry: dict[Any, Any]) -> np.ndarray:
    """Returns the array that a map represents; raises MessageError if it is invalid."""
    if set(entry) != ARRAY_KEYS:
        raise MessageError(f"an array has the keys {_key_text(entry)}")
    data = entry[b"data"]
    shape = entry[b"shape"]
    dtype = _dtype(entry[b"dtype"])
    if not isinstance(data, bytes):
        raise MessageError(f"the data of an array is a {type(data).__name__}")
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS:
        raise MessageError(
            f"the shape of an array is no list of up to {MAX_DIMENSIONS} numbers"
        )
    # `type`, since `isinstance` would accept a bool as an int
    for side in shape:
        if type(side) is not int or not 0 <= side < MAX_SIDE:
            raise MessageError("the shape of an array is no list of sizes")

    # computed with Python's integers, which do not overflow
    declared_bytes = math.prod(shape) * dtype.itemsize
    if declared_bytes != len(data):
        raise MessageError(
            f"an array of shape {tuple(shape)} and dtype {dtype} has {declared_bytes} "
            f"bytes, but {len(data)} were sent"
        )
    # numpy refuses some shapes of the right size: long sides beside a side of 0
    try:
        return np.frombuffer(data, dtype).reshape(shape)
    except ValueError as error:
        raise MessageError(f"an array is impossible: {one_line(error)}") from error


def _number(entry: dict[Any, Any]) -> bool | int | float:
    """Returns the number that a map represents; raises MessageError if it is invalid."""
    value = entry.get(b"data")
    if set(entry) != NUMBER_KEYS or not isinstance(value, bool | int | float):
        raise MessageError(f"a number has the keys {_key_text(entry)}")
    # the dtype is checked, but not needed: a Python number is returned
    _dtype(entry[b"dtype"])
    return value


def _dtype(name: object) -> np.dtype[Any]:
    """Returns the dtype of a name; raises MessageError if the name is not in DTYPES."""
    if not isinstance(name, str) or name not in DTYPES:
        raise MessageError(f"arrays of dtype {str(name)[:40]!r} are not read")
    return DTYPES[name]


def _check(value: Any, depth: int) -> None:
    """Raises MessageError unless a value is plain data or an array, not nested too deeply.

    Args:
        value: the value to check, with all values in it.
        depth: the number of maps and lists around the value.
    """
    # maps and lists are checked with all values in them
    if depth > MAX_DEPTH:
        raise MessageError(f"a message is nested more than {MAX_DEPTH} deep")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise MessageError(f"the key {str(key)[:40]!r} of a map is no text")
            _check(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check(item, depth + 1)
    elif not isinstance(value, str | bool | int | float | np.ndarray | None):
        raise MessageError(f"a message holds a {type(value).__name__}")


def _key_text(entry: dict[Any, Any]) -> str:
    """Returns the first few keys of a map, for an error message."""
    return ", ".join(sorted(str(key)[:20] for key in entry)[:5])
