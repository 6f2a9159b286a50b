"""What varies between episodes of PourWater, and the sentences of its instructions."""

from __future__ import annotations

from embodied.envs.common_factors import COMMON
from embodied.envs.variation import row

MARK_COLOURS = {
    "red": (0.82, 0.10, 0.10),
    "black": (0.08, 0.08, 0.09),
    "yellow": (0.95, 0.78, 0.08),
    "violet": (0.48, 0.16, 0.62),
    "orange": (0.94, 0.45, 0.06),
}
TRAIN_COLOURS = ["red", "black", "yellow"]
HELD_OUT_COLOURS = ["violet", "orange"]
WATERS = {
    "clear": (0.36, 0.66, 0.88),
    "mint": (0.42, 0.76, 0.62),
    "deep": (0.22, 0.50, 0.84),
    "lilac": (0.62, 0.58, 0.86),
    "rose": (0.88, 0.56, 0.62),
}

PLAIN = ["Pour water into the glass up to the {mark} mark."]
TRAIN_SENTENCES = [
    *PLAIN,
    "Fill the glass to the {mark} mark.",
    "Pour from the bottle until the water stands at the {mark} line.",
    "Please fill the glass up to the {mark} ring.",
    "The water should reach the {mark} mark.",
]
HELD_OUT_SENTENCES = [
    "I would like some water, as much as the {mark} mark says.",
    "Stop pouring once the glass is full to its {mark} line.",
    "Top the glass up until you get to the {mark} ring.",
]

TASK_VARIABLES = (
    row("mark_colour", "objects", L1=TRAIN_COLOURS, held_out=HELD_OUT_COLOURS),
    row("water", "objects", L1="clear", L3=["clear", "mint", "deep"], held_out=["lilac", "rose"]),
    row("bottle_mass", "objects", "kg", L1=0.25, L2=(0.22, 0.28), L3=(0.18, 0.32), held_out=(0.32, 0.38)),
    row("low_mark", "objects", "grains", L1=26, L2=[24, 26, 28], L3=[22, 24, 26, 28], held_out=[20, 30]),
    row("high_mark", "objects", "grains", L1=40, L2=[38, 40, 42], L3=[36, 38, 40, 42], held_out=[34, 44]),
    row("bottle_x", "layout", "m", L1=0.0, L2=(-0.01, 0.01), L3=(-0.025, 0.025), held_out=(0.025, 0.035)),
    row("bottle_y", "layout", "m", L1=0.0, L2=(-0.015, 0.015), L3=(-0.03, 0.03), held_out=(0.03, 0.04)),
    row("bottle_yaw", "layout", "rad", L1=(-0.05, 0.05), L2=(-0.15, 0.15), L3=(-0.3, 0.3), held_out=(0.3, 0.4)),
    row("cup_x", "layout", "m", L1=0.0, L2=(-0.015, 0.015), L3=(-0.03, 0.03), held_out=(0.03, 0.04)),
    row("cup_y", "layout", "m", L1=0.0, L2=(-0.01, 0.01), L3=(-0.02, 0.02), held_out=(0.02, 0.03)),
    row("sentence", "instruction", L1=PLAIN, L2=TRAIN_SENTENCES, held_out=HELD_OUT_SENTENCES),
    row("target", "instruction", L1=[0, 1]),
)  # fmt: skip
TABLE = (*TASK_VARIABLES, *COMMON)
