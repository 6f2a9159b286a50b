"""Household things to pick up: cups, a tin, a sponge, a carton.

Their sizes, masses and colours differ between worlds.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.envs.props.free_body import WEIGHTLESS_GRAVCOMP, FreeBodies
from embodied.envs.props.shapes import (
    COLLISION_GROUP,
    Rgb,
    add_box,
    add_visual_box,
    box_inertia,
)
from embodied.sim.engine import Engine

# Name of the body -> kind. Instructions use the kinds as words.
THINGS = {
    "cup_0": "cup",
    "cup_1": "cup",
    "tin": "tin",
    "sponge": "sponge",
    "carton": "carton",
}
ROUND = ("cup", "tin")
SLIDING_FRICTION = 0.5
WHITE = (0.96, 0.95, 0.92)
STEEL = (0.74, 0.75, 0.77)
NOMINAL_RGBA = (0.5, 0.5, 0.5, 1.0)
# Round things stand on an invisible square foot, because its four contacts cost little
# time and keep the thing still.
FOOT_HALF_HEIGHT_M = 0.004
ROUND_LIFT_M = 0.001  # height of the round part's underside above the foot's


@dataclass(frozen=True)
class ThingSize:
    """Outer size of a thing in m and its mass in kg.

    x and y of a round thing are its diameter.
    """

    x: float
    y: float
    z: float
    mass: float = 0.25

    def scaled(self, girth: float, height: float, mass: float) -> ThingSize:
        """Returns this size scaled by two factors, with another mass.

        Args:
            girth: factor on x and y.
            height: factor on z.
            mass: the mass in the returned size, kg.
        """
        return ThingSize(self.x * girth, self.y * girth, self.z * height, mass)


SIZES = {
    "cup": ThingSize(0.062, 0.062, 0.085),
    "tin": ThingSize(0.058, 0.058, 0.074),
    "sponge": ThingSize(0.096, 0.056, 0.042),
    "carton": ThingSize(0.080, 0.052, 0.076),
}
# "box" or "cylinder", position and half size in m. The half size of a cylinder is
# (radius, half height, 0), which is MuJoCo's size of a cylinder.
Part = tuple[str, tuple[float, float, float], tuple[float, float, float]]


def add_thing(spec: mujoco.MjSpec, name: str) -> None:
    """Adds a free thing of nominal size, with its frame at its centre.

    The thing is weightless until a world makes it present.
    """
    kind = THINGS[name]
    size = SIZES[kind]
    body = spec.worldbody.add_body(
        name=name, explicitinertial=True, mass=size.mass, ipos=[0, 0, 0]
    )
    body.inertia = _inertia(kind, size)
    body.gravcomp = WEIGHTLESS_GRAVCOMP
    body.add_freejoint(name=name)

    # add each part as a box, then change its type if it is a cylinder
    for k, (shape, pos, half) in enumerate(_parts(kind, size)):
        is_solid = k < _num_solids(kind)
        add = add_box if is_solid else add_visual_box
        geom = add(body, pos, half, NOMINAL_RGBA, name=f"{name}_part_{k}")
        geom.friction[0] = SLIDING_FRICTION
        if shape == "cylinder":
            geom.type = mujoco.mjtGeom.mjGEOM_CYLINDER
        elif is_solid and kind in ROUND:
            geom.group = COLLISION_GROUP  # the foot is not drawn


def _parts(kind: str, size: ThingSize) -> list[Part]:
    """Returns the parts of a thing in its frame: solid ones first, then visual ones.

    Visual parts stand out by a fraction of a mm, so that they are seen. Other factors of
    x, y and z are shares of the thing's half sizes.
    """
    x = size.x / 2
    y = size.y / 2
    z = size.z / 2

    # a cup or a tin: a cylinder on its foot
    if kind in ROUND:
        half_height = z - ROUND_LIFT_M / 2
        body: Part = ("cylinder", (0, 0, ROUND_LIFT_M / 2), (x, half_height, 0))
        foot_half = (0.85 * x, 0.85 * x, FOOT_HALF_HEIGHT_M)
        foot: Part = ("box", (0, 0, FOOT_HALF_HEIGHT_M - z), foot_half)
        painted = _cup_paint(x, z) if kind == "cup" else _tin_paint(x, z)
        return [body, foot, *painted]

    # a sponge with its scourer, or a carton with a label and a strip of tape
    solid: Part = ("box", (0, 0, 0), (x, y, z))
    if kind == "sponge":
        scourer_half = (x + 0.0006, y + 0.0006, 0.22 * z)
        return [solid, ("box", (0, 0, -0.77 * z), scourer_half)]
    label: Part = ("box", (0, 0, 0.10 * z), (0.62 * x, y + 0.0006, 0.50 * z))
    tape: Part = ("box", (0, 0, z), (x, 0.12 * y, 0.0008))
    return [solid, label, tape]


def _cup_paint(radius: float, z: float) -> list[Part]:
    """Returns a cup's rim, its dark inside and a stripe; `z` is half its height."""
    return [
        ("cylinder", (0, 0, z - 0.004), (radius + 0.0012, 0.0045, 0)),
        ("cylinder", (0, 0, z - 0.003), (radius - 0.004, 0.0040, 0)),
        ("cylinder", (0, 0, -0.35 * z), (radius + 0.0005, 0.16 * z, 0)),
    ]


def _tin_paint(radius: float, z: float) -> list[Part]:
    """Returns a tin's label, and its rings at the bottom and the top.

    `z` is half the tin's height.
    """
    ring_half = (radius + 0.0012, 0.003, 0)
    return [
        ("cylinder", (0, 0, 0), (radius + 0.0006, 0.68 * z, 0)),
        ("cylinder", (0, 0, -1 * (z - 0.003)), ring_half),
        ("cylinder", (0, 0, z - 0.003), ring_half),
    ]


def _colours(kind: str, rgb: Rgb) -> list[tuple[float, ...]]:
    """Returns the colours of a thing's `_parts`, for a thing of the colour `rgb`."""
    # the thing's colour mixed with 45 % of white, and with 45 % of black
    thing_rgb = np.asarray(rgb)
    light = tuple(0.55 * thing_rgb + 0.45)
    dark = tuple(0.55 * thing_rgb)
    colours: dict[str, list[tuple[float, ...]]] = {
        "cup": [rgb, rgb, light, dark, light],
        "tin": [STEEL, STEEL, rgb, STEEL, STEEL],
        "sponge": [rgb, dark],
        "carton": [rgb, WHITE, WHITE],
    }
    return colours[kind]


def _num_solids(kind: str) -> int:
    """Returns the number of solid parts, which come first."""
    return 2 if kind in ROUND else 1


def _inertia(kind: str, size: ThingSize) -> np.ndarray:
    """Returns the principal inertia (3,) in kg m2 of a solid cylinder or box."""
    if kind in ROUND:
        radius = size.x / 2
        across = size.mass * (3 * radius**2 + size.z**2) / 12
        return np.array([across, across, size.mass * radius**2 / 2])
    return box_inertia([size.x, size.y, size.z], size.mass)


class Things(FreeBodies):
    """The K things of a scene in N worlds."""

    def __init__(self, engine: Engine, names: tuple[str, ...]) -> None:
        """Finds the bodies `names` and their geoms in the model."""
        geoms = []
        for name in names:
            kind = THINGS[name]
            count = len(_parts(kind, SIZES[kind]))
            geoms.append([f"{name}_part_{k}" for k in range(count)])
        varied = ("geom_pos", "geom_size", "body_mass", "body_inertia")
        super().__init__(engine, names, geoms, varied)

    def resize(self, world: int, thing: int, size: ThingSize) -> None:
        """Sets the size of one world's thing: its geoms, mass and inertia.

        Args:
            world: the index of the world.
            thing: the index of the thing.
            size: the new size and mass.
        """
        model_view = self._engine.model_view
        body = self._bodies[thing]
        geoms = self._geoms[thing]
        kind = THINGS[self.names[thing]]
        parts = _parts(kind, size)
        model_view("geom_pos")[world, geoms] = [pos for _, pos, _ in parts]
        model_view("geom_size")[world, geoms] = [half for _, _, half in parts]
        model_view("body_mass")[world, body] = size.mass
        model_view("body_inertia")[world, body] = _inertia(kind, size)

    def paint(self, world: int, thing: int, rgb: Rgb) -> None:
        """Colours one world's thing, except the parts that are always white or steel."""
        colours = _colours(THINGS[self.names[thing]], rgb)
        rgba = [(*colour, 1.0) for colour in colours]
        self._engine.model_view("geom_rgba")[world, self._geoms[thing]] = rgba
