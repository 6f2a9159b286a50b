"""Conditions on the attributes of episodes, such as `peak_contact_force_n<50`.

A condition has the form NAME OP VALUE. It is parsed and compared, never executed.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NoReturn

from embodied.datasets.reader import Dataset
from embodied.datasets.schema import EpisodeMeta
from embodied.errors import EmbodiedError, unknown

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
}
EQUALITY_OPERATORS = ("=", "==", "!=")
# groups: name, operator, value; longer operators come first, so that `<=` is not read as `<`
_CONDITION = re.compile(r"\s*([A-Za-z_][\w.-]*?)\s*(==|!=|<=|>=|<|>|=)\s*(.*?)\s*")
_FLAGS = {"true": True, "false": False}

Value = bool | float | str
# Name -> value of an episode's attributes. Only the value of `mask` is a frozenset: the
# names of all masks that the episode is in.
Attributes = Mapping[str, Value | frozenset[str] | None]


@dataclass(frozen=True)
class Condition:
    """NAME OP VALUE, such as `duration_s < 12` or `success = true`."""

    name: str
    operator: str
    value: Value

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Parses a condition.

        Raises:
            EmbodiedError: the text is not a condition.
        """
        match = _CONDITION.fullmatch(text)
        if match is None or not match[3]:
            raise EmbodiedError(
                f"{text!r} is no condition: write NAME OP VALUE, such as "
                f"'peak_contact_force_n<50', with one of {' '.join(OPERATORS)}"
            )
        return cls(name=match[1], operator=match[2], value=_parse_value(match[3]))

    def holds(self, attributes: Attributes) -> bool:
        """Returns whether an episode meets the condition; False without the attribute.

        Args:
            attributes: the attributes of one episode.

        Raises:
            EmbodiedError: the attribute and the value cannot be compared.
        """
        value = attributes.get(self.name)
        if value is None:
            return False
        if isinstance(value, frozenset):
            return self._holds_for_set(value)

        # both must be numbers, both flags or both words
        if _kind(value) != _kind(self.value):
            self._raise_undecidable(f"is {value!r}")
        if _kind(value) != "number" and self.operator not in EQUALITY_OPERATORS:
            self._raise_undecidable("is no number, so only = and != apply")
        return OPERATORS[self.operator](value, self.value)

    def _holds_for_set(self, values: frozenset[str]) -> bool:
        """Returns whether the condition's value is in a set; for `!=`, whether it is not."""
        if self.operator not in EQUALITY_OPERATORS:
            self._raise_undecidable("may be several, so only = and != apply")
        is_member = self.value in values
        return not is_member if self.operator == "!=" else is_member

    def _raise_undecidable(self, reason: str) -> NoReturn:
        """Raises EmbodiedError, because the attribute cannot be compared with the value.

        Args:
            reason: the end of a sentence that begins with the attribute's name.
        """
        raise EmbodiedError(
            f"'{self.name}{self.operator}{self.value}' cannot be decided: {self.name} "
            f"{reason}"
        )


def _kind(value: Value) -> str:
    """Returns "flag", "number" or "word"."""
    # to Python a bool is an int, so it is tested first
    if isinstance(value, bool):
        return "flag"
    return "number" if isinstance(value, int | float) else "word"


def _parse_value(text: str) -> Value:
    """Returns a text as a flag (`true`, `false`), else as a number, else as a word.

    A text in quotes is always a word.
    """
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    if is_quoted:
        return text[1:-1]
    if text.lower() in _FLAGS:
        return _FLAGS[text.lower()]
    try:
        number = float(text)
    except ValueError:
        return text
    # a comparison with NaN is never true, so `nan` is taken as a word
    return text if math.isnan(number) else number


def chosen_numbers(dataset: Dataset, conditions: Sequence[Condition]) -> list[int]:
    """Returns the numbers of the episodes that meet all conditions.

    Raises:
        EmbodiedError: no episode has an attribute of a condition's name (the message
            lists the existing attributes), or the attribute cannot be compared with the
            condition's value.
    """
    table = attribute_table(dataset)
    known = {name for attributes in table for name in attributes}
    for condition in conditions:
        if condition.name not in known:
            raise unknown("attribute", condition.name, known)

    return [
        number
        for number, attributes in enumerate(table)
        if all(condition.holds(attributes) for condition in conditions)
    ]


def attribute_table(dataset: Dataset) -> list[Attributes]:
    """Returns the attributes of each episode that conditions can test, by name.

    These are:

    - the fields of `EpisodeMeta`, and `success`;
    - sampled values, as `variation.<name>`;
    - `number` and `mask`;
    - properties that all episodes share: `task`, `robot`, `policy`, `level`, `split`,
      `control_mode`;
    - numbers and words that other tools wrote as attributes of the demos.
    """
    header = dataset.header
    config = header.metadata.get("config", {})
    common: dict[str, Any] = {"policy": header.policy}
    for name in ("task", "robot"):
        common[name] = header.metadata.get(name)
    for name in ("level", "split", "control_mode"):
        common[name] = config.get(name)

    masks_of: dict[int, set[str]] = {}  # number of an episode -> names of its masks
    for mask in dataset.masks:
        for number in dataset.mask(mask):
            masks_of.setdefault(number, set()).add(mask)

    # entries of other tools come first, so that entries of this package replace them
    table: list[Attributes] = []
    for number, meta in enumerate(dataset.episodes):
        attributes: dict[str, Value | frozenset[str] | None] = {
            **_foreign_attributes(dataset.attributes(number)),
            **common,
            **_own_attributes(meta),
            "number": number,
            "mask": frozenset(masks_of.get(number, ())),
        }
        table.append(attributes)
    return table


def _own_attributes(meta: EpisodeMeta) -> dict[str, Value | None]:
    """Returns this package's attributes of an episode, with its sampled values."""
    values: dict[str, Value | None] = {"success": meta.success}
    for f in fields(meta):
        if f.name != "variation":
            values[f.name] = getattr(meta, f.name)
    for name, value in meta.variation.items():
        # lists cannot be compared with a single value
        if isinstance(value, bool | int | float | str):
            values[f"variation.{name}"] = value
    return values


def _foreign_attributes(stored: Mapping[str, Any]) -> dict[str, Value]:
    """Returns the attributes of a demo that are flags, numbers or words.

    Args:
        stored: all attributes of the demo, as h5py reads them.
    """
    values: dict[str, Value] = {}
    for name, value in stored.items():
        plain = value.item() if hasattr(value, "item") else value
        if isinstance(plain, bytes):
            plain = plain.decode(errors="replace")
        if isinstance(plain, bool | int | float | str):
            values[name] = plain
    # `variation` is the JSON text of the sampled values, each of which has an entry
    # `variation.<name>`; the description is the same for every demo
    values.pop("variation", None)
    values.pop("description", None)
    return values
