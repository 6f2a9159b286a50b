"""Valves with a lever or a handwheel over a scale from 0 to 120 degrees.

Friction holds a handle at the angle at which it is let go.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import mujoco
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from embodied.arrays import columns
from embodied.core import Array
from embodied.envs.props.colours import INVISIBLE, STEEL
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import (
    COLLISION_GROUP,
    Mesh,
    Rgb,
    add_box,
    add_visual_mesh,
    touched_by_robots_only,
    upright,
)
from embodied.envs.props.sign import (
    INK,
    PAPER,
    add_picture,
    add_plate,
    blank_picture,
    oversampled_pixels_per_m,
    shrunk,
    to_bytes,
)
from embodied.sim.engine import Engine
from embodied.sim.physics import stiff_friction

KINDS = ("lever", "wheel")
# Distance from the valve's axis to the grasp on the lever or the spoke.
GRASP_RADIUS_M = {"lever": 0.070, "wheel": 0.042}

# The scale starts at 0 (shut) on the right, and goes anticlockwise over the top.
SCALE_DEG = 120
SCALE_RAD = np.deg2rad(120.0)
STOP_RAD = np.deg2rad(4.0)  # how far the end stops are beyond the ends of the scale
UP_RAD = SCALE_RAD / 2  # the angle at which a handle points up
FRICTION_N_M = 0.8
HANDLE_KG = 0.25
HANDLE_INERTIA_KG_M2 = (2e-4, 2e-4, 4e-4)

# Size of the plate with the scale, and the height of its centre above the valve's axis.
DIAL_SIZE_M = (0.25, 0.19)
DIAL_MIDDLE_M = 0.045
# Distances of the scale's ticks and numbers from the axis.
TICKS_INNER_M = 0.096
TICKS_OUTER_M = 0.109
NUMBERS_M = 0.122

STEM_M = 0.05  # from the face to the centre of the handle
# centres of the hub's two ends, in the handle's frame
HUB_LOW_M = (0, 0, -0.012)
HUB_HIGH_M = (0, 0, 0.012)
HUB_RADIUS_M = 0.018
# A handwheel: the radius of its rim, and of the tube that the rim is made of.
RIM_RADIUS_M = 0.075
TUBE_RADIUS_M = 0.007
SPOKES = 3
RIM_CAPSULES = 10  # capsules that approximate the rim for collisions

POINTER = (0.05, 0.05, 0.06, 1.0)
UNPAINTED = (1, 1, 1, 1)
# Where a valve that takes no part is parked, in the frame of the console's face, m: high
# overhead.
PARKED = (0.0, 3.0, 6.0)


def add_dial(spec: mujoco.MjSpec) -> None:
    """Adds the scale, which all valves of a scene show, as material `valve_dial`."""
    add_picture(spec, "valve_dial", dial_picture())


def dial_picture() -> Image.Image:
    """Returns a picture of the scale: ticks every 5 degrees, numbers every 30."""
    image = blank_picture(DIAL_SIZE_M, PAPER)
    width, height = image.size
    pixels_per_m = oversampled_pixels_per_m(DIAL_SIZE_M)
    ink = to_bytes(INK)
    draw = ImageDraw.Draw(image)
    edges = (0, 0, width - 1, height - 1)
    draw.rectangle(edges, outline=ink, width=round(0.002 * pixels_per_m))

    # lengths in m are multiplied by `pixels_per_m`
    font = ImageFont.load_default(0.021 * pixels_per_m)
    # (2,) pixels, where the valve's axis is in the picture, whose y axis points down
    axis = np.array([width / 2, height / 2 + pixels_per_m * DIAL_MIDDLE_M])
    for degrees in range(0, SCALE_DEG + 1, 5):
        from_up = np.deg2rad(degrees) - UP_RAD  # anticlockwise from straight up
        # (2,) pixels, 1 m outwards from the axis in the direction of this tick
        outwards = pixels_per_m * np.array([-np.sin(from_up), -np.cos(from_up)])
        inset, thickness = _tick(degrees)
        start = axis + outwards * (TICKS_INNER_M + inset)
        end = axis + outwards * TICKS_OUTER_M
        draw.line((*start, *end), fill=ink, width=round(thickness * pixels_per_m))

        if degrees % 30 == 0:
            x, y = axis + outwards * NUMBERS_M
            draw.text(
                (x, y),
                str(degrees),
                fill=ink,
                font=font,
                anchor="mm",
                stroke_width=pixels_per_m * 0.0008,
            )
    return shrunk(image)


def _tick(degrees: int) -> tuple[float, float]:
    """Returns a tick's inset and thickness, m.

    The inset is how much shorter the tick is than the longest ticks.
    """
    if degrees % 30 == 0:
        return 0.0, 0.0035
    if degrees % 10 == 0:
        return 0.004, 0.002
    return 0.008, 0.0012


def add_valve(spec: mujoco.MjSpec, face: mujoco.MjsBody, name: str, kind: str) -> None:
    """Adds a valve to a face (x right, y up, z outwards).

    `add_dial` must be called first.

    Boxes are given by their middle and half size, cylinders by the middles of their two
    ends and their radius, m.

    Args:
        spec: the scene.
        face: the body that the valve is mounted on.
        name: name of the valve's body. The body of the handle and the handle's joint are
            called {name}_handle. The handle points along the y axis of its body.
        kind: "lever" or "wheel".
    """
    base = face.add_body(name=name)
    dial_pos = (0, DIAL_MIDDLE_M, 0)
    flat_on_face = (1, 0, 0, 0)  # wxyz
    add_plate(
        spec,
        base,
        f"{name}_dial",
        material="valve_dial",
        pos=dial_pos,
        size_m=DIAL_SIZE_M,
        quat=flat_on_face,
    )

    # a collar on the face, and the stem that carries the handle
    collar = Paint(spec, base, f"{name}_collar")
    collar.cylinder((0, 0, 0), (0, 0, 0.012), 0.024, STEEL)
    collar.cylinder((0, 0, 0), (0, 0, STEM_M), 0.010, STEEL)
    collar.add()

    handle = _add_handle_body(base, f"{name}_handle")
    if kind == "lever":
        _add_lever(spec, handle, name)
    else:
        _add_wheel(spec, handle, name)
    # the pointer is just above the scale, which is STEM_M below the handle's frame
    pointer = Paint(spec, handle, f"{name}_pointer")
    pointer.box((0, 0.055, 0.012 - STEM_M), (0.004, 0.045, 0.002), POINTER)
    pointer.add()
    for geom in handle.geoms:
        touched_by_robots_only(geom)


def _add_handle_body(base: mujoco.MjsBody, name: str) -> mujoco.MjsBody:
    """Adds the rotating body of a handle, with its joint; both are called `name`."""
    # at a joint angle of 0, the handle's y axis points to the start of the scale
    handle = base.add_body(
        name=name,
        pos=(0, 0, STEM_M),
        quat=upright(-UP_RAD),
        gravcomp=1,
        mass=HANDLE_KG,
        inertia=HANDLE_INERTIA_KG_M2,
        explicitinertial=True,
    )

    joint = handle.add_joint(
        name=name, type=mujoco.mjtJoint.mjJNT_HINGE, axis=(0, 0, 1)
    )
    joint.range = (-STOP_RAD, SCALE_RAD + STOP_RAD)
    joint.limited = True
    stiff_friction(joint, FRICTION_N_M)
    return handle


def _add_lever(spec: mujoco.MjSpec, handle: mujoco.MjsBody, name: str) -> None:
    """Adds a grip on an arm to the handle of the valve `name`.

    Boxes are given by their middle and half size in the handle's frame, m.
    `Valves.paint` colours the geoms whose names begin with {name}_colour.
    """
    grip_half = (0.0075, 0.032, 0.010)
    add_box(handle, (0, 0.065, 0), grip_half, UNPAINTED, name=f"{name}_colour_grip")

    steel = Paint(spec, handle, f"{name}_steel")
    steel.cylinder(HUB_LOW_M, HUB_HIGH_M, HUB_RADIUS_M, STEEL)
    steel.box((0, 0.03, 0), (0.006, 0.03, 0.006), STEEL)
    steel.add()
    _add_hub(handle).rgba = list(INVISIBLE)  # drawn by `steel`


def _add_wheel(spec: mujoco.MjSpec, handle: mujoco.MjsBody, name: str) -> None:
    """Adds a rim on spokes to the handle of the valve `name`.

    `Valves.paint` colours the geoms whose names begin with {name}_colour.
    """
    # the spokes, from the hub to the rim
    for k in range(SPOKES):
        angle = 2 * np.pi * k / SPOKES
        # the spoke's middle is 45 mm from the axis, and half its length is 27 mm
        middle = _point_of_handle(0.045, angle)
        spoke_half = (0.005, 0.027, 0.006)
        spoke_name = f"{name}_colour_spoke_{k}"
        spoke = add_box(handle, middle, spoke_half, UNPAINTED, name=spoke_name)
        spoke.quat = upright(angle)

    # the rim's collision geoms: a ring of capsules
    corners = [
        _point_of_handle(RIM_RADIUS_M, 2 * np.pi * k / RIM_CAPSULES)
        for k in range(RIM_CAPSULES + 1)
    ]
    for start, end in pairwise(corners):
        handle.add_geom(
            type=mujoco.mjtGeom.mjGEOM_CAPSULE,
            fromto=(*start, *end),
            size=(TUBE_RADIUS_M, 0, 0),
            mass=0,
            group=COLLISION_GROUP,
        )

    # the rim's visual geom: a torus
    torus = _torus(RIM_RADIUS_M, TUBE_RADIUS_M)
    rim = add_visual_mesh(spec, handle, f"{name}_rim", torus)
    rim.name = f"{name}_colour_rim"  # renames the geom but not its mesh
    _add_hub(handle).rgba = list(STEEL)


def _add_hub(handle: mujoco.MjsBody) -> mujoco.MjsGeom:
    """Adds the hub, a cylinder around the axis that collides with hands."""
    return handle.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        fromto=(*HUB_LOW_M, *HUB_HIGH_M),
        size=(HUB_RADIUS_M, 0, 0),
        mass=0,
    )


def _point_of_handle(radius_m: float, angle: float) -> tuple[float, float, float]:
    """Returns a point (3,) m in the handle's frame, from its polar coordinates.

    Args:
        radius_m: distance from the axis.
        angle: rad, anticlockwise from the y axis, along which the handle points.
    """
    return (-radius_m * float(np.sin(angle)), radius_m * float(np.cos(angle)), 0.0)


def _torus(radius: float, tube: float, around: int = 30, across: int = 8) -> Mesh:
    """Returns the mesh of a torus around the z axis.

    Args:
        radius: distance from the axis to the centre of the tube, m.
        tube: radius of the tube, m.
        around: number of cross sections of the tube.
        across: number of vertices in each cross section.
    """
    # (around, across) each: the index of the cross section, and of the vertex in it
    u, v = np.meshgrid(np.arange(around), np.arange(across), indexing="ij")
    angle = 2 * np.pi * u / around
    roll = 2 * np.pi * v / across
    from_axis = radius + tube * np.cos(roll)  # each vertex's distance from the z axis
    xyz = [from_axis * np.cos(angle), from_axis * np.sin(angle), tube * np.sin(roll)]
    vertices = np.stack(xyz, axis=-1).reshape(-1, 3)

    # two triangles for each four neighbouring vertices: a and b in one cross section, c
    # and d in the next
    next_u = (u + 1) % around
    next_v = (v + 1) % across
    a = u * across + v
    b = u * across + next_v
    c = next_u * across + v
    d = next_u * across + next_v
    faces = np.concatenate([np.stack([a, c, d], axis=-1), np.stack([a, d, b], axis=-1)])
    return vertices, faces.reshape(-1, 3)


class Valves:
    """The K valves of a scene in N worlds."""

    def __init__(self, engine: Engine, names: Sequence[str]) -> None:
        """Finds the valves with these names in the model."""
        self._engine = engine
        model = engine.model
        xp = engine.xp
        # ids of the valves' base bodies, handle bodies and joints
        handles = [model.body(f"{name}_handle").id for name in names]
        joints = [model.joint(f"{name}_handle") for name in names]
        self._bases = [model.body(name).id for name in names]
        self._qpos = [int(joint.qposadr[0]) for joint in joints]
        self._qpos_columns = columns(self._qpos)
        self._dofs = [int(joint.dofadr[0]) for joint in joints]
        self._handle_ids = xp.asarray(handles)
        self._dof_ids = xp.asarray(self._dofs)
        # the worlds' indices, for choosing one valve per world
        self._worlds = xp.arange(engine.num_worlds)

        # the ids of each valve's geoms that a world may colour
        geom_names = [model.geom(i).name for i in range(model.ngeom)]
        self._coloured = []
        for name in names:
            prefix = f"{name}_colour"
            ids = [i for i, geom in enumerate(geom_names) if geom.startswith(prefix)]
            self._coloured.append(ids)

        # the first call for a field gives each world its own values of the field
        for field in ("body_pos", "geom_rgba", "dof_frictionloss"):
            engine.model_view(field)

    def angles(self) -> Array:
        """Returns the angles (N, K) rad of the handles on their scales."""
        return self._engine.view("qpos")[:, self._qpos_columns]

    def speed(self, valve: Array) -> Array:
        """Returns the angular velocity (N,) rad/s of the handle of one valve per world.

        Args:
            valve: (N,) index of each world's valve.
        """
        return self._engine.view("qvel")[self._worlds, self._dof_ids[valve]]

    def hubs_w(self, valves: Array) -> Array:
        """Returns the centres (N, k, 3) m in the world of the handles of k valves.

        Args:
            valves: (N, k) indices of k valves in each world.
        """
        return self._engine.view("xpos")[
            self._worlds[:, None], self._handle_ids[valves]
        ]

    def push(self, valve: Array, torque_n_m: Array) -> None:
        """Applies a torque to the handle of one valve per world until called again.

        Args:
            valve: (N,) index of each world's valve.
            torque_n_m: (N,) the torque, N m.
        """
        self._engine.view("qfrc_applied")[self._worlds, self._dof_ids[valve]] = (
            torque_n_m
        )

    def place(
        self, world: int, valve: int, at_m: tuple[float, float], angle: float
    ) -> None:
        """Puts one valve of a world at (x, y) of the face, its handle at `angle` rad."""
        self._engine.model_view("body_pos")[world, self._bases[valve]] = (*at_m, 0.0)
        self._engine.view("qpos")[world, self._qpos[valve]] = angle

    def park(self, world: int, valve: int) -> None:
        """Shuts one valve of a world and parks it out of sight."""
        self._engine.model_view("body_pos")[world, self._bases[valve]] = PARKED
        self._engine.view("qpos")[world, self._qpos[valve]] = 0.0

    def paint(self, world: int, valve: int, rgb: Rgb) -> None:
        """Colours the handle of one valve of a world."""
        self._engine.model_view("geom_rgba")[world, self._coloured[valve]] = (*rgb, 1.0)

    def set_friction(self, world: int, valve: int, torque_n_m: float) -> None:
        """Sets the friction torque, N m, of one valve of a world."""
        self._engine.model_view("dof_frictionloss")[world, self._dofs[valve]] = (
            torque_n_m
        )
