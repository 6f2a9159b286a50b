# ruff: noqa: E501  (a table reads best as one row a line)
"""What varies in ValveTurn, and the sentences that name the work."""

from __future__ import annotations

from embodied.envs.common_factors import COMMON
from embodied.envs.variation import Choice, Interval, Variable, fixed

COLOURS = {
    "red": (0.74, 0.09, 0.09),
    "blue": (0.10, 0.28, 0.70),
    "yellow": (0.93, 0.70, 0.08),
    "green": (0.10, 0.46, 0.20),
    "grey": (0.40, 0.42, 0.45),
    "orange": (0.90, 0.38, 0.05),
    "purple": (0.42, 0.16, 0.56),
}
TRAIN_COLOURS = ("red", "blue", "yellow", "green", "grey")
HELD_OUT_COLOURS = ("orange", "purple")

PLAIN = ("Turn the {valve} valve to {angle} degrees.",)
TRAIN_SENTENCES = {  # what is asked for -> how it is said; `turn` is the only order that names an angle
    "turn": (
        *PLAIN,
        "Set the {valve} valve to {angle} on its scale.",
        "Bring the pointer of the {valve} valve to {angle} degrees.",
        "The {valve} valve must stand at {angle} degrees.",
    ),
    "open": ("Open the {valve} valve all the way.",),
    "shut": ("Close the {valve} valve.",),
    "half": ("Set the {valve} valve half open.",),
    "more": ("Open the {valve} valve by a quarter turn.",),
    "less": ("Close the {valve} valve by a quarter turn.",),
}
HELD_OUT_SENTENCES = {
    "turn": (
        "Would you turn the {valve} valve until it points at {angle}?",
        "{angle} degrees, please, on the {valve} valve.",
    ),
    "open": ("The {valve} valve should be fully open.",),
    "shut": ("Shut off the {valve} valve, please.",),
    "half": ("Leave the {valve} valve halfway between shut and open.",),
    "more": ("Give the {valve} valve a quarter turn towards open.",),
    "less": ("Give the {valve} valve a quarter turn towards shut.",),
}
ORDER_OF = {
    text: order
    for table in (TRAIN_SENTENCES, HELD_OUT_SENTENCES)
    for order, texts in table.items()
    for text in texts
}


def _all(table: dict[str, tuple[str, ...]]) -> Choice:
    return Choice(tuple(text for texts in table.values() for text in texts))


TRAIN_ANGLES = (0, 10, 20, 40, 50, 60, 80, 90, 110, 120)
HELD_OUT_ANGLES = (30, 70, 100)
# from the left
LEVER_WHEEL_LEVER = (0, 1, 2)
WHEEL_LEVER_LEVER = (1, 0, 2)
LEVER_LEVER_WHEEL = (0, 2, 1)
TRAIN_ORDERS = (LEVER_WHEEL_LEVER, WHEEL_LEVER_LEVER)
NAMED_BY = ("colour", "colour", "place")

TABLE = (
    Variable("valves", "objects", "", fixed(3), Choice((2, 3)), Choice((2, 3)), Choice((2, 3))),
    Variable("colour", "objects", "", Choice(TRAIN_COLOURS), Choice(TRAIN_COLOURS), Choice(TRAIN_COLOURS), Choice(HELD_OUT_COLOURS)),
    Variable("same_colour", "objects", "", fixed(False), Choice((False, False, False, True)), Choice((False, False, True)), Choice((False, False, True))),
    Variable("start_angle", "objects", "deg", Interval(0, 120), Interval(0, 120), Interval(0, 120), Interval(0, 120)),
    Variable("order", "layout", "", fixed(LEVER_WHEEL_LEVER), Choice(TRAIN_ORDERS), Choice(TRAIN_ORDERS), fixed(LEVER_LEVER_WHEEL)),
    Variable("gap", "layout", "m", fixed(0.265), Interval(0.258, 0.272), Interval(0.252, 0.278), Interval(0.278, 0.29)),
    Variable("row_x", "layout", "m", fixed(0.0), Interval(-0.005, 0.005), Interval(-0.01, 0.01), Interval(0.01, 0.014)),
    Variable("console_x", "layout", "m", fixed(0.0), Interval(-0.01, 0.01), Interval(-0.02, 0.02), Interval(0.02, 0.03)),
    Variable("console_y", "layout", "m", fixed(0.0), Interval(-0.015, 0.015), Interval(-0.03, 0.03), Interval(0.03, 0.05)),
    Variable("console_z", "layout", "m", fixed(0.0), Interval(-0.01, 0.01), Interval(-0.025, 0.025), Interval(0.025, 0.04)),
    Variable("sentence", "instruction", "", Choice(PLAIN), _all(TRAIN_SENTENCES), _all(TRAIN_SENTENCES), _all(HELD_OUT_SENTENCES)),
    Variable("target", "instruction", "", Choice((0, 1, 2)), Choice((0, 1, 2)), Choice((0, 1, 2)), Choice((0, 1, 2))),
    Variable("angle", "instruction", "deg", Choice(TRAIN_ANGLES), Choice(TRAIN_ANGLES), Choice(TRAIN_ANGLES), Choice(HELD_OUT_ANGLES)),
    Variable("named_by", "instruction", "", fixed("colour"), Choice(NAMED_BY), Choice(NAMED_BY), Choice(NAMED_BY)),
    Variable("friction", "dynamics", "N m", fixed(0.8), Interval(0.6, 1.0), Interval(0.4, 1.2), Interval(1.2, 1.5)),
    *COMMON,
)  # fmt: skip
