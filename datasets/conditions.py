"""Conditions on the attributes of episodes, such as `peak_contact_force_n<50`.

A condition is NAME OP VALUE and nothing else. It is compared, never evaluated.
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
# the longer operators come first, or `<=` would be read as `<`
_CONDITION = re.compile(r"\s*([A-Za-z_][\w.-]*?)\s*(==|!=|<=|>=|<|>|=)\s*(.*?)\s*")
_WORDS = {"true": True, "false": False}

Value = bool | float | str
# What is known of an episode, by name; the frozenset is of the names of its masks.
Attributes = Mapping[str, Value | frozenset[str] | None]


@dataclass(frozen=True)
class Condition:
    """NAME OP VALUE, such as `duration_s < 12` or `success = true`."""

    name: str
    operator: str
    value: Value

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Returns the condition that a text says.

        Raises:
            EmbodiedError: the text is no condition.
        """
        match = _CONDITION.fullmatch(text)
        if match is None or not match[3]:
            raise EmbodiedError(
                f"{text!r} is no condition: write NAME OP VALUE, such as "
                f"'peak_contact_force_n<50', with one of {' '.join(OPERATORS)}"
            )
        return cls(match[1], match[2], _value(match[3]))

    def holds(self, attributes: Attributes) -> bool:
        """Returns whether it holds; it does not where the attribute is missing.

        Raises:
            EmbodiedError: the attribute and the value cannot be compared.
        """
        found = attributes.get(self.name)
        if found is None:
            return False
        if isinstance(found, frozenset):
            return self._holds_of_set(found)

        # Only two numbers, two flags or two words can be compared. To Python a flag is
        # a number, too; numbers in conditions are always floats.
        is_number = isinstance(found, int | float) and not isinstance(found, bool)
        value_is_number = isinstance(self.value, float)
        if is_number != value_is_number or isinstance(found, bool) != isinstance(
            self.value, bool
        ):
            self._refuse(f"is {found!r}")
        if not is_number and self.operator not in ("=", "==", "!="):
            self._refuse("is no number, so only = and != apply")
        return OPERATORS[self.operator](found, self.value)

    def _holds_of_set(self, found: frozenset[str]) -> bool:
        """Returns whether it holds of several words: `=` if the value is among them."""
        if self.operator not in ("=", "==", "!="):
            self._refuse("may be several, so only = and != apply")
        is_member = self.value in found
        return not is_member if self.operator == "!=" else is_member

    def _refuse(self, reason: str) -> NoReturn:
        """Raises EmbodiedError, with the reason after the attribute's name."""
        raise EmbodiedError(
            f"'{self.name}{self.operator}{self.value}' cannot be decided: {self.name} "
            f"{reason}"
        )


def _value(text: str) -> Value:
    """Returns the flag, the number or else the word that a text says.

    In quotes it is a word, whatever it looks like.
    """
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    if quoted:
        return text[1:-1]
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        number = float(text)
    except ValueError:
        return text
    # `nan` would be a condition that nothing meets
    return text if math.isnan(number) else number


def chosen_numbers(dataset: Dataset, conditions: Sequence[Condition]) -> list[int]:
    """Returns the numbers of the episodes for which all conditions hold.

    Raises:
        EmbodiedError: no episode has an attribute of that name, which lists those that
            exist; or it cannot be compared with the value.
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

    These are the fields of `EpisodeMeta`, `success`, what was sampled as
    `variation.<name>`, `number`, `mask`, the entries that all episodes have in common
    (`task`, `robot`, `policy`, `level`, `split`, `control_mode`), and numbers and words
    that other tools wrote as attributes of the demos.
    """
    header = dataset.header
    config = header.metadata.get("config", {})
    common: dict[str, Any] = {"policy": header.policy}
    for name in ("task", "robot"):
        common[name] = header.metadata.get(name)
    for name in ("level", "split", "control_mode"):
        common[name] = config.get(name)

    masks: dict[int, set[str]] = {}
    for mask in dataset.masks:
        for number in dataset.mask(mask):
            masks.setdefault(number, set()).add(mask)

    table: list[Attributes] = []
    # What the package itself says of an episode wins over what other tools wrote.
    for number, meta in enumerate(dataset.episodes):
        attributes = {**_others(dataset.attributes(number)), **common, **_own(meta)}
        attributes["number"] = number
        table.append({**attributes, "mask": frozenset(masks.get(number, ()))})
    return table


def _own(meta: EpisodeMeta) -> dict[str, Value | None]:
    """Returns what this package says of an episode, sampled values included."""
    values: dict[str, Value | None] = {"success": meta.success}
    for f in fields(meta):
        if f.name != "variation":
            values[f.name] = getattr(meta, f.name)
    for name, value in meta.variation.items():
        # lists of numbers cannot be compared with one
        if isinstance(value, bool | int | float | str):
            values[f"variation.{name}"] = value
    return values


def _others(stored: Mapping[str, Any]) -> dict[str, Value]:
    """Returns those of a demo's attributes that are a number or a word."""
    values: dict[str, Value] = {}
    for name, value in stored.items():
        plain = value.item() if hasattr(value, "item") else value
        if isinstance(plain, bytes):
            plain = plain.decode(errors="replace")
        if isinstance(plain, bool | int | float | str):
            values[name] = plain
    # Of no use in a condition: the JSON text of all sampled values, which `_own` gives
    # one by one, and a description that is the same for every demo.
    values.pop("variation", None)
    values.pop("description", None)
    return values
