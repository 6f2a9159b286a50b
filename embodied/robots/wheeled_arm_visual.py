"""The visual geoms of the wheeled arm, apart from its arm.

They are a rounded white housing on mecanum wheels, a lift column, and a head on a mast.
All lengths are in metres. The origin of the body `base` is on the floor below the
mount, and that of `lift` is the mount.

Sections of a `Loft` are rows of (t, u, v, radius) or (t, u, v, radius_u, radius_v):
position along its axis, centre and half widths across it.
"""

from __future__ import annotations

from itertools import product

import mujoco
import numpy as np

from embodied.robots.arm_visual import Materials, Shells
from embodied.robots.shells import Loft, PlacedLoft, Shape

MIDDLE_X = -0.08  # middle of the housing
HALF_LENGTH = 0.37
HALF_WIDTH = 0.26
DECK_Z = 0.33
WHEEL_RADIUS = 0.0762
WHEEL_HALF_WIDTH = 0.025
WHEELS = tuple((MIDDLE_X + x, y) for x, y in product((0.244, -0.244), (0.226, -0.226)))
ROLLERS = 9
ROLLER_RADIUS = 0.0155
ROLLER_HALF_LENGTH = 0.029
# Mast and head ride on the lift, to the left of the arm: seen from behind the arm,
# elbow and forearm would hide the hand. The mast keeps out of the ball of 0.387 m about
# the shoulder in which the elbow moves.
MAST = (-0.385, 0.19)  # x, y in the lift's frame
HEAD_POS = (-0.21, 0.26, 0.75)  # in the lift's frame
HEAD_YAW = -0.40  # rad to the left
HEAD_PITCH = 0.72  # rad below the horizon
EYES_M = 0.075  # to either side of the head's middle; the left one is the camera
FACE_M = 0.046  # ahead of the head's middle
# In addition to those of the arm: name -> (rgb, specular, shininess, emission).
MATERIALS: Materials = {
    "arm_red": ((0.80, 0.08, 0.06), 0.4, 0.5, 0.0),
    "arm_tyre": ((0.10, 0.10, 0.11), 0.05, 0.1, 0.0),
    "arm_rubber": ((0.16, 0.16, 0.17), 0.05, 0.1, 0.0),
}


def head_axes() -> np.ndarray:
    """Returns the head's axes in the lift's frame as the columns of a matrix (3, 3).

    They point to its right, up, and away from where it looks.
    """
    cos_yaw, cos_pitch = np.cos((HEAD_YAW, HEAD_PITCH))
    sin_yaw, sin_pitch = np.sin((HEAD_YAW, HEAD_PITCH))
    view = np.array([cos_pitch * cos_yaw, cos_pitch * sin_yaw, -sin_pitch])
    right = np.array([sin_yaw, -cos_yaw, 0.0])
    return np.stack([right, np.cross(right, view), -view], axis=1)


def quat_of_axes(axes: np.ndarray) -> tuple[float, ...]:
    """Returns the quaternion wxyz of a rotation matrix (3, 3)."""
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, axes.ravel())
    return tuple(quat.tolist())


def on_head(right: float, up: float, ahead: float) -> tuple[float, ...]:
    """Returns a point (3,) in the lift's frame, from metres along the head's axes."""
    return tuple((np.asarray(HEAD_POS) + head_axes() @ (right, up, -ahead)).tolist())


def _slab(z: tuple[float, ...], inset: tuple[float, ...]) -> Loft:
    """Returns a layer of the housing.

    Args:
        z: heights of the layer's sections.
        inset: how far each section lies within the housing's outline, on all sides.
    """
    sections = tuple(
        (height, MIDDLE_X, 0.0, HALF_LENGTH - inwards, HALF_WIDTH - inwards)
        for height, inwards in zip(z, inset, strict=True)
    )
    return Loft("z", sections, power=7, smooth=1, sides=32)


def _bumper(sign: int) -> Loft:
    """Returns the bumper at the front (sign 1) or at the back (-1)."""
    half_x = 0.029
    half_y = HALF_WIDTH - 0.004
    x = MIDDLE_X + sign * (HALF_LENGTH - half_x)
    sections = (
        (0.045, x, 0.0, half_x - 0.012, half_y - 0.012),
        (0.058, x, 0.0, half_x - 0.003, half_y - 0.003),
        (0.115, x, 0.0, half_x, half_y),
        (0.150, x, 0.0, half_x, half_y),
    )
    return Loft("z", sections, power=6, smooth=0, sides=20)


def _hub(x: float, y: float) -> Loft:
    """Returns the hub of the wheel at (x, y), dished on the side away from the base."""
    # (metres outwards from the wheel's middle, radius)
    side = float(np.sign(y))
    half = WHEEL_HALF_WIDTH
    profile = (
        (-half, 0.050),
        (half - 0.004, 0.050),
        (half, 0.045),
        (half - 0.006, 0.030),
        (half + 0.004, 0.022),
    )
    # along y, a section's centre is (z, x)
    return Loft(
        "y",
        tuple((y + side * t, WHEEL_RADIUS, x, radius) for t, radius in profile),
        smooth=0,
        sides=16,
    )


def _tyre(x: float, y: float) -> Loft:
    """Returns a simple surface in place of the rollers of the wheel at (x, y).

    It is a little smaller than the wheel, so that the rollers stand out from it.
    """
    half = WHEEL_HALF_WIDTH - 0.006
    radius = WHEEL_RADIUS - 0.005
    # along y, a section's centre is (z, x)
    sections = (
        (y - half, WHEEL_RADIUS, x, radius),
        (y + half, WHEEL_RADIUS, x, radius),
    )
    return Loft("y", sections, smooth=0, sides=16)


def _rollers(x: float, y: float) -> tuple[PlacedLoft, ...]:
    """Returns barrels at 45 degrees around the mecanum wheel at (x, y).

    Seen from above, the lowest rollers of the four wheels form an X.
    """
    sections = (
        (-ROLLER_HALF_LENGTH, 0, 0, 0.010),
        (0, 0, 0, ROLLER_RADIUS),
        (ROLLER_HALF_LENGTH, 0, 0, 0.010),
    )
    barrel = Loft("z", sections, smooth=0, sides=9)

    # A barrel's axis is the sum of the rim's tangent and the axle's direction. The latter
    # has opposite signs in neighbouring wheels.
    orbit_radius = WHEEL_RADIUS - ROLLER_RADIUS
    axle_sign = float(np.sign((x - MIDDLE_X) * y))
    rollers = []
    for angle in np.arange(ROLLERS) * 2 * np.pi / ROLLERS:
        cos = float(np.cos(angle))
        sin = float(np.sin(angle))
        quat = np.zeros(4)
        mujoco.mju_quatZ2Vec(quat, np.array([-sin, axle_sign, cos]))
        middle = (x + orbit_radius * cos, y, WHEEL_RADIUS + orbit_radius * sin)
        rollers.append(PlacedLoft(barrel, middle, tuple(quat.tolist())))
    return tuple(rollers)


def _on_face(
    profile: tuple[tuple[float, ...], ...],
    right: float = 0.0,
    up: float = 0.0,
    power: float = 2.0,
) -> PlacedLoft:
    """Returns a part of the head.

    Args:
        profile: the part's sections, each (metres ahead of the head's middle, half width,
            half height).
        right: metres right of the head's middle.
        up: metres above the head's middle.
        power: exponent of the superelliptic sections.
    """
    sections = tuple(
        (ahead, 0.0, 0.0, half_width, half_height)
        for ahead, half_width, half_height in profile
    )
    # two sections are a plain disc or block, which has no corners to cut
    smooth = 1 if len(profile) > 2 else 0
    # the loft's x points right, its y down, and its z ahead
    axes = head_axes() @ np.diag([1.0, -1.0, -1.0])
    return PlacedLoft(
        Loft("z", sections, power=power, smooth=smooth, sides=20),
        on_head(right, up, 0.0),
        quat_of_axes(axes),
    )


def _disc(ahead: float, radius: float, right: float) -> PlacedLoft:
    """Returns a disc on the face, whose front is `ahead` of the head's middle."""
    return _on_face(((0.030, radius, radius), (ahead, radius, radius)), right)


def _beam(start: tuple[float, ...], end: tuple[float, ...]) -> PlacedLoft:
    """Returns a flat bar between two points (3,) of the same height."""
    start_to_end = np.subtract(end, start)
    length = float(np.linalg.norm(start_to_end))
    along = start_to_end / length
    up = (0.0, 0.0, 1.0)
    # the loft's x points up, and its z along the bar
    axes = np.stack([up, np.cross(along, up), along], axis=1)
    # (metres along the bar, its middle, half height, half width)
    sections = (
        (0.0, 0, 0, 0.014, 0.060),
        (length / 2, 0, 0, 0.013, 0.042),
        (length, 0, 0, 0.012, 0.038),
    )
    return PlacedLoft(
        Loft("z", sections, power=4, smooth=1, sides=16), start, quat_of_axes(axes)
    )


def _collar(height: float, half_x: float, half_y: float) -> Loft:
    """Returns a flat ring around the mast, 8 mm high, at a height above the mount."""
    mast_x, mast_y = MAST
    ends = (height - 0.004, height + 0.004)
    return Loft(
        "z",
        tuple((z, mast_x, mast_y, half_x, half_y) for z in ends),
        power=2.6,
        smooth=0,
        sides=18,
    )


BASE: dict[str, tuple[Shape, ...]] = {
    "arm_white": (
        _slab((0.118, 0.128, 0.165), (0.010, 0.002, 0.0)),
        _slab((0.195, 0.27, 0.31, 0.326, DECK_Z), (0.0, 0.0, 0.006, 0.022, 0.045)),
    ),
    # the laser scanners' window, all around
    "arm_black": (_slab((0.163, 0.197), (0.007, 0.007)),),
    "arm_dark": (
        Loft(
            "z",
            tuple(
                (z, MIDDLE_X, 0, 0.345 - inset, 0.185 - inset)
                for z, inset in ((0.036, 0.015), (0.050, 0.0), (0.130, 0.0))
            ),
            power=7,
            smooth=1,
            sides=24,
        ),
        _bumper(1),
        _bumper(-1),
        _slab((DECK_Z, DECK_Z + 0.005, DECK_Z + 0.006), (0.050, 0.050, 0.054)),
    ),
    "arm_grey": (
        *(_hub(x, y) for x, y in WHEELS),
        Loft(  # the lift's sleeve
            "z",
            (
                (DECK_Z, -0.02, 0, 0.135, 0.130),
                (DECK_Z + 0.018, -0.02, 0, 0.132, 0.127),
                (DECK_Z + 0.030, -0.02, 0, 0.108, 0.103),
                (0.490, -0.02, 0, 0.104, 0.099),
                (0.500, -0.02, 0, 0.098, 0.093),
            ),
            power=5,
            smooth=1,
            sides=20,
        ),
    ),
    "arm_tyre": tuple(_tyre(x, y) for x, y in WHEELS),
    # a strip of light, all around
    "arm_light": (_slab((0.2885, 0.2955), (0.0008, 0.0008)),),
    "arm_red": (
        Loft(  # a knob on the deck
            "z",
            (
                (DECK_Z + 0.02, -0.34, -0.17, 0.018),
                (DECK_Z + 0.04, -0.34, -0.17, 0.018),
            ),
            smooth=1,
        ),
    ),
}
LIFT: dict[str, tuple[Shape, ...]] = {
    "arm_paint": (
        Loft(  # the column that moves in the sleeve
            "z",
            ((-0.48, -0.02, 0, 0.088, 0.083), (-0.030, -0.02, 0, 0.088, 0.083)),
            power=5,
            smooth=0,
            sides=28,
        ),
    ),
    "arm_dark": (
        Loft(  # the plate that carries the arm, on the column
            "z",
            (
                (-0.060, -0.02, 0, 0.090, 0.085),
                (-0.034, -0.03, 0, 0.140, 0.120),
                (-0.028, -0.03, 0, 0.145, 0.125),
                (0.000, -0.03, 0, 0.145, 0.125),
            ),
            power=8,
            smooth=0,
            sides=28,
        ),
        # from there to the mast
        _beam((-0.12, 0.07, -0.016), (MAST[0], MAST[1], -0.016)),
        _collar(0.035, 0.0345, 0.0365),
        _collar(0.43, 0.0295, 0.0325),
    ),
    "arm_white": (
        Loft(  # the mast, which bends forward to the head
            "z",
            (
                (-0.040, *MAST, 0.036, 0.040),
                (-0.030, *MAST, 0.044, 0.048),
                (0.004, *MAST, 0.044, 0.048),
                (0.030, *MAST, 0.034, 0.036),
                (0.100, *MAST, 0.031, 0.034),
                (0.430, *MAST, 0.028, 0.031),
                (0.550, MAST[0] + 0.010, MAST[1] + 0.004, 0.029, 0.031),
                (0.640, MAST[0] + 0.050, MAST[1] + 0.018, 0.034, 0.032),
                (0.695, MAST[0] + 0.095, MAST[1] + 0.035, 0.040, 0.034),
                (0.735, MAST[0] + 0.145, MAST[1] + 0.055, 0.046, 0.036),
            ),
            power=2.6,
            smooth=1,
            sides=16,
        ),
        _on_face(  # the head's shell
            (
                (-0.058, 0.075, 0.030),
                (-0.044, 0.115, 0.048),
                (0.0, 0.135, 0.056),
                (0.044, 0.132, 0.054),
            ),
            power=3.2,
        ),
    ),
    "arm_black": (
        _on_face(((0.030, 0.126, 0.049), (FACE_M, 0.126, 0.049)), power=4),
        # two eyes, and a smaller one between them
        *(
            _disc(0.050, radius, right)
            for radius, right in ((0.019, EYES_M), (0.019, -EYES_M), (0.012, 0.0))
        ),
    ),
    # rings around the eyes
    "arm_grey": tuple(_disc(0.0475, 0.024, right) for right in (EYES_M, -EYES_M)),
    "arm_light": (
        _on_face(((0.030, 0.030, 0.0035), (0.0475, 0.030, 0.0035)), 0.0, -0.033, 4),
    ),
}
DECOR: Shells = {
    "base": {
        "arm_rubber": tuple(roller for x, y in WHEELS for roller in _rollers(x, y))
    }
}
