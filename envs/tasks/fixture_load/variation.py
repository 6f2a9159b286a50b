"""What varies between episodes of FixtureLoad, and the sentences of its instructions."""

from __future__ import annotations

from embodied.envs.common_factors import COMMON
from embodied.envs.variation import row

COLOURS = {
    "blue": (0.12, 0.30, 0.72),
    "red": (0.74, 0.12, 0.12),
    "gold": (0.88, 0.66, 0.16),
    "black": (0.13, 0.13, 0.15),
    "green": (0.12, 0.50, 0.24),
    "violet": (0.42, 0.20, 0.62),
    "bronze": (0.55, 0.34, 0.16),
}
TRAIN_COLOURS = ["blue", "red", "gold", "black"]
HELD_OUT_COLOURS = ["green", "violet", "bronze"]

PLAIN = ["Put the {part} workpiece into the fixture and press start."]
TRAIN_SENTENCES = [
    *PLAIN,
    "Load the {part} part into the fixture, then start the machine.",
    "Set the {part} block into the fixture and press the start button.",
    "The {part} workpiece is next: load it and press start.",
]
HELD_OUT_SENTENCES = [
    "Machine the {part} one, please: into the fixture with it, and start.",
    "Once the {part} part sits in its fixture, the machine can run.",
]

TASK_VARIABLES = (
    row("parts", "objects", L1=1, L2=[1, 2, 3], L3=[2, 3]),
    row("colour", "objects", L1=TRAIN_COLOURS, held_out=HELD_OUT_COLOURS),
    row("mass", "objects", "kg", L1=0.4, L2=(0.35, 0.45), L3=(0.3, 0.6), held_out=(0.6, 0.8)),
    row("clearance", "objects", "m", L1=0.002, L3=(0.001, 0.002), held_out=0.0007),
    row("offset_x", "layout", "m", L1=(-0.01, 0.01), L2=(-0.02, 0.02), L3=(-0.03, 0.03), held_out=(0.03, 0.045)),
    row("offset_y", "layout", "m", L1=(-0.005, 0.005), L2=(-0.008, 0.008), L3=(-0.010, 0.010), held_out=(0.010, 0.014)),
    row("yaw", "layout", "rad", L1=(-0.05, 0.05), L2=(-0.3, 0.3), L3=(-0.6, 0.6), held_out=(0.6, 0.9)),
    row("fixture_x", "layout", "m", L1=0.0, L2=(-0.015, 0.015), L3=(-0.03, 0.03), held_out=(0.03, 0.045)),
    row("fixture_y", "layout", "m", L1=0.0, L2=(-0.01, 0.01), L3=(-0.02, 0.02), held_out=(0.02, 0.03)),
    row("fixture_yaw", "layout", "rad", L1=0.0, L2=(-0.1, 0.1), L3=(-0.35, 0.35), held_out=(0.35, 0.5)),
    row("box_x", "layout", "m", L1=0.0, L2=(-0.015, 0.015), L3=(-0.03, 0.03), held_out=(0.03, 0.04)),
    row("box_y", "layout", "m", L1=0.0, L2=(-0.01, 0.01), L3=(-0.02, 0.02), held_out=(0.02, 0.03)),
    row("sentence", "instruction", L1=PLAIN, L2=TRAIN_SENTENCES, held_out=HELD_OUT_SENTENCES),
    row("target", "instruction", L1=[0, 1, 2]),
)  # fmt: skip
TABLE = (*TASK_VARIABLES, *COMMON)
