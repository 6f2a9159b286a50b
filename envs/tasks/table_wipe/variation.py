# ruff: noqa: E501  (a table reads best as one row a line)
"""What varies in TableWipe, and the sentences that name the work."""

from __future__ import annotations

from embodied.envs.common_factors import COMMON
from embodied.envs.variation import Choice, Interval, Variable, fixed

KINDS = {  # colour, and metres of rubbing that it takes
    "coffee": ((0.28, 0.16, 0.08), 0.12),
    "ketchup": ((0.70, 0.08, 0.05), 0.22),
    "mustard": ((0.88, 0.66, 0.04), 0.22),
    "grape juice": ((0.42, 0.08, 0.36), 0.14),
    "blueberry jam": ((0.14, 0.14, 0.40), 0.24),
    "pesto": ((0.16, 0.40, 0.10), 0.20),
}
TRAIN_KINDS = ("coffee", "ketchup", "mustard", "grape juice")
HELD_OUT_KINDS = ("blueberry jam", "pesto")
TOPS = {
    "oak": (0.70, 0.61, 0.48), "grey": (0.58, 0.60, 0.61), "white": (0.78, 0.78, 0.76),
    "sage": (0.58, 0.66, 0.58), "sky": (0.58, 0.67, 0.74),
}  # fmt: skip
CLOTHS = {
    "blue": (0.24, 0.52, 0.74), "teal": (0.18, 0.56, 0.54), "lilac": (0.58, 0.50, 0.74),
    "pink": (0.82, 0.48, 0.58), "lime": (0.56, 0.70, 0.30),
}  # fmt: skip

REQUESTS = (
    "all",
    "one",
    "but",
)  # all stains, those of one kind, all but those of one kind
PLAIN = {
    "all": ("Wipe all the stains off the table.",),
    "one": ("Wipe the {kind} off the table.",),
    "but": ("Wipe the table, but leave the {kind}.",),
}
TRAIN = {
    "all": (*PLAIN["all"], "Clean the whole table.", "Wipe the table until no stain is left.", "Please wipe up everything that was spilled.", "Get the table clean."),
    "one": (*PLAIN["one"], "Wipe up the {kind}.", "Clean the {kind} off the table, nothing else.", "Only the {kind} has to be wiped off.", "Please get rid of the {kind} on the table."),
    "but": (*PLAIN["but"], "Wipe off every stain except the {kind}.", "Clean the table, only the {kind} stays.", "Wipe up everything apart from the {kind}.", "Leave the {kind} as it is and wipe off the rest."),
}  # fmt: skip
HELD_OUT = {
    "all": ("Make the table top spotless.", "The table is dirty; would you wipe it?", "Take the cloth and rub off whatever is on the table."),
    "one": ("There is {kind} on the table; would you rub it off?", "It is the {kind} alone that bothers me.", "Could the {kind} be wiped away, please?"),
    "but": ("Rub the table clean, and don't touch the {kind}.", "Everything but the {kind} may be wiped off.", "I am not done with the {kind}; clean the rest of the table."),
}  # fmt: skip


def _sentences(request: str) -> Variable:
    plain, train, held_out = (
        Choice(bank[request]) for bank in (PLAIN, TRAIN, HELD_OUT)
    )
    return Variable(
        f"sentence_{request}", "instruction", "", plain, train, train, held_out
    )


TABLE = (
    Variable("stains", "objects", "", fixed(2), Choice((2, 3)), Choice((1, 2, 3)), Choice((1, 2, 3))),
    Variable("kind", "objects", "", Choice(TRAIN_KINDS), Choice(TRAIN_KINDS), Choice(TRAIN_KINDS), Choice(HELD_OUT_KINDS)),
    Variable("blob", "objects", "", *[Choice((0, 1, 2, 3))] * 4),
    Variable("small", "objects", "", fixed(False), Choice((False, False, True)), Choice((False, True)), Choice((False, True))),
    Variable("cloth", "objects", "", fixed("blue"), fixed("blue"), Choice(("blue", "teal", "lilac")), Choice(("pink", "lime"))),
    Variable("top", "objects", "", fixed("oak"), Choice(("oak", "grey")), Choice(("oak", "grey", "white")), Choice(("sage", "sky"))),
    Variable("place", "layout", "", *[Choice((0, 1, 2, 3, 4, 5))] * 4),
    Variable("offset", "layout", "m", Interval(-0.005, 0.005), Interval(-0.010, 0.010), Interval(-0.012, 0.012), Interval(0.012, 0.016)),
    Variable("turn", "layout", "rad", Interval(-1.5, 1.5), Interval(-1.5, 1.5), Interval(-2.0, 2.0), Interval(2.0, 3.1)),
    Variable("table_height", "layout", "m", fixed(0.0), Interval(-0.005, 0.005), Interval(-0.015, 0.015), Interval(0.015, 0.025)),
    Variable("pad_offset", "layout", "m", Interval(-0.01, 0.01), Interval(-0.02, 0.02), Interval(-0.03, 0.03), Interval(0.03, 0.04)),
    Variable("pad_yaw", "layout", "rad", Interval(-0.1, 0.1), Interval(-0.3, 0.3), Interval(-0.5, 0.5), Interval(0.5, 0.8)),
    Variable("request", "instruction", "", *[Choice(REQUESTS)] * 4),
    Variable("target", "instruction", "", *[Choice((0, 1, 2))] * 4),
    *(_sentences(request) for request in REQUESTS),
    Variable("stickiness", "dynamics", "x", fixed(1.0), fixed(1.0), Interval(0.8, 1.2), Interval(1.2, 1.5)),
    Variable("table_friction", "dynamics", "", fixed(0.5), fixed(0.5), Interval(0.4, 0.6), Interval(0.3, 0.4)),
    *COMMON,
)  # fmt: skip
