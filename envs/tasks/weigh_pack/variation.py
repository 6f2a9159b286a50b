"""What varies between episodes of WeighPack, and the sentences of its instructions."""

from __future__ import annotations

from embodied.envs.common_factors import COMMON
from embodied.envs.props.packing_box import Mark
from embodied.envs.variation import row

COLOURS = {
    "blue": (0.16, 0.34, 0.66),
    "red": (0.70, 0.16, 0.15),
    "sand": (0.80, 0.68, 0.46),
    "grey": (0.46, 0.48, 0.50),
    "green": (0.22, 0.48, 0.28),
    "violet": (0.44, 0.26, 0.58),
}
TRAIN_COLOURS = ["blue", "red", "sand", "grey"]
HELD_OUT_COLOURS = ["green", "violet"]

MARKS = (
    Mark("A", (0.08, 0.28, 0.80)),
    Mark("B", (0.95, 0.48, 0.04)),
    Mark("C", (0.05, 0.52, 0.20)),
    Mark("D", (0.66, 0.06, 0.50)),
    Mark("E", (0.03, 0.58, 0.70)),
    Mark("F", (0.78, 0.06, 0.06)),
    Mark("G", (0.30, 0.20, 0.62)),
)
TRAIN_MARKS = ["A", "B", "C", "D"]
HELD_OUT_MARKS = ["E", "F", "G"]

PLAIN = [
    "Weigh the item, put it into the box that the scale shows, and close its flap."
]
TRAIN_SENTENCES = [
    *PLAIN,
    "Put the item on the scale, pack it into the box on the display and shut the flap.",
    "Weigh this item. The display says which box it goes into; close that box.",
    "Pack the item by its weight: the scale names the box, and its flap must be closed.",
]
HELD_OUT_SENTENCES = [
    "This one has to go out: ask the scale which box, pack it and close up.",
    "Let the scale decide where the item belongs, then put it there and shut the lid.",
]

TASK_VARIABLES = (
    row("weight_class", "objects", L1=[0, 1, 2]),
    row("own_box", "objects", L1=[0, 1, 2]),
    row("mass_offset", "objects", "kg", L1=0.0, L2=(-0.02, 0.02), L3=(-0.035, 0.035), held_out=(0.035, 0.045)),
    row("colour", "objects", L1=TRAIN_COLOURS, held_out=HELD_OUT_COLOURS),
    row("girth", "objects", "x", L1=1.0, L2=(0.95, 1.05), L3=(0.90, 1.10), held_out=(1.10, 1.20)),
    row("height", "objects", "x", L1=1.0, L2=(0.95, 1.02), L3=(0.90, 1.05), held_out=(0.82, 0.90)),
    row("mark", "objects", L1=TRAIN_MARKS, held_out=HELD_OUT_MARKS),
    row("item_x", "layout", "m", L1=(-0.01, 0.01), L2=(-0.02, 0.02), L3=(-0.04, 0.04), held_out=(0.04, 0.06)),
    row("item_y", "layout", "m", L1=(-0.01, 0.01), L2=(-0.02, 0.02), L3=(-0.03, 0.03), held_out=(0.03, 0.04)),
    row("item_yaw", "layout", "rad", L1=(-0.05, 0.05), L2=(-0.3, 0.3), L3=(-0.6, 0.6), held_out=(0.6, 0.9)),
    row("scale_x", "layout", "m", L1=0.0, L2=(-0.01, 0.01), L3=(-0.02, 0.02), held_out=(0.02, 0.03)),
    row("scale_y", "layout", "m", L1=0.0, L2=(-0.005, 0.005), L3=(-0.01, 0.01), held_out=(0.01, 0.015)),
    row("boxes_x", "layout", "m", L1=0.0, L2=(-0.01, 0.01), L3=(-0.02, 0.02), held_out=(0.02, 0.03)),
    row("boxes_y", "layout", "m", L1=0.0, L2=(-0.005, 0.005), L3=(-0.01, 0.01), held_out=(0.01, 0.015)),
    row("sentence", "instruction", L1=PLAIN, L2=TRAIN_SENTENCES, held_out=HELD_OUT_SENTENCES),
)  # fmt: skip
TABLE = (*TASK_VARIABLES, *COMMON)
