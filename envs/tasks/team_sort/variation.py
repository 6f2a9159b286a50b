"""What varies between episodes of TeamSort, and the sentences of its instructions."""

from __future__ import annotations

from embodied.envs.common_factors import COMMON
from embodied.envs.variation import row

BIN_COLOURS = {"white": (0.92, 0.92, 0.90), "black": (0.07, 0.07, 0.08)}
TRAIN_COLOURS = ["red", "blue", "green", "yellow"]
HELD_OUT_COLOURS = ["orange", "purple", "turquoise"]

# {named} stands for the colour of the labels that belong into the {bin} bin; all other
# labels belong into the {other} bin.
PLAIN = [
    "Turn each parcel's label up and scan it; {named} ones go into the {bin} bin, all others into the {other} bin.",
]
TRAIN_SENTENCES = [
    *PLAIN,
    "Sort the parcels by their labels: {named} into the {bin} bin, everything else into the {other} one.",
    "Scan every parcel, label up. The {bin} bin is for {named} labels, the {other} bin for the rest.",
    "Pass the parcels on, scan their labels, and put {named} into {bin} and the others into {other}.",
]
HELD_OUT_SENTENCES = [
    "Whatever the scanner reads as {named} has its place in the {bin} bin; the remaining parcels fill the {other} one.",
    "Only {named} parcels may end up in the {bin} bin. Read all labels, and leave the rest in the {other} bin.",
]

# Variables that are sampled for each parcel.
PER_PARCEL = (
    "length",
    "width",
    "height",
    "mass",
    "label",
    "shade",
    "kind",
    "offset_x",
    "turn",
    "gap",
)

TASK_VARIABLES = (
    row("parcels", "objects", L1=2, L2=[2, 3]),
    row("colour", "objects", L1=TRAIN_COLOURS, held_out=HELD_OUT_COLOURS),
    row("kind", "objects", L1=[0, 0, 1, 2]),
    row("label", "objects", L1="end", L2=["bottom", "bottom", "end"]),
    row("length", "objects", "m", L1=0.1, L2=(0.095, 0.115), L3=(0.09, 0.12), held_out=(0.12, 0.125)),
    row("width", "objects", "m", L1=0.06, L2=(0.056, 0.064), L3=(0.054, 0.066), held_out=(0.052, 0.054)),
    row("height", "objects", "m", L1=0.05, L2=(0.046, 0.054), L3=(0.044, 0.056), held_out=(0.042, 0.044)),
    row("mass", "objects", "kg", L1=0.25, L2=(0.2, 0.3), L3=(0.15, 0.35), held_out=(0.1, 0.15)),
    row("shade", "objects", "x", L1=1.0, L2=(0.95, 1.05), L3=(0.85, 1.15), held_out=(0.6, 0.8)),
    row("first_y", "layout", "m", L1=-0.5, L2=(-0.6, -0.5), L3=(-0.7, -0.5), held_out=(-0.8, -0.7)),
    row("gap", "layout", "m", L1=0.24, L2=(0.22, 0.28), L3=(0.22, 0.3), held_out=(0.3, 0.34)),
    row("offset_x", "layout", "m", L1=(-0.01, 0.01), L2=(-0.02, 0.02), L3=(-0.025, 0.025), held_out=(0.025, 0.035)),
    row("turn", "layout", "rad", L1=(-0.1, 0.1), L2=(-0.2, 0.2), L3=(-0.35, 0.35), held_out=(0.35, 0.5)),
    # where the stand between the hands is
    row("rest_x", "layout", "m", L1=0.0, L2=(-0.01, 0.01), L3=(-0.015, 0.015), held_out=(0.015, 0.02)),
    row("rest_y", "layout", "m", L1=0.0, L2=(-0.01, 0.01), L3=(-0.015, 0.015), held_out=(0.015, 0.02)),
    row("scanner_x", "layout", "m", L1=0.0, L2=(-0.01, 0.01), L3=(-0.015, 0.015), held_out=(0.015, 0.02)),
    row("scanner_y", "layout", "m", L1=0.0, L2=(-0.01, 0.01), L3=(-0.015, 0.015), held_out=(0.015, 0.02)),
    row("bins_x", "layout", "m", L1=0.0, L2=(-0.01, 0.01), L3=(-0.015, 0.015), held_out=(-0.025, -0.015)),
    row("bins_y", "layout", "m", L1=0.0, L2=(-0.01, 0.01), L3=(-0.015, 0.015), held_out=(0.015, 0.025)),
    row("belt_speed", "layout", "m/s", L1=0.1, L2=(0.08, 0.12), L3=(0.06, 0.15), held_out=(0.15, 0.17)),
    row("sentence", "instruction", L1=PLAIN, L2=TRAIN_SENTENCES, held_out=HELD_OUT_SENTENCES),
    row("named_bin", "instruction", L1=[0, 1]),
    row("white_bin", "objects", L1=0, L2=[0, 1]),
)  # fmt: skip
TABLE = (*TASK_VARIABLES, *COMMON)
