"""The visual geoms of the upper body of `dual_arm`: column, chest, neck and head.

All lengths are in metres, each part in its body's own frame: x ahead, y to the left. The
origin of `lift` and `waist` is on the axis about which the chest bows, that of `neck` is
on the chest, and that of `head` on the axis about which it nods.

Sections of a `Loft` are rows of (t, u, v, radius) or (t, u, v, radius_u, radius_v):
position along its axis, centre and half widths across it.
"""

from __future__ import annotations

from embodied.robots.arm_visual import Shells, drum, ring
from embodied.robots.shells import Loft, PlacedLoft, Shape

NECK_POS = (0.0, 0.0, 0.350)  # position in the frame of the waist
TILT_POS = (0.005, 0.0, 0.085)  # axis about which the head nods, in the neck's frame
HEAD_MIDDLE = (0.0, 0.0, 0.05)  # relative to the axis about which it nods
FACE_X = 0.104  # how far the visor is ahead of that axis
EYE = (FACE_X + 0.006, 0.0, 0.052)  # the camera, just ahead of the visor
EYES_Y = 0.032
VISOR_Z = 0.052


def _cup(side: int) -> PlacedLoft:
    """Returns the cup around the base of the left (1) or the right (-1) arm."""
    # turned as the arm is, see `ARM_QUAT_WXYZ`
    quat = (0.8673, -side * 0.4351, 0.0232, -side * 0.2406)
    sections = (
        (0.030, 0.0, 0.0, 0.094),
        (0.070, 0.0, 0.0, 0.086),
        (0.104, 0.0, 0.0, 0.074),
        (0.116, 0.0, 0.0, 0.066),
    )
    return PlacedLoft(
        Loft("z", sections, smooth=1, sides=24), (0.037, side * 0.05, 0.15), quat
    )


def _cheek(side: int) -> Loft:
    """Returns one of the two plates on both sides of the waist's axis."""
    y = side * 0.074
    sections = (
        (-0.115, -0.012, y, 0.070, 0.013),
        (-0.060, -0.010, y, 0.066, 0.013),
        (-0.010, 0.0, y, 0.062, 0.013),
        (0.030, 0.0, y, 0.052, 0.013),
        (0.052, 0.0, y, 0.028, 0.012),
    )
    return Loft("z", sections, power=3, smooth=1, sides=18)


def _hose(side: int) -> Loft:
    """Returns a cable's cover, from the backpack to the waist's axis."""
    y = side * 0.045
    sections = (
        (0.085, -0.140, y, 0.015),
        (0.040, -0.134, y, 0.014),
        (-0.010, -0.105, y, 0.014),
        (-0.040, -0.060, y, 0.013),
        (-0.045, -0.035, y, 0.012),
    )
    return Loft("z", sections, smooth=2, sides=12)


def _eye(side: int, radius: float, ahead: float) -> Loft:
    """Returns a disc on the visor: a part of the left (1) or the right (-1) eye.

    Args:
        side: 1 or -1.
        radius: the radius of the disc.
        ahead: how far the disc is ahead of the visor.
    """
    return ring(
        "x", FACE_X + ahead, u=side * EYES_Y, v=VISOR_Z, radius=radius, half=0.0012
    )


LIFT: dict[str, tuple[Shape, ...]] = {
    "arm_paint": (
        Loft(  # the column that moves in the base's sleeve
            "z",
            ((-0.51, -0.02, 0, 0.088, 0.083), (-0.112, -0.02, 0, 0.088, 0.083)),
            power=5,
            smooth=0,
            sides=28,
        ),
    ),
    "arm_dark": (
        Loft(  # the plate on the column
            "z",
            (
                (-0.120, -0.02, 0, 0.098, 0.093),
                (-0.108, -0.02, 0, 0.104, 0.100),
                (-0.096, -0.018, 0, 0.100, 0.098),
                (-0.086, -0.015, 0, 0.080, 0.090),
            ),
            power=5,
            smooth=1,
            sides=24,
        ),
        Loft(  # a cable duct at the column's back
            "z",
            ((-0.50, -0.113, 0, 0.012, 0.030), (-0.112, -0.113, 0, 0.012, 0.030)),
            power=5,
            smooth=0,
            sides=16,
        ),
    ),
    "arm_grey": (_cheek(1), _cheek(-1)),
    "arm_black": (
        ring("y", 0.088, u=0.0, v=0.0, radius=0.036),
        ring("y", -0.088, u=0.0, v=0.0, radius=0.036),
    ),
}
WAIST: dict[str, tuple[Shape, ...]] = {
    "arm_dark": (
        # the drum about which it bows, and the soft cover above it
        Loft(
            "y",
            ((-0.061, 0, 0, 0.058), (0.061, 0, 0, 0.058)),
            smooth=0,
            sides=24,
        ),
        Loft(
            "z",
            (
                (0.000, 0.000, 0, 0.055, 0.060),
                (0.040, 0.000, 0, 0.072, 0.070),
                (0.060, 0.000, 0, 0.086, 0.098),
                (0.075, 0.000, 0, 0.090, 0.106),
            ),
            power=2.6,
            smooth=2,
            sides=24,
        ),
        Loft(  # collar below the neck
            "z",
            (
                (0.320, 0.000, 0, 0.066, 0.075),
                (0.345, 0.000, 0, 0.056, 0.060),
                (0.356, 0.000, 0, 0.050, 0.052),
            ),
            power=2.4,
            smooth=1,
            sides=24,
        ),
        _hose(1),
        _hose(-1),
        Loft(  # vents of what it carries on its back
            "x",
            ((-0.195, 0.0, 0.165, 0.052, 0.070), (-0.180, 0.0, 0.165, 0.058, 0.076)),
            power=5,
            smooth=0,
            sides=20,
        ),
    ),
    "arm_white": (
        Loft(  # the chest
            "z",
            (
                (0.056, 0.000, 0, 0.094, 0.112),
                (0.066, 0.002, 0, 0.108, 0.130),
                (0.120, 0.006, 0, 0.118, 0.152),
                (0.190, 0.010, 0, 0.118, 0.162),
                (0.250, 0.008, 0, 0.108, 0.152),
                (0.300, 0.004, 0, 0.088, 0.112),
                (0.332, 0.001, 0, 0.066, 0.076),
            ),
            power=2.8,
            smooth=2,
            sides=28,
        ),
        _cup(1),
        _cup(-1),
    ),
    "arm_grey": (
        Loft(  # computer and battery, on its back
            "x",
            (
                (-0.188, 0.0, 0.165, 0.092, 0.092),
                (-0.176, 0.0, 0.165, 0.108, 0.104),
                (-0.110, 0.0, 0.170, 0.118, 0.110),
                (-0.050, 0.0, 0.180, 0.120, 0.110),
            ),
            power=4.5,
            smooth=1,
            sides=24,
        ),
        # caps of the waist's axis
        ring("y", 0.062, u=0.0, v=0.0, radius=0.045),
        ring("y", -0.062, u=0.0, v=0.0, radius=0.045),
    ),
    "arm_black": (
        Loft(  # the plate on the chest's front
            "x",
            (
                (0.050, 0.0, 0.205, 0.088, 0.060),
                (0.112, 0.0, 0.205, 0.084, 0.056),
                (0.1245, 0.0, 0.205, 0.066, 0.042),
            ),
            power=3.2,
            smooth=1,
            sides=24,
        ),
    ),
    # a lamp on that plate
    "arm_light": (
        Loft(
            "x",
            ((0.1225, 0.0, 0.205, 0.030, 0.0035), (0.1262, 0.0, 0.205, 0.030, 0.0035)),
            power=4,
            smooth=0,
            sides=16,
        ),
    ),
}
NECK: dict[str, tuple[Shape, ...]] = {
    "arm_dark": (
        Loft(
            "z",
            (
                (-0.004, 0, 0, 0.040),
                (0.020, 0, 0, 0.036),
                (0.060, 0.002, 0, 0.033),
                (0.085, 0.005, 0, 0.034),
            ),
            smooth=1,
            sides=20,
        ),
        # the axis about which the head nods
        Loft(
            "y",
            ((-0.050, 0.085, 0.005, 0.026), (0.050, 0.085, 0.005, 0.026)),
            smooth=0,
            sides=18,
        ),
    ),
    "arm_grey": (ring("z", 0.008, radius=0.043, half=0.004),),
}
HEAD: dict[str, tuple[Shape, ...]] = {
    "arm_white": (
        Loft(
            "z",
            (
                (-0.034, 0.000, 0, 0.052, 0.058),
                (-0.024, 0.002, 0, 0.072, 0.076),
                (0.010, 0.004, 0, 0.090, 0.090),
                (0.060, 0.002, 0, 0.098, 0.094),
                (0.105, -0.002, 0, 0.090, 0.086),
                (0.135, -0.006, 0, 0.064, 0.062),
                (0.146, -0.008, 0, 0.030, 0.030),
            ),
            power=2.5,
            smooth=2,
            sides=28,
        ),
    ),
    "arm_black": (
        Loft(  # the visor
            "x",
            (
                (0.030, 0.0, VISOR_Z, 0.086, 0.044),
                (0.074, 0.0, VISOR_Z, 0.083, 0.042),
                (0.095, 0.0, VISOR_Z, 0.072, 0.036),
                (FACE_X, 0.0, VISOR_Z, 0.056, 0.027),
            ),
            power=2.8,
            smooth=1,
            sides=28,
        ),
        # the camera's lens, between the eyes
        ring("x", FACE_X + 0.001, u=0.0, v=VISOR_Z, radius=0.008, half=0.0015),
    ),
    "arm_light": (_eye(1, 0.0135, 0.0), _eye(-1, 0.0135, 0.0)),
    "arm_dark": (_eye(1, 0.0080, 0.0012), _eye(-1, 0.0080, 0.0012)),
    "arm_grey": (
        # ears
        drum("y", start=0.070, end=0.106, u=VISOR_Z, v=-0.004, radius=0.034),
        drum("y", start=-0.070, end=-0.106, u=VISOR_Z, v=-0.004, radius=0.034),
    ),
}
SHELLS: Shells = {"lift": LIFT, "waist": WAIST, "neck": NECK, "head": HEAD}
