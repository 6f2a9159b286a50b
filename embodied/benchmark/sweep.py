"""The grid of a sweep: which cells lie in one panel, in which row and column.

A panel shows cells of one place that differ in two things: how late plans are, which is
its columns, and one other thing, which is its rows. The rows are the planner's rates
where there are several, else the policies, else what hinders the plans. What else differs
makes panels of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

from embodied.benchmark.results import Cell, Condition, Results
from embodied.benchmark.timing import CONSTANT
from embodied.benchmark.views import Setting

CHANNEL = "channel "  # how `Condition.latency` begins where a channel has the delays
UNHINDERED = "nothing else in the way"


@dataclass(frozen=True)
class Column:
    """How late plans are.

    Attributes:
        delay_ms: compute and transport together, the median.
        channel: the profile that has the delays; "" where they were given.
    """

    delay_ms: float
    channel: str = ""

    @property
    def label(self) -> str:
        return self.channel or f"{self.delay_ms:g} ms"


@dataclass(frozen=True)
class Row:
    """Cells that differ in how late plans are only."""

    label: str
    cells: dict[Column, Cell]

    @property
    def columns(self) -> list[Column]:
        """The columns that were measured, the least delay first."""
        return sorted(self.cells, key=_column_order)

    @property
    def ordered(self) -> list[Cell]:
        """The cells in the order of the columns."""
        return [self.cells[column] for column in self.columns]

    @property
    def rate_hz(self) -> float:
        """How many plans are made per second."""
        return self.ordered[0].condition.planner_hz or 0.0


@dataclass(frozen=True)
class Panel:
    """A surface of success.

    Attributes:
        place: task and robot.
        setting: level, split and stage.
        title: what its cells share, and those of other panels do not; "" for nothing.
        rows_are: what differs from row to row: "rate", "policy" or "hindrance".
        rows: at least one.
    """

    place: str
    setting: Setting
    title: str
    rows_are: str
    rows: tuple[Row, ...]

    @property
    def columns(self) -> list[Column]:
        """All columns, the least delay first."""
        found = {column for row in self.rows for column in row.cells}
        return sorted(found, key=_column_order)

    @property
    def is_of_channels(self) -> bool:
        return any(column.channel for column in self.columns)

    @property
    def full_title(self) -> str:
        """Where it is, and its title."""
        return ", ".join(filter(None, (self.place, self.setting.title, self.title)))


@dataclass(frozen=True)
class _Key:
    """What tells apart the rows of one place and setting."""

    policy: str
    rate_hz: float
    hindrance: str


def panels(results: Results) -> list[Panel]:
    """Returns the panels of a sweep, in the order in which their cells were measured.

    Cells of policies that make no plans are in none: see `references`.
    """
    contexts: dict[tuple[str, Setting, bool], list[Cell]] = {}
    for cell in results.cells:
        condition = cell.condition
        if condition.planner_hz is None:
            continue
        is_channel = condition.latency.startswith(CHANNEL)
        context = (condition.place, Setting.of(condition), is_channel)
        contexts.setdefault(context, []).append(cell)

    found = []
    for (place, setting, _), cells in contexts.items():
        found += _panels_of(place, setting, cells)
    return found


def references(results: Results) -> list[Cell]:
    """Returns the cells of policies that make no plans: delay is nothing to them."""
    return [cell for cell in results.cells if cell.condition.planner_hz is None]


def _panels_of(place: str, setting: Setting, cells: Sequence[Cell]) -> list[Panel]:
    """Returns the panels of the cells of one place and setting."""
    lines = _lines(cells)
    rates_hz = sorted({key.rate_hz for key in lines})
    policies = list(dict.fromkeys(key.policy for key in lines))
    names = _names({cell.condition.policy: cell.label for cell in cells})
    hindrances = list(dict.fromkeys(key.hindrance for key in lines))

    # (name, values, how a value is shown) of each thing that may differ
    dimensions: list[tuple[str, Sequence[object], Callable[[object], str]]] = [
        ("rate", rates_hz, lambda rate_hz: f"{rate_hz:g} Hz"),
        ("policy", policies, lambda policy: names[str(policy)]),
        ("hindrance", hindrances, lambda words: str(words) or UNHINDERED),
    ]
    several = [dimension for dimension in dimensions if len(dimension[1]) > 1]
    rows = several[0] if several else dimensions[1]
    others = [dimension for dimension in dimensions if dimension is not rows]

    found = []
    for values in product(*(dimension[1] for dimension in others)):
        shown = []
        for (_, choices, show), value in zip(others, values, strict=True):
            if len(choices) > 1:
                shown.append(show(value))
        at = {name: value for (name, _, _), value in zip(others, values, strict=True)}

        own = []
        for value in rows[1]:
            key = _key({**at, rows[0]: value})
            if key in lines:
                own.append(Row(rows[2](value), lines[key]))
        if own:
            title = ", ".join(shown)
            found.append(Panel(place, setting, title, rows[0], tuple(own)))
    return found


def _names(labels: dict[str, str]) -> dict[str, str]:
    """Returns what policies are called: their labels, or whole names of equal ones."""
    shown = list(labels.values())
    return {
        policy: label if shown.count(label) == 1 else policy
        for policy, label in labels.items()
    }


def _key(at: dict[str, object]) -> _Key:
    return _Key(str(at["policy"]), float(str(at["rate"])), str(at["hindrance"]))


def _lines(cells: Sequence[Cell]) -> dict[_Key, dict[Column, Cell]]:
    """Returns the cells of each row by their columns."""
    transports = {cell.condition.transport_ms for cell in cells}
    computes = {cell.condition.compute_ms for cell in cells}
    # Where only the time to compute differs, it is what the columns are of.
    compute_is_column = len(transports) == 1 or len(computes) == 1

    lines: dict[_Key, dict[Column, Cell]] = {}
    for cell in cells:
        condition = cell.condition
        key = _Key(
            condition.policy,
            condition.planner_hz or 0.0,
            _hindrance(condition, compute_is_column),
        )
        lines.setdefault(key, {})[_column(condition)] = cell
    return _with_common_start(lines, compute_is_column)


def _with_common_start(
    lines: dict[_Key, dict[Column, Cell]], compute_is_column: bool
) -> dict[_Key, dict[Column, Cell]]:
    """Returns the lines, each with its cell without delay.

    Jitter of no delay is none, so that this cell was measured once for all spreads of
    the delays.
    """
    starts: dict[_Key, tuple[Column, Cell]] = {}
    for key, line in lines.items():
        for column, cell in line.items():
            if not column.delay_ms and not column.channel:
                starts[key] = (column, cell)

    whole = {key: dict(line) for key, line in lines.items()}
    lent = set()
    for key, line in whole.items():
        condition = next(iter(line.values())).condition
        if condition.latency == CONSTANT or condition.latency.startswith(CHANNEL):
            continue
        steady = replace(condition, latency=CONSTANT)
        twin = replace(key, hindrance=_hindrance(steady, compute_is_column))
        if twin in starts:
            column, cell = starts[twin]
            line.setdefault(column, cell)
            lent.add(twin)

    # a line that has nothing but the start of others says nothing by itself
    return {
        key: line for key, line in whole.items() if key not in lent or len(line) > 1
    }


def _column(condition: Condition) -> Column:
    channel = ""
    if condition.latency.startswith(CHANNEL):
        channel = condition.latency.removeprefix(CHANNEL)
    return Column(condition.delay_ms, channel)


def _column_order(column: Column) -> tuple[float, str]:
    return column.delay_ms, column.channel


def _hindrance(condition: Condition, compute_is_column: bool) -> str:
    """Returns what hinders or helps plans beside a delay, in words; "" for nothing."""
    words = []
    is_channel = condition.latency.startswith(CHANNEL)
    if condition.latency != CONSTANT and not is_channel:
        words.append(condition.latency)
    if condition.compute_ms and not compute_is_column and not is_channel:
        words.append(f"{condition.compute_ms:g} ms of it computing")
    if condition.drop_rate:
        words.append(f"{condition.drop_rate:.0%} of plans lost")
    words += condition.hindrances
    if condition.mailbox != "latest":
        words.append(f"mailbox {condition.mailbox}")
    return ", ".join(words)
