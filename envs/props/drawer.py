"""A row of drawers side by side under a worktop, which open towards -x; each is put
into from above.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.core import Array
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import add_box
from embodied.sim.engine import Engine
from embodied.sim.physics import stiff_friction

DRAWERS = ("left", "middle", "right")  # as who stands before them sees them
FRICTION_N = 4.0
MASS_KG = 1.6
FRONT = (0.47, 0.60, 0.58, 1.0)
FRONT_EDGE = (0.40, 0.53, 0.51, 1.0)
WOOD = (0.83, 0.71, 0.54, 1.0)
STEEL = (0.6, 0.6, 0.6, 1)
# thicknesses
FRONT_M = 0.016
WALL_M = 0.006
FLOOR_M = 0.006
GAP_M = 0.006  # between neighbours, and between a front and the worktop
CONTACT_FRICTION = (0.5, 0.005, 0.0001)


@dataclass(frozen=True)
class DrawersSize:
    """Where the fronts are, and one drawer's measures; m."""

    x: float = 0.557  # of the fronts when closed
    top_z: float = 0.74  # of the worktop
    worktop: float = 0.016  # thickness
    pitch: float = 0.24  # from one drawer to the next
    depth: float = 0.30
    height: float = 0.125  # of the inner floor below the worktop's top
    wall: float = 0.038  # height of the low walls
    travel: float = 0.215

    @property
    def y(self) -> tuple[float, ...]:
        """Middles of the drawers, in the order of DRAWERS."""
        return tuple(self.pitch * (1 - k) for k in range(len(DRAWERS)))

    @property
    def floor_z(self) -> float:
        """Of the inner floor in the world, where a drawer's frame is."""
        return self.top_z - self.height

    @property
    def inner(self) -> np.ndarray:
        """(2, 3) corners of the room inside, in the drawer's frame."""
        half_y = (self.pitch - GAP_M) / 2 - 2 * WALL_M
        return np.array(
            [
                (FRONT_M, -half_y, 0.0),
                (FRONT_M + self.depth, half_y, self.height - self.worktop),
            ]
        )

    @property
    def handle(self) -> np.ndarray:
        """(3,) middle of the handle in the drawer's frame."""
        return np.array([-0.027, 0.0, self.height - 0.029])


HANDLE_HALF_M = np.array([0.013, 0.025, 0.015])


def add_drawers(spec: mujoco.MjSpec, chest: mujoco.MjsBody, size: DrawersSize) -> None:
    """Hangs the drawers into the body `chest`, whose frame is the world's but for what
    a world shifts it by.
    """
    for name, y in zip(DRAWERS, size.y, strict=True):
        body = chest.add_body(
            name=f"drawer_{name}",
            pos=[size.x, y, size.floor_z],
            mass=MASS_KG,
            explicitinertial=True,
        )
        body.ipos = [size.depth / 2, 0, 0.02]
        body.inertia = [0.010, 0.016, 0.024]
        body.gravcomp = 1.0
        joint = body.add_joint(
            name=f"drawer_{name}", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[-1, 0, 0]
        )
        joint.limited = mujoco.mjtLimited.mjLIMITED_TRUE
        joint.range = [0, size.travel]
        stiff_friction(joint, FRICTION_N)
        spec.add_exclude(
            name=f"chest_{name}", bodyname1=chest.name, bodyname2=body.name
        )
        _add_box_parts(body, name, size)
        _paint_front(spec, body, name, size)


def _add_box_parts(body: mujoco.MjsBody, name: str, size: DrawersSize) -> None:
    """What things and fingers meet: floor, four walls, handle."""
    low, high = size.inner
    mid_x = (low[0] + high[0]) / 2
    half_x = size.depth / 2
    half_y = high[1]
    wall_z = size.wall / 2 - 0.002
    half_wall = size.wall / 2 + 0.002
    top_z = size.height - size.worktop - GAP_M
    front_half = np.array([FRONT_M / 2, (size.pitch - GAP_M) / 2, (top_z + 0.018) / 2])
    boxes = (
        ((mid_x, 0, -FLOOR_M / 2), (half_x, half_y + WALL_M, FLOOR_M / 2), WOOD),
        ((FRONT_M / 2, 0, top_z - front_half[2]), front_half, FRONT),
        ((mid_x, half_y + WALL_M / 2, wall_z), (half_x, WALL_M / 2, half_wall), WOOD),
        ((mid_x, -half_y - WALL_M / 2, wall_z), (half_x, WALL_M / 2, half_wall), WOOD),
        (
            (high[0] + WALL_M / 2, 0, wall_z),
            (WALL_M / 2, half_y + WALL_M, half_wall),
            WOOD,
        ),
    )
    for pos, half, rgba in boxes:
        add_box(body, pos, half, rgba).friction = list(CONTACT_FRICTION)
    handle = add_box(body, size.handle, HANDLE_HALF_M, STEEL, f"handle_{name}")
    handle.friction = list(CONTACT_FRICTION)


def _paint_front(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, name: str, size: DrawersSize
) -> None:
    """A raised frame on the front, and the handle's two feet."""
    paint = Paint(spec, body, f"drawer_{name}_paint")
    top_z = size.height - size.worktop - GAP_M
    half_y = (size.pitch - GAP_M) / 2
    rail = 0.012
    thick = 0.003
    for z in (top_z - rail, -0.018 + rail):
        paint.box((-thick, 0, z), (thick, half_y, rail), FRONT_EDGE)
    for side in (-1, 1):
        paint.box(
            (-thick, side * (half_y - rail), (top_z - 0.018) / 2),
            (thick, rail, (top_z + 0.018) / 2),
            FRONT_EDGE,
        )
        paint.box((-0.010, side * 0.016, size.handle[2]), (0.010, 0.004, 0.006), STEEL)
    paint.add()


class Drawers:
    """The drawers' places and openings in N worlds, and what is in them."""

    def __init__(self, engine: Engine, size: DrawersSize) -> None:
        self._engine = engine
        self.size = size
        model = engine.model
        xp = engine.xp
        self._ids = xp.asarray([model.body(f"drawer_{name}").id for name in DRAWERS])
        self._chest = int(model.body(model.body_parentid[int(self._ids[0])]).id)
        self._chest_pos = model.body_pos[self._chest].copy()
        self._qpos = [int(model.joint(f"drawer_{name}").qposadr[0]) for name in DRAWERS]
        self._dofs = [int(model.joint(f"drawer_{name}").dofadr[0]) for name in DRAWERS]
        self._handles = [model.geom(f"handle_{name}").id for name in DRAWERS]
        self._inner = xp.asarray(size.inner)
        self._middle = xp.asarray([*size.inner.mean(axis=0)[:2], 0.0])
        self._rows = xp.arange(engine.num_worlds)
        for field in ("body_pos", "geom_rgba", "dof_frictionloss"):
            engine.vary(field)

    def openings(self) -> Array:
        """(N, 3) m, in the order of DRAWERS."""
        return self._engine.view("qpos")[:, self._qpos]

    def frame_w(self, drawer: Array) -> Array:
        """(N, 3) of each world's `drawer` (N,): middle of its front's face, at the
        inner floor's height; m.
        """
        return self._engine.view("xpos")[self._rows, self._ids[drawer]]

    def middle_w(self, drawer: Array) -> Array:
        """(N, 3) middles of the inner floors of each world's `drawer` (N,), m."""
        return self.frame_w(drawer) + self._middle

    def hold(self, points_w: Array) -> Array:
        """(N, 3, K) bool, whether points (N, K, 3) are inside each of the drawers."""
        # (N, 3, K, 3)
        inside = (
            points_w[:, None, :, :]
            - self._engine.view("xpos")[:, self._ids][:, :, None, :]
        )
        within = (inside > self._inner[0]) & (inside < self._inner[1])
        return within[..., 0] & within[..., 1] & within[..., 2]

    def push(self, drawer: Array, force_n: Array) -> None:
        """Pushes each world's `drawer` (N,) shut with a force (N,) in N until told
        otherwise.
        """
        self._engine.view("xfrc_applied")[self._rows, self._ids[drawer], 0] = force_n

    def set(self, world: int, openings_m: np.ndarray, friction_n: float) -> None:
        """Openings (3,) of one world's drawers, at rest, and their dry friction."""
        self._engine.view("qpos")[world, self._qpos] = openings_m
        self._engine.vary("dof_frictionloss")[world, self._dofs] = friction_n

    def shift(self, world: int, offset_m: np.ndarray) -> None:
        """Moves the whole chest of one world by (x, y) from its nominal place."""
        self._engine.vary("body_pos")[world, self._chest] = self._chest_pos + np.array(
            [*offset_m, 0.0]
        )

    def paint(self, world: int, drawer: int, rgb: tuple[float, float, float]) -> None:
        """The handle's colour."""
        self._engine.vary("geom_rgba")[world, self._handles[drawer]] = (*rgb, 1.0)
