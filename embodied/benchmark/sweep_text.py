"""Writes the findings of a sweep as sentences, computed from its figures."""

from __future__ import annotations

from collections.abc import Sequence

from embodied.benchmark.crossings import Crossing
from embodied.benchmark.results import Cell, rate
from embodied.benchmark.sweep import POLICY, RATE, Column
from embodied.benchmark.sweep_figures import (
    ALPHA,
    PanelFigures,
    PointFigures,
    Recovery,
    RowFigures,
)
from embodied.benchmark.wording import difference, interval, listing, p_value, percent

MODES = 2  # failure modes that a sentence names
# A sentence mentions that the robot stood still only for a larger share of the time.
NOTABLE_STALE = 0.02
# It mentions jumps of the action only if they exceed those with the shortest delay by
# this factor.
JUMP_FACTOR = 2.0


def headline(figures: Sequence[PanelFigures]) -> str:
    """Returns one sentence on the sweep: how delay affects the first panel's success."""
    if not figures:
        return "No policy of this sweep makes plans"

    # of several rates, the headline is about the highest, in the last row
    panel = figures[0].panel
    row = figures[0].rows[-1 if panel.rows_are == RATE else 0]
    subject = f"{_policy(row)} on {panel.task_with_robot}"

    if len(row.points) < 2:
        # with one delay, the rows of the policy are what is compared
        rates = [
            point.success
            for each in figures[0].rows
            if _policy(each) == _policy(row)
            for point in each.points.values()
        ]
        rates.sort(key=lambda rate: rate.value)
        shares = [percent(rate.value, rate.episodes) for rate in (rates[0], rates[-1])]
        return f"{subject} succeeds in {' to '.join(dict.fromkeys(shares))}"
    if row.half_delay_ms is None:
        return f"{subject} does not succeed, even with the least delay"
    if row.half_delay_ms.value is None:
        return f"{subject} keeps half of its success and more up to {_last(row).label}"
    return f"{subject}: success halves at a delay of {row.half_delay_ms.value:.0f} ms"


def findings(figures: PanelFigures) -> list[str]:
    """Returns the findings of a panel: one text for each row, then those on rates."""
    sentences = []
    for row in figures.rows:
        sentences += _row_findings(figures, row)
    sentences += _rate_findings(figures)
    return sentences


def recovery_text(recovery: Recovery) -> str:
    """Returns the cost of an interruption in one sentence.

    E.g. "expert at 8 Hz, frozen for 1 s at 2 s: success changes by -5 points ...".
    """
    condition = recovery.interrupted.condition
    subject = f"{recovery.interrupted.label} at {condition.planner_hz:g} Hz"
    if condition.delay_ms:
        subject += f", {condition.delay_ms:g} ms late"
    text = f"{subject}, {recovery.description}: success changes by {difference(recovery.difference)}"
    if recovery.adjusted_p >= ALPHA:
        text += f", which may be chance (p {_p_text(recovery.adjusted_p)})"

    # additional seconds until success, of episodes that succeed with and without it
    lost_s = recovery.lost_s
    if lost_s is None:
        return f"{text}; no episode succeeds in spite of it."
    text += f"; those that succeed all the same need {lost_s.median:+.2f} s"
    if lost_s.low is not None and lost_s.high is not None:
        text += f" ({lost_s.low:+.2f} to {lost_s.high:+.2f} s)"
    if recovery.caught_up_s is None:
        return f"{text}."
    if recovery.caught_up_s > 0:
        return f"{text}, {recovery.caught_up_s:.2f} s more than it lasts."
    return f"{text}, less than it lasts."


def crossing_text(crossing: Crossing, unit: str, digits: int = 0) -> str:
    """Returns a crossing, its interval and the measured points next to it.

    E.g. "187 ms (95% interval 160 to 214, measured at 100 and 250)".

    Args:
        crossing: a position on an axis.
        unit: the unit of the axis.
        digits: the number of digits after the decimal point.
    """
    if crossing.value is None:
        bound = "beyond" if crossing.side == "above" else "below"
        return f"{bound} what was measured"
    # a limit of the interval may be beyond the measured points, too
    low = "…" if crossing.low is None else f"{crossing.low:.{digits}f}"
    high = "…" if crossing.high is None else f"{crossing.high:.{digits}f}"
    before, after = crossing.between
    points = f"measured at {before:g} and {after:g}"
    if before == after:
        points = "measured there"
    return (
        f"{crossing.value:.{digits}f} {unit} (95% interval {low} to {high}, {points})"
    )


def reference_text(cell: Cell) -> str:
    """Returns the success of a policy that makes no plans, which no delay affects."""
    success = rate(cell)
    return (
        f"{cell.label} makes no plans: {percent(success.value, success.episodes)} "
        f"({interval(success)}) whatever the delay."
    )


def _row_findings(figures: PanelFigures, row: RowFigures) -> list[str]:
    """Returns a text on how delay affects one row, as a list with one element."""
    # success at the shortest delay, with which the other delays are compared
    columns = row.row.columns
    base = row.points[columns[0]]
    subject = _who(figures, row)
    opening = f"{subject} {_rate_text(base)} {_delay_text(columns[0])}"
    if len(columns) < 2:
        return [f"{opening}."]
    if not base.success.successes:
        return [f"{opening}: there is nothing that delay could break."]

    # the shortest delay with significantly less success, or if there is none, the delay
    # with the least success
    worse = [column for column in columns[1:] if row.points[column].is_worse]
    sentences = [f"{opening}."]
    if not worse:
        least = min(columns[1:], key=lambda c: row.points[c].success.value)
        point = row.points[least]
        if point.success.value >= base.success.value:
            sentences.append("No delay that was tried costs success.")
        else:
            sentences.append(
                f"At {least.label} it {_rate_text(point)}, which {base.success.episodes} "
                "episodes cannot tell from chance."
            )
    else:
        point = row.points[worse[0]]
        sentences.append(
            f"It breaks at {worse[0].label}, the first delay that is worse beyond "
            f"chance: it {_rate_text(point)}, p {_p_text(point.adjusted_p)}."
        )

    # The columns of a panel are either delays in ms or channels. Channels differ in more
    # than their delay, so there is no delay at which success halves.
    half = row.half_delay_ms
    if half is not None and not columns[0].channel:
        if half.value is not None:
            sentences.append(f"Its success halves at {crossing_text(half, 'ms')}.")
        else:
            sentences.append(
                f"More than half of its success is left even at {columns[-1].label}."
            )
    if worse:
        sentences += _reasons(base, row.points[worse[0]], worse[0])
    return [" ".join(sentences)]


def _reasons(base: PointFigures, point: PointFigures, column: Column) -> list[str]:
    """Returns sentences on the failures at a delay, and on what else changed there.

    Args:
        base: the cell with the shortest delay.
        point: the cell that is significantly worse.
        column: the delay of the worse cell.
    """
    # the most frequent ways of failing at this delay
    sentences = []
    failed = point.success.episodes - point.success.successes
    if point.modes:
        ways = [
            f"{mode.rate.successes} {mode.description}" for mode in point.modes[:MODES]
        ]
        of_all = f"Of {failed} failures" if failed > 1 else "The one failure"
        sentences.append(f"{of_all} at {column.label}: {listing(ways)}.")

    # possible reasons: old plans, standing still, and jumps between plans
    changed = []
    if point.plan_age_s is not None:
        changed.append(f"plans were {1000 * point.plan_age_s:.0f} ms old on average")
    if (point.stale_share or 0) > NOTABLE_STALE:
        changed.append(
            f"the robot stood still for {point.stale_share:.0%} of the time for want of "
            "a fresh one"
        )
    jump = point.plan_jump
    usual = base.plan_jump
    if jump is not None and usual is not None and jump > JUMP_FACTOR * usual > 0:
        changed.append(
            f"actions jumped by {jump:.2f} from plan to plan, {jump / usual:.1f} times as "
            "far as with the least delay"
        )
    if changed:
        sentences.append(f"There {listing(changed)}.")
    return sentences


def _rate_findings(figures: PanelFigures) -> list[str]:
    """Returns sentences on how the planner's rate affects success."""
    panel = figures.panel
    if panel.rows_are != RATE:
        return []

    # with the shortest delay: the rate at which success halves
    sentences = []
    start = panel.columns[0]
    half = figures.half_rate_hz
    if half is not None:
        slowest = panel.rows[0].label
        text = (
            f"Even at {slowest} more than half of the fastest planner's success is left"
        )
        if half.value is not None:
            text = f"With fewer plans success halves at {crossing_text(half, 'Hz', 1)}"
        sentences.append(f"{text}, {_delay_text(start)}.")

    # with longer delays: the rate at which a punctual planner succeeds as often as a late
    # planner of the highest rate
    fastest = panel.rows[-1]
    for column, rate_hz in figures.break_even_hz.items():
        late = f"A planner at {fastest.label}, {_late_text(column)},"
        # the side says where the break-even rate lies, relative to the measured rates
        if rate_hz.side == "below":
            text = f"is worth no more than one at {panel.rows[0].label} on time"
        elif rate_hz.side == "above":
            text = "does better than any on time"
        else:
            equal = crossing_text(rate_hz, "Hz", digits=1)
            text = f"is worth as much as one on time at {equal}"
        sentences.append(f"{late} {text}.")
    return sentences


def _who(figures: PanelFigures, row: RowFigures) -> str:
    """Returns the subject of a sentence on a row, e.g. "expert (8 Hz)"."""
    if figures.panel.rows_are == POLICY:
        return row.row.label
    return f"{_policy(row)} ({row.row.label})"


def _policy(row: RowFigures) -> str:
    return row.row.ordered[0].label


def _last(row: RowFigures) -> Column:
    return row.row.columns[-1]


def _p_text(p: float | None) -> str:
    """Returns a p-value with its sign, e.g. "= 0.012" or "< 0.001"."""
    text = p_value(p or 0.0)
    return text if text.startswith("<") else f"= {text}"


def _rate_text(point: PointFigures) -> str:
    success = point.success
    share = percent(success.value, success.episodes)
    return f"succeeds in {share} ({interval(success)})"


def _delay_text(column: Column) -> str:
    if column.channel:
        return f"over the channel {column.channel}"
    return f"at {column.delay_ms:g} ms" if column.delay_ms else "without delay"


def _late_text(column: Column) -> str:
    if column.channel:
        return f"over {column.channel}"
    return f"{column.delay_ms:g} ms late"
