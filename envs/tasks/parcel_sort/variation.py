# ruff: noqa: E501  (a table reads best as one row a line)
"""What varies in ParcelSort, and the sentences that say which parcels are to be sorted."""

from __future__ import annotations

from embodied.envs.common_factors import COMMON
from embodied.envs.variation import Choice, Interval, Variable, fixed

COLOURS = {
    "red": (0.85, 0.10, 0.08),
    "blue": (0.10, 0.28, 0.80),
    "green": (0.08, 0.62, 0.20),
    "yellow": (0.97, 0.80, 0.10),
    "pink": (0.98, 0.45, 0.70),
    "orange": (0.95, 0.42, 0.05),
    "purple": (0.48, 0.14, 0.66),
    "turquoise": (0.05, 0.65, 0.68),
}
TRAIN_COLOURS = ("red", "blue", "green", "yellow", "pink")
HELD_OUT_COLOURS = ("orange", "purple", "turquoise")

# {named} parcels are to be sorted, those of the bins' other colours, {others}, are to
# be left; {either} is {named} with "or"
PLAIN = (
    "Sort the {named} parcels: scan each one label up, then put it into the bin of its colour.",
)
TRAIN_SENTENCES = (
    *PLAIN,
    "Sort only the {named} parcels: onto the scanner with the label up, then into the bin of that colour.",
    "Scan the {named} parcels and put each into the bin that matches its label; leave the {others} ones on the belt.",
    "Parcels with a {either} label go over the scanner into the bin of their colour.",
    "Take all parcels but the {others} ones off the belt, scan their labels and sort them by colour.",
    "Leave the {others} parcels on the belt; scan the others and sort them into their bins.",
)
HELD_OUT_SENTENCES = (
    "Anything labelled {either} has to be read by the scanner and end up in its own bin.",
    "Let {others} ride on; every other parcel is scanned and binned by colour.",
    "Could you get the {named} ones scanned and into their bins, please?",
)

SUBSETS = (
    (0,),
    (1,),
    (2,),
    (0, 1),
    (0, 2),
    (1, 2),
)  # of the bins: which of their colours are named
PER_PARCEL = (
    "length",
    "width",
    "height",
    "mass",
    "label",
    "shade",
    "parcel_bin",
    "offset_x",
    "turn",
    "gap_s",
)

TABLE = (
    Variable("parcels", "objects", "", fixed(2), Choice((2, 3)), Choice((2, 3)), Choice((2, 3))),
    Variable(
        *("colour", "objects", ""),
        *(Choice(TRAIN_COLOURS[:3]), Choice(TRAIN_COLOURS), Choice(TRAIN_COLOURS), Choice(HELD_OUT_COLOURS)),
    ),
    Variable("parcel_bin", "objects", "", Choice((0, 1, 2)), Choice((0, 1, 2)), Choice((0, 1, 2)), Choice((0, 1, 2))),
    Variable("label", "objects", "", fixed("top"), Choice(("top", "end")), Choice(("top", "end")), Choice(("top", "end"))),
    Variable("length", "objects", "m", fixed(0.10), Interval(0.09, 0.12), Interval(0.085, 0.125), Interval(0.125, 0.13)),
    Variable("width", "objects", "m", fixed(0.06), Interval(0.054, 0.064), Interval(0.052, 0.066), Interval(0.050, 0.052)),
    Variable("height", "objects", "m", fixed(0.05), Interval(0.044, 0.056), Interval(0.044, 0.058), Interval(0.040, 0.044)),
    Variable("mass", "objects", "kg", fixed(0.25), Interval(0.20, 0.30), Interval(0.15, 0.40), Interval(0.10, 0.15)),
    Variable("shade", "objects", "x", fixed(1.0), Interval(0.95, 1.05), Interval(0.85, 1.15), Interval(0.60, 0.80)),
    Variable("first_y", "layout", "m", Interval(0.10, 0.25), Interval(-0.40, -0.15), Interval(-0.45, -0.15), Interval(-0.50, -0.45)),
    Variable("gap_s", "layout", "s", Interval(6.5, 6.5), Interval(6.5, 8.0), Interval(6.0, 8.0), Interval(8.0, 8.5)),
    Variable("offset_x", "layout", "m", Interval(-0.02, 0.02), Interval(-0.025, 0.025), Interval(-0.03, 0.03), Interval(0.03, 0.04)),
    Variable("turn", "layout", "rad", Interval(-0.1, 0.1), Interval(-0.3, 0.3), Interval(-0.5, 0.5), Interval(0.5, 0.65)),
    Variable("scanner_x", "layout", "m", fixed(0.0), Interval(-0.01, 0.01), Interval(-0.015, 0.015), Interval(0.015, 0.02)),
    Variable("scanner_y", "layout", "m", fixed(0.0), Interval(-0.01, 0.01), Interval(-0.015, 0.015), Interval(0.015, 0.02)),
    Variable("bins_x", "layout", "m", fixed(0.0), Interval(-0.01, 0.01), Interval(-0.015, 0.015), Interval(-0.025, -0.015)),
    Variable("bins_y", "layout", "m", fixed(0.0), Interval(-0.01, 0.01), Interval(-0.015, 0.015), Interval(0.015, 0.025)),
    Variable("belt_speed", "layout", "m/s", fixed(0.0), Interval(0.03, 0.10), Interval(0.03, 0.15), Interval(0.15, 0.16)),
    Variable("sentence", "instruction", "", Choice(PLAIN), Choice(TRAIN_SENTENCES), Choice(TRAIN_SENTENCES), Choice(HELD_OUT_SENTENCES)),
    Variable("named", "instruction", "", Choice(SUBSETS), Choice(SUBSETS), Choice(SUBSETS), Choice(SUBSETS)),
    *COMMON,
)  # fmt: skip
