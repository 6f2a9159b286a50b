"""A closed cardboard box with a coloured label on its top or on one end; size, mass and
label differ between worlds.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.arrays import columns
from embodied.core import Array
from embodied.envs.props.shapes import add_box, paint_box
from embodied.sim.engine import Engine

CARDBOARD = (0.74, 0.57, 0.37)
TAPE = (0.88, 0.78, 0.58)
PAPER = (0.96, 0.96, 0.94)
LABEL_M = 0.0006  # half the thickness of what is stuck on
# not 0: MuJoCo counts the bodies that have any, and models of other counts don't mix
ALMOST_NO_GRAVCOMP = 1e-12
# share of its colour that a label shows unlit: ends get little of a hall's light
EMISSION = 0.4
FACES = ("top", "end")  # where the label may be: towards the parcel's z, or its x
PARTS = ("body", "tape", "label", "code")  # geoms; only the first can be touched


@dataclass(frozen=True)
class ParcelSize:
    """Outer size in m and mass in kg; the gripper opens to 0.08 m, so it takes a parcel
    across its width.
    """

    length: float = 0.10  # along the parcel's x
    width: float = 0.06
    height: float = 0.05
    mass: float = 0.25

    @property
    def inertia(self) -> np.ndarray:  # (3,) kg m2
        """Of a box filled evenly."""
        squares = np.array([self.length, self.width, self.height]) ** 2
        return self.mass / 12 * (squares.sum() - squares)


def _boxes(size: ParcelSize, face: str) -> tuple[np.ndarray, np.ndarray]:
    """Centres and half sizes (4, 3) of PARTS in the frame at the parcel's middle."""
    x = size.length / 2
    y = size.width / 2
    z = size.height / 2
    pos = [(0.0, 0.0, 0.0)]
    half = [(x, y, z)]
    # the tape runs around the length, and the label covers its middle
    if face == "top":
        pos += [(0, 0, 0), (0, 0, z), (-0.45 * x, 0, z + LABEL_M)]
        half += [
            (x + LABEL_M / 2, 0.15 * y, z + LABEL_M / 2),
            (0.85 * x, 0.85 * y, LABEL_M),
            (0.12 * x, 0.6 * y, LABEL_M),
        ]
    else:
        pos += [(0, 0, 0), (x, 0, 0), (x + LABEL_M, 0, -0.6 * z)]
        half += [
            (x - 0.001, 0.15 * y, z + LABEL_M / 2),
            (LABEL_M, 0.94 * y, 0.94 * z),
            (LABEL_M, 0.5 * y, 0.10 * z),
        ]
    return np.array(pos), np.array(half)


def add_parcel(spec: mujoco.MjSpec, name: str) -> None:
    """Adds a free parcel of nominal size, its frame in its middle, the label on top."""
    size = ParcelSize()
    body = spec.worldbody.add_body(
        name=name, explicitinertial=True, mass=size.mass, inertia=size.inertia
    )
    body.gravcomp = 1.0
    body.add_freejoint(name=name)
    pos, half = _boxes(size, "top")
    solid = add_box(body, pos[0], half[0], (*CARDBOARD, 1.0), f"{name}_body")
    solid.friction = [0.6, 0.005, 0.0001]
    solid.condim = 3
    colours = (TAPE, (0.8, 0.1, 0.1), PAPER)
    for k, (part, rgb) in enumerate(zip(PARTS[1:], colours, strict=True), start=1):
        paint_box(body, pos[k], half[k], (*rgb, 1.0)).name = f"{name}_{part}"
    spec.add_material(name=f"{name}_label", emission=EMISSION)
    spec.geom(f"{name}_label").material = f"{name}_label"


class Parcels:
    """The K parcels of a scene in N worlds: their poses, and their sizes, masses and
    looks world by world.
    """

    def __init__(self, engine: Engine, names: tuple[str, ...]) -> None:
        self._engine = engine
        model = engine.model
        xp = engine.xp
        self._bodies = [model.body(name).id for name in names]
        self._columns = columns(self._bodies)
        self._geoms = [
            [model.geom(f"{name}_{part}").id for part in PARTS] for name in names
        ]
        self._qpos = [int(model.joint(name).qposadr[0]) for name in names]
        qvel = [int(model.joint(name).dofadr[0]) for name in names]
        self._qvel = xp.asarray([[a + k for k in range(3)] for a in qvel])  # (K, 3)
        self._rows = xp.arange(engine.num_worlds)
        self._body_ids = xp.asarray(self._bodies)
        for field in (
            "geom_pos",
            "geom_size",
            "geom_rgba",
            "body_mass",
            "body_inertia",
            "body_gravcomp",
        ):
            engine.vary(field)

    def positions_w(self) -> Array:
        """(N, K, 3) m."""
        return self._engine.view("xpos")[:, self._columns]

    def rotations(self) -> Array:
        """(N, K, 3, 3): columns are the parcels' axes in the world."""
        matrices = self._engine.view("xmat")[:, self._columns]
        return self._engine.xp.reshape(matrices, (*matrices.shape[:2], 3, 3))

    def velocities_w(self) -> Array:
        """(N, K, 3) m/s."""
        return self._engine.view("qvel")[:, self._qvel]

    def push(self, parcel: Array, force_n: Array) -> None:
        """Pushes each world's `parcel` (N,) with a horizontal force (N, 2) in N until
        told otherwise.
        """
        self._engine.view("xfrc_applied")[self._rows, self._body_ids[parcel], :2] = (
            force_n
        )

    def place(self, world: int, parcel: int, pos_w: np.ndarray, yaw: float) -> None:
        """Sets the middle of one parcel somewhere, its top up, at rest."""
        at = self._qpos[parcel]
        self._engine.view("qpos")[world, at : at + 7] = [
            *pos_w,
            np.cos(yaw / 2),
            0,
            0,
            np.sin(yaw / 2),
        ]

    def resize(self, world: int, parcel: int, size: ParcelSize, face: str) -> None:
        """Size, mass, inertia, and where the label sticks, together."""
        vary = self._engine.vary
        geoms = self._geoms[parcel]
        body = self._bodies[parcel]
        pos, half = _boxes(size, face)
        vary("geom_pos")[world, geoms] = pos
        vary("geom_size")[world, geoms] = half
        vary("body_mass")[world, body] = size.mass
        vary("body_inertia")[world, body] = size.inertia

    def paint(
        self, world: int, parcel: int, label: tuple[float, float, float], shade: float
    ) -> None:
        """The label in its colour, cardboard and tape lighter or darker by `shade`."""
        body, tape, plate, _ = self._geoms[parcel]
        rgba = self._engine.vary("geom_rgba")
        rgba[world, plate, :3] = label
        for geom, colour in ((body, CARDBOARD), (tape, TAPE)):
            rgba[world, geom, :3] = np.clip(np.array(colour) * shade, 0, 1)

    def show(self, world: int, parcel: int, present: bool) -> None:
        """Takes part in the world, or hangs where it is: weightless and invisible."""
        vary = self._engine.vary
        vary("geom_rgba")[world, self._geoms[parcel], 3] = float(present)
        vary("body_gravcomp")[world, self._bodies[parcel]] = (
            ALMOST_NO_GRAVCOMP if present else 1.0
        )
