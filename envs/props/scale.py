"""A bench scale: a pan on a load cell, and a display that faces up and towards +x.

The pan sinks by a few mm, as a spring does under its load.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.core import Array
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import Rgb, add_box
from embodied.envs.props.sign import PLATE_M, SignStyle, add_plate, add_text
from embodied.sim.engine import Engine

BODY = "scale"
PAN = "scale_pan"
DISPLAY = "scale_display"
BLANK = "blank"  # name of what the display shows before anything was weighed
# Colours.
CASE = (0.30, 0.33, 0.36, 1.0)
CONSOLE = (0.20, 0.22, 0.24, 1.0)
STEEL = (0.74, 0.76, 0.78, 1.0)
BEZEL = (0.08, 0.09, 0.10, 1.0)
GREEN_KEY = (0.12, 0.50, 0.24, 1.0)
GREY_KEY = (0.62, 0.64, 0.66, 1.0)
FOOT = (0.08, 0.08, 0.09, 1.0)
DARK: Rgb = (0.07, 0.10, 0.09)  # of a display that shows nothing yet
DASHES: Rgb = (0.35, 0.75, 0.55)
LETTERS: Rgb = (0.98, 0.98, 0.97)
GRAVITY_M_S2 = 9.81
# The spring of the pan. Its damping is half the critical damping of the pan with a load of
# 0.3 kg.
STIFFNESS_N_M = 2000.0
DAMPING_N_S_M = 35.0
PAN_KG = 0.3
# Distances of the stops that limit the pan's travel, below and above its rest position.
DOWN_M = 0.008
UP_M = 0.001
SLIDING_FRICTION = 0.5
TILT_RAD = float(np.deg2rad(35.0))  # of the display, from lying flat


@dataclass(frozen=True)
class ScalePlace:
    """Nominal position in the world of the scale, and its sizes, m."""

    # the centre of the scale's underside
    x: float = 0.53
    y: float = -0.15
    z: float = 0.70
    half: tuple[float, float, float] = (0.085, 0.085, 0.020)  # half size of the case
    pan_half: float = 0.078  # half the width of the pan
    pan_z: float = 0.056  # height of the pan's upper face above the underside
    display: tuple[float, float] = (0.130, 0.090)  # width and height

    @property
    def pan(self) -> np.ndarray:
        """(3,) centre in the world of the upper face of the pan without load."""
        return np.array([self.x, self.y, self.z + self.pan_z])


def add_scale(
    spec: mujoco.MjSpec, place: ScalePlace, texts: Sequence[tuple[str, str, Rgb]]
) -> None:
    """Adds the scale as a body that worlds may shift, with its frame at its underside.

    Boxes are given by their middle and half size, cylinders by the middles of their two
    ends and their radius, m.

    Args:
        spec: the scene.
        place: the scale's nominal position and sizes.
        texts: what the display can show besides BLANK: (name, text, colour behind it).
    """
    scale = spec.worldbody.add_body(name=BODY, pos=[place.x, place.y, place.z])
    half_x, _, half_z = place.half
    add_box(scale, (0, 0, half_z), place.half, CASE)
    _add_pan(spec, scale, place)
    _add_display(spec, scale, place, texts)

    # the column under the pan, and a foot at each corner
    paint = Paint(spec, scale, "scale_paint")
    column = (0, 0, 2 * half_z + 0.003)
    paint.box(column, (0.05, 0.05, 0.003), BEZEL)
    for x in (-1, 1):
        for y in (-1, 1):
            foot = (x * (half_x - 0.012), y * (place.half[1] - 0.012))
            paint.cylinder((*foot, -0.0005), (*foot, 0.003), 0.013, FOOT)
    paint.add()


def _add_pan(spec: mujoco.MjSpec, scale: mujoco.MjsBody, place: ScalePlace) -> None:
    """Adds the pan on its spring, with its frame at the centre of its upper face.

    Boxes are given by their middle and half size, m.
    """
    pan = scale.add_body(
        name=PAN, pos=[0, 0, place.pan_z], mass=PAN_KG, explicitinertial=True
    )
    half = (place.pan_half, place.pan_half, 0.003)
    pan.inertia = [6e-4, 6e-4, 1.2e-3]  # kg m2, that of a plate 0.156 m wide
    # without the pan's own weight, the spring measures the load alone
    pan.gravcomp = 1.0
    plate = add_box(pan, (0, 0, -half[2]), half, STEEL, name=PAN)
    plate.friction[0] = SLIDING_FRICTION

    spring = pan.add_joint(name=PAN, type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0, 0, 1])
    spring.limited = mujoco.mjtLimited.mjLIMITED_TRUE
    spring.range = [-DOWN_M, UP_M]
    # of stiffness and damping, only the linear terms
    spring.stiffness = [STIFFNESS_N_M, 0.0, 0.0]
    spring.damping = [DAMPING_N_S_M, 0.0, 0.0]
    # the pan sinks into the case without colliding with it
    spec.add_exclude(name=PAN, bodyname1=BODY, bodyname2=PAN)

    # dark lines along the pan's edges
    paint = Paint(spec, pan, "scale_pan_paint")
    half_thick = 0.0003
    edge = place.pan_half - 0.004
    for side in (-1, 1):
        paint.box((side * edge, 0, 0), (0.0015, edge, half_thick), BEZEL)
        paint.box((0, side * edge, 0), (edge, 0.0015, half_thick), BEZEL)
    paint.add()


def _add_display(
    spec: mujoco.MjSpec,
    scale: mujoco.MjsBody,
    place: ScalePlace,
    texts: Sequence[tuple[str, str, Rgb]],
) -> None:
    """Adds the console behind the pan with the tilted display and two keys.

    Boxes are given by their middle and half size, cylinders by the middles of their two
    ends and their radius, m.

    Args:
        spec: the scene.
        scale: the scale's body.
        place: the scale's nominal position and sizes.
        texts: the texts that the display can show, as in `add_scale`.
    """
    width, height = place.display
    style = SignStyle(place.display, ink=DASHES, paper=DARK)
    add_text(spec, f"{DISPLAY}_{BLANK}", "- - -", style)
    for name, text, rgb in texts:
        style = SignStyle(place.display, ink=LETTERS, paper=rgb, stretched=True)
        add_text(spec, f"{DISPLAY}_{name}", text, style)

    # The console's frame is on the display's surface: x points to the right for a reader,
    # y up along the display, z out of the display. The frame's rotation is a quarter turn
    # about z, then the tilt about x.
    sin = np.sin(TILT_RAD / 2) * np.sqrt(0.5)
    cos = np.cos(TILT_RAD / 2) * np.sqrt(0.5)
    console_x = place.half[0] + 0.056
    console = scale.add_body(
        name=f"{BODY}_console", pos=[console_x, 0, 0.056], quat=[cos, sin, sin, cos]
    )
    half = (width / 2 + 0.012, height / 2 + 0.010, 0.012)
    add_box(console, (0, 0, -half[2]), half, CONSOLE)
    add_plate(
        spec,
        console,
        DISPLAY,
        material=f"{DISPLAY}_{BLANK}",
        pos=(0, 0.0, 0.0015 - PLATE_M),  # the plate's front is 1.5 mm out
        size_m=place.display,
        quat=(1, 0, 0, 0),
    )

    paint = Paint(spec, console, "scale_console_paint")
    paint.box((0, 0, 0), (width / 2 + 0.004, height / 2 + 0.004, 0.001), BEZEL)
    paint.add()

    # what carries the console, and two keys on the front of the scale's case
    stand = Paint(spec, scale, "scale_stand_paint")
    stand.box((console_x + 0.002, 0, 0.018), (0.030, 0.045, 0.018), CASE)
    for y, rgba in ((-0.025, GREY_KEY), (0.025, GREEN_KEY)):
        stand.cylinder(
            (-place.half[0] - 0.001, y, 0.02), (-place.half[0], y, 0.02), 0.009, rgba
        )
    stand.add()


class Scale:
    """The scale of N worlds."""

    def __init__(self, engine: Engine, place: ScalePlace, names: Sequence[str]) -> None:
        """Finds the scale in the model.

        Args:
            engine: the physics of the worlds.
            place: the scale's nominal position and sizes.
            names: names of the texts that the display can show, without BLANK.
        """
        self._engine = engine
        self._place = place
        model = engine.model
        xp = engine.xp
        self._body = model.body(BODY).id
        self._pan = model.body(PAN).id
        self._qpos = int(model.joint(PAN).qposadr[0])  # the spring's column in `qpos`
        self._display = model.geom(DISPLAY).id
        materials = [model.material(f"{DISPLAY}_{name}").id for name in (*names, BLANK)]
        self._materials = xp.asarray(materials, dtype=xp.int32)
        # the first call for a field gives each world its own values of the field
        for field in ("body_pos", "geom_matid"):
            engine.model_view(field)

    def shift(self, world: int, offset_m: tuple[float, float]) -> None:
        """Moves one world's scale by (x, y) m from its nominal place."""
        place = self._place
        pos = (place.x + offset_m[0], place.y + offset_m[1], place.z)
        self._engine.model_view("body_pos")[world, self._body] = pos

    def pan_w(self) -> Array:
        """Returns the centre (N, 3) of the pan's upper face, m."""
        return self._engine.view("xpos")[:, self._pan]

    def reading_kg(self) -> Array:
        """Returns the load (N,) kg on the pan, computed from how far the pan has sunk."""
        sunk_m = -self._engine.view("qpos")[:, self._qpos]
        return sunk_m * (STIFFNESS_N_M / GRAVITY_M_S2)

    def show(self, texts: Array) -> None:
        """Shows a text on each world's display.

        Args:
            texts: (N,) indices into the names of `__init__`. The index after the last
                name shows BLANK.
        """
        shown = self._materials[texts]
        self._engine.model_view("geom_matid")[:, self._display] = shown

    def clear(self, world: int) -> None:
        """Shows BLANK on one world's display."""
        self._engine.model_view("geom_matid")[world, self._display] = self._materials[
            -1
        ]
