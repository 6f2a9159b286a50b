"""Cardboard boxes in a row, open at the top, each with a hinged flap that closes it.

An open flap leans back on its stop, towards the robot. Past the vertical it falls shut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.arrays import columns
from embodied.core import Array
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import Vector, add_box, box_inertia
from embodied.envs.props.sign import (
    FACING_PLUS_X,
    Signs,
    SignStyle,
    add_plate,
    add_text,
)
from embodied.sim.engine import Engine
from embodied.sim.physics import FRICTION_SOLIMP, PAD_SOLREF

GROUP = "boxes"  # the body that carries all boxes
MARK = "box_mark"  # prefix of the marks' materials
PRINTED = (0.97, 0.97, 0.95)  # colour of the letters
CARDBOARD = (0.76, 0.60, 0.41, 1.0)
INSIDE = (0.66, 0.50, 0.33, 1.0)
EDGE = (0.55, 0.40, 0.25, 1.0)
SLIDING_FRICTION = 0.5
FLAP_MASS_KG = 0.06
# The flap falls shut in about half a second.
FLAP_DAMPING_N_M_S = 0.012
# The largest angle of an open flap from a shut one.
OPEN_RAD = float(np.deg2rad(125.0))
# A flap is closed if its angle is below this.
CLOSED_RAD = float(np.deg2rad(6.0))
# Rotations, wxyz in the flap's frame, of the mark on a flap's underside, which is read
# when the flap is open, and of the mark on its upper side. Seen from +x, their letters
# are upright.
INSIDE_FLAP = (0.0, np.sqrt(0.5), np.sqrt(0.5), 0.0)
ON_FLAP = (np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5))
# The plates with a box's mark: inside its flap, on top of the flap, and on the wall that
# faces +x.
PLATES = ("inside", "top", "front")


@dataclass(frozen=True)
class PackingBoxSize:
    """Sizes of one box, m.

    The box's frame is at the centre of its floor, with x pointing away from the hinge.
    """

    depth: float = 0.130  # inside, along x
    width: float = 0.140  # inside, along y
    height: float = 0.062  # from the floor to the rim
    wall: float = 0.004  # thickness of the walls
    floor: float = 0.006  # thickness of the floor

    @property
    def hinge(self) -> np.ndarray:
        """(3,) middle of the flap's hinge in the box's frame."""
        # the flap is as thick as a wall, and its underside lies on the rim
        return np.array([-self.depth / 2 - self.wall, 0.0, self.height + self.wall / 2])

    @property
    def flap(self) -> float:
        """Length of the flap, from its hinge to its front edge."""
        return self.depth + 2 * self.wall

    @property
    def inner(self) -> np.ndarray:
        """(2, 3) low and high corner of the space inside, in the box's frame."""
        half_x = self.depth / 2
        half_y = self.width / 2
        return np.array([(-half_x, -half_y, 0.0), (half_x, half_y, self.height)])


@dataclass(frozen=True)
class Mark:
    """A letter and the colour that it is printed on."""

    letter: str
    rgb: tuple[float, float, float]


def add_packing_boxes(
    spec: mujoco.MjSpec,
    size: PackingBoxSize,
    places: Sequence[tuple[float, float, float]],
    marks: Sequence[Mark],
) -> None:
    """Adds boxes named box_0, box_1 and so on; worlds may shift all of them together.

    Args:
        spec: the scene.
        size: the size of each box.
        places: (x, y, z) of the centres of the boxes' floors, m.
        marks: all marks that boxes may carry, of which worlds choose one for each box.
    """
    for plate, plate_m in _plate_sizes(size).items():
        for mark in marks:
            style = SignStyle(plate_m, ink=PRINTED, paper=mark.rgb, stretched=True)
            add_text(spec, f"{MARK}_{plate}_{mark.letter}", mark.letter, style)

    group = spec.worldbody.add_body(name=GROUP)
    for k, place in enumerate(places):
        name = f"box_{k}"
        box = group.add_body(name=name, pos=list(place))
        _add_walls(spec, box, name, size)
        flap = _add_flap(box, name, size)
        _paint_flap(spec, flap, name, size)
        _add_marks(spec, box, flap, name=name, size=size, letter=marks[0].letter)
        # the flap lies on the walls, held by its hinge
        spec.add_exclude(name=f"{name}_flap", bodyname1=name, bodyname2=flap.name)


def _plate_sizes(size: PackingBoxSize) -> dict[str, tuple[float, float]]:
    """Returns the size (width, height) in m of each plate on a box, named as in PLATES."""
    square = size.depth - 0.014  # 7 mm less than the inside, at each edge
    return {
        "inside": (square, square),
        "top": (square, square),
        "front": (size.width - 0.020, size.height - 0.010),
    }


def _add_walls(
    spec: mujoco.MjSpec, box: mujoco.MjsBody, name: str, size: PackingBoxSize
) -> None:
    """Adds the floor and the walls of a box, each a solid given by middle and half size.

    Args:
        spec: the scene.
        box: the box's body.
        name: the box's name.
        size: the size of a box.
    """
    half_x = size.depth / 2
    half_y = size.width / 2
    half_wall = size.wall / 2
    # the walls reach 2 mm into the floor, so that there is no gap between them
    low_z = -0.002
    mid_z = (size.height + low_z) / 2
    half_z = (size.height - low_z) / 2

    floor_half = (half_x + size.wall, half_y + size.wall, size.floor / 2)
    boxes = [((0.0, 0.0, -size.floor / 2), floor_half, INSIDE)]
    for side in (-1, 1):
        # half sizes of the walls that run along y, and along x
        along_y = (half_wall, half_y + size.wall, half_z)
        along_x = (half_x, half_wall, half_z)
        boxes.append(((side * (half_x + half_wall), 0.0, mid_z), along_y, CARDBOARD))
        boxes.append(((0.0, side * (half_y + half_wall), mid_z), along_x, CARDBOARD))
    for pos, half, rgba in boxes:
        add_box(box, pos, half, rgba).friction[0] = SLIDING_FRICTION

    # dark seams at the four corners
    paint = Paint(spec, box, f"{name}_paint")
    for side in (-1, 1):
        seam_x = side * (half_x + size.wall)
        for y in (-1, 1):
            corner = (seam_x, y * (half_y + size.wall), mid_z)
            paint.box(corner, (0.0012, 0.0012, half_z), EDGE)
    paint.add()


def _add_flap(box: mujoco.MjsBody, name: str, size: PackingBoxSize) -> mujoco.MjsBody:
    """Adds a flap on its hinge, and returns its body.

    The body's frame is at the hinge. While the flap is shut, x points to the flap's front
    edge and z up.

    Args:
        box: the box's body.
        name: the box's name.
        size: the size of a box.
    """
    flap = box.add_body(
        name=f"{name}_flap",
        pos=size.hinge.tolist(),
        mass=FLAP_MASS_KG,
        explicitinertial=True,
    )
    half_x = size.flap / 2
    half_y = size.width / 2 + size.wall
    flap.ipos = [half_x, 0, 0]  # the centre of mass
    plate_size = (size.flap, 2 * half_y, size.wall)
    flap.inertia = box_inertia(plate_size, FLAP_MASS_KG)

    # the hinge's axis is -y, so that a positive angle raises the flap
    hinge = flap.add_joint(
        name=f"{name}_flap", type=mujoco.mjtJoint.mjJNT_HINGE, axis=[0, -1, 0]
    )
    hinge.limited = mujoco.mjtLimited.mjLIMITED_TRUE
    hinge.range = [0, OPEN_RAD]
    # stiff limits of the hinge, so that a hand cannot press the light flap into its box
    hinge.solref_limit = PAD_SOLREF
    hinge.solimp_limit = FRICTION_SOLIMP
    hinge.damping = [FLAP_DAMPING_N_M_S, 0.0, 0.0]  # only the linear term
    plate_half = (half_x, half_y, size.wall / 2)
    plate = add_box(flap, (half_x, 0, 0), plate_half, CARDBOARD, name=f"{name}_flap")
    plate.friction[0] = SLIDING_FRICTION
    return flap


def _paint_flap(
    spec: mujoco.MjSpec, flap: mujoco.MjsBody, name: str, size: PackingBoxSize
) -> None:
    """Paints the tongue at the flap's front edge, and the crease at its hinge.

    Boxes are given by their middle and half size, m.

    Args:
        spec: the scene.
        flap: the flap's body.
        name: the box's name.
        size: the size of a box.
    """
    paint = Paint(spec, flap, f"{name}_flap_paint")
    half_y = size.width / 2
    tongue = (size.flap + 0.001, 0, -0.009)
    paint.box(tongue, (0.0015, half_y - 0.006, 0.011), INSIDE)
    crease = (0.002, 0, 0)
    paint.box(crease, (0.003, half_y + size.wall, size.wall / 2 + 0.0006), EDGE)
    paint.add()


def _add_marks(
    spec: mujoco.MjSpec,
    box: mujoco.MjsBody,
    flap: mujoco.MjsBody,
    name: str,
    size: PackingBoxSize,
    letter: str,
) -> None:
    """Adds the three plates with a box's mark, which show a letter that worlds change.

    Args:
        spec: the scene.
        box: the box's body.
        flap: the flap's body.
        name: the box's name.
        size: the size of a box.
        letter: the letter that the plates show at first.
    """
    sizes = _plate_sizes(size)
    half_thick = size.wall / 2
    middle = size.flap / 2
    front_x = size.depth / 2 + size.wall
    # plate -> the body that carries it, and its position and rotation on this body
    poses: dict[str, tuple[mujoco.MjsBody, Vector, Vector]] = {
        "inside": (flap, (middle, 0, -half_thick), INSIDE_FLAP),
        "top": (flap, (middle, 0, half_thick), ON_FLAP),
        "front": (box, (front_x, 0, size.height / 2), FACING_PLUS_X),
    }
    for plate, (body, pos, quat) in poses.items():
        add_plate(
            spec,
            body,
            f"{name}_{plate}",
            material=f"{MARK}_{plate}_{letter}",
            pos=pos,
            size_m=sizes[plate],
            quat=quat,
        )


class PackingBoxes:
    """The K boxes of a scene in N worlds."""

    def __init__(
        self,
        engine: Engine,
        size: PackingBoxSize,
        count: int,
        marks: Sequence[Mark],
    ) -> None:
        """Finds the boxes in the model.

        Args:
            engine: the physics of the worlds.
            size: the size of each box.
            count: the number K of boxes.
            marks: the marks that boxes can show.
        """
        self._engine = engine
        model = engine.model
        xp = engine.xp
        names = [f"box_{k}" for k in range(count)]
        self._group = model.body(GROUP).id
        self._boxes = columns([model.body(name).id for name in names])
        joints = [model.joint(f"{name}_flap") for name in names]
        self._qpos = columns([joint.qposadr[0] for joint in joints])
        self._signs = {
            plate: Signs(
                engine,
                [f"{name}_{plate}" for name in names],
                [f"{MARK}_{plate}_{mark.letter}" for mark in marks],
            )
            for plate in PLATES
        }
        # (2, 3) low and high corner of the space inside, in a box's frame
        self._inner = xp.asarray(size.inner)
        engine.model_view("body_pos")  # gives each world its own values

    def shift(self, world: int, offset_m: tuple[float, float]) -> None:
        """Moves all boxes of one world by (x, y) m from their nominal places."""
        self._engine.model_view("body_pos")[world, self._group] = (*offset_m, 0.0)

    def mark(self, world: int, marks: Sequence[int]) -> None:
        """Gives each box of one world its mark.

        Args:
            world: the index of the world.
            marks: for each box, the index of a mark in the `marks` of `__init__`.
        """
        for signs in self._signs.values():
            signs.write(world, marks)

    def open(self, world: int, angles_rad: Sequence[float]) -> None:
        """Sets the angle of each flap of one world."""
        self._engine.view("qpos")[world, self._qpos] = np.asarray(angles_rad)

    def floors_w(self) -> Array:
        """Returns the centres (N, K, 3) of the boxes' floors, m."""
        return self._engine.view("xpos")[:, self._boxes]

    def angles_rad(self) -> Array:
        """Returns the angle (N, K) rad of each flap, which is 0 if the flap is shut."""
        return self._engine.view("qpos")[:, self._qpos]

    def hold(self, point_w: Array) -> Array:
        """Returns whether one point per world is inside each of its boxes, (N, K) bool.

        Args:
            point_w: (N, 3) m, the points.
        """
        # (N, K, 3) in the boxes' frames, whose axes are the world's, as boxes never rotate
        offset = point_w[:, None, :] - self.floors_w()
        within = (offset > self._inner[0]) & (offset < self._inner[1])
        return within[..., 0] & within[..., 1] & within[..., 2]
