"""A row of drawers side by side under a worktop, which open towards -x."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.arrays import columns
from embodied.core import Array
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import Rgb, add_box
from embodied.sim.engine import Engine
from embodied.sim.physics import stiff_friction

DRAWERS = ("left", "middle", "right")  # as seen from in front of them
SLIDE_FRICTION_N = 4.0
MASS_KG = 1.6
FRONT = (0.47, 0.60, 0.58, 1.0)
FRONT_EDGE = (0.40, 0.53, 0.51, 1.0)
WOOD = (0.83, 0.71, 0.54, 1.0)
STEEL = (0.6, 0.6, 0.6, 1)
# Thickness of the front, of the walls and of the floor.
FRONT_M = 0.016
WALL_M = 0.006
FLOOR_M = 0.006
# The gap between neighbouring drawers, and between a front and the worktop.
GAP_M = 0.006
FRONT_BELOW_FLOOR_M = 0.018  # from the floor's top down to the front's lower edge
# The walls overlap the floor by this height, so that there is no gap between them.
WALL_IN_FLOOR_M = 0.004
HANDLE_HALF_M = np.array([0.013, 0.025, 0.015])
SLIDING_FRICTION = 0.5


@dataclass(frozen=True)
class DrawersSize:
    """Position of the drawers' fronts, and sizes of one drawer, m.

    The origin of a drawer's frame is on the outer face of its front, in the middle of its
    width, at the height of the floor's upper face. The x axis points inwards, y to the
    left and z up.
    """

    x: float = 0.557  # world x of the outer faces of closed fronts
    top_z: float = 0.74  # height of the worktop
    worktop: float = 0.016  # thickness of the worktop
    pitch: float = 0.24  # from the middle of one drawer to that of the next
    depth: float = 0.30  # of the space inside
    height: float = 0.125  # from the drawers' floor up to the worktop's top
    wall: float = 0.038  # height of the walls above the floor
    travel: float = 0.215  # the largest opening

    @property
    def y(self) -> tuple[float, ...]:
        """World y of the drawers' centres, in the order of DRAWERS."""
        return tuple(self.pitch * (1 - k) for k in range(len(DRAWERS)))

    @property
    def floor_z(self) -> float:
        """World z of the drawers' floor, where the origins of their frames are."""
        return self.top_z - self.height

    @property
    def front_top_z(self) -> float:
        """Height of the front's upper edge in the drawer's frame."""
        return self.height - self.worktop - GAP_M

    @property
    def front_half_y(self) -> float:
        """Half the width of the front."""
        return (self.pitch - GAP_M) / 2

    @property
    def inner(self) -> np.ndarray:
        """(2, 3) low and high corner of the space inside, in the drawer's frame."""
        # a side wall is inset by its thickness from the end of the front
        half_y = self.front_half_y - 2 * WALL_M
        low = (FRONT_M, -half_y, 0.0)
        high = (FRONT_M + self.depth, half_y, self.height - self.worktop)
        return np.array([low, high])

    @property
    def handle(self) -> np.ndarray:
        """(3,) centre of the handle in the drawer's frame."""
        return np.array([-0.027, 0.0, self.height - 0.029])


def add_drawers(spec: mujoco.MjSpec, chest: mujoco.MjsBody, size: DrawersSize) -> None:
    """Adds the drawers to the body `chest`.

    The chest's frame is the world's frame, until a world shifts the chest.
    """
    for name, y in zip(DRAWERS, size.y, strict=True):
        body = chest.add_body(
            name=f"drawer_{name}",
            pos=[size.x, y, size.floor_z],
            mass=MASS_KG,
            explicitinertial=True,
        )
        body.ipos = [size.depth / 2, 0, 0.02]  # the centre of mass, m
        body.inertia = [0.010, 0.016, 0.024]  # kg m2, about x, y and z
        body.gravcomp = 1.0  # the slide carries the weight

        joint = body.add_joint(
            name=f"drawer_{name}", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[-1, 0, 0]
        )
        joint.limited = mujoco.mjtLimited.mjLIMITED_TRUE
        joint.range = [0, size.travel]
        stiff_friction(joint, SLIDE_FRICTION_N)

        # a drawer slides inside the chest, whose walls it must not bump into
        spec.add_exclude(
            name=f"chest_{name}", bodyname1=chest.name, bodyname2=body.name
        )
        _add_solids(body, name, size)
        _paint_front(spec, body, name, size)


def _add_solids(body: mujoco.MjsBody, name: str, size: DrawersSize) -> None:
    """Adds the parts that collide: floor, front, three walls and handle.

    Boxes are given by middle and half size in the drawer's frame, m. `DrawersSize`
    describes the frame.

    Args:
        body: the drawer's body.
        name: the drawer's name in DRAWERS.
        size: position and sizes of the drawers.
    """
    low, high = size.inner
    mid_x = (low[0] + high[0]) / 2
    half_x = size.depth / 2
    half_y = high[1]
    # the walls reach from WALL_IN_FLOOR_M below the floor's top to `size.wall` above it
    wall_z = size.wall / 2 - WALL_IN_FLOOR_M / 2
    half_wall_z = size.wall / 2 + WALL_IN_FLOOR_M / 2
    front_half_z = (size.front_top_z + FRONT_BELOW_FLOOR_M) / 2

    # middle and half size of each board; both side walls have the same half size
    floor = (mid_x, 0, -FLOOR_M / 2)
    floor_half = (half_x, half_y + WALL_M, FLOOR_M / 2)
    front = (FRONT_M / 2, 0, size.front_top_z - front_half_z)
    front_half = (FRONT_M / 2, size.front_half_y, front_half_z)
    side_half = (half_x, WALL_M / 2, half_wall_z)
    left = (mid_x, half_y + WALL_M / 2, wall_z)
    right = (mid_x, -half_y - WALL_M / 2, wall_z)
    back = (high[0] + WALL_M / 2, 0, wall_z)
    back_half = (WALL_M / 2, half_y + WALL_M, half_wall_z)

    boxes = (
        (floor, floor_half, WOOD),
        (front, front_half, FRONT),
        (left, side_half, WOOD),
        (right, side_half, WOOD),
        (back, back_half, WOOD),
    )
    for pos, half, rgba in boxes:
        add_box(body, pos, half, rgba).friction[0] = SLIDING_FRICTION
    handle = add_box(body, size.handle, HANDLE_HALF_M, STEEL, name=f"handle_{name}")
    handle.friction[0] = SLIDING_FRICTION


def _paint_front(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, name: str, size: DrawersSize
) -> None:
    """Adds a raised frame on the front, and the handle's two feet.

    Boxes are given by middle and half size in the drawer's frame, m.

    Args:
        spec: the scene.
        body: the drawer's body.
        name: the drawer's name in DRAWERS.
        size: position and sizes of the drawers.
    """
    paint = Paint(spec, body, f"drawer_{name}_paint")
    top_z = size.front_top_z
    bottom_z = -FRONT_BELOW_FLOOR_M
    half_y = size.front_half_y
    half_width = 0.012  # half the width of the frame's bars
    half_thick = 0.003  # half the thickness of the frame's bars

    # the frame: a bar along each edge of the front; and the handle's feet
    for z in (top_z - half_width, bottom_z + half_width):
        paint.box((-half_thick, 0, z), (half_thick, half_y, half_width), FRONT_EDGE)
    upright_half = (half_thick, half_width, (top_z - bottom_z) / 2)
    for side in (-1, 1):
        upright = (-half_thick, side * (half_y - half_width), (top_z + bottom_z) / 2)
        paint.box(upright, upright_half, FRONT_EDGE)
        foot = (-0.010, side * 0.016, size.handle[2])
        paint.box(foot, (0.010, 0.004, 0.006), STEEL)
    paint.add()


class Drawers:
    """The poses, openings and contents of the drawers in N worlds."""

    def __init__(self, engine: Engine, size: DrawersSize) -> None:
        """Finds the drawers in the model."""
        self._engine = engine
        self.size = size
        model = engine.model
        xp = engine.xp
        # ids of the drawers' bodies, joints and handle geoms
        bodies = [model.body(f"drawer_{name}").id for name in DRAWERS]
        joints = [model.joint(f"drawer_{name}") for name in DRAWERS]
        self._ids = xp.asarray(bodies)
        self._chest = int(model.body_parentid[bodies[0]])
        self._nominal = model.body_pos[self._chest].copy()
        self._qpos = columns([joint.qposadr[0] for joint in joints])
        self._dofs = [int(joint.dofadr[0]) for joint in joints]
        self._handles = [model.geom(f"handle_{name}").id for name in DRAWERS]

        # (2, 3) low and high corner of the space inside, in a drawer's frame
        self._inner = xp.asarray(size.inner)
        # (3,) centre of a drawer's floor, in its frame
        self._middle = xp.asarray([*size.inner.mean(axis=0)[:2], 0.0])
        # the worlds' indices, for choosing one drawer per world
        self._worlds = xp.arange(engine.num_worlds)

        # the first call for a field gives each world its own values of the field
        for field in ("body_pos", "geom_rgba", "dof_frictionloss"):
            engine.model_view(field)

    def openings(self) -> Array:
        """Returns the opening of each drawer, (N, 3) m, in the order of DRAWERS."""
        return self._engine.view("qpos")[:, self._qpos]

    def frame_w(self, drawer: Array) -> Array:
        """Returns the origin (N, 3) m of the frame of one drawer per world.

        `DrawersSize` describes the frame.

        Args:
            drawer: (N,) the index into DRAWERS of each world's drawer.
        """
        return self._engine.view("xpos")[self._worlds, self._ids[drawer]]

    def middle_w(self, drawer: Array) -> Array:
        """Returns the centre (N, 3) m in the world of the floor of one drawer per world.

        Args:
            drawer: (N,) the index into DRAWERS of each world's drawer.
        """
        return self.frame_w(drawer) + self._middle

    def hold(self, points_w: Array) -> Array:
        """Returns which points are inside which drawer.

        Args:
            points_w: (N, K, 3) m, K points in each world.

        Returns:
            (N, 3 drawers, K) bool, whether each point is inside each drawer.
        """
        frames = self._engine.view("xpos")[:, self._ids]  # (N, 3 drawers, xyz)
        # (N, 3 drawers, K, xyz) in the drawers' frames, which never rotate
        offset = points_w[:, None, :, :] - frames[:, :, None, :]
        within = (offset > self._inner[0]) & (offset < self._inner[1])
        return within[..., 0] & within[..., 1] & within[..., 2]

    def push(self, drawer: Array, force_n: Array) -> None:
        """Pushes one drawer per world inwards, along +x, until called again.

        Args:
            drawer: (N,) the index into DRAWERS of each world's drawer.
            force_n: (N,) the force, N.
        """
        self._engine.view("xfrc_applied")[self._worlds, self._ids[drawer], 0] = force_n

    def set(self, world: int, openings_m: np.ndarray, friction_n: float) -> None:
        """Sets the opening (3,) of each of one world's drawers, and their friction."""
        self._engine.view("qpos")[world, self._qpos] = openings_m
        self._engine.model_view("dof_frictionloss")[world, self._dofs] = friction_n

    def shift(self, world: int, offset_m: np.ndarray) -> None:
        """Moves the whole chest of one world by (x, y) m from its nominal place."""
        offset = np.array([*offset_m, 0.0])
        self._engine.model_view("body_pos")[world, self._chest] = self._nominal + offset

    def paint(self, world: int, drawer: int, rgb: Rgb) -> None:
        """Colours one drawer's handle."""
        self._engine.model_view("geom_rgba")[world, self._handles[drawer]] = (*rgb, 1.0)
