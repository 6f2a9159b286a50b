"""Plates, a bowl of fruit and a mug on a table, drawn only in pictures for people.

The things are solids of revolution about vertical axes, made as `Loft`s.
"""

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
# Profiles of round things: (height, radius) in m, from bottom to top.
PLATE = ((0.0, 0.06), (0.004, 0.075), (0.014, 0.118), (0.017, 0.118))
PLATE_RIM = ((0.017, 0.084), (0.0176, 0.084))
BOWL = ((0.0, 0.05), (0.006, 0.06), (0.04, 0.105), (0.065, 0.122))
MUG = ((0.0, 0.030), (0.004, 0.036), (0.082, 0.038), (0.088, 0.036))
MUG_RIM = ((0.0882, 0.032), (0.0886, 0.032))
# The fruit in the bowl: one in the middle, on top of a ring of five.
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
RING_STEP_RAD = 1.257  # 2 pi / 5

Place = tuple[float, float]  # x and y in the table's frame, m
Profile = tuple[tuple[float, float], ...]  # (height, radius), m


def add_tableware(
    spec: mujoco.MjSpec,
    table: mujoco.MjsBody,
    plates: tuple[Place, ...],
    bowl: Place,
    mug: Place | None,
) -> None:
    """Adds the tableware to a table.

    Args:
        spec: the scene.
        table: the table's body.
        plates: the positions of the plates.
        bowl: the position of the bowl of fruit.
        mug: the position of the mug; None for no mug.
    """
    for name, rgb in COLOURS.items():
        spec.add_material(name=name, rgba=[*rgb, 1], specular=0.5, shininess=0.6)

    # collect the lofts of each colour, to join them into one mesh per colour
    lofts: dict[str, list[Loft]] = {name: [] for name in COLOURS}
    for plate in plates:
        lofts["china"].append(_solid_of_revolution(plate, PLATE))
        lofts["china_rim"].append(_solid_of_revolution(plate, PLATE_RIM))
    lofts["china"].append(_solid_of_revolution(bowl, BOWL))
    if mug:
        lofts["mug"].append(_solid_of_revolution(mug, MUG))
        lofts["china_rim"].append(_solid_of_revolution(mug, MUG_RIM))

    # the fruit, with their centres 0.105 m and 0.080 m above the table
    lofts[TOP_FRUIT].append(_ball(bowl, 0.105, FRUIT_RADIUS_M))
    for k, fruit in enumerate(RING_OF_FRUITS, start=1):
        angle = RING_STEP_RAD * k
        x = bowl[0] + RING_RADIUS_M * np.cos(angle)
        y = bowl[1] + RING_RADIUS_M * np.sin(angle)
        lofts[fruit].append(_ball((x, y), 0.080, FRUIT_RADIUS_M))

    for name, parts in lofts.items():
        if not parts:
            continue
        geom = add_shell(spec, table, f"tableware_{name}", shapes=parts, material=name)
        geom.group = DECOR_GROUP


def _solid_of_revolution(place: Place, profile: Profile) -> Loft:
    """Returns the solid of revolution of a profile about the vertical axis at a place."""
    # each section of a loft along z is (z, x, y, radius)
    x, y = place
    sections = tuple((z, x, y, radius) for z, radius in profile)
    return Loft("z", sections, smooth=0, sides=40)


def _ball(place: Place, z: float, radius: float) -> Loft:
    """Returns a ball above a place on the table, with its centre at height `z`, m.

    Args:
        place: x and y of the ball's centre in the table's frame, m.
        z: height of the centre above the table, m.
        radius: the ball's radius, m.
    """
    # circles of latitude from pole to pole. The radius of a section must not be 0, so the
    # circles at the poles have 5% of the ball's radius
    x, y = place
    sections = []
    for latitude in np.linspace(-np.pi / 2, np.pi / 2, 11):
        height = z + radius * np.sin(latitude)
        circle_radius = radius * max(np.cos(latitude), 0.05)
        sections.append((height, x, y, circle_radius))
    return Loft("z", tuple(sections), smooth=0)
