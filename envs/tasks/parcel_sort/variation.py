"""What varies between episodes of ParcelSort, and the sentences of its instructions."""

from __future__ import annotations

from embodied.envs.common_factors import COMMON
from embodied.envs.variation import row

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
TRAIN_COLOURS = ["red", "blue", "green", "yellow", "pink"]
HELD_OUT_COLOURS = ["orange", "purple", "turquoise"]

# {named} stands for the colours of the parcels to sort, joined by "and"; {either} for
# the same, joined by "or"; {others} for the bins' other colours, whose parcels must
# stay.
PLAIN = [
    "Sort the {named} parcels: scan each one label up, then put it into the bin of its colour.",
]
TRAIN_SENTENCES = [
    *PLAIN,
    "Sort only the {named} parcels: onto the scanner with the label up, then into the bin of that colour.",
    "Scan the {named} parcels and put each into the bin that matches its label; leave the {others} ones on the belt.",
    "Parcels with a {either} label go over the scanner into the bin of their colour.",
    "Take all parcels but the {others} ones off the belt, scan their labels and sort them by colour.",
    "Leave the {others} parcels on the belt; scan the others and sort them into their bins.",
]
HELD_OUT_SENTENCES = [
    "Anything labelled {either} has to be read by the scanner and end up in its own bin.",
    "Let {others} ride on; every other parcel is scanned and binned by colour.",
    "Could you get the {named} ones scanned and into their bins, please?",
]

# The bins whose colours a sentence names.
SUBSETS = [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)]
# Variables that are sampled for each parcel.
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

TASK_VARIABLES = (
    row("parcels", "objects", L1=2, L2=[2, 3]),
    row("colour", "objects", L1=TRAIN_COLOURS[:3], L2=TRAIN_COLOURS, held_out=HELD_OUT_COLOURS),
    row("parcel_bin", "objects", L1=[0, 1, 2]),
    row("label", "objects", L1="top", L2=["top", "end"]),
    row("length", "objects", "m", L1=0.1, L2=(0.09, 0.12), L3=(0.085, 0.125), held_out=(0.125, 0.13)),
    row("width", "objects", "m", L1=0.06, L2=(0.054, 0.064), L3=(0.052, 0.066), held_out=(0.05, 0.052)),
    row("height", "objects", "m", L1=0.05, L2=(0.044, 0.056), L3=(0.044, 0.058), held_out=(0.04, 0.044)),
    row("mass", "objects", "kg", L1=0.25, L2=(0.2, 0.3), L3=(0.15, 0.4), held_out=(0.1, 0.15)),
    row("shade", "objects", "x", L1=1.0, L2=(0.95, 1.05), L3=(0.85, 1.15), held_out=(0.6, 0.8)),
    row("first_y", "layout", "m", L1=(0.1, 0.25), L2=(-0.4, -0.15), L3=(-0.45, -0.15), held_out=(-0.5, -0.45)),
    row("gap_s", "layout", "s", L1=(6.5, 6.5), L2=(6.5, 8.0), L3=(6.0, 8.0), held_out=(8.0, 8.5)),
    row("offset_x", "layout", "m", L1=(-0.02, 0.02), L2=(-0.025, 0.025), L3=(-0.03, 0.03), held_out=(0.03, 0.04)),
    row("turn", "layout", "rad", L1=(-0.1, 0.1), L2=(-0.3, 0.3), L3=(-0.5, 0.5), held_out=(0.5, 0.65)),
    row("scanner_x", "layout", "m", L1=0.0, L2=(-0.01, 0.01), L3=(-0.015, 0.015), held_out=(0.015, 0.02)),
    row("scanner_y", "layout", "m", L1=0.0, L2=(-0.01, 0.01), L3=(-0.015, 0.015), held_out=(0.015, 0.02)),
    row("bins_x", "layout", "m", L1=0.0, L2=(-0.01, 0.01), L3=(-0.015, 0.015), held_out=(-0.025, -0.015)),
    row("bins_y", "layout", "m", L1=0.0, L2=(-0.01, 0.01), L3=(-0.015, 0.015), held_out=(0.015, 0.025)),
    row("belt_speed", "layout", "m/s", L1=0.0, L2=(0.03, 0.1), L3=(0.03, 0.15), held_out=(0.15, 0.16)),
    row("sentence", "instruction", L1=PLAIN, L2=TRAIN_SENTENCES, held_out=HELD_OUT_SENTENCES),
    row("named", "instruction", L1=SUBSETS),
)  # fmt: skip
TABLE = (*TASK_VARIABLES, *COMMON)
