"""The arm's visual geoms: white shells over its joints, dark seams, a black hand.

Lengths are in metres, each part in its link's own frame. Proportions are after the
silhouette of the Franka Research 3, whose joint drums are 110 mm in diameter.

Sections of a `Loft` are rows of (t, u, v, radius) or (t, u, v, radius_u, radius_v):
position along its axis, centre and half widths across it.
"""

from __future__ import annotations

from collections.abc import Mapping

import mujoco

from embodied.robots.shells import VISUAL_GROUP, Loft, Shape, add_shell

Materials = Mapping[str, tuple[tuple[float, float, float], float, float, float]]
# name -> (rgb, specular, shininess, emission), as in MuJoCo
MATERIALS: Materials = {
    "arm_white": ((0.93, 0.93, 0.92), 0.45, 0.6, 0.0),
    "arm_grey": ((0.62, 0.64, 0.66), 0.4, 0.5, 0.0),
    "arm_dark": ((0.17, 0.18, 0.20), 0.3, 0.4, 0.0),
    "arm_black": ((0.07, 0.07, 0.08), 0.5, 0.6, 0.0),
    "arm_pad": ((0.12, 0.12, 0.13), 0.05, 0.1, 0.0),
    "arm_light": ((0.10, 0.75, 0.95), 0.2, 0.3, 0.6),
    "arm_paint": ((0.16, 0.30, 0.40), 0.35, 0.5, 0.0),
}


# All lengths below are in metres.
def ring(
    axis: str,
    t: float,
    u: float = 0.0,
    v: float = 0.0,
    radius: float = 0.0558,
    half: float = 0.003,
) -> Loft:
    """Returns a seam or a lens: a flat disc or band.

    Args:
        axis: "x", "y" or "z", along which it is thin.
        t: centre along the axis.
        u: centre along the next axis (x, y, z, x, ...).
        v: centre along the axis after that.
        radius: radius of the disc; by default slightly more than that of a `drum`, so
            that a seam stands out.
        half: half of its thickness.
    """
    return Loft(axis, ((t - half, u, v, radius), (t + half, u, v, radius)), smooth=0)


def drum(
    axis: str,
    start: float,
    end: float,
    u: float = 0.0,
    v: float = 0.0,
    radius: float = 0.055,
) -> Loft:
    """Returns a joint's housing: a cylinder, flat at `start` and domed at `end`.

    Args:
        axis: "x", "y" or "z", along which it lies.
        start: position of its flat end on the axis.
        end: position of its domed end on the axis.
        u: centre along the next axis (x, y, z, x, ...).
        v: centre along the axis after that.
        radius: radius of the cylinder.
    """
    # straight, then rounded off over the last 20 mm, which are 5 steps of 4 mm; sections
    # are (position on the axis, u, v, radius)
    step = 0.004 if end > start else -0.004
    sections = (
        (start, u, v, radius),
        (end - 5 * step, u, v, 1.0 * radius),
        (end - step, u, v, 0.92 * radius),
        (end, u, v, 0.55 * radius),
    )
    return Loft(axis, sections, smooth=1)


Shells = Mapping[str, Mapping[str, tuple[Shape, ...]]]  # body -> material -> parts
STAND: Shells = {
    "stand": {
        "arm_paint": (
            Loft(  # the column
                "z",
                ((-0.70, -0.02, 0, 0.085), (-0.03, -0.02, 0, 0.085)),
                power=6,
                smooth=0,
                sides=24,
            ),
            Loft(  # its foot
                "z",
                (
                    (-0.72, -0.02, 0, 0.21),
                    (-0.704, -0.02, 0, 0.21),
                    (-0.70, -0.02, 0, 0.205),
                ),
                power=8,
                smooth=0,
                sides=24,
            ),
        ),
        "arm_dark": (
            Loft(  # the plate that the arm is bolted onto
                "z",
                ((-0.03, -0.03, 0, 0.145, 0.125), (0, -0.03, 0, 0.145, 0.125)),
                power=8,
                smooth=0,
                sides=24,
            ),
        ),
    },
}
FINGER: Mapping[str, tuple[Loft, ...]] = {
    "arm_grey": (
        Loft(
            "z",
            (
                (0.000, 0, 0.0170, 0.0105, 0.0100),
                (0.017, 0, 0.0180, 0.0105, 0.0095),
                (0.030, 0, 0.0130, 0.0100, 0.0060),
                (0.062, 0, 0.0110, 0.0095, 0.0050),
                (0.0655, 0, 0.0090, 0.0085, 0.0040),
            ),
            power=5,
            smooth=1,
        ),
    ),
}
ARM_SHELLS: Shells = {
    "link0": {
        "arm_white": (
            Loft(
                "z",
                (
                    (0.000, -0.042, 0, 0.112, 0.094),
                    (0.012, -0.042, 0, 0.112, 0.094),
                    (0.045, -0.028, 0, 0.094, 0.078),
                    (0.110, 0.000, 0, 0.058, 0.058),
                    (0.132, 0.000, 0, 0.055, 0.055),
                ),
                power=2.5,
                sides=24,
            ),
        ),
        "arm_light": (ring("z", 0.1345, radius=0.0565, half=0.0035),),
    },
    "link1": {
        "arm_white": (
            Loft(
                "z",
                (
                    (-0.190, 0, 0.000, 0.055, 0.055),
                    (-0.130, 0, 0.000, 0.055, 0.055),
                    (-0.095, 0, -0.010, 0.055, 0.051),
                    (-0.060, 0, -0.056, 0.055, 0.052),
                    (-0.020, 0, -0.064, 0.054, 0.060),
                    (0.000, 0, -0.064, 0.050, 0.050),
                ),
            ),
            drum("y", start=-0.002, end=-0.129),
        ),
        "arm_dark": (ring("z", -0.193), ring("y", -0.1285, radius=0.036, half=0.0012)),
    },
    "link2": {
        "arm_white": (
            Loft(
                "y",
                (
                    (-0.193, 0.000, 0, 0.055, 0.055),
                    (-0.130, 0.000, 0, 0.055, 0.055),
                    (-0.095, 0.010, 0, 0.051, 0.055),
                    (-0.060, 0.056, 0, 0.052, 0.055),
                    (-0.020, 0.064, 0, 0.060, 0.054),
                    (0.000, 0.064, 0, 0.050, 0.050),
                ),
            ),
            drum("z", start=0.002, end=0.129),
        ),
        "arm_dark": (ring("z", 0.0), ring("z", 0.1285, radius=0.036, half=0.0012)),
    },
    "link3": {
        "arm_white": (
            Loft(
                "z",
                (
                    (-0.119, 0.000, 0.000, 0.055, 0.055),
                    (-0.085, 0.000, 0.000, 0.055, 0.055),
                    (-0.055, 0.012, 0.008, 0.055, 0.050),
                    (-0.035, 0.055, 0.045, 0.052, 0.046),
                    (0.000, 0.0825, 0.056, 0.050, 0.050),
                ),
            ),
            drum("y", start=0.002, end=0.111, u=0.0, v=0.0825),
        ),
        "arm_dark": (
            ring("z", -0.122),
            ring("y", 0.1105, u=0.0, v=0.0825, radius=0.036, half=0.0012),
        ),
    },
    "link4": {
        "arm_white": (
            Loft(
                "y",
                (
                    (0.122, 0.000, -0.0825, 0.055, 0.055),
                    (0.087, 0.000, -0.0825, 0.055, 0.055),
                    (0.057, 0.008, -0.0705, 0.050, 0.055),
                    (0.037, 0.045, -0.0275, 0.046, 0.052),
                    (0.000, 0.056, 0.0000, 0.050, 0.050),
                ),
            ),
            drum("z", start=0.002, end=0.111),
        ),
        "arm_dark": (ring("z", 0.0), ring("z", 0.1105, radius=0.036, half=0.0012)),
    },
    "link5": {
        "arm_white": (
            Loft(
                "z",
                (
                    (-0.257, 0, 0.000, 0.055, 0.055),
                    (-0.222, 0, 0.000, 0.055, 0.055),
                    (-0.175, 0, 0.022, 0.052, 0.050),
                    (-0.130, 0, 0.062, 0.041, 0.036),
                    (-0.080, 0, 0.084, 0.034, 0.030),
                    (-0.030, 0, 0.087, 0.041, 0.033),
                    (0.000, 0, 0.0875, 0.046, 0.036),
                ),
            ),
            drum("y", start=0.047, end=0.129, radius=0.052),
        ),
        "arm_dark": (ring("z", -0.260), ring("y", 0.1285, radius=0.034, half=0.0012)),
    },
    "link6": {
        "arm_white": (
            drum("z", start=-0.042, end=0.056, radius=0.050),
            drum("y", start=-0.050, end=0.082, u=0.0, v=0.088, radius=0.045),
            Loft(
                "x",
                (
                    (0, 0, 0.004, 0.049, 0.044),
                    (0.05, 0.012, 0, 0.044, 0.040),
                    (0.088, 0.018, 0, 0.044, 0.042),
                ),
            ),
        ),
        "arm_dark": (
            ring("z", -0.0445, radius=0.0505),
            ring("z", 0.0555, radius=0.032, half=0.0012),
        ),
    },
    "link7": {
        "arm_white": (
            Loft("z", ((0.056, 0, 0, 0.045), (0.088, 0, 0, 0.045)), smooth=0),
        ),
        "arm_dark": (ring("z", 0.0535, radius=0.0456),),
        "arm_black": (
            Loft(
                "z",
                ((0.088, 0, 0, 0.0435), (0.100, 0, 0, 0.0435), (0.107, 0, 0, 0.032)),
                smooth=1,
            ),
        ),
    },
}
HAND_SHELLS: Shells = {
    "hand": {
        "arm_white": (
            Loft(  # the lobe on the wrist that carries Franka's "Pilot" buttons
                "z",
                (
                    (-0.052, 0, 0.030, 0.034, 0.045),
                    (-0.046, 0, 0.040, 0.037, 0.062),
                    (-0.026, 0, 0.042, 0.037, 0.066),
                    (-0.019, 0, 0.038, 0.034, 0.060),
                ),
                power=2.6,
            ),
            Loft(
                "z",
                ((0.020, 0, 0, 0.0325, 0.1015), (0.028, 0, 0, 0.0325, 0.1015)),
                power=5,
                smooth=0,
                sides=24,
            ),
        ),
        "arm_black": (
            Loft(
                "z",
                (
                    (0.000, 0, 0, 0.028, 0.060),
                    (0.004, 0, 0, 0.031, 0.094),
                    (0.012, 0, 0, 0.0315, 0.100),
                    (0.056, 0, 0, 0.0315, 0.100),
                    (0.066, 0, 0, 0.0300, 0.097),
                    (0.066, 0, 0, 0.0250, 0.090),
                ),
                power=5,
                smooth=1,
                sides=24,
            ),
            # camera bracket
            Loft(
                "x",
                ((0.030, 0, 0.038, 0.020, 0.011), (0.052, 0, 0.038, 0.020, 0.011)),
                power=6,
                smooth=0,
            ),
            ring("z", 0.0485, u=0.061, v=0.0, radius=0.008, half=0.001),  # lens
        ),
        # camera
        "arm_dark": (
            Loft(
                "x",
                ((0.050, 0, 0.036, 0.045, 0.012), (0.072, 0, 0.036, 0.045, 0.012)),
                power=6,
                smooth=0,
            ),
        ),
        "arm_grey": (
            Loft(
                "z",
                ((0.060, 0, 0, 0.0075, 0.086), (0.0672, 0, 0, 0.0075, 0.086)),
                power=8,
                smooth=0,
            ),
        ),
    },
    "finger_left": FINGER,
    "finger_right": FINGER,
}


def add_materials(spec: mujoco.MjSpec, more: Materials | None = None) -> None:
    """Adds the materials of the arm's shells, and `more`.

    Materials that exist already are left as they are, because several parts of a robot
    add the same materials.
    """
    known = {material.name for material in spec.materials}
    wanted = {**MATERIALS, **(more or {})}
    for name, (rgb, specular, shininess, emission) in wanted.items():
        if name in known:
            continue
        spec.add_material(
            name=name,
            rgba=(*rgb, 1),
            specular=specular,
            shininess=shininess,
            emission=emission,
        )


def add_shells(
    spec: mujoco.MjSpec,
    bodies: Shells,
    group: int = VISUAL_GROUP,
    prefix: str = "",
) -> None:
    """Adds shells to bodies of the model: one mesh per body and material.

    Args:
        spec: the model, with these bodies and the materials of `add_materials`.
        bodies: body -> material -> shapes.
        group: MuJoCo's group of the geoms.
        prefix: the prefix of the bodies' names in the model.
    """
    for body, shells in bodies.items():
        for material, shapes in shells.items():
            name = f"{prefix}{body}_{material.removeprefix('arm_')}"
            shell = add_shell(
                spec, spec.body(prefix + body), name, shapes=shapes, material=material
            )
            shell.group = group
