"""Draws line charts as inline SVG.

Colours come from the page's style sheet, so they follow its light and dark themes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH_PX = 560
HEIGHT_PX = 340
# margins of the plotting area, wide enough for the larger letters on phones
LEFT_PX = 62
RIGHT_PX = 18
TOP_PX = 38
BOTTOM_PX = 58
# one shape per colour, so that curves differ in more than colour
MARKS = ("circle", "square", "triangle", "diamond", "nabla", "ring")
MARK_CORNERS = {
    "square": ((-4.2, -4.2), (4.2, -4.2), (4.2, 4.2), (-4.2, 4.2)),
    "triangle": ((0, -5.6), (5.2, 4), (-5.2, 4)),
    "diamond": ((0, -5.8), (5.8, 0), (0, 5.8), (-5.8, 0)),
    "nabla": ((0, 5.6), (5.2, -4), (-5.2, -4)),
}
# an axis is logarithmic if the largest value over the smallest one exceeds this
LOG_FACTOR = 20
# up to this number of values get a tick each; with more, the ticks are round numbers
MAX_VALUE_TICKS = 7
Point = tuple[float, float]
ToPixels = Callable[[float, float], Point]  # values (x, y) -> pixels


@dataclass(frozen=True)
class Series:
    """A curve through points."""

    points: tuple[Point, ...]  # (x, y)
    style: int  # index of colour and mark
    band: tuple[tuple[float, float], ...] = ()  # (low, high) at each point; () for none
    marks: bool = True  # whether points have marks


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high`."""

    title: str  # with the unit
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]  # (value, label)
    log: bool = False  # whether it is logarithmic

    def share(self, value: float) -> float:
        """Returns the position of a value on the axis: 0 at `low`, 1 at `high`."""
        scale = math.log10 if self.log else float
        low = scale(self.low)
        return (scale(value) - low) / (scale(self.high) - low)


def success_axis(title: str = "Success") -> Axis:
    """Returns an axis from 0 to 100%."""
    ticks = tuple((k / 4, f"{25 * k}%") for k in range(5))
    return Axis(title, 0, 1, ticks)


def linear_axis(title: str, low: float, high: float) -> Axis:
    """Returns an axis with round ticks from at most `low` to at least `high`."""
    # equal values still need an axis of some length
    high = high if high > low else low + 1

    # the smallest round step with at most about five intervals; the tolerances here and
    # below absorb rounding errors
    raw_step = (high - low) / 5
    magnitude = 10 ** math.floor(math.log10(raw_step))
    steps = [factor * magnitude for factor in (1, 2, 2.5, 5, 10)]
    step = next(candidate for candidate in steps if candidate >= raw_step * 0.999)

    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    ticks = tuple((k * step, _tick_label(k * step)) for k in range(first, last + 1))

    # Rounding errors can put the outer ticks inside the range of the values, so the axis
    # ends at whichever is farther out.
    return Axis(title, min(low, ticks[0][0]), max(high, ticks[-1][0]), ticks)


def log_axis(title: str, low: float, high: float) -> Axis:
    """Returns a logarithmic axis from a tick at or below `low` to one at or above `high`.

    Ticks are powers of ten; if the axis is short, also 2 and 5 times these.
    """
    first = math.floor(math.log10(low)) - 1
    last = math.ceil(math.log10(high)) + 1
    # a range of less than about two powers of ten counts as short
    factors = (1, 2, 5) if high / low < 200 else (1,)
    values = [f * 10.0**k for k in range(first, last + 1) for f in factors]

    start = max(value for value in values if value <= low)
    stop = min(value for value in values if value >= high)
    ticks = tuple((v, _tick_label(v)) for v in values if start <= v <= stop)
    return Axis(f"{title}, log scale", start, stop, ticks, log=True)


def value_axis(title: str, values: Sequence[float]) -> Axis:
    """Returns an axis from 0; a logarithmic one if the values span too wide a range."""
    low = min(values)
    high = max(values)
    if low > 0 and high / low > LOG_FACTOR:
        return log_axis(title, low, high)
    return linear_axis(title, min(low, 0.0), high)


def points_axis(title: str, values: Sequence[float]) -> Axis:
    """Returns an axis with a tick at each value if they are few, else with round ticks."""
    distinct = sorted(set(values))
    if len(distinct) > MAX_VALUE_TICKS or len(distinct) < 2:
        return linear_axis(title, min(0.0, distinct[0]), distinct[-1])

    ticks = tuple((value, _tick_label(value)) for value in distinct)
    return Axis(title, distinct[0], distinct[-1], ticks)


def line_chart(series: Sequence[Series], x: Axis, y: Axis, summary: str) -> Markup:
    """Returns the chart as an SVG element.

    Args:
        series: the curves.
        x: the horizontal axis.
        y: the vertical axis.
        summary: text for screen readers.
    """
    to_pixels = _to_pixels(x, y)
    parts = [_grid(x, y, to_pixels)]
    parts += [_band(curve, to_pixels) for curve in series if curve.band]
    parts += [_line(curve, to_pixels) for curve in series]
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(WIDTH_PX, HEIGHT_PX, summary, Markup("").join(parts))


def mark(style: int, x: float = 7, y: float = 7) -> Markup:
    """Returns the mark of a style, centred on (x, y) in pixels."""
    shape = MARKS[style % len(MARKS)]
    if shape not in MARK_CORNERS:
        return Markup(
            '<circle class="mark {}" cx="{:.1f}" cy="{:.1f}" r="4.6"/>'
        ).format(shape, x, y)

    corners = [(x + dx, y + dy) for dx, dy in MARK_CORNERS[shape]]
    return Markup('<polygon class="mark" points="{}"/>').format(_path(corners))


def _to_pixels(x: Axis, y: Axis) -> ToPixels:
    """Returns a function from values to pixels, whose origin is the upper left corner."""
    width_px = WIDTH_PX - LEFT_PX - RIGHT_PX
    height_px = HEIGHT_PX - TOP_PX - BOTTOM_PX

    def to_pixels(x_value: float, y_value: float) -> Point:
        x_px = LEFT_PX + width_px * x.share(x_value)
        y_px = TOP_PX + height_px * (1 - y.share(y_value))
        return x_px, y_px

    return to_pixels


def _grid(x: Axis, y: Axis, to_pixels: ToPixels) -> Markup:
    """Returns the axes with their ticks, labels and titles.

    In all positions, u is to the right and v is down, in pixels. The small numbers are
    distances in pixels from lines and edges to letters.
    """
    bottom = HEIGHT_PX - BOTTOM_PX
    right = WIDTH_PX - RIGHT_PX

    # a grid line for each tick of y, a short stroke below the axis for each tick of x
    parts = []
    for value, label in y.ticks:
        _, v = to_pixels(x.low, value)
        parts.append(_straight_line("grid", LEFT_PX, v, right, v))
        parts.append(_text("tick end", LEFT_PX - 9, v + 4.5, label))
    for value, label in x.ticks:
        u, _ = to_pixels(value, y.low)
        parts.append(_straight_line("axis", u, bottom, u, bottom + 5))
        parts.append(_text("tick", u, bottom + 21, label))

    parts.append(_straight_line("axis", LEFT_PX, bottom, right, bottom))
    parts.append(_text("title", (LEFT_PX + right) / 2, HEIGHT_PX - 8, x.title))
    parts.append(_text("title start", 4, 15, y.title))
    return Markup("").join(parts)


def _straight_line(style: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    """Returns a straight line between two points in pixels; `style` is a CSS class."""
    return Markup(
        '<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>'
    ).format(style, x1, y1, x2, y2)


def _text(style: str, x: float, y: float, text: str) -> Markup:
    """Returns text at a point in pixels; `style` is CSS classes, which also align it."""
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}">{}</text>').format(
        style, x, y, text
    )


def _band(series: Series, to_pixels: ToPixels) -> Markup:
    """Returns the area between lower and upper limits, and a whisker at each point.

    Positions are in pixels: u is to the right, `bottom` and `top` are down.
    """
    # the outline runs along the lower limits and back along the upper ones
    lower = []
    upper = []
    whiskers = []
    for (x, _), (low, high) in zip(series.points, series.band, strict=True):
        u, bottom = to_pixels(x, low)
        _, top = to_pixels(x, high)
        lower.append((u, bottom))
        upper.append((u, top))
        whiskers.append(f"M{u:.1f} {bottom:.1f}V{top:.1f}")

    outline = _path(lower + upper[::-1])
    return Markup(
        '<g class="c{}"><polygon class="band" points="{}"/>'
        '<path class="whisker" d="{}"/></g>'
    ).format(series.style, outline, "".join(whiskers))


def _line(series: Series, to_pixels: ToPixels) -> Markup:
    """Returns the curve through the points, with their marks."""
    pixels = [to_pixels(x, y) for x, y in series.points]
    marks = Markup("")
    if series.marks:
        marks = Markup("").join(mark(series.style, u, v) for u, v in pixels)
    return Markup('<g class="c{}"><polyline class="line" points="{}"/>{}</g>').format(
        series.style, _path(pixels), marks
    )


def _path(pixels: Sequence[Point]) -> str:
    """Returns points in pixels in SVG's notation, e.g. "10.0,20.0 11.5,19.2"."""
    return " ".join(f"{u:.1f},{v:.1f}" for u, v in pixels)


def _tick_label(value: float) -> str:
    """Returns a tick's label, e.g. "1,500", "0.25" or "2e-4"."""
    if value and abs(value) < 1e-3:
        return f"{value:.0e}".replace("e-0", "e-")
    return f"{value:,.10g}"
