"""What varies in Patrol, and the sentences that name the round."""

from __future__ import annotations

from embodied.envs.common_factors import COMMON
from embodied.envs.props.shapes import Rgb
from embodied.envs.variation import row

NUMBERS = (1, 2, 3, 4, 5, 6, 7, 8, 9)
TRAIN_COLOURS = ["red", "blue", "green", "yellow", "orange", "purple", "white"]
HELD_OUT_COLOURS = ["black", "pink", "turquoise", "brown", "grey", "lime"]
# Colours of the signs' frames.
COLOURS: dict[str, Rgb] = {
    "red": (0.80, 0.08, 0.06),
    "blue": (0.08, 0.20, 0.72),
    "green": (0.05, 0.50, 0.14),
    "yellow": (0.95, 0.80, 0.05),
    "orange": (0.97, 0.42, 0.02),
    "purple": (0.44, 0.12, 0.60),
    "white": (0.96, 0.96, 0.96),
    "black": (0.04, 0.04, 0.05),
    "pink": (0.96, 0.45, 0.66),
    "turquoise": (0.05, 0.68, 0.70),
    "brown": (0.36, 0.20, 0.09),
    "grey": (0.45, 0.46, 0.47),
    "lime": (0.62, 0.88, 0.12),
}
TRAIN_VESTS = ["signal orange", "signal yellow"]
HELD_OUT_VESTS = ["signal red", "sky blue"]
VESTS: dict[str, Rgb] = {
    "signal orange": (0.95, 0.42, 0.05),
    "signal yellow": (0.78, 0.90, 0.10),
    "signal red": (0.85, 0.14, 0.12),
    "sky blue": (0.25, 0.55, 0.88),
}
TROUSERS: dict[str, Rgb] = {
    "navy": (0.13, 0.18, 0.32),
    "charcoal": (0.20, 0.21, 0.22),
    "khaki": (0.46, 0.40, 0.27),
}
HELMETS: dict[str, Rgb] = {
    "white": (0.94, 0.94, 0.92),
    "yellow": (0.95, 0.76, 0.10),
    "blue": (0.12, 0.32, 0.72),
}
SKINS: dict[str, Rgb] = {
    "light": (0.90, 0.72, 0.60),
    "medium": (0.76, 0.56, 0.42),
    "brown": (0.58, 0.39, 0.27),
    "dark": (0.40, 0.26, 0.18),
}

PLAIN = ["Inspect {stations}."]
TRAIN_SENTENCES = [
    *PLAIN,
    "Drive to {stations}, and look at each for a second.",
    "Go on patrol: {stations}.",
    "Please check {stations}, in this order.",
    "Look at {stations}.",
]
HELD_OUT_SENTENCES = [
    "Do the round for me today: {stations}.",
    "I need eyes on {stations}.",
    "Would you pay a visit to {stations}?",
]

TASK_VARIABLES = (
    row("number", "objects", L1=list(NUMBERS)),
    row("colour", "objects", L1=TRAIN_COLOURS, held_out=HELD_OUT_COLOURS),
    row("vest", "objects", L1=TRAIN_VESTS, held_out=HELD_OUT_VESTS),
    row("trousers", "objects", L1=list(TROUSERS)),
    row("helmet", "objects", L1=list(HELMETS)),
    row("skin", "objects", L1=list(SKINS)),
    row("station_x", "layout", "m", L1=0.0, L2=(-0.05, 0.05), L3=(-0.12, 0.12), held_out=(0.12, 0.18)),
    row("people", "layout", L1=1, L2=[1, 2], L3=[2, 3]),
    row("way", "layout", L1=list(range(7))),
    row("is_reversed", "layout", L1=[False, True]),
    row("way_start", "layout", "x", L1=(0.0, 1.0)),
    row("walk_speed", "layout", "m/s", L1=(0.5, 0.7), L2=(0.6, 0.9), L3=(0.6, 1.2), held_out=(1.2, 1.4)),
    row("keeps_right", "layout", "m", L1=0.2, L2=(0.17, 0.22), L3=(0.15, 0.25), held_out=(0.08, 0.15)),
    row("pause_at", "layout", "x", L1=0.5, L2=(0.3, 0.7), L3=(0.2, 0.8)),
    row("pause", "layout", "s", L1=0.0, L2=(0.0, 2.0), L3=(0.0, 4.0), held_out=(4.0, 6.0)),
    row("sentence", "instruction", L1=PLAIN, L2=TRAIN_SENTENCES, held_out=HELD_OUT_SENTENCES),
    row("asked", "instruction", L1=2, L2=[2, 3], L3=[3, 4]),
    row("called_by", "instruction", L1="number", L2=["number", "colour"]),
)  # fmt: skip
TABLE = (*TASK_VARIABLES, *COMMON)
