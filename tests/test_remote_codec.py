"""Messages as bytes: openpi's wire, and whatever else somebody may send."""

from __future__ import annotations

from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from embodied.policies.remote.codec import DTYPES, MessageError, pack, unpack
from tests.fuzz_remote import try_cases
from tests.remote_servers import from_bytes, to_bytes

NUMBERS = arrays.arrays(
    st.sampled_from(list(DTYPES.values())),
    arrays.array_shapes(min_dims=0, min_side=0, max_side=4),
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False),
    st.text(),
    NUMBERS,
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
MESSAGES = st.dictionaries(st.text(), VALUES)


def assert_same(value: Any, other: Any) -> None:
    if isinstance(value, np.ndarray):
        assert value.dtype == other.dtype
        np.testing.assert_array_equal(value, other)
    elif isinstance(value, dict):
        assert value.keys() == other.keys()
        for key, item in value.items():
            assert_same(item, other[key])
    elif isinstance(value, list):
        assert len(value) == len(other)
        for item, twin in zip(value, other, strict=True):
            assert_same(item, twin)
    else:
        assert value == other
        assert type(value) is type(other)


@settings(max_examples=20)
@given(MESSAGES)
def test_messages_are_openpis_and_come_back(message: dict[str, Any]) -> None:
    assert pack(message) == to_bytes(message)
    assert_same(unpack(pack(message)), message)
    assert_same(from_bytes(pack(message)), message)


def test_numbers_of_numpy_become_pythons() -> None:
    message = unpack(to_bytes({"a": np.float32(0.5), "b": np.int8(-3), "c": np.True_}))
    assert message == {"a": 0.5, "b": -3, "c": True}


def array(**parts: Any) -> bytes:
    """Returns a message with an array of which some parts are others."""
    whole = {"data": b"\0" * 8, "dtype": "<f4", "shape": [2], **parts}
    found = {key.encode(): value for key, value in whole.items() if value != "none"}
    return msgpack.packb({"x": {b"__ndarray__": True, **found}})


BAD = {
    "nothing": (b"", "no msgpack"),
    "text": ("hello", "expected a binary message"),
    "no map": (msgpack.packb([1]), "is a list, expected a map"),
    "two messages": (msgpack.packb({}) * 2, "no msgpack"),
    "cut": (pack({"a": "long enough"})[:-3], "no msgpack"),
    "4 billion items": (b"\xdd\xff\xff\xff\xff", "no msgpack"),
    "4 billion keys": (b"\xdf\xff\xff\xff\xff", "no msgpack"),
    "a deep list": (b"\x81\xa1a" + b"\x91" * 2000 + b"\xc0", "no msgpack"),
    "a deep map": (pack({"a": {"b": 1}}).replace(b"\x01", b"\x81\xa1b" * 9 + b"\1"), "8 deep"),
    "bytes": (msgpack.packb({"a": b"x"}), "holds a bytes"),
    "a number as key": (msgpack.packb({1: 2}), "no msgpack"),
    "bytes as key": (msgpack.packb({b"a": 2}), "is no text"),
    "a time": (msgpack.packb({"a": msgpack.Timestamp(1)}), "no msgpack"),
    "a type of its own": (msgpack.packb({"a": msgpack.ExtType(5, b"")}), "ExtType"),
    "no UTF-8": (b"\x81\xa1\xff\xc0", "no msgpack"),
    "objects": (array(dtype="|O"), "'|O' are not read"),
    "complex": (array(dtype="<c8"), "are not read"),
    "fields": (array(dtype=[["a", "<f4"]]), "are not read"),
    "no dtype": (array(dtype="none"), "has the keys"),
    "more than it needs": (array(more=1), "has the keys"),
    "less data": (array(data=b"\0" * 7), "has 8 bytes, but 7"),
    "data as text": (array(data="12345678"), "is a str"),
    "a huge shape": (array(shape=[2**31 - 1] * 8), "but 8 were sent"),
    "a side below 0": (array(shape=[-1, -2]), "no list of sizes"),
    "a side that is a truth": (array(shape=[True, 2]), "no list of sizes"),
    "many dimensions": (array(shape=[1] * 9), "no list of up to 8"),
    "an empty giant": (array(data=b"", shape=[0] + [2**31 - 1] * 7), "impossible"),
    "a number of text": (
        msgpack.packb({"a": {b"__npgeneric__": True, b"data": "1", b"dtype": "<f4"}}),
        "a number has the keys",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("data", "reason"), BAD.values(), ids=BAD)
def test_what_breaks_the_rules_is_refused(data: bytes | str, reason: str) -> None:
    with pytest.raises(MessageError, match=reason.replace("|", r"\|")) as error:
        unpack(data)
    assert len(str(error.value)) < 300


def test_a_message_may_be_too_large() -> None:
    data = pack({"a": np.zeros(100)})
    with pytest.raises(MessageError, match="at most 500 are read"):
        unpack(data, max_bytes=500)
    assert unpack(data, max_bytes=len(data))["a"].shape == (100,)


@pytest.mark.parametrize(
    "value",
    [object(), np.array([object()]), np.array(["a"]), 1j, np.complex64(1), {1, 2}, 2**64],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_no_data_is_not_sent(value: object) -> None:
    with pytest.raises(MessageError, match="cannot be sent"):
        pack({"a": value})


def test_broken_messages_are_refused_by_both_ends() -> None:
    outcomes = try_cases(0, 1000)
    # some are not broken after all
    assert outcomes.keys() == {"refused", "read"}
    assert outcomes["refused"] > 700


@pytest.mark.slow
def test_many_broken_messages() -> None:
    assert try_cases(1000, 20_000).keys() == {"refused", "read"}
