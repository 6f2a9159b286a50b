# ruff: noqa: E501  (a table reads best as one row a line)
"""What varies in DrawerTidy, and the sentences that name the work."""

from __future__ import annotations

from embodied.envs.common_factors import COMMON
from embodied.envs.variation import Choice, Interval, Variable, fixed

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
TRAIN_COLOURS = ("red", "blue", "green", "yellow", "pink")
HELD_OUT_COLOURS = ("orange", "purple")
TRAIN_HANDLES = ("white", "black", "red", "yellow")
HELD_OUT_HANDLES = ("orange", "blue", "brown")

PLAIN = ("Put {things} into {drawer} and close it.",)
TRAIN_SENTENCES = (
    *PLAIN,
    "Open {drawer}, put {things} in and close it again.",
    "Tidy {things} away into {drawer}.",
    "Please store {things} in {drawer} and shut it.",
    "Place {things} in {drawer}, then push it closed.",
    "Clear {things} off the counter; use {drawer}.",
)
HELD_OUT_SENTENCES = (
    "Would you stow {things} for me? There is room in {drawer}.",
    "I want {things} out of sight: take {drawer} and leave it shut.",
    "In {drawer} is where {things} should be, with nothing left open.",
)
SHARE = Interval(0.0, 1.0)

TABLE = (
    Variable("things", "objects", "", fixed(3), Choice((3, 4)), Choice((3, 4)), Choice((3, 4))),
    Variable("order", "objects", "", SHARE, SHARE, SHARE, SHARE),  # the lowest take part, in this order along the counter
    Variable("colour", "objects", "", Choice(TRAIN_COLOURS), Choice(TRAIN_COLOURS), Choice(TRAIN_COLOURS), Choice(HELD_OUT_COLOURS)),
    Variable("handle", "objects", "", Choice(TRAIN_HANDLES), Choice(TRAIN_HANDLES), Choice(TRAIN_HANDLES), Choice(HELD_OUT_HANDLES)),
    Variable("girth", "objects", "x", fixed(1.0), fixed(1.0), Interval(0.92, 1.08), Interval(0.85, 0.92)),
    Variable("height", "objects", "x", fixed(1.0), fixed(1.0), Interval(0.92, 1.06), Interval(1.06, 1.12)),
    Variable("mass", "objects", "kg", fixed(0.20), fixed(0.20), Interval(0.12, 0.30), Interval(0.30, 0.45)),
    Variable("offset_x", "layout", "m", Interval(-0.008, 0.008), Interval(-0.010, 0.010), Interval(-0.012, 0.012), Interval(0.012, 0.015)),
    Variable("offset_y", "layout", "m", Interval(-0.02, 0.02), Interval(-0.03, 0.03), Interval(-0.035, 0.035), Interval(0.035, 0.06)),
    Variable("yaw", "layout", "rad", Interval(-0.3, 0.3), Interval(-0.5, 0.5), Interval(-0.6, 0.6), Interval(0.6, 0.9)),
    Variable("chest_x", "layout", "m", fixed(0.0), fixed(0.0), Interval(-0.010, 0.015), Interval(0.015, 0.025)),
    Variable("chest_y", "layout", "m", fixed(0.0), fixed(0.0), Interval(-0.020, 0.015), Interval(-0.035, -0.020)),
    Variable("ajar", "layout", "m", Interval(0.0, 0.002), Interval(0.0, 0.003), Interval(0.0, 0.005), Interval(0.005, 0.007)),
    Variable("drawer_friction", "dynamics", "N", fixed(4.0), fixed(4.0), Interval(3.0, 5.0), Interval(5.0, 7.0)),
    Variable("sentence", "instruction", "", Choice(PLAIN), Choice(TRAIN_SENTENCES), Choice(TRAIN_SENTENCES), Choice(HELD_OUT_SENTENCES)),
    Variable("named", "instruction", "", fixed(1), Choice((1, 2)), Choice((1, 2)), Choice((1, 2))),
    Variable("named_by", "instruction", "", fixed("place"), Choice(("place", "handle")), Choice(("place", "handle")), Choice(("place", "handle"))),
    Variable("target", "instruction", "", Choice((0, 1, 2, 3)), Choice((0, 1, 2, 3)), Choice((0, 1, 2, 3)), Choice((0, 1, 2, 3))),
    Variable("drawer", "instruction", "", Choice((0, 1, 2)), Choice((0, 1, 2)), Choice((0, 1, 2)), Choice((0, 1, 2))),
    *COMMON,
)  # fmt: skip
