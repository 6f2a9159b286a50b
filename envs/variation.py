"""Variation as a table: what differs between episodes, how much at each level, and what
is kept for testing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

from embodied.errors import EmbodiedError, unknown

FACTORS = (
    "objects",
    "layout",
    "instruction",
    "light",
    "camera",
    "robot",
    "dynamics",
    "sensor",
)
LEVELS = ("L1", "L2", "L3", "L4")
SPLITS = ("train", *FACTORS, "all")


@dataclass(frozen=True)
class Interval:
    """Numbers drawn evenly between two ends."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        return float(rng.uniform(self.low, self.high))

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Choice:
    """One of some values, each as likely as the others."""

    values: tuple[Any, ...]

    def draw(self, rng: np.random.Generator) -> Any:
        return self.values[int(rng.integers(len(self.values)))]

    def __str__(self) -> str:
        return ", ".join(str(value) for value in self.values)


@dataclass(frozen=True)
class Variable:
    """One row of a task's table.

    `start` is what L1 draws (a single value where L1 holds it fixed), `narrow` L2,
    `train` L3 and L4; `held_out` is disjoint from all three and is drawn instead where
    the split names the variable's factor.
    """

    name: str
    factor: str
    unit: str
    start: Interval | Choice
    narrow: Interval | Choice
    train: Interval | Choice
    held_out: Interval | Choice

    def whole(self) -> Interval | Choice:
        """All that any level or split draws from; between intervals too."""
        parts = (self.start, self.narrow, self.train, self.held_out)
        if not any(isinstance(part, Interval) for part in parts):
            return Choice(
                tuple(
                    dict.fromkeys(
                        v
                        for part in parts
                        if isinstance(part, Choice)
                        for v in part.values
                    )
                )
            )
        ends = [
            (p.low, p.high)
            if isinstance(p, Interval)
            else (min(p.values), max(p.values))
            for p in parts
        ]
        return Interval(min(low for low, _ in ends), max(high for _, high in ends))

    def holds(self, value: Any) -> bool:
        """Whether a value is among them."""
        whole = self.whole()
        if isinstance(whole, Choice):
            # as JSON has it
            wanted = tuple(value) if isinstance(value, list) else value
            return any(
                isinstance(wanted, type(known)) and wanted == known
                for known in whole.values
            )
        return isinstance(value, int | float) and whole.low <= value <= whole.high

    def range(self, level: str, split: str) -> Interval | Choice:
        """Where the variable is drawn from at a level and split."""
        if split in (self.factor, "all"):
            return self.held_out
        return {"L1": self.start, "L2": self.narrow}.get(level, self.train)


def fixed(value: Any) -> Choice:
    """A range of one value."""
    return Choice((value,))


class Variation:
    """Draws a task's variables for one episode; each has a random stream of its own
    name, so rows can be added.
    """

    def __init__(
        self,
        table: Sequence[Variable],
        level: str,
        split: str,
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        if level not in LEVELS:
            raise unknown("level", level, LEVELS)
        if split not in SPLITS:
            raise unknown("split", split, SPLITS)
        names = [variable.name for variable in table]
        _check_overrides(table, overrides or {})
        self.level = level
        self.split = split
        self._ranges = {
            variable.name: variable.range(level, split) for variable in table
        }
        self._ranges.update(
            {name: fixed(value) for name, value in (overrides or {}).items()}
        )
        self._keys = {name: crc32(name.encode()) for name in names}

    def stream(self, seed: int, name: str) -> np.random.Generator:
        """The random stream of one variable in one episode."""
        return np.random.default_rng(np.random.SeedSequence((seed, self._keys[name])))

    def draw(self, seed: int, name: str) -> Any:
        """One value of a variable."""
        return self._ranges[name].draw(self.stream(seed, name))

    def draws(self, seed: int, name: str, count: int) -> list[Any]:
        """`count` independent values of a variable."""
        rng = self.stream(seed, name)
        return [self._ranges[name].draw(rng) for _ in range(count)]


def _check_overrides(table: Sequence[Variable], overrides: Mapping[str, Any]) -> None:
    """Raises EmbodiedError for variables that do not exist and for values that the
    table holds nowhere.
    """
    if not isinstance(overrides, Mapping):
        raise EmbodiedError(
            f"factors must map variables to values, such as {{'{table[0].name}': ...}}: {overrides!r}"
        )
    known = {variable.name: variable for variable in table}
    for name, value in overrides.items():
        if name in FACTORS:
            held = ", ".join(
                variable.name for variable in table if variable.factor == name
            )
            raise EmbodiedError(
                f"{name!r} is a factor: give values to its variables, of which there are {held}"
            )
        if name not in known:
            raise unknown("factor variable", name, known)
        if not known[name].holds(value):
            raise EmbodiedError(
                f"{name} cannot be {value!r}: it is {known[name].whole()}, training or held out"
            )


def markdown_table(table: Sequence[Variable]) -> str:
    """The table as documentation."""
    rows = [
        "| variable | factor | unit | L1 | L2 | L3, L4 | held out |",
        "|---|---|---|---|---|---|---|",
    ]
    for v in table:
        rows.append(
            f"| {v.name} | {v.factor} | {v.unit} | {v.start} | {v.narrow} | {v.train} | {v.held_out} |"
        )
    return "\n".join(rows)
