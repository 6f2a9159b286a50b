"""Reads TOML tables as dataclasses, and checks each key's name, type and range.

A field of numbers may have the metadata `range`: (lowest, highest), see `within`.
"""

from __future__ import annotations

import math
import tomllib
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from embodied.errors import EmbodiedError, unknown

Names = tuple[str, ...]
Numbers = tuple[float, ...]
Pairs = tuple[Names, ...]  # each of two names
T = TypeVar("T")
# A quaternion with a smaller norm is refused, as it defines no rotation.
LEAST_NORM = 1e-6


def read_table(cls: type[T], path: Path) -> T:
    """Returns an instance of a dataclass with the values of a TOML file.

    Raises:
        EmbodiedError: the file does not exist or is not TOML, or a key is missing,
            unknown, of another type or out of its range.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # ValueError covers TOML and UTF-8 errors
        reason = error.strerror if isinstance(error, OSError) else error
        raise EmbodiedError(f"no description can be read: {reason}") from error
    except RecursionError as error:
        raise EmbodiedError(
            "no description can be read: its values are nested too deeply"
        ) from error
    return _decode(cls, table, "")


def _decode(cls: type[T], table: Mapping[str, Any], where: str) -> T:
    """Returns an instance of a dataclass with the values of a TOML table.

    Args:
        cls: the dataclass.
        table: the values, key -> value.
        where: the prefix of the table's keys in messages, e.g. "gripper.".
    """
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            raise unknown("key", f"{where}{key}", [f"{where}{name}" for name in known])

    # fields without a default must be given
    missing = []
    for name, f in known.items():
        has_default = f.default is not MISSING or f.default_factory is not MISSING
        if not has_default and name not in table:
            missing.append(f"{where}{name}")
    if missing:
        raise EmbodiedError(f"these keys are missing: {', '.join(missing)}")

    hints = get_type_hints(cls)
    values = {}
    for key, value in table.items():
        decoded = _value(hints[key], value, f"{where}{key}")
        _check_range(known[key], decoded, f"{where}{key}")
        values[key] = decoded
    return cls(**values)


def _value(hint: Any, value: Any, where: str) -> Any:
    """Returns a TOML value converted to the type `hint` of a field.

    `where` is the key in messages, e.g. "gripper.force_n".
    """
    # `float | None` is read as float, because TOML has no None
    if isinstance(hint, types.UnionType):
        (hint,) = (kind for kind in get_args(hint) if kind is not types.NoneType)
    if is_dataclass(hint) and isinstance(value, dict):
        return _decode(hint, value, f"{where}.")  # type: ignore[arg-type]

    # TOML's integers are accepted as numbers; Python's booleans are integers, too
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is float and is_number:
        return _finite(value, where)
    if hint is str and isinstance(value, str):
        if "\0" in value:  # no name and no path can contain it
            raise EmbodiedError(
                f"{where} is {value!r}, expected no character of code 0"
            )
        return value
    if hint is bool and isinstance(value, bool):
        return value

    if get_origin(hint) is tuple and isinstance(value, list):
        item_hint = get_args(hint)[0]
        items = enumerate(value)
        return tuple(_value(item_hint, item, f"{where}[{k}]") for k, item in items)

    # words for the types of fields, for the message; any other type is a table
    kinds = {
        str: "a string",
        float: "a number",
        bool: "true or false",
        Names: "strings",
        Numbers: "numbers",
        Pairs: "pairs of strings",
    }
    raise EmbodiedError(f"{where} is {value!r}, expected {kinds.get(hint, 'a table')}")


def _finite(value: int | float, where: str) -> float:
    """Returns a number as a float.

    Raises:
        EmbodiedError: it is infinite, NaN or too large for a float.
    """
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise EmbodiedError(f"{where} is {number}, expected a finite number")
    return number


def _check_range(key_field: Field[Any], value: Any, where: str) -> None:
    """Raises EmbodiedError for a number, or a number in a list, outside its range."""
    if "range" not in key_field.metadata:
        return
    low, high = key_field.metadata["range"]
    for number in value if isinstance(value, tuple) else (value,):
        if not low <= number <= high:
            raise EmbodiedError(f"{where} is {number:g}, expected {low:g} to {high:g}")


# Fields, and checks of their values
# --------------------------------------------------------------------------------------


def within(low: float, high: float) -> dict[str, Any]:
    """Returns metadata that limits a key's numbers to a range, ends included."""
    return {"range": (low, high)}


def later(**metadata: Any) -> dict[str, Any]:
    """Returns metadata of a key that was added after the first version of the format.

    While such a key has its default, `content_hash` leaves it out, so that robots
    described before keep their hashes. `metadata` is added, e.g. that of `within`.
    """
    return {"later": True, **metadata}


def check_count(key: str, values: Numbers, expected: int, hint: str = "") -> None:
    """Raises EmbodiedError unless there are `expected` numbers; `hint` ends the message."""
    if len(values) != expected:
        raise EmbodiedError(
            f"{key} has {len(values)} numbers, expected {expected}{hint}"
        )


def check_quat(key: str, quat_wxyz: Numbers) -> None:
    """Raises EmbodiedError unless four numbers define a rotation."""
    check_count(key, quat_wxyz, 4)
    if sum(value * value for value in quat_wxyz) < LEAST_NORM**2:
        raise EmbodiedError(
            f"{key} is all zeros, which is no rotation: [1, 0, 0, 0] rotates nothing"
        )


def check_once(key: str, names: Sequence[str]) -> None:
    """Raises EmbodiedError for a name that is empty or occurs twice."""
    for name in names:
        if not name:
            raise EmbodiedError(f"{key} has an empty name")
        if names.count(name) > 1:
            raise EmbodiedError(f"{key} names {name!r} twice")
