"""Household things to pick up: cups, a tin, a sponge, a carton; size, mass and colour
differ between worlds.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.core import Array
from embodied.envs.props.shapes import add_box, paint_box
from embodied.sim.engine import Engine

# body -> kind
THINGS = {
    "cup_0": "cup",
    "cup_1": "cup",
    "tin": "tin",
    "sponge": "sponge",
    "carton": "carton",
}
ROUND = ("cup", "tin")
FRICTION = (0.5, 0.005, 0.0001)
WHITE = (0.96, 0.95, 0.92)
STEEL = (0.74, 0.75, 0.77)
# half height of the unseen square foot of what is round: it stands on four corners,
# still and cheap
FOOT_M = 0.004
COLLISION_GROUP = 3  # of geoms that are felt and not seen
LIFT_M = 0.001  # of the round part above the foot's underside
# not 0: models of other counts of compensated bodies don't mix
ALMOST_NO_GRAVCOMP = 1e-12


@dataclass(frozen=True)
class ThingSize:
    """Outer size in m and mass in kg; what is round has its diameter as x and y."""

    x: float
    y: float
    z: float
    mass: float = 0.25

    def scaled(self, girth: float, height: float, mass: float) -> ThingSize:
        """Of the same kind, but larger or smaller, and of another mass."""
        return ThingSize(self.x * girth, self.y * girth, self.z * height, mass)


SIZES = {
    "cup": ThingSize(0.062, 0.062, 0.085),
    "tin": ThingSize(0.058, 0.058, 0.074),
    "sponge": ThingSize(0.096, 0.056, 0.042),
    "carton": ThingSize(0.080, 0.052, 0.076),
}
# shape, position and half size in m
Part = tuple[str, tuple[float, float, float], tuple[float, float, float]]


def _parts(kind: str, size: ThingSize) -> list[Part]:
    """Solids first, then what is painted on, in the frame at the thing's middle; a
    cylinder's half size: r, z, 0.
    """
    x = size.x / 2
    y = size.y / 2
    z = size.z / 2
    body = ("cylinder", (0, 0, LIFT_M / 2), (x, z - LIFT_M / 2, 0))
    foot = ("box", (0, 0, FOOT_M - z), (0.85 * x, 0.85 * x, FOOT_M))
    if kind == "cup":
        rim = ("cylinder", (0, 0, z - 0.004), (x + 0.0012, 0.0045, 0))
        inside = ("cylinder", (0, 0, z - 0.003), (x - 0.004, 0.0040, 0))
        return [
            body,
            foot,
            rim,
            inside,
            ("cylinder", (0, 0, -0.35 * z), (x + 0.0005, 0.16 * z, 0)),
        ]
    if kind == "tin":
        rings = [
            ("cylinder", (0, 0, side * (z - 0.003)), (x + 0.0012, 0.003, 0))
            for side in (-1, 1)
        ]
        return [body, foot, ("cylinder", (0, 0, 0), (x + 0.0006, 0.68 * z, 0)), *rings]
    if kind == "sponge":
        return [
            ("box", (0, 0, 0), (x, y, z)),
            ("box", (0, 0, -0.77 * z), (x + 0.0006, y + 0.0006, 0.22 * z)),
        ]
    label = ("box", (0, 0, 0.10 * z), (0.62 * x, y + 0.0006, 0.50 * z))
    return [
        ("box", (0, 0, 0), (x, y, z)),
        label,
        ("box", (0, 0, z), (x, 0.12 * y, 0.0008)),
    ]


def _colours(kind: str, rgb: tuple[float, float, float]) -> list[tuple[float, ...]]:
    """One for each part."""
    own = np.asarray(rgb)
    light = tuple(0.55 * own + 0.45)
    dark = tuple(0.55 * own)
    return {
        "cup": [rgb, rgb, light, dark, light],
        "tin": [STEEL, STEEL, rgb, STEEL, STEEL],
        "sponge": [rgb, dark],
        "carton": [rgb, WHITE, WHITE],
    }[kind]


def _solids(kind: str) -> int:
    return 2 if kind in ROUND else 1


def _inertia(kind: str, size: ThingSize) -> np.ndarray:
    """(3,) kg m2 about the middle, of a full cylinder or box."""
    if kind in ROUND:
        across = size.mass * (3 * (size.x / 2) ** 2 + size.z**2) / 12
        return np.array([across, across, size.mass * (size.x / 2) ** 2 / 2])
    squares = np.array([size.x, size.y, size.z]) ** 2
    return size.mass / 12 * (squares.sum() - squares)


def add_thing(spec: mujoco.MjSpec, name: str) -> None:
    """Adds a free thing of nominal size, its frame in its middle."""
    kind = THINGS[name]
    size = SIZES[kind]
    body = spec.worldbody.add_body(
        name=name, explicitinertial=True, mass=size.mass, ipos=[0, 0, 0]
    )
    body.inertia = _inertia(kind, size)
    body.gravcomp = 1.0
    body.add_freejoint(name=name)
    for k, (shape, pos, half) in enumerate(_parts(kind, size)):
        solid = k < _solids(kind)
        geom = (add_box if solid else paint_box)(body, pos, half, (0.5, 0.5, 0.5, 1.0))
        geom.name = f"{name}_part_{k}"
        geom.friction = list(FRICTION)
        if shape == "cylinder":
            geom.type = mujoco.mjtGeom.mjGEOM_CYLINDER
        elif solid and kind in ROUND:  # its foot
            geom.group = COLLISION_GROUP


class Things:
    """The K things of a scene in N worlds: their poses, and their sizes, masses and
    colours world by world.
    """

    def __init__(self, engine: Engine, names: tuple[str, ...]) -> None:
        self._engine = engine
        self.names = names
        model = engine.model
        xp = engine.xp
        self._bodies = [model.body(name).id for name in names]
        self._body_ids = xp.asarray(self._bodies)
        self._rows = xp.arange(engine.num_worlds)
        self._geoms = [self._geom_ids(model, name) for name in names]
        self._qpos = [
            slice(int(a), int(a) + 7)
            for a in (model.joint(name).qposadr[0] for name in names)
        ]
        for field in (
            "geom_pos",
            "geom_size",
            "geom_rgba",
            "body_mass",
            "body_inertia",
            "body_gravcomp",
        ):
            engine.vary(field)

    @staticmethod
    def _geom_ids(model: mujoco.MjModel, name: str) -> list[int]:
        return [
            i
            for i in range(model.ngeom)
            if model.geom(i).name.startswith(f"{name}_part_")
        ]

    def positions_w(self) -> Array:
        """(N, K, 3) of all the middles, m."""
        return self._engine.view("xpos")[:, self._body_ids]

    def one(self, thing: Array) -> tuple[Array, Array]:
        """Of each world's `thing` (N,): its middle (N, 3) m, and its rotation matrix
        row by row (N, 9).
        """
        view = self._engine.view
        bodies = self._body_ids[thing]
        rows = self._rows
        return view("xpos")[rows, bodies], view("xmat")[rows, bodies]

    def push(self, thing: Array, force_n: Array) -> None:
        """Pushes each world's `thing` (N,) with a horizontal force (N, 2) in N until
        told otherwise.
        """
        self._engine.view("xfrc_applied")[self._rows, self._body_ids[thing], :2] = (
            force_n
        )

    def place(self, world: int, thing: int, pos_w: np.ndarray, yaw: float) -> None:
        """Sets one thing upright somewhere, its middle at `pos_w`, at rest."""
        pose = np.array([*pos_w, np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)])
        self._engine.view("qpos")[world, self._qpos[thing]] = pose

    def resize(self, world: int, thing: int, size: ThingSize) -> None:
        """Size, mass and inertia together."""
        vary = self._engine.vary
        body = self._bodies[thing]
        kind = THINGS[self.names[thing]]
        parts = _parts(kind, size)
        vary("geom_pos")[world, self._geoms[thing]] = [pos for _, pos, _ in parts]
        vary("geom_size")[world, self._geoms[thing]] = [half for *_, half in parts]
        vary("body_mass")[world, body] = size.mass
        vary("body_inertia")[world, body] = _inertia(kind, size)

    def paint(self, world: int, thing: int, rgb: tuple[float, float, float]) -> None:
        """The thing in a colour, with what of it is always white or steel."""
        colours = [
            (*colour, 1.0) for colour in _colours(THINGS[self.names[thing]], rgb)
        ]
        self._engine.vary("geom_rgba")[world, self._geoms[thing]] = colours

    def show(self, world: int, thing: int, present: bool) -> None:
        """Takes part in the world, or hangs where it is: weightless and invisible."""
        self._engine.vary("geom_rgba")[world, self._geoms[thing], 3] = float(present)
        self._engine.vary("body_gravcomp")[world, self._bodies[thing]] = (
            ALMOST_NO_GRAVCOMP if present else 1.0
        )
