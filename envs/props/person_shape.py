"""The look of a walking person: limbs of clothes and skin, and the poses of a stride.

The person is 1.80 m tall with the helmet, looks along +x, and stands on the floor at the
frame's origin. The lengths are those of a man of median size (1.75 m) in R. Drillis and
R. Contini, "Body Segment Parameters" (1966): shoulders 0.82, hips 0.52 and knees 0.28 of
the height, upper arm 0.19 and forearm 0.15 of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.envs.props.shapes import (
    COLLISION_GROUP,
    Mesh,
    Vector,
    join_meshes,
    make_visual,
    touched_by_robots_only,
)
from embodied.robots.shells import Loft, PlacedLoft, Shape

HIP_Z_M = 0.91
SHOULDER_Z_M = 1.41
THIGH_M = 0.43
SHIN_M = 0.40
FOOT_M = 0.08  # height of the ankle above the sole
UPPER_ARM_M = 0.30
# Length of a stride, that is of two steps, in normal walking.
STRIDE_M = 1.40
# The table of poses has AMPLITUDES sizes of the steps, from standing to full steps, and
# PHASES phases of the stride for each of them.
PHASES = 32
AMPLITUDES = 5
# The parts of a person whose colours may differ between worlds.
DYED = ("vest", "trousers", "helmet", "skin")
# Part -> colour, the same in all worlds.
FIXED_COLOURS = {
    "stripe": (0.88, 0.90, 0.86, 1.0),
    "sleeve": (0.13, 0.18, 0.30, 1.0),
    "shoe": (0.10, 0.09, 0.08, 1.0),
    "glasses": (0.08, 0.10, 0.12, 1.0),
}
SIDES = {"left": 1.0, "right": -1.0}  # side -> sign of y
# Distances of the hip joints and of the shoulder joints from the body's middle.
HIPS_Y_M = 0.095
SHOULDERS_Y_M = 0.215


@dataclass(frozen=True)
class Limb:
    """A limb, which turns about the y axis through the joint with its parent."""

    name: str
    parent: str  # the name of another limb, or "" for the trunk
    pos: tuple[float, float, float]  # m, position of the joint in the parent's frame


def limbs() -> tuple[Limb, ...]:
    """Returns the eight limbs; parents come before their children."""
    limbs = []
    for side, sign in SIDES.items():
        hip = (0.0, sign * HIPS_Y_M, HIP_Z_M)
        shoulder = (0.0, sign * SHOULDERS_Y_M, SHOULDER_Z_M)
        limbs += [
            Limb(f"{side}_thigh", "", hip),
            Limb(f"{side}_shin", f"{side}_thigh", (0.0, 0.0, -THIGH_M)),
            Limb(f"{side}_arm", "", shoulder),
            Limb(f"{side}_forearm", f"{side}_arm", (0.0, 0.0, -UPPER_ARM_M)),
        ]
    return tuple(limbs)


def stride_poses() -> tuple[np.ndarray, np.ndarray]:
    """Returns a table of the poses of a walking person.

    The pose of an amplitude (the size of the steps) and a phase of the stride is in row
    `amplitude * PHASES + phase`; amplitude 0 is standing.

    Returns:
        (rows, 9, 4) wxyz, the rotations of the trunk, which stays upright, and of the
        limbs relative to their parents; and (rows,) m, how much lower the trunk is than
        with straight legs, so that the lower foot stands on the floor.
    """
    phase = 2 * np.pi * np.arange(PHASES) / PHASES  # (P,) rad
    # (A, 1) the size of the steps as a share of full steps
    share = np.arange(AMPLITUDES)[:, None] / (AMPLITUDES - 1)
    # Joint angles by limb, (A, P) rad about y, positive to the back. The factors are
    # amplitudes of full steps, chosen to look like a person's gait.
    angles = {}
    for side, sign in SIDES.items():
        # legs swing in opposite phase, and an arm swings with the leg of the other side
        swing = sign * np.sin(phase)[None, :]
        # the knee bends while the leg swings forwards
        lifting = np.maximum(0.0, sign * np.cos(phase))[None, :] ** 1.5
        angles[f"{side}_thigh"] = -share * (0.40 * swing + 0.14 * lifting)
        angles[f"{side}_shin"] = 0.03 + share * (0.05 + 0.85 * lifting)
        angles[f"{side}_arm"] = share * (0.38 * swing + 0.02)
        angles[f"{side}_forearm"] = -0.15 - share * (0.25 - 0.15 * swing)

    # how far the trunk must sink: the height of the lower sole above the floor with the
    # hips at HIP_Z_M
    sinking = np.full((AMPLITUDES, PHASES), np.inf)
    for side in SIDES:
        thigh = angles[f"{side}_thigh"]
        shin = thigh + angles[f"{side}_shin"]
        sole_z = HIP_Z_M - THIGH_M * np.cos(thigh) - SHIN_M * np.cos(shin) - FOOT_M
        sinking = np.minimum(sinking, sole_z)

    # quaternions of rotations about y, of the trunk, whose angle is 0, and of the 8 limbs
    bodies = [np.zeros_like(sinking), *(angles[limb.name] for limb in limbs())]
    half = np.stack(bodies, axis=-1) / 2  # (A, P, 9)
    zero = np.zeros_like(half)
    quats = np.stack([np.cos(half), zero, np.sin(half), zero], axis=-1)
    return quats.reshape(-1, len(bodies), 4), sinking.ravel()


def add_person_shape(spec: mujoco.MjSpec, name: str) -> mujoco.MjsBody:
    """Adds a person as a mocap body `name`, and its limbs as bodies `<name>_<limb>`.

    Visual geoms are called `<name>_<part>_<k>`, where the part is one of DYED or of
    FIXED_COLOURS. Robots collide only with three invisible capsules on the body itself:
    around the legs, around trunk and arms, and around the head.
    """
    body = spec.worldbody.add_body(name=name, mocap=True)
    _add_touchable(body, (0, 0, 0.22), (0, 0, 0.80), radius_m=0.20)
    _add_touchable(body, (0, 0, 0.95), (0, 0, 1.28), radius_m=0.25)
    _add_touchable(body, (0, 0, 1.62), (0, 0, 1.66), radius_m=0.12)

    # name of a limb, or "" for the trunk -> its body
    bodies = {"": body}
    for limb in limbs():
        bodies[limb.name] = bodies[limb.parent].add_body(
            name=f"{name}_{limb.name}", pos=limb.pos
        )
    # the visual geoms; the geoms of a part are numbered across all limbs
    counts = dict.fromkeys((*DYED, *FIXED_COLOURS), 0)
    for limb_name, parts in _shapes().items():
        for part, shapes in parts.items():
            geom = bodies[limb_name].add_geom(
                name=f"{name}_{part}_{counts[part]}",
                type=mujoco.mjtGeom.mjGEOM_MESH,
                meshname=_add_mesh_once(spec, f"person_{limb_name}_{part}", shapes),
                mass=0,
            )
            make_visual(geom)
            # worlds colour the parts in DYED, which are grey until then
            geom.rgba = list(FIXED_COLOURS.get(part, (0.6, 0.6, 0.6, 1.0)))
            counts[part] += 1
    return body


def _add_touchable(
    body: mujoco.MjsBody, start: Vector, end: Vector, radius_m: float
) -> None:
    """Adds a capsule between two points (3,) m, that only robots touch.

    Cameras do not draw it.

    Args:
        body: the person's body.
        start: (3,) m, the middle of one end's half sphere.
        end: (3,) m, the middle of the other end's half sphere.
        radius_m: the capsule's radius.
    """
    geom = body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        fromto=[*start, *end],
        size=[radius_m, 0, 0],
        mass=0,
        group=COLLISION_GROUP,
    )
    touched_by_robots_only(geom)


def _add_mesh_once(spec: mujoco.MjSpec, name: str, shapes: tuple[Shape, ...]) -> str:
    """Adds a mesh of some shapes, unless an earlier person has it; returns its name."""
    if spec.mesh(name) is not None:
        return name
    vertices, faces = _joined(shapes)
    mesh = spec.add_mesh(name=name, uservert=vertices.ravel(), userface=faces.ravel())
    mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
    return name


def _joined(shapes: tuple[Shape, ...]) -> Mesh:
    return join_meshes([shape.mesh() for shape in shapes])


def _shapes() -> dict[str, dict[str, tuple[Shape, ...]]]:
    """Returns the visual shapes of a person, in the frames of limbs: limb -> part -> shapes.

    The limb "" is the trunk. A part is one of DYED or of FIXED_COLOURS. The numbers here
    and in the functions below are sections of lofts. For a loft along z they are
    (z, centre x, centre y, half x, half y) in m, or (z, centre x, centre y, radius).
    """
    shapes = {"": _trunk()}
    for side, sign in SIDES.items():
        # the leg
        shapes[f"{side}_thigh"] = {
            "trousers": (_tapered(0.06, -THIGH_M - 0.02, 0.088, 0.062),)
        }
        shapes[f"{side}_shin"] = {
            "trousers": (_tapered(0.02, -SHIN_M, 0.062, 0.052),),
            "shoe": (_shoe(),),
        }

        # the arm, and its hand with the fingers together
        shapes[f"{side}_arm"] = {
            "sleeve": (_tapered(0.062, -UPPER_ARM_M - 0.02, 0.062, 0.045),)
        }
        hand = Loft(
            "z",
            (
                (-0.235, 0, 0, 0.026, 0.017),
                (-0.27, 0.006, 0, 0.036, 0.021),
                (-0.33, 0.008, -sign * 0.004, 0.036, 0.020),
                (-0.40, 0.010, -sign * 0.010, 0.020, 0.012),
            ),
            sides=10,
        )
        shapes[f"{side}_forearm"] = {
            "sleeve": (_tapered(0.02, -0.25, 0.046, 0.034),),
            "skin": (hand,),
        }

    return shapes


def _trunk() -> dict[str, tuple[Shape, ...]]:
    """Returns the shapes of pelvis, chest and head, by part.

    Lofts are given by their sections: (z, centre x, centre y, half x, half y), m.
    """
    pelvis = Loft(
        "z",
        (
            (0.82, 0, 0, 0.085, 0.120),
            (0.88, -0.01, 0, 0.118, 0.172),
            (1.00, -0.01, 0, 0.110, 0.162),
        ),
    )
    vest_sections = (
        (0.94, -0.005, 0, 0.122, 0.176),
        (1.08, 0.0, 0, 0.112, 0.166),
        (1.26, 0.0, 0, 0.128, 0.196),
        (1.38, -0.005, 0, 0.116, 0.212),
        (1.45, -0.01, 0, 0.086, 0.178),
        (1.49, -0.01, 0, 0.058, 0.066),
    )
    # two reflecting stripes around the vest, 5 cm high: lower edge, half x and half y
    stripes = [
        Loft("z", tuple((z, -0.002, 0, x, y) for z in (low, low + 0.05)), smooth=0)
        for low, x, y in ((1.03, 0.120, 0.174), (1.19, 0.125, 0.190))
    ]
    # reflecting bands that run up to both shoulders, in front and at the back; points
    # (z, x) along each
    front_band = ((1.24, 0.110), (1.36, 0.105), (1.44, 0.066))
    back_band = ((1.24, -0.112), (1.36, -0.112), (1.44, -0.080))
    bands: list[Shape] = [
        Loft("z", tuple((z, x, sign * 0.10, 0.010, 0.022) for z, x in points), smooth=0)
        for sign in (-1, 1)
        for points in (front_band, back_band)
    ]
    return {
        "trousers": (pelvis,),
        "vest": (Loft("z", vest_sections),),
        "stripe": (*stripes, *bands),
        **_head(),
    }


def _head() -> dict[str, tuple[Shape, ...]]:
    """Returns the shapes of neck, head, helmet and glasses, by part.

    Lofts along z are given by sections (z, centre x, centre y, half x, half y) or (z,
    centre x, centre y, radius), m; the loft along x by (x, centre y, centre z, half y,
    half z).
    """
    # neck, head and nose
    neck = Loft("z", ((1.44, -0.01, 0, 0.055), (1.57, 0.005, 0, 0.052)), smooth=0)
    head = Loft(
        "z",
        (
            (1.515, 0.030, 0, 0.030, 0.030),
            (1.545, 0.022, 0, 0.068, 0.056),
            (1.62, 0.008, 0, 0.096, 0.076),
            (1.70, 0.0, 0, 0.098, 0.080),
            (1.75, 0.0, 0, 0.050, 0.045),
        ),
    )
    nose = Loft(
        "z", ((1.585, 0.100, 0, 0.020, 0.015), (1.64, 0.092, 0, 0.008)), smooth=0
    )

    # the helmet, with a brim and a ridge from front to back
    helmet = Loft(
        "z",
        (
            (1.675, -0.002, 0, 0.118, 0.100),
            (1.715, -0.002, 0, 0.118, 0.100),
            (1.775, -0.004, 0, 0.098, 0.082),
            (1.802, -0.004, 0, 0.040, 0.035),
        ),
    )
    brim = Loft(
        "z",
        ((1.674, 0.022, 0, 0.142, 0.104), (1.684, 0.022, 0, 0.138, 0.102)),
        smooth=0,
    )
    ridge = Loft(
        "x",
        ((-0.09, 0, 1.765, 0.015, 0.028), (0.085, 0, 1.765, 0.015, 0.028)),
        smooth=0,
    )

    # the glasses, a band that stands out at the front of the head
    glasses = Loft(
        "z",
        ((1.632, 0.030, 0, 0.078, 0.070), (1.660, 0.030, 0, 0.076, 0.072)),
        smooth=0,
    )

    return {
        "skin": (neck, head, nose),
        "helmet": (helmet, brim, ridge),
        "glasses": (glasses,),
    }


def _tapered(
    top: float, bottom: float, top_radius: float, bottom_radius: float
) -> Loft:
    """Returns a limb along z with round ends.

    Args:
        top: height of the upper end, m.
        bottom: height of the lower end, m.
        top_radius: radius near the upper end, m.
        bottom_radius: radius near the lower end, m.
    """
    # (z, centre x, centre y, radius) of each section; smaller radii round the ends
    sections = (
        (bottom, 0, 0, 0.6 * bottom_radius),
        (bottom + 0.02, 0, 0, bottom_radius),
        (top - 0.07, 0, 0, top_radius),
        (top - 0.02, 0, 0, 0.85 * top_radius),
        (top, 0, 0, 0.3 * top_radius),
    )
    return Loft("z", sections, smooth=1, sides=12)


def _shoe() -> PlacedLoft:
    """Returns a shoe, in the frame of the shin that carries it."""
    sections = (
        (-0.085, 0, 0.045, 0.030, 0.040),
        (-0.060, 0, 0.050, 0.040, 0.048),
        (0.06, 0, 0.045, 0.042, 0.042),
        (0.15, 0, 0.032, 0.044, 0.030),
        (0.185, 0, 0.026, 0.026, 0.020),
    )
    loft = Loft("x", sections, power=3, smooth=1, sides=12)
    return PlacedLoft(loft, (0, 0, -SHIN_M - FOOT_M), (1, 0, 0, 0))
