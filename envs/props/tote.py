"""An open transport box whose size, mass and colour differ between worlds."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.core import Array
from embodied.envs.props.shapes import add_box, paint_box
from embodied.sim.engine import Engine

WALL_M = 0.005
BASE_M = 0.005
# walls start above the base's underside: flush ones make five times the contacts
LIFT_M = 0.002
# half width and half height of the rim band, which is only painted
RIM_M = (0.006, 0.012)
# not 0: MuJoCo counts the bodies that have any, and models of other counts don't mix
ALMOST_NO_GRAVCOMP = 1e-12
SOLIDS = ("base", "wall_left", "wall_right", "wall_front", "wall_back")


@dataclass(frozen=True)
class ToteSize:
    """Outer size in m and mass in kg. The nominal 300 x 200 footprint is the smallest
    common Euro container's.
    """

    length: float = 0.30  # along the tote's x
    width: float = 0.20
    height: float = 0.12
    mass: float = 0.6


def _boxes(size: ToteSize) -> tuple[np.ndarray, np.ndarray]:
    """Centres and half sizes (9, 3) of the five solids and four rims, in the frame at
    the middle of the underside.
    """
    x = size.length / 2
    y = size.width / 2
    wall = WALL_M / 2
    half_z = (size.height - LIFT_M) / 2
    mid_z = LIFT_M + half_z
    rim_z = size.height - RIM_M[1] - 0.001
    along = (x - WALL_M, wall, half_z)
    across = (wall, y, half_z)
    rim_along = (x + 0.002, RIM_M[0], RIM_M[1])
    rim_across = (RIM_M[0], y + 0.002, RIM_M[1])
    pos = [
        (0, 0, BASE_M / 2),
        (0, y - wall, mid_z),
        (0, wall - y, mid_z),
        (x - wall, 0, mid_z),
        (wall - x, 0, mid_z),
    ]
    pos += [(0, y, rim_z), (0, -y, rim_z), (x, 0, rim_z), (-x, 0, rim_z)]
    half = [(x - WALL_M, y - WALL_M, BASE_M / 2), along, along, across, across]
    return np.array(pos), np.array(
        [*half, rim_along, rim_along, rim_across, rim_across]
    )


def _inertia(size: ToteSize) -> tuple[np.ndarray, np.ndarray]:
    """Centre of mass (3,) and principal inertia (3,) of the five thin solids at one
    density.
    """
    pos, half = (a[: len(SOLIDS)] for a in _boxes(size))
    mass = np.prod(half, axis=1)
    mass *= size.mass / mass.sum()
    centre = mass @ pos / size.mass
    own = mass[:, None] / 3 * (np.sum(half**2, axis=1, keepdims=True) - half**2)
    offset = (pos - centre) ** 2
    steiner = mass[:, None] * (np.sum(offset, axis=1, keepdims=True) - offset)
    return centre, np.sum(own + steiner, axis=0)


def add_tote(
    spec: mujoco.MjSpec, name: str, rgba: tuple[float, float, float, float]
) -> None:
    """Adds a free tote of nominal size, its frame in the middle of its underside,
    parked out of sight.
    """
    size = ToteSize()
    centre, inertia = _inertia(size)
    body = spec.worldbody.add_body(
        name=name, explicitinertial=True, mass=size.mass, ipos=centre, inertia=inertia
    )
    body.gravcomp = 1.0
    body.add_freejoint(name=name)
    pos, half = _boxes(size)
    for k, solid in enumerate(SOLIDS):
        geom = add_box(body, pos[k], half[k], rgba, f"{name}_{solid}")
        geom.friction = [0.6, 0.005, 0.0001]
        geom.condim = 3
    for k in range(len(SOLIDS), len(pos)):
        paint_box(body, pos[k], half[k], rgba).name = f"{name}_rim_{k}"


class Totes:
    """The K totes of a scene in N worlds: their poses, and their sizes, masses and
    colours world by world.
    """

    def __init__(self, engine: Engine, names: tuple[str, ...]) -> None:
        self._engine = engine
        model = engine.model
        xp = engine.xp
        self._bodies = [model.body(name).id for name in names]
        self._body_ids = xp.asarray(self._bodies)
        self._rows = xp.arange(engine.num_worlds)
        self._geoms = [self._geom_ids(model, name) for name in names]
        qpos = [int(model.joint(name).qposadr[0]) for name in names]
        qvel = [int(model.joint(name).dofadr[0]) for name in names]
        self._qpos = xp.asarray([[a + k for k in range(7)] for a in qpos])  # (K, 7)
        self._qvel = xp.asarray([[a + k for k in range(6)] for a in qvel])  # (K, 6)
        for field in (
            "geom_pos",
            "geom_size",
            "geom_rgba",
            "body_mass",
            "body_inertia",
            "body_ipos",
            "body_gravcomp",
        ):
            engine.vary(field)

    @staticmethod
    def _geom_ids(model: mujoco.MjModel, name: str) -> list[int]:
        return [
            i for i in range(model.ngeom) if model.geom(i).name.startswith(f"{name}_")
        ]

    def positions_w(self, totes: Array) -> Array:
        """(N, k, 3) middles of the undersides of each world's `totes` (N, k), m."""
        return self._engine.view("xpos")[self._rows[:, None], self._body_ids[totes]]

    def one(self, tote: Array) -> tuple[Array, Array, Array]:
        """Of each world's `tote` (N,): position (N, 3) m, rotation matrix row by row
        (N, 9), velocity (N, 3) m/s.
        """
        view = self._engine.view
        bodies = self._body_ids[tote]
        rows = self._rows
        velocity = view("qvel")[rows[:, None], self._qvel[tote, :3]]
        return view("xpos")[rows, bodies], view("xmat")[rows, bodies], velocity

    def push(self, tote: Array, force_n: Array) -> None:
        """Pushes each world's `tote` (N,) with a horizontal force (N, 2) in N until
        told otherwise.
        """
        self._engine.view("xfrc_applied")[self._rows, self._body_ids[tote], :2] = (
            force_n
        )

    def place(self, world: int, tote: int, pos_w: np.ndarray, yaw: float) -> None:
        """Sets one tote upright somewhere, at rest."""
        pose = np.array([*pos_w, np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)])
        self._engine.view("qpos")[world, self._qpos[tote]] = pose

    def resize(self, world: int, tote: int, size: ToteSize) -> None:
        """Size, mass and inertia together: scaling boxes alone would tear the walls
        apart.
        """
        pos, half = _boxes(size)
        centre, inertia = _inertia(size)
        vary = self._engine.vary
        body = self._bodies[tote]
        vary("geom_pos")[world, self._geoms[tote]] = pos
        vary("geom_size")[world, self._geoms[tote]] = half
        vary("body_mass")[world, body] = size.mass
        vary("body_ipos")[world, body] = centre
        vary("body_inertia")[world, body] = inertia

    def paint(self, world: int, tote: int, rgb: tuple[float, float, float]) -> None:
        """Walls in the colour, the rim a shade lighter."""
        rgba = np.tile((*rgb, 1.0), (len(self._geoms[tote]), 1))
        rgba[len(SOLIDS) :, :3] = 0.75 * rgba[len(SOLIDS) :, :3] + 0.25
        self._engine.vary("geom_rgba")[world, self._geoms[tote]] = rgba

    def show(self, world: int, tote: int, present: bool) -> None:
        """Takes part in the world, or hangs where it is: weightless and invisible."""
        vary = self._engine.vary
        geoms = self._geoms[tote]
        vary("geom_rgba")[world, geoms, 3] = float(present)
        vary("body_gravcomp")[world, self._bodies[tote]] = (
            ALMOST_NO_GRAVCOMP if present else 1.0
        )
