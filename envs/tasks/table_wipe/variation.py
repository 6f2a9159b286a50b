"""What varies between episodes of TableWipe, and the sentences of its instructions."""

from __future__ import annotations

from embodied.envs.common_factors import COMMON
from embodied.envs.variation import row

# Kind of stain -> its colour, and the distance in m that the pad must rub over it
KINDS = {
    "coffee": ((0.28, 0.16, 0.08), 0.12),
    "ketchup": ((0.70, 0.08, 0.05), 0.22),
    "mustard": ((0.88, 0.66, 0.04), 0.22),
    "grape juice": ((0.42, 0.08, 0.36), 0.14),
    "blueberry jam": ((0.14, 0.14, 0.40), 0.24),
    "pesto": ((0.16, 0.40, 0.10), 0.20),
}
TRAIN_KINDS = ["coffee", "ketchup", "mustard", "grape juice"]
HELD_OUT_KINDS = ["blueberry jam", "pesto"]
TABLE_TOPS = {
    "oak": (0.70, 0.61, 0.48),
    "grey": (0.58, 0.60, 0.61),
    "white": (0.78, 0.78, 0.76),
    "sage": (0.58, 0.66, 0.58),
    "sky": (0.58, 0.67, 0.74),
}
CLOTHS = {
    "blue": (0.24, 0.52, 0.74),
    "teal": (0.18, 0.56, 0.54),
    "lilac": (0.58, 0.50, 0.74),
    "pink": (0.82, 0.48, 0.58),
    "lime": (0.56, 0.70, 0.30),
}

# Requests to wipe: all stains, the stains of one kind, or all stains but those of one kind.
REQUESTS = ["all", "one", "but"]
PLAIN = {
    "all": ["Wipe all the stains off the table."],
    "one": ["Wipe the {kind} off the table."],
    "but": ["Wipe the table, but leave the {kind}."],
}
TRAIN = {
    "all": [
        *PLAIN["all"],
        "Clean the whole table.",
        "Wipe the table until no stain is left.",
        "Please wipe up everything that was spilled.",
        "Get the table clean.",
    ],
    "one": [
        *PLAIN["one"],
        "Wipe up the {kind}.",
        "Clean the {kind} off the table, nothing else.",
        "Only the {kind} has to be wiped off.",
        "Please get rid of the {kind} on the table.",
    ],
    "but": [
        *PLAIN["but"],
        "Wipe off every stain except the {kind}.",
        "Clean the table, only the {kind} stays.",
        "Wipe up everything apart from the {kind}.",
        "Leave the {kind} as it is and wipe off the rest.",
    ],
}
HELD_OUT = {
    "all": [
        "Make the table top spotless.",
        "The table is dirty; would you wipe it?",
        "Take the cloth and rub off whatever is on the table.",
    ],
    "one": [
        "There is {kind} on the table; would you rub it off?",
        "It is the {kind} alone that bothers me.",
        "Could the {kind} be wiped away, please?",
    ],
    "but": [
        "Rub the table clean, and don't touch the {kind}.",
        "Everything but the {kind} may be wiped off.",
        "I am not done with the {kind}; clean the rest of the table.",
    ],
}

TASK_VARIABLES = (
    row("stains", "objects", L1=2, L2=[2, 3], L3=[1, 2, 3]),
    row("kind", "objects", L1=TRAIN_KINDS, held_out=HELD_OUT_KINDS),
    row("blob", "objects", L1=[0, 1, 2, 3]),
    row("small", "objects", L1=False, L2=[False, False, True], L3=[False, True]),
    row("cloth", "objects", L1="blue", L3=["blue", "teal", "lilac"], held_out=["pink", "lime"]),
    row("top", "objects", L1="oak", L2=["oak", "grey"], L3=["oak", "grey", "white"], held_out=["sage", "sky"]),
    row("place", "layout", L1=[0, 1, 2, 3, 4, 5]),
    row("offset", "layout", "m", L1=(-0.005, 0.005), L2=(-0.01, 0.01), L3=(-0.012, 0.012), held_out=(0.012, 0.016)),
    row("turn", "layout", "rad", L1=(-1.5, 1.5), L3=(-2.0, 2.0), held_out=(2.0, 3.1)),
    row("table_height", "layout", "m", L1=0.0, L2=(-0.005, 0.005), L3=(-0.015, 0.015), held_out=(0.015, 0.025)),
    row("pad_offset", "layout", "m", L1=(-0.01, 0.01), L2=(-0.02, 0.02), L3=(-0.03, 0.03), held_out=(0.03, 0.04)),
    row("pad_yaw", "layout", "rad", L1=(-0.1, 0.1), L2=(-0.3, 0.3), L3=(-0.5, 0.5), held_out=(0.5, 0.8)),
    row("request", "instruction", L1=REQUESTS),
    row("target", "instruction", L1=[0, 1, 2]),
    row("sentence_all", "instruction", L1=PLAIN["all"], L2=TRAIN["all"], held_out=HELD_OUT["all"]),
    row("sentence_one", "instruction", L1=PLAIN["one"], L2=TRAIN["one"], held_out=HELD_OUT["one"]),
    row("sentence_but", "instruction", L1=PLAIN["but"], L2=TRAIN["but"], held_out=HELD_OUT["but"]),
    row("stickiness", "dynamics", "x", L1=1.0, L3=(0.8, 1.2), held_out=(1.2, 1.5)),
    row("table_friction", "dynamics", L1=0.5, L3=(0.4, 0.6), held_out=(0.3, 0.4)),
)  # fmt: skip
TABLE = (*TASK_VARIABLES, *COMMON)
