"""Plates, a bowl of fruit and a mug on a laid table, in pictures for people only."""

from __future__ import annotations

import mujoco
import numpy as np

from embodied.robots.shells import Loft, add_shell
from embodied.sim.cameras import DECOR_GROUP

COLOURS = {
    "china": (0.93, 0.93, 0.91),
    "china_rim": (0.36, 0.55, 0.56),
    "fruit_apple": (0.68, 0.14, 0.10),
    "fruit_lime": (0.55, 0.64, 0.18),
    "fruit_orange": (0.88, 0.48, 0.08),
    "mug": (0.86, 0.64, 0.12),
}
# Outlines of round things, (height, radius) from below, m.
PLATE = ((0.0, 0.06), (0.004, 0.075), (0.014, 0.118), (0.017, 0.118))
PLATE_RIM = ((0.017, 0.084), (0.0176, 0.084))
BOWL = ((0.0, 0.05), (0.006, 0.06), (0.04, 0.105), (0.065, 0.122))
MUG = ((0.0, 0.030), (0.004, 0.036), (0.082, 0.038), (0.088, 0.036))
MUG_RIM = ((0.0882, 0.032), (0.0886, 0.032))
# One fruit in the middle of the bowl, on top, then a ring of fruits around it.
TOP_FRUIT = "fruit_apple"
RING_OF_FRUITS = (
    "fruit_lime",
    "fruit_orange",
    "fruit_lime",
    "fruit_apple",
    "fruit_orange",
)
FRUIT_RADIUS_M = 0.036
RING_RADIUS_M = 0.062
RING_STEP_RAD = 1.257  # a fifth of a turn

Place = tuple[float, float]  # m, on the table
Outline = tuple[tuple[float, float], ...]


def add_tableware(
    spec: mujoco.MjSpec,
    table: mujoco.MjsBody,
    plates: tuple[Place, ...],
    bowl: Place,
    mug: Place,
) -> None:
    """Lays the table, at places in its frame.

    There is one mesh per colour: what has a colour is collected in `lofts` first.
    """
    for name, rgb in COLOURS.items():
        spec.add_material(name=name, rgba=[*rgb, 1], specular=0.5, shininess=0.6)

    lofts: dict[str, list[Loft]] = {name: [] for name in COLOURS}
    for plate in plates:
        lofts["china"].append(_turned(plate, PLATE))
        lofts["china_rim"].append(_turned(plate, PLATE_RIM))
    lofts["china"].append(_turned(bowl, BOWL))
    lofts["mug"].append(_turned(mug, MUG))
    lofts["china_rim"].append(_turned(mug, MUG_RIM))

    lofts[TOP_FRUIT].append(_ball(bowl, 0.105, FRUIT_RADIUS_M))
    for k, fruit in enumerate(RING_OF_FRUITS, start=1):
        angle = RING_STEP_RAD * k
        x = bowl[0] + RING_RADIUS_M * np.cos(angle)
        y = bowl[1] + RING_RADIUS_M * np.sin(angle)
        lofts[fruit].append(_ball((x, y), 0.080, FRUIT_RADIUS_M))

    for name, parts in lofts.items():
        geom = add_shell(spec, table, f"tableware_{name}", parts, name)
        geom.group = DECOR_GROUP


def _turned(place: Place, outline: Outline) -> Loft:
    """Returns a round shape that stands at a place of the table.

    Its outline is (height, radius) pairs from below, m.
    """
    # a section of a loft along z is (z, x, y, radius)
    sections = tuple((z, *place, radius) for z, radius in outline)
    return Loft("z", sections, smooth=0, sides=40)


def _ball(place: Place, z: float, radius: float) -> Loft:
    """Returns a ball over a place of the table, its middle at height `z`, m.

    Its poles are slightly flat. A section of a loft along z is (z, x, y, radius), in m;
    none may have a radius of 0.
    """
    sections = tuple(
        (z + radius * np.sin(a), *place, radius * max(np.cos(a), 0.05))
        for a in np.linspace(-np.pi / 2, np.pi / 2, 11)
    )
    return Loft("z", sections, smooth=0)
