"""Draws tracks, charts and bands over a common time axis, as inline SVG.

Tracks span the width of the page and are stacked, so that one cursor crosses them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from embodied.benchmark.plots import linear_axis

WIDTH_PX = 1000
LEFT_PX = 64  # margins of the plotting area
RIGHT_PX = 14
CHART_PX = 132  # height of a chart's plotting area
BAND_PX = 30  # height of a track of bands, all rows together
EDGE_PX = 8  # margin above and below a track
TIMES_PX = 26  # height of the time axis
MAX_POINTS = 700  # per line; more would be indistinguishable on the screen
MIN_LABEL_PX = 7.0  # width of a band per letter of its word, for the word to be shown
LABEL_INDENT_PX = 6  # from the left edge of a band to its word
# SVG places text by its foot. Text that is this much lower has its middle at y.
HALF_LETTER_PX = 4


@dataclass(frozen=True)
class Line:
    """Values over time."""

    name: str
    time_s: np.ndarray  # (T,)
    value: np.ndarray  # (T,)


@dataclass(frozen=True)
class Band:
    """A coloured interval of time."""

    start_s: float
    stop_s: float
    kind: int  # determines the colour
    word: str  # the text in the band
    row: int = 0  # 0 is the top row


def hue(kind: int) -> int:
    """Returns the hue of a kind in degrees; consecutive kinds differ strongly."""
    # Kind 0 is blue, at 205 degrees. Steps of the golden angle, 137 degrees, distribute
    # any number of hues evenly.
    return (205 + kind * 137) % 360


def chart(lines: Sequence[Line], duration_s: float) -> Markup:
    """Returns a chart of lines over time, with one vertical axis."""
    # the axis starts at 0, or lower if there are negative values; values that are not
    # finite are left out
    finite = np.concatenate([line.value[np.isfinite(line.value)] for line in lines])
    low = float(finite.min(initial=0.0)) if len(finite) else 0.0
    high = float(finite.max(initial=low)) if len(finite) else 1.0
    axis = linear_axis("", low, high)

    def y_px(value: float) -> float:
        return EDGE_PX + CHART_PX * (1 - axis.share(value))

    # a horizontal grid line for each tick, with its label on the left
    parts = []
    for value, label in axis.ticks:
        parts.append(_horizontal_line(LEFT_PX, y_px(value), WIDTH_PX - RIGHT_PX))
        parts.append(
            Markup('<text class="end" x="{}" y="{:.1f}">{}</text>').format(
                LEFT_PX - 8, y_px(value) + HALF_LETTER_PX, label
            )
        )

    # of a long line, only every `step`-th point is drawn
    for kind, line in enumerate(lines):
        pixels = []
        step = -(-len(line.value) // MAX_POINTS)  # rounded up
        for time_s, value in zip(line.time_s[::step], line.value[::step], strict=True):
            if np.isfinite(value):
                x = x_px(float(time_s), duration_s)
                pixels.append(f"{x:.1f},{y_px(float(value)):.1f}")
        # the style sheet reads the hue from its own variable h
        parts.append(
            Markup('<polyline style="--h:{}" points="{}"/>').format(
                hue(kind), " ".join(pixels)
            )
        )
    return _svg(parts, CHART_PX + 2 * EDGE_PX)


def bands(bands_to_draw: Sequence[Band], duration_s: float, rows: int = 1) -> Markup:
    """Returns a track of coloured bands.

    Args:
        bands_to_draw: the bands.
        duration_s: the duration of the episode.
        rows: number of rows of bands. Bands show their words only in a single row, and
            only where a word fits.
    """
    height_px = BAND_PX / rows
    parts = []
    for band in bands_to_draw:
        # at least one pixel wide, so that short bands stay visible
        x = x_px(band.start_s, duration_s)
        width_px = max(x_px(band.stop_s, duration_s) - x, 1.0)
        y = EDGE_PX / 2 + band.row * height_px

        shape = Markup(
            '<rect style="--h:{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}">'
            "<title>{}</title></rect>"
        )
        title = f"{band.word}, {band.start_s:.2f} s to {band.stop_s:.2f} s"
        parts.append(
            shape.format(hue(band.kind), x, y, width_px, max(height_px - 1, 2), title)
        )

        word_px = MIN_LABEL_PX * len(band.word) + LABEL_INDENT_PX
        if rows == 1 and width_px > word_px:
            word = Markup('<text class="word" x="{:.1f}" y="{:.1f}">{}</text>')
            middle = y + height_px / 2 + HALF_LETTER_PX
            parts.append(word.format(x + LABEL_INDENT_PX, middle, band.word))
    return _svg(parts, BAND_PX + EDGE_PX)


def times(duration_s: float) -> Markup:
    """Returns the time axis, in s."""
    axis = linear_axis("", 0, duration_s)
    parts = []
    for value, label in axis.ticks:
        if value <= duration_s:
            text = Markup('<text x="{:.1f}" y="16">{} s</text>')
            parts.append(text.format(x_px(value, duration_s), label))
    return _svg(parts, TIMES_PX)


def x_px(time_s: float, duration_s: float) -> float:
    """Returns the horizontal position of a time, in pixels."""
    room_px = WIDTH_PX - LEFT_PX - RIGHT_PX
    return LEFT_PX + room_px * time_s / max(duration_s, 1e-9)  # no division by 0


def _horizontal_line(x1: float, y: float, x2: float) -> Markup:
    """Returns a horizontal line from x1 to x2, `y` pixels below the top."""
    return Markup('<line x1="{}" y1="{:.1f}" x2="{}" y2="{:.1f}"/>').format(
        x1, y, x2, y
    )


def _svg(parts: Sequence[Markup], height_px: float) -> Markup:
    """Returns a track with these parts and a cursor at time 0, which the page moves."""
    cursor = Markup(
        '<line class="cursor" x1="{0}" x2="{0}" y1="0" y2="{1:.0f}"/>'
    ).format(LEFT_PX, height_px)
    return Markup(
        '<svg class="track" viewBox="0 0 {} {:.0f}" aria-hidden="true">{}{}</svg>'
    ).format(WIDTH_PX, height_px, Markup("").join(parts), cursor)
