"""What varies between episodes of ValveTurn, and the sentences of its instructions."""

from __future__ import annotations

from embodied.envs.common_factors import COMMON
from embodied.envs.variation import row

COLOURS = {
    "red": (0.74, 0.09, 0.09),
    "blue": (0.10, 0.28, 0.70),
    "yellow": (0.93, 0.70, 0.08),
    "green": (0.10, 0.46, 0.20),
    "grey": (0.40, 0.42, 0.45),
    "orange": (0.90, 0.38, 0.05),
    "purple": (0.42, 0.16, 0.56),
}
TRAIN_COLOURS = ["red", "blue", "yellow", "green", "grey"]
HELD_OUT_COLOURS = ["orange", "purple"]

PLAIN = ["Turn the {valve} valve to {angle} degrees."]
# Command -> its sentences; only those of `turn` name an angle.
TRAIN_SENTENCES = {
    "turn": [
        *PLAIN,
        "Set the {valve} valve to {angle} on its scale.",
        "Bring the pointer of the {valve} valve to {angle} degrees.",
        "The {valve} valve must stand at {angle} degrees.",
    ],
    "open": ["Open the {valve} valve all the way."],
    "shut": ["Close the {valve} valve."],
    "half": ["Set the {valve} valve half open."],
    "more": ["Open the {valve} valve by a quarter turn."],
    "less": ["Close the {valve} valve by a quarter turn."],
}
HELD_OUT_SENTENCES = {
    "turn": [
        "Would you turn the {valve} valve until it points at {angle}?",
        "{angle} degrees, please, on the {valve} valve.",
    ],
    "open": ["The {valve} valve should be fully open."],
    "shut": ["Shut off the {valve} valve, please."],
    "half": ["Leave the {valve} valve halfway between shut and open."],
    "more": ["Give the {valve} valve a quarter turn towards open."],
    "less": ["Give the {valve} valve a quarter turn towards shut."],
}
TRAIN_ANGLES = [0, 10, 20, 40, 50, 60, 80, 90, 110, 120]
HELD_OUT_ANGLES = [30, 70, 100]
# Which valves are on the console, from the left, as indices into VALVES. If there are only
# two valves, they are the first two.
LEVER_WHEEL_LEVER = (0, 1, 2)
WHEEL_LEVER_LEVER = (1, 0, 2)
LEVER_LEVER_WHEEL = (0, 2, 1)
TRAIN_ORDERS = [LEVER_WHEEL_LEVER, WHEEL_LEVER_LEVER]
NAMED_BY = ["colour", "colour", "place"]


def _all(sentences: dict[str, list[str]]) -> list[str]:
    """Returns the sentences of all commands in one list."""
    return [text for texts in sentences.values() for text in texts]


def command_of(sentence: str) -> str:
    """Returns what a sentence asks for, such as `turn` or `open`."""
    for sentences in (TRAIN_SENTENCES, HELD_OUT_SENTENCES):
        for command, texts in sentences.items():
            if sentence in texts:
                return command
    raise KeyError(f"no command is given by {sentence!r}")


TASK_VARIABLES = (
    row("valves", "objects", L1=3, L2=[2, 3]),
    row("colour", "objects", L1=TRAIN_COLOURS, held_out=HELD_OUT_COLOURS),
    row("same_colour", "objects", L1=False, L2=[False, False, False, True], L3=[False, False, True]),
    row("start_angle", "objects", "deg", L1=(0, 120)),
    row("order", "layout", L1=[LEVER_WHEEL_LEVER], L2=TRAIN_ORDERS, held_out=[LEVER_LEVER_WHEEL]),
    row("gap", "layout", "m", L1=0.265, L2=(0.258, 0.272), L3=(0.252, 0.278), held_out=(0.278, 0.29)),
    row("row_x", "layout", "m", L1=0.0, L2=(-0.005, 0.005), L3=(-0.01, 0.01), held_out=(0.01, 0.014)),
    row("console_x", "layout", "m", L1=0.0, L2=(-0.01, 0.01), L3=(-0.02, 0.02), held_out=(0.02, 0.03)),
    row("console_y", "layout", "m", L1=0.0, L2=(-0.015, 0.015), L3=(-0.03, 0.03), held_out=(0.03, 0.05)),
    row("console_z", "layout", "m", L1=0.0, L2=(-0.01, 0.01), L3=(-0.025, 0.025), held_out=(0.025, 0.04)),
    row("sentence", "instruction", L1=PLAIN, L2=_all(TRAIN_SENTENCES), held_out=_all(HELD_OUT_SENTENCES)),
    row("target", "instruction", L1=[0, 1, 2]),
    row("angle", "instruction", "deg", L1=TRAIN_ANGLES, held_out=HELD_OUT_ANGLES),
    row("named_by", "instruction", L1="colour", L2=NAMED_BY),
    row("friction", "dynamics", "N m", L1=0.8, L2=(0.6, 1.0), L3=(0.4, 1.2), held_out=(1.2, 1.5)),
)  # fmt: skip
TABLE = (*TASK_VARIABLES, *COMMON)
