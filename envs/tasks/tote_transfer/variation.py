"""What varies in ToteTransfer, and the sentences that name the work."""

from __future__ import annotations

from embodied.envs.common_factors import COMMON
from embodied.envs.variation import row

COLOURS = {
    "red": (0.78, 0.13, 0.12),
    "blue": (0.12, 0.30, 0.72),
    "green": (0.13, 0.52, 0.22),
    "yellow": (0.95, 0.76, 0.10),
    "grey": (0.45, 0.47, 0.50),
    "orange": (0.92, 0.42, 0.07),
    "purple": (0.45, 0.18, 0.60),
}
TRAIN_COLOURS = ["red", "blue", "green", "yellow", "grey"]
HELD_OUT_COLOURS = ["orange", "purple"]

PLAIN = ["Take the {tote} tote off the belt and put it into the {slot} slot."]
TRAIN_SENTENCES = [
    *PLAIN,
    "Put the {tote} tote into the {slot} slot of the rack.",
    "Move the {tote} tote to the {slot} slot.",
    "The {tote} tote goes into the {slot} slot.",
    "Pick up the {tote} tote and set it down in the {slot} slot.",
    "Place the {tote} tote in the {slot} slot, please.",
]
HELD_OUT_SENTENCES = [
    "Would you bring the {tote} tote over to the {slot} slot?",
    "In the {slot} slot there is room for the {tote} tote.",
    "Clear the {tote} tote from the belt; its place is the {slot} slot.",
]

TASK_VARIABLES = (
    row("totes", "objects", L1=2, L2=[2, 3]),
    row("colour", "objects", L1=TRAIN_COLOURS, held_out=HELD_OUT_COLOURS),
    row("same_colour", "objects", L1=False, L2=[False, False, False, True], L3=[False, False, True]),
    row("length", "objects", "m", L1=0.3, L2=[0.26, 0.3], L3=(0.25, 0.31), held_out=(0.22, 0.25)),
    row("mass", "objects", "kg", L1=0.5, L3=(0.4, 0.6), held_out=(0.25, 0.4)),
    row("first_y", "layout", "m", L1=(0.1, 0.3), L2=(-0.05, 0.12), L3=(-0.1, 0.12), held_out=(-0.2, -0.1)),
    row("gap", "layout", "m", L1=(0.09, 0.14), L2=(0.09, 0.12), L3=(0.085, 0.14), held_out=(0.14, 0.18)),
    row("offset_x", "layout", "m", L1=(-0.015, 0.015), L2=(-0.02, 0.02), L3=(-0.025, 0.025), held_out=(0.025, 0.03)),
    row("yaw", "layout", "rad", L1=(-0.08, 0.08), L3=(-0.12, 0.12), held_out=(0.12, 0.16)),
    row("rack_x", "layout", "m", L1=0.0, L2=(-0.015, 0.015), L3=(-0.03, 0.03), held_out=(0.03, 0.05)),
    row("rack_y", "layout", "m", L1=0.0, L2=(0.0, 0.015), L3=(-0.01, 0.02), held_out=(0.02, 0.04)),
    row("belt_speed", "layout", "m/s", L1=0.0, L2=(0.03, 0.1), L3=(0.03, 0.15), held_out=(0.15, 0.18)),
    row("sentence", "instruction", L1=PLAIN, L2=TRAIN_SENTENCES, held_out=HELD_OUT_SENTENCES),
    row("target", "instruction", L1=[0, 1, 2]),
    row("slot", "instruction", L1=[0, 1, 2, 3]),
)  # fmt: skip
TABLE = (*TASK_VARIABLES, *COMMON)
