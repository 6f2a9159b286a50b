"""Messages as bytes: msgpack with numpy arrays in it, as openpi's wire has them.

An array is a map of its bytes, dtype and shape. Nothing else but plain data is read or
written, no message can name code, and what is declared is checked before room is made
for it: whoever is at the other end is not trusted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from embodied.errors import EmbodiedError, one_line
from embodied.policies.remote.packages import load_msgpack

MAX_BYTES = 64 * 2**20  # of one message, unless told otherwise
# A list or a map makes room for all items that it declares, whether they follow or not.
MAX_ITEMS = 4096
MAX_DEPTH = 8  # of maps and lists in each other
MAX_DIMENSIONS = 8  # of an array
MAX_SIDE = 2**31  # of an array, along one dimension

ARRAY = b"__ndarray__"
ARRAY_KEYS = {ARRAY, b"data", b"dtype", b"shape"}
NUMBER = b"__npgeneric__"
NUMBER_KEYS = {NUMBER, b"data", b"dtype"}
_KINDS = ("?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8")
# text of a dtype, such as "<f4" -> the dtype; there are no others on the wire
DTYPES = {
    np.dtype(order + kind).str: np.dtype(order + kind)
    for kind in _KINDS
    for order in "<>"
}


class MessageError(EmbodiedError):
    """A message that breaks the rules of the wire."""


def pack(message: Mapping[str, Any]) -> bytes:
    """Returns a message as bytes.

    Args:
        message: text, numbers, None, lists, maps and numpy arrays, by name.

    Raises:
        MessageError: it holds something else.
    """
    try:
        return load_msgpack().packb(dict(message), default=_plain)
    except (TypeError, ValueError, OverflowError) as error:
        raise MessageError(f"this cannot be sent: {one_line(error)}") from error


def unpack(data: bytes | str, max_bytes: int = MAX_BYTES) -> dict[str, Any]:
    """Returns the message in these bytes; its arrays cannot be written to.

    Raises:
        MessageError: it is larger than `max_bytes`, no msgpack, or holds something else
            than `pack` takes.
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
            object_hook=_restored,
            max_array_len=MAX_ITEMS,
            max_map_len=MAX_ITEMS,
            max_ext_len=0,
        )
    except MessageError:
        raise
    # msgpack raises many kinds, some of which are of Python itself
    except (ValueError, TypeError, RecursionError, msgpack.UnpackException) as error:
        raise MessageError(f"a message is no msgpack: {one_line(error)}") from error

    if not isinstance(message, dict):
        raise MessageError(f"a message is a {type(message).__name__}, expected a map")
    _check(message, depth=0)
    return message


def _plain(value: object) -> dict[bytes, Any]:
    """Returns what stands for a numpy array or number on the wire."""
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


def _restored(found: dict[Any, Any]) -> Any:
    """Returns the array or number that a map stands for, or else the map itself."""
    if ARRAY in found:
        return _array(found)
    if NUMBER in found:
        return _number(found)
    return found


def _array(found: dict[Any, Any]) -> np.ndarray:
    if set(found) != ARRAY_KEYS:
        raise MessageError(f"an array has the keys {_words(found)}")
    data = found[b"data"]
    shape = found[b"shape"]
    dtype = _dtype(found[b"dtype"])
    if not isinstance(data, bytes):
        raise MessageError(f"the data of an array is a {type(data).__name__}")
    if not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS:
        raise MessageError(
            f"the shape of an array is no list of up to {MAX_DIMENSIONS} numbers"
        )
    for side in shape:
        if type(side) is not int or not 0 <= side < MAX_SIDE:
            raise MessageError("the shape of an array is no list of sizes")

    # in Python's numbers, which do not overflow
    declared = math.prod(shape) * dtype.itemsize
    if declared != len(data):
        raise MessageError(
            f"an array of shape {tuple(shape)} and dtype {dtype} has {declared} bytes, "
            f"but {len(data)} were sent"
        )
    try:
        return np.frombuffer(data, dtype).reshape(shape)
    except ValueError as error:  # e.g. sides that are too long beside one of 0
        raise MessageError(f"an array is impossible: {one_line(error)}") from error


def _number(found: dict[Any, Any]) -> bool | int | float:
    value = found.get(b"data")
    if set(found) != NUMBER_KEYS or not isinstance(value, bool | int | float):
        raise MessageError(f"a number has the keys {_words(found)}")
    _dtype(found[b"dtype"])  # says nothing more that would be needed
    return value


def _dtype(name: object) -> np.dtype[Any]:
    if not isinstance(name, str) or name not in DTYPES:
        raise MessageError(f"arrays of dtype {str(name)[:40]!r} are not read")
    return DTYPES[name]


def _check(value: Any, depth: int) -> None:
    """Raises MessageError unless a value is plain data or an array, and not too deep."""
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


def _words(found: dict[Any, Any]) -> str:
    """Returns the keys of a map for an error, in a few words."""
    return ", ".join(sorted(str(key)[:20] for key in found)[:5])
