"""What varies between episodes of GaugeCheck, and the sentences of its instructions."""

from __future__ import annotations

from embodied.envs.common_factors import COMMON
from embodied.envs.variation import row

TRAIN_NAMES = ["boiler", "pump", "tank", "filter"]
HELD_OUT_NAMES = ["cooler", "mixer", "valve"]
NAMES = (*TRAIN_NAMES, *HELD_OUT_NAMES)

PLAIN = ["Check the {gauges}: press OK between the red marks, FAULT outside of them."]
TRAIN_SENTENCES = [
    *PLAIN,
    "Go to the {gauges} and press OK or FAULT.",
    "Read the {gauges}. Between its marks a needle is OK, else it is a FAULT.",
    "Please check the {gauges}.",
]
HELD_OUT_SENTENCES = [
    "On your round, have a look at the {gauges} and report what you see.",
    "Is the {gauges} all right? Press what applies.",
]

TASK_VARIABLES = (
    row("name", "objects", L1=TRAIN_NAMES, held_out=HELD_OUT_NAMES),
    row("is_ok", "objects", L1=[True, False]),
    row("low", "objects", "x", L1=(0.25, 0.35), L2=(0.2, 0.4), L3=(0.15, 0.45), held_out=(0.45, 0.5)),
    row("width", "objects", "x", L1=(0.3, 0.35), L2=(0.28, 0.38), L3=(0.25, 0.4), held_out=(0.22, 0.25)),
    row("needle", "objects", "x", L1=(0.0, 1.0)),
    row("station_x", "layout", "m", L1=0.0, L2=(-0.01, 0.01), L3=(-0.02, 0.02), held_out=(0.02, 0.03)),
    row("station_y", "layout", "m", L1=0.0, L2=(-0.03, 0.03), L3=(-0.08, 0.08), held_out=(0.08, 0.12)),
    row("sentence", "instruction", L1=PLAIN, L2=TRAIN_SENTENCES, held_out=HELD_OUT_SENTENCES),
    row("asked", "instruction", L1=1, L2=[1, 2], L3=[2, 3]),
)  # fmt: skip
TABLE = (*TASK_VARIABLES, *COMMON)
