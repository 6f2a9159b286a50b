"""What varies between episodes of PanelReset, and the sentences of its instructions."""

from __future__ import annotations

from embodied.envs.common_factors import COMMON
from embodied.envs.variation import row

PLAIN = ["Find the red fault lamp and press its reset button."]
# Sentences with {row} are used where other rows have faults that must stay.
TRAIN_SENTENCES = [
    *PLAIN,
    "One lamp on the panel is red: reset it.",
    "Reset the fault that the panel shows.",
    "Reset the fault in the {row} row.",
    "The {row} row shows a fault; press its reset button.",
    "In the row marked {row}, find the red lamp and reset it.",
]
HELD_OUT_SENTENCES = [
    "Please clear the alarm: press the button under the lamp that is red.",
    "There is something wrong with the {row} system. Reset it, and nothing else.",
    "Leave the other rows alone and clear the red lamp of {row}.",
]

SYSTEMS = ("cooling", "pumps", "power", "drains")
HELD_OUT_SYSTEMS = ("heating", "air", "vents")
# Places among the twelve lamps, row by row from the upper left.
HELD_OUT_PLACES = [3, 5, 8]
TRAIN_PLACES = [0, 1, 2, 4, 6, 7, 9, 10, 11]

TASK_VARIABLES = (
    row("systems", "objects", L1=[SYSTEMS[:3]], L2=[SYSTEMS], held_out=[HELD_OUT_SYSTEMS]),
    row("decoys", "objects", L1=0, L2=[0, 1], L3=[1, 2], held_out=[2, 3]),
    row("warnings", "objects", L1=0, L2=[0, 1], L3=[0, 1, 2], held_out=[3, 4]),
    row("place", "layout", L1=TRAIN_PLACES, held_out=HELD_OUT_PLACES),
    row("console_x", "layout", "m", L1=0.0, L2=(-0.01, 0.01), L3=(-0.02, 0.02), held_out=(0.02, 0.03)),
    row("console_y", "layout", "m", L1=0.0, L2=(-0.02, 0.02), L3=(-0.04, 0.04), held_out=(0.04, 0.06)),
    row("console_z", "layout", "m", L1=0.0, L2=(-0.01, 0.01), L3=(-0.025, 0.025), held_out=(0.025, 0.04)),
    row("sentence", "instruction", L1=PLAIN, L2=TRAIN_SENTENCES, held_out=HELD_OUT_SENTENCES),
)  # fmt: skip
TABLE = (*TASK_VARIABLES, *COMMON)
