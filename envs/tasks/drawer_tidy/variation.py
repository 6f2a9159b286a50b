"""What varies between episodes of DrawerTidy, and the sentences of its instructions."""

from __future__ import annotations

from embodied.envs.common_factors import COMMON
from embodied.envs.variation import row

COLOURS = {
    "red": (0.80, 0.13, 0.12),
    "blue": (0.12, 0.30, 0.74),
    "green": (0.15, 0.55, 0.24),
    "yellow": (0.97, 0.80, 0.14),
    "white": (0.93, 0.93, 0.90),
    "pink": (0.93, 0.50, 0.62),
    "black": (0.10, 0.10, 0.11),
    "orange": (0.95, 0.45, 0.08),
    "purple": (0.45, 0.18, 0.62),
    "brown": (0.40, 0.24, 0.13),
}
TRAIN_COLOURS = ["red", "blue", "green", "yellow", "pink"]
HELD_OUT_COLOURS = ["orange", "purple"]
TRAIN_HANDLES = ["white", "black", "red", "yellow"]
HELD_OUT_HANDLES = ["orange", "blue", "brown"]

PLAIN = ["Put {things} into {drawer} and close it."]
TRAIN_SENTENCES = [
    *PLAIN,
    "Open {drawer}, put {things} in and close it again.",
    "Tidy {things} away into {drawer}.",
    "Please store {things} in {drawer} and shut it.",
    "Place {things} in {drawer}, then push it closed.",
    "Clear {things} off the counter; use {drawer}.",
]
HELD_OUT_SENTENCES = [
    "Would you stow {things} for me? There is room in {drawer}.",
    "I want {things} out of sight: take {drawer} and leave it shut.",
    "In {drawer} is where {things} should be, with nothing left open.",
]

TASK_VARIABLES = (
    row("things", "objects", L1=3, L2=[3, 4]),
    row("order", "objects", L1=(0.0, 1.0)),  # of each: the lowest take part, in this order along the counter
    row("colour", "objects", L1=TRAIN_COLOURS, held_out=HELD_OUT_COLOURS),
    row("handle", "objects", L1=TRAIN_HANDLES, held_out=HELD_OUT_HANDLES),
    row("girth", "objects", "x", L1=1.0, L3=(0.92, 1.08), held_out=(0.85, 0.92)),
    row("height", "objects", "x", L1=1.0, L3=(0.92, 1.06), held_out=(1.06, 1.12)),
    row("mass", "objects", "kg", L1=0.2, L3=(0.12, 0.3), held_out=(0.3, 0.45)),
    row("offset_x", "layout", "m", L1=(-0.008, 0.008), L2=(-0.01, 0.01), L3=(-0.012, 0.012), held_out=(0.012, 0.015)),
    row("offset_y", "layout", "m", L1=(-0.02, 0.02), L2=(-0.03, 0.03), L3=(-0.035, 0.035), held_out=(0.035, 0.06)),
    row("yaw", "layout", "rad", L1=(-0.3, 0.3), L2=(-0.5, 0.5), L3=(-0.6, 0.6), held_out=(0.6, 0.9)),
    row("chest_x", "layout", "m", L1=0.0, L3=(-0.01, 0.015), held_out=(0.015, 0.025)),
    row("chest_y", "layout", "m", L1=0.0, L3=(-0.02, 0.015), held_out=(-0.035, -0.02)),
    row("ajar", "layout", "m", L1=(0.0, 0.002), L2=(0.0, 0.003), L3=(0.0, 0.005), held_out=(0.005, 0.007)),
    row("drawer_friction", "dynamics", "N", L1=4.0, L3=(3.0, 5.0), held_out=(5.0, 7.0)),
    row("sentence", "instruction", L1=PLAIN, L2=TRAIN_SENTENCES, held_out=HELD_OUT_SENTENCES),
    row("named", "instruction", L1=1, L2=[1, 2]),
    row("named_by", "instruction", L1="place", L2=["place", "handle"]),
    row("target", "instruction", L1=[0, 1, 2, 3]),
    row("drawer", "instruction", L1=[0, 1, 2]),
)  # fmt: skip
TABLE = (*TASK_VARIABLES, *COMMON)
