"""Valves with a lever or a handwheel over a scale from 0 to 120 degrees; they stay
where they are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import mujoco
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from embodied.core import Array
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import VISUAL_GROUP, add_box
from embodied.envs.props.sign import (
    INK,
    OVERSAMPLED,
    PAPER,
    add_picture,
    add_plate,
    bytes_of,
    pixels_per_m,
)
from embodied.sim.engine import Engine
from embodied.sim.physics import stiff_friction

KINDS = ("lever", "wheel")
# from the axis to where a hand takes the lever or the spoke
GRASP_RADIUS_M = {"lever": 0.070, "wheel": 0.042}
# 0 is shut, at the right; the scale goes anticlockwise over the top
SCALE_RAD = np.deg2rad(120.0)
STOP_RAD = np.deg2rad(4.0)  # a handle can go so far beyond either end
UP_RAD = SCALE_RAD / 2  # the angle at which a handle points up
STEM_M = 0.05  # from the face to the middle of the handle
FRICTION_N_M = 0.8
# width and height of the plate; its middle above the axis
DIAL_M = (0.25, 0.19)
DIAL_MIDDLE_M = 0.045
# distances from the axis
TICKS_M = (0.096, 0.109)
NUMBERS_M = 0.122
# radii of a handwheel and of its rim's tube
RIM_M = 0.075
TUBE_M = 0.007
SPOKES = 3
RIM_CAPSULES = 10
STEEL = (0.42, 0.45, 0.48, 1.0)
POINTER = (0.05, 0.05, 0.06, 1.0)
PARKED = (0.0, 3.0, 6.0)  # in the console's face: high overhead


def add_dial(spec: mujoco.MjSpec) -> None:
    """Adds the scale, which all valves of a scene show, as material `valve_dial`."""
    add_picture(spec, "valve_dial", dial_picture())


def dial_picture() -> Image.Image:
    """The scale: ticks every 5 degrees, numbers every 30."""
    scale = pixels_per_m(DIAL_M) * OVERSAMPLED
    width, height = (round(scale * side) for side in DIAL_M)
    image = Image.new("RGB", (width, height), bytes_of(PAPER))
    draw = ImageDraw.Draw(image)
    ink = bytes_of(INK)
    axis = np.array([width / 2, height / 2 + scale * DIAL_MIDDLE_M])
    draw.rectangle(
        (0, 0, width - 1, height - 1), outline=ink, width=round(0.002 * scale)
    )
    font = ImageFont.load_default(0.021 * scale)
    for degrees in range(0, 121, 5):
        turn = np.deg2rad(degrees) - UP_RAD
        outwards = scale * np.array([-np.sin(turn), -np.cos(turn)])
        start, thickness = (
            (TICKS_M[0], 0.0035) if degrees % 30 == 0 else (TICKS_M[0] + 0.004, 0.002)
        )
        if degrees % 10:
            start = TICKS_M[0] + 0.008
            thickness = 0.0012
        ends = (*(axis + outwards * start), *(axis + outwards * TICKS_M[1]))
        draw.line(ends, fill=ink, width=round(thickness * scale))
        if degrees % 30 == 0:
            place = axis + outwards * NUMBERS_M
            draw.text(
                (place[0], place[1]),
                str(degrees),
                ink,
                font,
                "mm",
                stroke_width=scale * 0.0008,
            )
    size = (width // OVERSAMPLED, height // OVERSAMPLED)
    return image.resize(size, Image.Resampling.BOX)


def add_valve(spec: mujoco.MjSpec, face: mujoco.MjsBody, name: str, kind: str) -> None:
    """Adds a valve of one of KINDS to a face (x right, y up, z outwards): body `name`,
    handle and joint `name`_handle.

    The handle's own y is where it points. Call `add_dial` once before.
    """
    base = face.add_body(name=name)
    add_plate(
        spec,
        base,
        f"{name}_dial",
        "valve_dial",
        (0, DIAL_MIDDLE_M, 0),
        DIAL_M,
        (1, 0, 0, 0),
    )
    collar = Paint(spec, base, f"{name}_collar")
    collar.cylinder((0, 0, 0, 0, 0, 0.012), 0.024, STEEL)
    collar.cylinder((0, 0, 0, 0, 0, STEM_M), 0.010, STEEL)
    collar.add()
    inertia = {"mass": 0.25, "inertia": (2e-4, 2e-4, 4e-4), "explicitinertial": True}
    quat = (np.cos(UP_RAD / 2), 0, 0, -np.sin(UP_RAD / 2))
    handle = base.add_body(
        name=f"{name}_handle", pos=(0, 0, STEM_M), quat=quat, gravcomp=1, **inertia
    )
    joint = handle.add_joint(
        name=f"{name}_handle", type=mujoco.mjtJoint.mjJNT_HINGE, axis=(0, 0, 1)
    )
    joint.range = (-STOP_RAD, SCALE_RAD + STOP_RAD)
    joint.limited = True
    stiff_friction(joint, FRICTION_N_M)
    {"lever": _add_lever, "wheel": _add_wheel}[kind](spec, handle, name)
    pointer = Paint(spec, handle, f"{name}_pointer")
    pointer.box((0, 0.055, 0.012 - STEM_M), (0.004, 0.045, 0.002), POINTER)
    pointer.add()
    for geom in handle.geoms:
        geom.contype = 0  # only what moves by itself touches it: the robot


def _add_lever(spec: mujoco.MjSpec, handle: mujoco.MjsBody, name: str) -> None:
    add_box(
        handle,
        (0, 0.065, 0),
        (0.0075, 0.032, 0.010),
        (1, 1, 1, 1),
        f"{name}_colour_grip",
    )
    steel = Paint(spec, handle, f"{name}_steel")
    steel.cylinder((0, 0, -0.012, 0, 0, 0.012), 0.018, STEEL)
    steel.box((0, 0.03, 0), (0.006, 0.03, 0.006), STEEL)
    steel.add()
    _add_cylinder(handle, (0, 0, -0.012, 0, 0, 0.012), 0.018).rgba = [0, 0, 0, 0]


def _add_wheel(spec: mujoco.MjSpec, handle: mujoco.MjsBody, name: str) -> None:
    for k in range(SPOKES):
        turn = 2 * np.pi * k / SPOKES
        spoke = add_box(
            handle,
            _at(0.045, turn),
            (0.005, 0.027, 0.006),
            (1, 1, 1, 1),
            f"{name}_colour_spoke_{k}",
        )
        spoke.quat = [np.cos(turn / 2), 0, 0, np.sin(turn / 2)]
    corners = [
        _at(RIM_M, 2 * np.pi * k / RIM_CAPSULES) for k in range(RIM_CAPSULES + 1)
    ]
    for start, end in pairwise(corners):
        kind = mujoco.mjtGeom.mjGEOM_CAPSULE
        handle.add_geom(
            type=kind, fromto=(*start, *end), size=(TUBE_M, 0, 0), mass=0, group=3
        )
    vertices, faces = _torus(RIM_M, TUBE_M)
    mesh = spec.add_mesh(
        name=f"{name}_rim", uservert=vertices.ravel(), userface=faces.ravel()
    )
    mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
    rim = handle.add_geom(
        name=f"{name}_colour_rim",
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=f"{name}_rim",
        mass=0,
    )
    rim.conaffinity = 0
    rim.group = VISUAL_GROUP
    _add_cylinder(handle, (0, 0, -0.012, 0, 0, 0.012), 0.018).rgba = STEEL


def _at(radius_m: float, turn: float) -> tuple[float, float, float]:
    """The point of a handle that lies `turn` anticlockwise of where it points."""
    return (-radius_m * float(np.sin(turn)), radius_m * float(np.cos(turn)), 0.0)


def _add_cylinder(
    body: mujoco.MjsBody, ends: Sequence[float], radius: float
) -> mujoco.MjsGeom:
    return body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CYLINDER, fromto=ends, size=(radius, 0, 0), mass=0
    )


def _torus(
    radius: float, tube: float, around: int = 30, across: int = 8
) -> tuple[np.ndarray, np.ndarray]:
    u, v = np.meshgrid(np.arange(around), np.arange(across), indexing="ij")
    angle = 2 * np.pi * u / around
    roll = 2 * np.pi * v / across
    out = radius + tube * np.cos(roll)
    vertices = np.stack(
        [out * np.cos(angle), out * np.sin(angle), tube * np.sin(roll)], axis=-1
    ).reshape(-1, 3)
    a = u * across + v
    b = u * across + (v + 1) % across
    c = (u + 1) % around * across + v
    d = (u + 1) % around * across + (v + 1) % across
    faces = np.concatenate([np.stack([a, c, d], axis=-1), np.stack([a, d, b], axis=-1)])
    return vertices, faces.reshape(-1, 3)


class Valves:
    """The K valves of a scene in N worlds."""

    def __init__(self, engine: Engine, names: Sequence[str]) -> None:
        self._engine = engine
        model = engine.model
        xp = engine.xp
        self._bases = [model.body(name).id for name in names]
        self._handles = [model.body(f"{name}_handle").id for name in names]
        self._qpos = [int(model.joint(f"{name}_handle").qposadr[0]) for name in names]
        self._dofs = [int(model.joint(f"{name}_handle").dofadr[0]) for name in names]
        self._handle_ids = xp.asarray(self._handles)
        self._rows = xp.arange(engine.num_worlds)
        self._dof_ids = xp.asarray(self._dofs)
        named = [(i, model.geom(i).name) for i in range(model.ngeom)]
        self._coloured = [
            [i for i, geom in named if geom.startswith(f"{name}_colour")]
            for name in names
        ]
        for field in ("body_pos", "geom_rgba", "dof_frictionloss"):
            engine.vary(field)

    def angles(self) -> Array:
        """(N, K) rad on the scale."""
        return self._engine.view("qpos")[:, self._qpos]

    def speed(self, valve: Array) -> Array:
        """(N,) rad/s of each world's `valve` (N,)."""
        return self._engine.view("qvel")[self._rows, self._dof_ids[valve]]

    def hubs_w(self, valves: Array) -> Array:
        """(N, k, 3) middles of the handles of each world's `valves` (N, k), m."""
        return self._engine.view("xpos")[self._rows[:, None], self._handle_ids[valves]]

    def push(self, valve: Array, torque_n_m: Array) -> None:
        """Turns each world's `valve` (N,) with a torque (N,) until told otherwise."""
        self._engine.view("qfrc_applied")[self._rows, self._dof_ids[valve]] = torque_n_m

    def place(
        self, world: int, valve: int, at_m: tuple[float, float], angle: float
    ) -> None:
        """Puts one valve at (x, y) of the face, its handle at `angle` rad."""
        self._engine.vary("body_pos")[world, self._bases[valve]] = (*at_m, 0.0)
        self._engine.view("qpos")[world, self._qpos[valve]] = angle

    def park(self, world: int, valve: int) -> None:
        """Takes one valve out of the world, shut."""
        self._engine.vary("body_pos")[world, self._bases[valve]] = PARKED
        self._engine.view("qpos")[world, self._qpos[valve]] = 0.0

    def paint(self, world: int, valve: int, rgb: tuple[float, float, float]) -> None:
        """Gives one handle a colour."""
        self._engine.vary("geom_rgba")[world, self._coloured[valve]] = (*rgb, 1.0)

    def set_friction(self, world: int, valve: int, torque_n_m: float) -> None:
        """How hard one valve is to turn."""
        self._engine.vary("dof_frictionloss")[world, self._dofs[valve]] = torque_n_m
