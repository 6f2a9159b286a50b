"""What varies between episodes of DishRack, and the sentences of its instructions."""

from __future__ import annotations

from embodied.envs.common_factors import COMMON
from embodied.envs.variation import row

CHINA = {
    "white": (0.93, 0.93, 0.90),
    "cream": (0.92, 0.86, 0.72),
    "sage": (0.58, 0.68, 0.56),
    "blue": (0.25, 0.42, 0.62),
    "clay": (0.72, 0.42, 0.30),
    "slate": (0.34, 0.38, 0.42),
    "rose": (0.82, 0.58, 0.58),
}
TRAIN_CHINA = ["white", "cream", "sage", "blue"]
HELD_OUT_CHINA = ["clay", "slate", "rose"]
# The colour of a plate's edge, by the colour of its china.
EDGES = {
    "white": (0.24, 0.42, 0.52),
    "cream": (0.55, 0.38, 0.24),
    "sage": (0.92, 0.92, 0.86),
    "blue": (0.92, 0.92, 0.90),
    "clay": (0.93, 0.86, 0.74),
    "slate": (0.78, 0.62, 0.34),
    "rose": (0.94, 0.92, 0.90),
}

PLAIN = ["Put {dishes} into the dish rack."]
TRAIN_SENTENCES = [
    *PLAIN,
    "Clear the table: {dishes} belong in the rack.",
    "Please set {dishes} into the rack to dry.",
    "Stand {dishes} in the dish rack.",
    "Move {dishes} from the table into the rack.",
]
HELD_OUT_SENTENCES = [
    "The table should be empty, with {dishes} drying in the rack.",
    "Rack up {dishes} so that they can drip off.",
    "We have finished eating, so {dishes} can go to the drying rack.",
]

TASK_VARIABLES = (
    row("plates", "objects", L1=1, L2=2, L3=[1, 2]),
    row("cups", "objects", L1=1, L2=[1, 2]),
    row("plate_china", "objects", L1=TRAIN_CHINA, held_out=HELD_OUT_CHINA),
    row("cup_china", "objects", L1=TRAIN_CHINA, held_out=HELD_OUT_CHINA),
    row("plate_mass", "objects", "kg", L1=0.30, L2=(0.27, 0.33), L3=(0.22, 0.36), held_out=(0.36, 0.42)),
    row("cup_mass", "objects", "kg", L1=0.25, L2=(0.22, 0.28), L3=(0.18, 0.32), held_out=(0.32, 0.38)),
    row("cup_girth", "objects", L1=1.0, L2=(0.97, 1.03), L3=(0.92, 1.05), held_out=(1.05, 1.08)),
    row("offset_x", "layout", "m", L1=(-0.005, 0.005), L2=(-0.015, 0.015), L3=(-0.025, 0.025), held_out=(0.025, 0.032)),
    row("offset_y", "layout", "m", L1=(-0.005, 0.005), L2=(-0.012, 0.012), L3=(-0.02, 0.02), held_out=(0.02, 0.026)),
    row("yaw", "layout", "rad", L1=(-0.1, 0.1), L2=(-1.5, 1.5), L3=(-3.1, 3.1)),
    row("rack_x", "layout", "m", L1=0.0, L2=(-0.01, 0.01), L3=(-0.02, 0.02), held_out=(0.02, 0.03)),
    row("rack_y", "layout", "m", L1=0.0, L2=(-0.01, 0.01), L3=(-0.02, 0.02), held_out=(0.02, 0.03)),
    row("rack_yaw", "layout", "rad", L1=0.0, L2=(-0.06, 0.06), L3=(-0.15, 0.15), held_out=(0.15, 0.2)),
    row("sentence", "instruction", L1=PLAIN, L2=TRAIN_SENTENCES, held_out=HELD_OUT_SENTENCES),
)  # fmt: skip
TABLE = (*TASK_VARIABLES, *COMMON)
