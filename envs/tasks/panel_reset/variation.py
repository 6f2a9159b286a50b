# ruff: noqa: E501  (a table reads best as one row a line)
"""What varies in PanelReset, and the sentences that name the work."""

from __future__ import annotations

from embodied.envs.common_factors import COMMON
from embodied.envs.variation import Choice, Interval, Variable, fixed

PLAIN = ("Find the red fault lamp and press its reset button.",)
TRAIN_SENTENCES = (  # those with {row} are said where other rows have faults that must stay
    *PLAIN,
    "One lamp on the panel is red: reset it.",
    "Reset the fault that the panel shows.",
    "Reset the fault in the {row} row.",
    "The {row} row shows a fault; press its reset button.",
    "In the row marked {row}, find the red lamp and reset it.",
)
HELD_OUT_SENTENCES = (
    "Please clear the alarm: press the button under the lamp that is red.",
    "There is something wrong with the {row} system. Reset it, and nothing else.",
    "Leave the other rows alone and clear the red lamp of {row}.",
)

SYSTEMS = ("cooling", "pumps", "power", "drains")
HELD_OUT_SYSTEMS = ("heating", "air", "vents")
HELD_OUT_PLACES = (3, 5, 8)  # of the twelve lamps, row by row from the upper left
TRAIN_PLACES = tuple(k for k in range(12) if k not in HELD_OUT_PLACES)

TABLE = (
    Variable("systems", "objects", "", fixed(SYSTEMS[:3]), fixed(SYSTEMS), fixed(SYSTEMS), fixed(HELD_OUT_SYSTEMS)),
    Variable("decoys", "objects", "", fixed(0), Choice((0, 1)), Choice((1, 2)), Choice((2, 3))),
    Variable("warnings", "objects", "", fixed(0), Choice((0, 1)), Choice((0, 1, 2)), Choice((3, 4))),
    Variable("place", "layout", "", Choice(TRAIN_PLACES), Choice(TRAIN_PLACES), Choice(TRAIN_PLACES), Choice(HELD_OUT_PLACES)),
    Variable("console_x", "layout", "m", fixed(0.0), Interval(-0.01, 0.01), Interval(-0.02, 0.02), Interval(0.02, 0.03)),
    Variable("console_y", "layout", "m", fixed(0.0), Interval(-0.02, 0.02), Interval(-0.04, 0.04), Interval(0.04, 0.06)),
    Variable("console_z", "layout", "m", fixed(0.0), Interval(-0.01, 0.01), Interval(-0.025, 0.025), Interval(0.025, 0.04)),
    Variable("sentence", "instruction", "", Choice(PLAIN), Choice(TRAIN_SENTENCES), Choice(TRAIN_SENTENCES), Choice(HELD_OUT_SENTENCES)),
    *COMMON,
)  # fmt: skip
