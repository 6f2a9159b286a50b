"""Line charts as inline SVG. Colours come from the page's style sheet, so they follow
its light and dark themes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH = 560
HEIGHT = 340
# px around the plotting area, with room for a phone's larger letters
LEFT = 62
RIGHT = 18
TOP = 38
BOTTOM = 58
# a shape beside each colour
MARKS = ("circle", "square", "triangle", "diamond", "nabla", "ring")


@dataclass(frozen=True)
class Series:
    """Points (x, y), and a band (low, high) at each of them where there is one. `style`
    is the colour index.
    """

    points: tuple[tuple[float, float], ...]
    style: int
    band: tuple[tuple[float, float], ...] = ()
    marks: bool = True


@dataclass(frozen=True)
class Axis:
    """From `low` to `high` with labelled ticks; `title` carries the unit."""

    title: str
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    log: bool = False

    def share(self, value: float) -> float:
        """Where a value lies between the ends, in [0, 1]."""
        low, high, x = (
            math.log10(v) if self.log else v for v in (self.low, self.high, value)
        )
        return (x - low) / (high - low)


def success_axis() -> Axis:
    """Always all of 0 to 100%."""
    return Axis("Success", 0, 1, tuple((i / 4, f"{25 * i}%") for i in range(5)))


def linear_axis(title: str, low: float, high: float) -> Axis:
    """Round ticks from at most `low` to at least `high`."""
    high = high if high > low else low + 1
    raw = (high - low) / 5
    magnitude = 10 ** math.floor(math.log10(raw))
    step = next(
        m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= raw * 0.999
    )
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    ticks = tuple((k * step, _number(k * step)) for k in range(first, last + 1))
    # a tick's rounding must hide no point
    return Axis(title, min(low, ticks[0][0]), max(high, ticks[-1][0]), ticks)


def log_axis(title: str, low: float, high: float) -> Axis:
    """Decades around positive values, with 2 and 5 between where there are few."""
    first = math.floor(math.log10(low)) - 1
    last = math.ceil(math.log10(high)) + 1
    factors = (1, 2, 5) if high / low < 200 else (1,)
    values = [f * 10.0**k for k in range(first, last + 1) for f in factors]
    start = max(v for v in values if v <= low)
    stop = min(v for v in values if v >= high)
    ticks = tuple((v, _number(v)) for v in values if start <= v <= stop)
    return Axis(f"{title}, log scale", start, stop, ticks, log=True)


def value_axis(title: str, values: Sequence[float]) -> Axis:
    """From 0 where that shows the values; logarithmic where they span more than a
    factor of 20.
    """
    low = min(values)
    high = max(values)
    if low > 0 and high / low > 20:
        return log_axis(title, low, high)
    return linear_axis(title, min(low, 0.0), high)


def points_axis(title: str, values: Sequence[float]) -> Axis:
    """Ticks at the values themselves, for few measured points; a round axis for more."""
    distinct = sorted(set(values))
    if len(distinct) > 7 or len(distinct) < 2:
        return linear_axis(title, min(0.0, distinct[0]), distinct[-1])
    return Axis(
        title, distinct[0], distinct[-1], tuple((v, _number(v)) for v in distinct)
    )


def line_chart(series: Sequence[Series], x: Axis, y: Axis, summary: str) -> Markup:
    """The chart as an SVG element; `summary` is what it says to those who cannot see
    it.
    """
    place = _placer(x, y)
    parts = [_grid(x, y, place)]
    parts += [_band(s, place) for s in series if s.band]
    parts += [_line(s, place) for s in series]
    body = Markup("").join(parts)
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(WIDTH, HEIGHT, summary, body)


def mark(style: int, x: float = 7, y: float = 7) -> Markup:
    """The shape that goes with a colour."""
    shape = MARKS[style % len(MARKS)]
    if shape in ("circle", "ring"):
        return Markup(
            '<circle class="mark {}" cx="{:.1f}" cy="{:.1f}" r="4.6"/>'
        ).format(shape, x, y)
    outline = {
        "square": ((-4.2, -4.2), (4.2, -4.2), (4.2, 4.2), (-4.2, 4.2)),
        "triangle": ((0, -5.6), (5.2, 4), (-5.2, 4)),
        "diamond": ((0, -5.8), (5.8, 0), (0, 5.8), (-5.8, 0)),
        "nabla": ((0, 5.6), (5.2, -4), (-5.2, -4)),
    }[shape]
    corners = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in outline)
    return Markup('<polygon class="mark" points="{}"/>').format(corners)


Place = Callable[[float, float], tuple[float, float]]


def _placer(x: Axis, y: Axis) -> Place:
    wide = WIDTH - LEFT - RIGHT
    tall = HEIGHT - TOP - BOTTOM
    return lambda u, v: (LEFT + wide * x.share(u), TOP + tall * (1 - y.share(v)))


def _grid(x: Axis, y: Axis, place: Place) -> Markup:
    bottom = HEIGHT - BOTTOM
    right = WIDTH - RIGHT
    parts = []
    for value, label in y.ticks:
        v = place(x.low, value)[1]
        parts += [
            _rule("grid", LEFT, v, right, v),
            _text("tick end", LEFT - 9, v + 4.5, label),
        ]
    for value, label in x.ticks:
        u = place(value, y.low)[0]
        parts += [
            _rule("axis", u, bottom, u, bottom + 5),
            _text("tick", u, bottom + 21, label),
        ]
    parts.append(_rule("axis", LEFT, bottom, right, bottom))
    parts.append(_text("title", (LEFT + right) / 2, HEIGHT - 8, x.title))
    parts.append(_text("title start", 4, 15, y.title))
    return Markup("").join(parts)


def _rule(style: str, x1: float, y1: float, x2: float, y2: float) -> Markup:
    return Markup(
        '<line class="{}" x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}"/>'
    ).format(style, x1, y1, x2, y2)


def _text(style: str, x: float, y: float, text: str) -> Markup:
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}">{}</text>').format(
        style, x, y, text
    )


def _band(series: Series, place: Place) -> Markup:
    lower = [
        place(x, low)
        for (x, _), (low, _) in zip(series.points, series.band, strict=True)
    ]
    upper = [
        place(x, high)
        for (x, _), (_, high) in zip(series.points, series.band, strict=True)
    ]
    whiskers = "".join(
        f"M{u:.1f} {v:.1f}V{top:.1f}"
        for (u, v), (_, top) in zip(lower, upper, strict=True)
    )
    return Markup(
        '<g class="c{}"><polygon class="band" points="{}"/><path class="whisker" d="{}"/></g>'
    ).format(series.style, _corners(lower + upper[::-1]), whiskers)


def _line(series: Series, place: Place) -> Markup:
    places = [place(x, y) for x, y in series.points]
    marks = (
        Markup("").join(mark(series.style, u, v) for u, v in places)
        if series.marks
        else ""
    )
    return Markup('<g class="c{}"><polyline class="line" points="{}"/>{}</g>').format(
        series.style, _corners(places), marks
    )


def _corners(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{u:.1f},{v:.1f}" for u, v in places)


def _number(value: float) -> str:
    if value and abs(value) < 1e-3:
        return f"{value:.0e}".replace("e-0", "e-")
    return f"{value:,.10g}"
