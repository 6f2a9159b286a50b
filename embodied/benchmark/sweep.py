"""Groups the cells of a sweep into panels: the heat maps of its report.

All cells of a panel share task, robot, level, split and stage. Its columns are the delays
of plans, or the channels that cause the delays. Its rows differ in one other dimension:
the planner's rate if several were measured, else the policy, else the impairment (jitter,
loss, freezes and the like). If another dimension varies too, each of its values gets a
panel of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

from embodied.benchmark.results import Cell, Condition, Results
from embodied.benchmark.timing import CONSTANT
from embodied.benchmark.views import Setting

# The dimensions in which rows can differ. The values are those of the key `rows_are` in
# sweep.json files, whose word for an impairment is "hindrance".
RATE = "rate"
POLICY = "policy"
IMPAIRMENT = "hindrance"

CHANNEL = "channel "  # prefix of `Condition.latency` where a channel sets the delays
UNIMPAIRED = "nothing else in the way"  # label of a row without impairments


@dataclass(frozen=True)
class Column:
    """A delay of plans.

    Attributes:
        delay_ms: the median delay, compute and transport together.
        channel: the channel profile that sets the delays; "" if they were given in ms.
    """

    delay_ms: float
    channel: str = ""

    @property
    def label(self) -> str:
        return self.channel or f"{self.delay_ms:g} ms"


@dataclass(frozen=True)
class Row:
    """Cells that differ only in the delay of plans."""

    label: str
    cells: dict[Column, Cell]

    @property
    def columns(self) -> list[Column]:
        """The measured columns, shortest delay first."""
        return sorted(self.cells, key=_column_order)

    @property
    def ordered(self) -> list[Cell]:
        """The cells, shortest delay first."""
        return [self.cells[column] for column in self.columns]

    @property
    def rate_hz(self) -> float:
        """The planner's rate, which all cells of the row share."""
        return self.ordered[0].condition.planner_hz or 0.0


@dataclass(frozen=True)
class Panel:
    """One heat map of success rates.

    Attributes:
        task_with_robot: the task and the robot, e.g. "ToteTransfer arm".
        setting: level, split and stage.
        title: what distinguishes the panel from the others of its task, robot and
            setting; "" if there are no others.
        rows_are: the dimension in which the rows differ: RATE, POLICY or IMPAIRMENT.
        rows: the rows of the heat map, at least one.
    """

    task_with_robot: str
    setting: Setting
    title: str
    rows_are: str
    rows: tuple[Row, ...]

    @property
    def columns(self) -> list[Column]:
        """The columns of all rows, shortest delay first."""
        columns = {column for row in self.rows for column in row.cells}
        return sorted(columns, key=_column_order)

    @property
    def has_channels(self) -> bool:
        """Whether the columns are channels and not delays in ms."""
        return any(column.channel for column in self.columns)

    @property
    def full_title(self) -> str:
        """Task, robot, setting and title, separated by commas."""
        return ", ".join(
            filter(None, (self.task_with_robot, self.setting.title, self.title))
        )


@dataclass(frozen=True)
class _RowKey:
    """Identifies a row among all rows of one task, robot and setting.

    Attributes:
        policy: the policy's name.
        rate_hz: the planner's rate.
        impairment: what happens to plans apart from the delay, in words; "" for nothing.
    """

    policy: str
    rate_hz: float
    impairment: str


@dataclass(frozen=True)
class _Dimension:
    """One field of `_RowKey` with its values.

    Attributes:
        name: RATE, POLICY or IMPAIRMENT.
        labels: each value that occurs -> its label in the report, in the order of rows.
    """

    name: str
    labels: dict[Any, str]

    @property
    def varies(self) -> bool:
        return len(self.labels) > 1


def panels(results: Results) -> list[Panel]:
    """Returns the panels of a sweep, in the order in which their cells were measured.

    Policies that make no plans are in no panel: see `references`.
    """
    # delays in ms and channels never share a panel
    groups: dict[tuple[str, Setting, bool], list[Cell]] = {}
    for cell in results.cells:
        condition = cell.condition
        if condition.planner_hz is None:
            continue
        group = (
            condition.task_with_robot,
            Setting.of(condition),
            _has_channel(condition),
        )
        groups.setdefault(group, []).append(cell)

    panels = []
    for (task_with_robot, setting, _), cells in groups.items():
        panels += _panels_of_group(task_with_robot, setting, cells)
    return panels


def references(results: Results) -> list[Cell]:
    """Returns the cells of policies that make no plans, which no delay affects."""
    return [cell for cell in results.cells if cell.condition.planner_hz is None]


def _panels_of_group(
    task_with_robot: str, setting: Setting, cells: Sequence[Cell]
) -> list[Panel]:
    """Returns the panels of one task, robot and setting."""
    cells_by_row = _cells_by_row(cells)
    dimensions = _dimensions(list(cells_by_row), cells)

    # The first dimension that varies makes the rows. If none does, as in a sweep of delays
    # alone, the policy names the single row.
    varying = [dimension for dimension in dimensions.values() if dimension.varies]
    row_dimension = varying[0] if varying else dimensions[POLICY]
    other_dimensions = [d for d in dimensions.values() if d is not row_dimension]

    # one panel for each combination of values of the other dimensions
    panels = []
    for combination in product(*(dimension.labels for dimension in other_dimensions)):
        title_parts = []
        values: dict[str, Any] = {}
        for dimension, value in zip(other_dimensions, combination, strict=True):
            values[dimension.name] = value
            if dimension.varies:
                title_parts.append(dimension.labels[value])

        # a row for each value of the dimension that makes the rows
        rows = []
        for value, label in row_dimension.labels.items():
            values[row_dimension.name] = value
            key = _RowKey(values[POLICY], values[RATE], values[IMPAIRMENT])
            # a sweep need not measure every combination of values
            if key in cells_by_row:
                rows.append(Row(label, cells_by_row[key]))
        if rows:
            panel = Panel(
                task_with_robot=task_with_robot,
                setting=setting,
                title=", ".join(title_parts),
                rows_are=row_dimension.name,
                rows=tuple(rows),
            )
            panels.append(panel)
    return panels


def _dimensions(
    keys: Sequence[_RowKey], cells: Sequence[Cell]
) -> dict[str, _Dimension]:
    """Returns the dimensions by name; the first one that varies makes the rows."""
    policy_labels = _policy_labels(cells)
    rates = {rate_hz: f"{rate_hz:g} Hz" for rate_hz in sorted(k.rate_hz for k in keys)}
    policies = {key.policy: policy_labels[key.policy] for key in keys}
    impairments = {key.impairment: key.impairment or UNIMPAIRED for key in keys}
    return {
        RATE: _Dimension(RATE, rates),
        POLICY: _Dimension(POLICY, policies),
        IMPAIRMENT: _Dimension(IMPAIRMENT, impairments),
    }


def _policy_labels(cells: Sequence[Cell]) -> dict[str, str]:
    """Returns the policies' labels, policy -> label; full names if labels are equal."""
    labels = {cell.condition.policy: cell.label for cell in cells}
    all_labels = list(labels.values())
    return {
        policy: label if all_labels.count(label) == 1 else policy
        for policy, label in labels.items()
    }


def _cells_by_row(cells: Sequence[Cell]) -> dict[_RowKey, dict[Column, Cell]]:
    """Returns the cells of one task, robot and setting, row -> column -> cell."""
    # A column is the sum of compute and transport time. If both vary, equal sums may
    # differ in compute time, so the row has to name it.
    computes_ms = {cell.condition.compute_ms for cell in cells}
    transports_ms = {cell.condition.transport_ms for cell in cells}
    names_compute = len(computes_ms) > 1 and len(transports_ms) > 1

    rows: dict[_RowKey, dict[Column, Cell]] = {}
    for cell in cells:
        condition = cell.condition
        key = _RowKey(
            condition.policy,
            condition.planner_hz or 0.0,
            _impairment(condition, names_compute),
        )
        rows.setdefault(key, {})[_column(condition)] = cell
    return _with_undelayed_cells(rows, names_compute)


def _with_undelayed_cells(
    rows: dict[_RowKey, dict[Column, Cell]], names_compute: bool
) -> dict[_RowKey, dict[Column, Cell]]:
    """Returns the rows; those with jitter also get the cell without delay.

    Without delay there is no jitter, so that cell was measured only once, with constant
    latency. It belongs to every row that differs from it only in the jitter.
    """
    undelayed: dict[_RowKey, tuple[Column, Cell]] = {}
    for key, row in rows.items():
        for column, cell in row.items():
            if column.delay_ms == 0 and not column.channel:
                undelayed[key] = (column, cell)

    complete = {key: dict(row) for key, row in rows.items()}
    copied_from = set()
    for key, row in complete.items():
        condition = next(iter(row.values())).condition
        if condition.latency == CONSTANT or _has_channel(condition):
            continue

        # the row that differs from this one only in its constant latency
        without_jitter = replace(condition, latency=CONSTANT)
        impairment = _impairment(without_jitter, names_compute)
        constant_key = replace(key, impairment=impairment)
        if constant_key in undelayed:
            column, cell = undelayed[constant_key]
            row.setdefault(column, cell)
            copied_from.add(constant_key)

    # A row whose only cell was copied into other rows is left out: it shows nothing new.
    return {
        key: row
        for key, row in complete.items()
        if key not in copied_from or len(row) > 1
    }


def _column(condition: Condition) -> Column:
    channel = ""
    if _has_channel(condition):
        channel = condition.latency.removeprefix(CHANNEL)
    return Column(condition.delay_ms, channel)


def _column_order(column: Column) -> tuple[float, str]:
    return column.delay_ms, column.channel


def _has_channel(condition: Condition) -> bool:
    """Returns whether a channel profile sets the delays."""
    return condition.latency.startswith(CHANNEL)


def _impairment(condition: Condition, names_compute: bool) -> str:
    """Returns all that happens to plans apart from the delay, in words; "" for nothing.

    Remedies such as a bridge or a mailbox are included.

    Args:
        condition: the condition of a cell.
        names_compute: whether the compute time is mentioned.
    """
    parts = []
    # A table has a column per delay and per channel, and a row per impairment. A channel
    # sets latency and compute time, so the row does not repeat them.
    if not _has_channel(condition):
        if condition.latency != CONSTANT:
            parts.append(condition.latency)
        if condition.compute_ms and names_compute:
            # "it" is the delay, which the column states
            parts.append(f"{condition.compute_ms:g} ms of it computing")
    if condition.drop_rate:
        parts.append(f"{condition.drop_rate:.0%} of plans lost")
    parts += condition.interruptions_and_remedies
    return ", ".join(parts)
