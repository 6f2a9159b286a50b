"""Dataclasses as JSON and back: nothing is lost, and whatever does not fit is named."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embodied.benchmark.codec import DecodeError, decode, encode


@dataclass(frozen=True)
class Part:
    name: str
    mass_kg: float


@dataclass(frozen=True)
class Robot:
    parts: tuple[Part, ...]
    size_m: tuple[float, float] | None
    facts: dict[str, int]
    note: str | None = None


ROBOT = Robot((Part("arm", 18.0), Part("hand", 0.7)), (0.4, 1.2), {"joints": 7})

numbers = st.floats(allow_nan=False, allow_infinity=False)
parts = st.builds(Part, st.text(), numbers)
robots = st.builds(
    Robot,
    st.lists(parts).map(tuple),
    st.none() | st.tuples(numbers, numbers),
    st.dictionaries(st.text(), st.integers()),
    st.none() | st.text(),
)


@given(robots)
def test_nothing_is_lost(robot: Robot) -> None:
    text = json.dumps(encode(robot), allow_nan=False)
    assert decode(Robot, json.loads(text), "robot") == robot


def test_arrays_become_lists_and_what_is_not_finite_null() -> None:
    values = {"array": np.array([1.0, math.nan]), "number": np.float32(0.5)}
    assert encode(values) == {"array": [1.0, None], "number": 0.5}
    part = decode(Part, {"name": "arm", "mass_kg": None}, "part")
    assert math.isnan(part.mass_kg)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"parts": [{"name": "arm"}]}, r"robot\.parts\[0\] must have the fields"),
        ({"parts": 3}, r"robot\.parts is 3, expected"),
        ({"parts": None}, r"robot\.parts is None, expected"),
        ({"size_m": [1.0]}, r"robot\.size_m is \[1\.0\], expected"),
        ({"size_m": ["a", "b"]}, r"robot\.size_m\[0\] is 'a', expected"),
        ({"facts": []}, r"robot\.facts is \[\], expected"),
        ({"note": 1}, r"robot\.note is 1, expected"),
        ({"more": 1}, r"robot must have the fields"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DecodeError, match=message):
        decode(Robot, {**encode(ROBOT), **change}, "robot")
