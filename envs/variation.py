"""Tables of variables that vary between episodes: their ranges per level and for tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

from embodied.envs.values import is_number
from embodied.errors import EmbodiedError, unknown
from embodied.names import RULE, is_name
from embodied.plain import to_python

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
# The splits name the variables that are sampled from their held-out ranges: none of them
# ("train"), those of one factor, or all.
SPLITS = ("train", *FACTORS, "all")


@dataclass(frozen=True)
class Interval:
    """Numbers between two ends, sampled uniformly."""

    low: float
    high: float

    def __post_init__(self) -> None:
        """Raises EmbodiedError unless both ends are numbers, the lower one first."""
        if not is_number(self.low) or not is_number(self.high):
            raise EmbodiedError(
                f"an interval is (low, high), two finite numbers, not ({self.low!r}, "
                f"{self.high!r})"
            )
        if self.low > self.high:
            raise EmbodiedError(
                f"the interval ({self.low:g}, {self.high:g}) ends below its beginning: "
                f"write ({self.high:g}, {self.low:g})"
            )

    def sample(self, rng: np.random.Generator) -> float:
        return float(rng.uniform(self.low, self.high))

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Choice:
    """One of several values, all equally likely."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise EmbodiedError(
                f"a choice is among at least one value, not {self.values!r}"
            )

    def sample(self, rng: np.random.Generator) -> Any:
        return self.values[int(rng.integers(len(self.values)))]

    def __str__(self) -> str:
        return ", ".join(str(value) for value in self.values)


Range = Interval | Choice


def fixed(value: Any) -> Choice:
    """Returns the range of a single value."""
    return Choice((value,))


@dataclass(frozen=True)
class Variable:
    """One row of a task's table: a variable and its ranges.

    Attributes:
        name: The variable's name.
        factor: The factor that the variable belongs to, one of FACTORS.
        unit: The unit of the values; empty for words and counts.
        start: The range at level L1.
        narrow: The range at level L2.
        train: The range at levels L3 and L4.
        held_out: The range at all levels if the split names the variable's factor. It
            overlaps none of the other three ranges, or is equal to `train` if nothing is
            held out.
    """

    name: str
    factor: str
    unit: str
    start: Range
    narrow: Range
    train: Range
    held_out: Range

    def __post_init__(self) -> None:
        """Raises EmbodiedError for an invalid name, factor or combination of ranges."""
        if not is_name(self.name):
            raise EmbodiedError(
                f"a variable's name consists of {RULE}, unlike {self.name!r}"
            )
        if self.factor not in FACTORS:
            raise EmbodiedError(
                f"variable {self.name!r}: {unknown('factor', self.factor, FACTORS)}"
            )
        self._check_ranges()

    def _check_ranges(self) -> None:
        """Raises EmbodiedError if one range has words and another is an interval.

        `full_range` could not join such ranges.
        """
        ranges = self._ranges()
        if not any(isinstance(part, Interval) for part in ranges):
            return
        for part in ranges:
            for value in part.values if isinstance(part, Choice) else ():
                if not is_number(value):
                    raise EmbodiedError(
                        f"variable {self.name!r}: {value!r} stands beside an interval, so "
                        "it must be a number, too"
                    )

    def _ranges(self) -> tuple[Range, ...]:
        return (self.start, self.narrow, self.train, self.held_out)

    def range(self, level: str, split: str) -> Range:
        """Returns the range from which the variable is sampled at a level and split."""
        if split in (self.factor, "all"):
            return self.held_out
        if level == "L1":
            return self.start
        if level == "L2":
            return self.narrow
        return self.train

    def full_range(self) -> Range:
        """Returns the smallest range that contains the ranges of all levels and splits."""
        ranges = self._ranges()
        choices = [part for part in ranges if isinstance(part, Choice)]

        # only choices: all their values, each once
        if len(choices) == len(ranges):
            values = [value for choice in choices for value in choice.values]
            return Choice(tuple(dict.fromkeys(values)))

        # otherwise an interval around all ranges: `_check_ranges` has made sure that the
        # values of choices are numbers
        ends: list[float] = []
        for part in ranges:
            if isinstance(part, Interval):
                ends += [part.low, part.high]
            else:
                ends += part.values
        return Interval(min(ends), max(ends))

    def allows(self, value: Any) -> bool:
        """Returns whether a value from JSON is in the full range."""
        whole = self.full_range()
        if isinstance(whole, Interval):
            return isinstance(value, int | float) and whole.low <= value <= whole.high

        # JSON has lists instead of tuples. Types are compared, too, because True == 1
        given = tuple(value) if isinstance(value, list) else value
        return any(
            isinstance(given, type(allowed)) and given == allowed
            for allowed in to_python(whole.values)
        )


def row(
    name: str,
    factor: str,
    unit: str = "",
    *,
    L1: Any,
    L2: Any = ...,
    L3: Any = ...,
    held_out: Any = ...,
) -> Variable:
    """Returns a row of a table.

    A range is a tuple `(low, high)` for an interval, a list for a choice, or any other
    object for a single value. `...` stands for the default.

    Args:
        name: The variable's name.
        factor: The factor that the variable belongs to, one of FACTORS.
        unit: The unit of the values; empty for words and counts.
        L1: The range at level L1.
        L2: The range at level L2; by default that of L1.
        L3: The range at levels L3 and L4; by default that of L2.
        held_out: The range for tests; by default that of L3, so that nothing is held out.
    """
    narrow = L1 if L2 is ... else L2
    train = narrow if L3 is ... else L3
    tested = train if held_out is ... else held_out
    cells = {"L1": L1, "L2": narrow, "L3": train, "held_out": tested}
    ranges = []
    for column, cell in cells.items():
        try:
            ranges.append(_range_of(cell))
        except EmbodiedError as error:
            raise EmbodiedError(f"row {name!r}, {column}: {error}") from error
    return Variable(name, factor, unit, *ranges)


def _range_of(cell: Any) -> Range:
    """Returns the range that a cell of a table stands for, as `row` documents it."""
    if isinstance(cell, tuple):
        if len(cell) != 2:
            raise EmbodiedError(
                f"a tuple is an interval (low, high): write {list(cell)} to choose from "
                "several values"
            )
        return Interval(*cell)
    if isinstance(cell, list):
        return Choice(tuple(cell))
    return fixed(cell)


class Variation:
    """Samples the variables of a table.

    Each variable has its own random stream, which depends only on the seed and the
    variable's name. So a new row in a table does not change the values of other rows.

    Args:
        table: The rows of the table.
        level: The level of variation, one of LEVELS.
        split: One of SPLITS.
        overrides: Name of a variable -> its value in all episodes, instead of sampled
            values.

    Raises:
        EmbodiedError: a level, split or variable is unknown, or a value is outside the
            variable's range.
    """

    def __init__(
        self,
        table: Sequence[Variable],
        level: str,
        split: str,
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        """Chooses the range of each variable for this level and split."""
        if level not in LEVELS:
            raise unknown("level", level, LEVELS)
        if split not in SPLITS:
            raise unknown("split", split, SPLITS)
        overrides = {} if overrides is None else to_python(overrides)
        _check_overrides(table, overrides)
        self.level = level
        self.split = split

        self._ranges = {
            variable.name: variable.range(level, split) for variable in table
        }
        for name, value in overrides.items():
            self._ranges[name] = fixed(value)
        # an integer key per name for seeding; unlike `hash`, `crc32` gives the same
        # result in all processes
        self._keys = {
            variable.name: crc32(variable.name.encode()) for variable in table
        }

    def stream(self, seed: int, name: str) -> np.random.Generator:
        """Returns the random generator of one variable in one episode."""
        key = self._keys.get(name)
        if key is None:
            raise unknown("variable of the table", name, self._keys)
        return np.random.default_rng(np.random.SeedSequence((seed, key)))

    def sample(self, seed: int, name: str) -> Any:
        """Returns a variable's value in the episode with a seed."""
        rng = self.stream(seed, name)
        return self._ranges[name].sample(rng)

    def sample_many(self, seed: int, name: str, count: int) -> list[Any]:
        """Returns `count` independent values of a variable in the episode with a seed."""
        rng = self.stream(seed, name)
        return [self._ranges[name].sample(rng) for _ in range(count)]

    def sample_each(self, seed: int, table: Iterable[Variable]) -> dict[str, Any]:
        """Returns the values of a table's variables in the episode with a seed, by name."""
        return {variable.name: self.sample(seed, variable.name) for variable in table}


def _check_overrides(table: Sequence[Variable], overrides: Mapping[str, Any]) -> None:
    """Raises EmbodiedError for overrides of unknown variables, or with wrong values."""
    if not isinstance(overrides, Mapping):
        example = f"{{'{table[0].name}': ...}}"
        raise EmbodiedError(
            "factors must map variables to values, such as "
            f"{example}: {overrides!r} does not"
        )

    known = {variable.name: variable for variable in table}
    for name, value in overrides.items():
        # the name of a factor is a likely mistake, so it has its own message
        if name in FACTORS:
            variables = ", ".join(
                variable.name for variable in table if variable.factor == name
            )
            raise EmbodiedError(
                f"{name!r} is a factor: give values to its variables, of which there "
                f"are {variables}"
            )
        if name not in known:
            raise unknown("factor variable", name, known)
        if not known[name].allows(value):
            raise EmbodiedError(
                f"{name} cannot be {value!r}: it is {known[name].full_range()}, "
                "held-out values included"
            )


def markdown_table(table: Sequence[Variable]) -> str:
    """Returns a table in Markdown, one line per variable, for the documentation."""
    lines = [
        "| variable | factor | unit | L1 | L2 | L3, L4 | held out |",
        "|---|---|---|---|---|---|---|",
    ]
    for variable in table:
        # L3 and L4 have the same ranges; they differ in events
        cells = (
            variable.name,
            variable.factor,
            variable.unit,
            variable.start,
            variable.narrow,
            variable.train,
            variable.held_out,
        )
        lines.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    return "\n".join(lines)
