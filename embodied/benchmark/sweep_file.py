"""Writes and reads `sweep.json`: the findings of a sweep, for other programs.

It holds figures and sentences, but no dates and no times of this machine. The same sweep
therefore gives the same file, byte for byte, regardless of the number of processes and of
interruptions. The episodes are in `results.json`; `episodes_sha256` identifies them.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from embodied.benchmark.codec import DecodeError, decode, encode
from embodied.benchmark.crossings import Crossing
from embodied.benchmark.results import Results, ResultsError
from embodied.benchmark.results_file import read_json
from embodied.benchmark.results_schema import (
    DIALECT,
    check_fits,
    dataclass_schema,
    schema_validator,
)
from embodied.benchmark.statistics import Comparison, Median
from embodied.benchmark.sweep import references
from embodied.benchmark.sweep_figures import (
    PanelFigures,
    Recovery,
    RowFigures,
    recoveries,
    sweep_figures,
)
from embodied.benchmark.sweep_text import (
    findings,
    headline,
    recovery_text,
    reference_text,
)
from embodied.files import replace_text

NAME = "sweep.json"
FORMAT = "embodied-sweep"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class PointRecord:
    """A cell of a panel; see `PointFigures` for the meaning of its figures."""

    policy: str
    planner_hz: float
    delay_ms: float
    channel: str  # "" if delays were given in ms
    episodes: int
    successes: int
    success: float  # share of the episodes, with its 95% interval
    success_low: float
    success_high: float
    difference: Comparison | None
    adjusted_p: float | None
    time_to_success_s: float | None
    plan_age_s: float | None
    stale_share: float | None
    plan_jump: float | None
    peak_force_n: float
    failures: dict[str, int]  # failure mode -> number of episodes


@dataclass(frozen=True)
class RowRecord:
    """A row of a panel."""

    label: str
    points: tuple[PointRecord, ...]  # shortest delay first
    half_delay_ms: Crossing | None


@dataclass(frozen=True)
class BreakEven:
    """The rate at which a punctual planner equals the fastest planner with this delay.

    Both succeed equally often; see `crossings.break_even`.
    """

    delay_ms: float
    channel: str
    rate_hz: Crossing


@dataclass(frozen=True)
class PanelRecord:
    """A panel: success rates over rows and delays."""

    place: str  # task and robot, e.g. "ToteTransfer arm"
    setting: str
    title: str
    rows_are: str
    rows: tuple[RowRecord, ...]
    half_rate_hz: Crossing | None
    break_even: tuple[BreakEven, ...]
    findings: tuple[str, ...]


@dataclass(frozen=True)
class RecoveryRecord:
    """The cost of an interruption; see `Recovery` for the meaning of its figures."""

    policy: str
    planner_hz: float
    delay_ms: float
    interruption: str
    difference: Comparison
    adjusted_p: float
    lost_s: Median | None
    caught_up_s: float | None
    finding: str


@dataclass(frozen=True)
class SweepRecord:
    """The findings of a sweep.

    Attributes:
        episodes_sha256: the SHA-256 of the conditions and episodes of all cells.
        headline: the main finding in one sentence.
        panels: the heat maps.
        recoveries: the costs of freezes and outages.
        references: a sentence on each policy that makes no plans.
    """

    episodes_sha256: str
    headline: str
    panels: tuple[PanelRecord, ...]
    recoveries: tuple[RecoveryRecord, ...]
    references: tuple[str, ...]


def sweep_record(results: Results) -> SweepRecord:
    """Returns the findings of a sweep's results."""
    figures = sweep_figures(results)
    return SweepRecord(
        episodes_sha256=episodes_sha256(results),
        headline=headline(figures),
        panels=tuple(_panel_record(panel) for panel in figures),
        recoveries=tuple(_recovery_record(cost) for cost in recoveries(results)),
        references=tuple(reference_text(cell) for cell in references(results)),
    )


def episodes_sha256(results: Results) -> str:
    """Returns the SHA-256 of the cells' conditions and episodes, without wall times."""
    cells = [[encode(cell.condition), encode(cell.episodes)] for cell in results.cells]
    text = json.dumps(cells, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def sweep_schema() -> dict[str, Any]:
    """Returns the JSON schema of `sweep.json` in its current version."""
    schema = dataclass_schema(SweepRecord)
    head = {
        "format": {"const": FORMAT},
        "schema_version": {"const": SCHEMA_VERSION},
    }
    return {
        "$schema": DIALECT,
        "title": "What `embodied sweep` found",
        **schema,
        "properties": {**head, **schema["properties"]},
        "required": [*head, *schema["required"]],
    }


@cache
def _validator() -> Any:
    return schema_validator(sweep_schema())


def write_sweep(path: Path, record: SweepRecord) -> None:
    """Writes the file atomically; raises ResultsError if it does not fit the schema."""
    content = {"format": FORMAT, "schema_version": SCHEMA_VERSION, **encode(record)}
    check_fits(content, _validator())
    replace_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


def read_sweep(path: Path) -> SweepRecord:
    """Returns the findings in a file.

    Raises:
        ResultsError: the file is missing, of another kind or version, or damaged.
    """
    content = read_json(path, NAME)
    if content.get("format") != FORMAT:
        raise ResultsError(
            f"{path} is no {NAME} file: its 'format' is {content.get('format')!r}, not "
            f"{FORMAT!r}"
        )

    version = content.get("schema_version")
    if version != SCHEMA_VERSION:
        raise ResultsError(
            f"{path} has schema version {version!r}; this version reads {SCHEMA_VERSION}"
        )

    try:
        check_fits(content, _validator())
        # the two keys that are checked above are not fields of the dataclass
        fields = {
            k: v for k, v in content.items() if k not in ("format", "schema_version")
        }
        return decode(SweepRecord, fields, NAME)
    except (ResultsError, DecodeError) as error:
        raise ResultsError(f"{path} is damaged: {error}") from error


def _panel_record(figures: PanelFigures) -> PanelRecord:
    """Returns a heat map and its findings in the form of the file."""
    panel = figures.panel
    return PanelRecord(
        place=panel.task_with_robot,
        setting=panel.setting.title,
        title=panel.title,
        rows_are=panel.rows_are,
        rows=tuple(_row_record(row) for row in figures.rows),
        half_rate_hz=figures.half_rate_hz,
        # the planner's rate that is worth as much as each column's delay
        break_even=tuple(
            BreakEven(column.delay_ms, column.channel, rate_hz)
            for column, rate_hz in figures.break_even_hz.items()
        ),
        findings=tuple(findings(figures)),
    )


def _row_record(figures: RowFigures) -> RowRecord:
    """Returns a row of a heat map in the form of the file."""
    points = []
    for column, point in figures.points.items():
        points.append(
            PointRecord(
                policy=figures.row.cells[column].condition.policy,
                planner_hz=figures.row.rate_hz,
                delay_ms=column.delay_ms,
                channel=column.channel,
                # success, and its difference from the shortest delay of the row
                episodes=point.success.episodes,
                successes=point.success.successes,
                success=point.success.value,
                success_low=point.success.low,
                success_high=point.success.high,
                difference=point.difference,
                adjusted_p=point.adjusted_p,
                # other measures
                time_to_success_s=point.time_to_success_s,
                plan_age_s=point.plan_age_s,
                stale_share=point.stale_share,
                plan_jump=point.plan_jump,
                peak_force_n=point.peak_force_n,
                failures={
                    mode.description: mode.rate.successes for mode in point.modes
                },
            )
        )
    return RowRecord(figures.row.label, tuple(points), figures.half_delay_ms)


def _recovery_record(recovery: Recovery) -> RecoveryRecord:
    """Returns the cost of an interruption in the form of the file."""
    condition = recovery.interrupted.condition
    return RecoveryRecord(
        policy=condition.policy,
        planner_hz=condition.planner_hz or 0.0,
        delay_ms=condition.delay_ms,
        interruption=recovery.description,
        difference=recovery.difference,
        adjusted_p=recovery.adjusted_p,
        lost_s=recovery.lost_s,
        caught_up_s=recovery.caught_up_s,
        finding=recovery_text(recovery),
    )
