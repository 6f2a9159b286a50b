# ruff: noqa: E501  (a table reads best as one row a line)
"""What varies in ToteTransfer, and the sentences that name the work."""

from __future__ import annotations

from embodied.envs.common_factors import COMMON
from embodied.envs.variation import Choice, Interval, Variable, fixed

COLOURS = {
    "red": (0.78, 0.13, 0.12),
    "blue": (0.12, 0.30, 0.72),
    "green": (0.13, 0.52, 0.22),
    "yellow": (0.95, 0.76, 0.10),
    "grey": (0.45, 0.47, 0.50),
    "orange": (0.92, 0.42, 0.07),
    "purple": (0.45, 0.18, 0.60),
}
TRAIN_COLOURS = ("red", "blue", "green", "yellow", "grey")
HELD_OUT_COLOURS = ("orange", "purple")

PLAIN = ("Take the {tote} tote off the belt and put it into the {slot} slot.",)
TRAIN_SENTENCES = (
    *PLAIN,
    "Put the {tote} tote into the {slot} slot of the rack.",
    "Move the {tote} tote to the {slot} slot.",
    "The {tote} tote goes into the {slot} slot.",
    "Pick up the {tote} tote and set it down in the {slot} slot.",
    "Place the {tote} tote in the {slot} slot, please.",
)
HELD_OUT_SENTENCES = (
    "Would you bring the {tote} tote over to the {slot} slot?",
    "In the {slot} slot there is room for the {tote} tote.",
    "Clear the {tote} tote from the belt; its place is the {slot} slot.",
)

TABLE = (
    Variable("totes", "objects", "", fixed(2), Choice((2, 3)), Choice((2, 3)), Choice((2, 3))),
    Variable(
        *("colour", "objects", ""),
        *(Choice(TRAIN_COLOURS), Choice(TRAIN_COLOURS), Choice(TRAIN_COLOURS), Choice(HELD_OUT_COLOURS)),
    ),
    Variable(
        *("same_colour", "objects", ""),
        *(fixed(False), Choice((False, False, False, True)), Choice((False, False, True)), Choice((False, False, True))),
    ),
    Variable(
        *("length", "objects", "m", fixed(0.30), Choice((0.26, 0.30)), Interval(0.25, 0.31), Interval(0.22, 0.25)),
    ),
    Variable("mass", "objects", "kg", fixed(0.5), fixed(0.5), Interval(0.40, 0.60), Interval(0.25, 0.40)),
    Variable("first_y", "layout", "m", Interval(0.10, 0.30), Interval(-0.05, 0.12), Interval(-0.10, 0.12), Interval(-0.20, -0.10)),
    Variable("gap", "layout", "m", Interval(0.09, 0.14), Interval(0.09, 0.12), Interval(0.085, 0.14), Interval(0.14, 0.18)),
    Variable("offset_x", "layout", "m", Interval(-0.015, 0.015), Interval(-0.02, 0.02), Interval(-0.025, 0.025), Interval(0.025, 0.03)),
    Variable("yaw", "layout", "rad", Interval(-0.08, 0.08), Interval(-0.08, 0.08), Interval(-0.12, 0.12), Interval(0.12, 0.16)),
    Variable("rack_x", "layout", "m", fixed(0.0), Interval(-0.015, 0.015), Interval(-0.03, 0.03), Interval(0.03, 0.05)),
    Variable("rack_y", "layout", "m", fixed(0.0), Interval(0.0, 0.015), Interval(-0.01, 0.02), Interval(0.02, 0.04)),
    Variable("belt_speed", "layout", "m/s", fixed(0.0), Interval(0.03, 0.10), Interval(0.03, 0.15), Interval(0.15, 0.18)),
    Variable("sentence", "instruction", "", Choice(PLAIN), Choice(TRAIN_SENTENCES), Choice(TRAIN_SENTENCES), Choice(HELD_OUT_SENTENCES)),
    Variable("target", "instruction", "", Choice((0, 1, 2)), Choice((0, 1, 2)), Choice((0, 1, 2)), Choice((0, 1, 2))),
    Variable("slot", "instruction", "", Choice((0, 1, 2, 3)), Choice((0, 1, 2, 3)), Choice((0, 1, 2, 3)), Choice((0, 1, 2, 3))),
    *COMMON,
)  # fmt: skip
