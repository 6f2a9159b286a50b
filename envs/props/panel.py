"""A fault panel: rows of lamps, each with its reset button, and a plate beside each row
that names its system.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np

from embodied.core import Array
from embodied.envs.props.button import HEIGHT_M, add_button
from embodied.envs.props.paint import Paint
from embodied.envs.props.sign import Signs, SignStyle, add_plate, add_sign, add_text
from embodied.sim.engine import Engine

ROWS = 3
COLUMNS = 4
PITCH_M = (0.105, 0.118)  # between columns and between rows
FIRST_M = (-0.095, 0.100)  # of the upper left lamp-and-button pair in the face
LAMP_ABOVE_M = 0.026
BUTTON_BELOW_M = 0.024
LAMP_RADIUS_M = 0.017
NAME_X_M = -0.215
NAME_M = (0.125, 0.062)
SYSTEMS = {  # what a row's plate says, its ink and its paper
    "cooling": ((0.96, 0.97, 0.98), (0.10, 0.32, 0.66)),
    "pumps": ((0.96, 0.97, 0.98), (0.10, 0.45, 0.24)),
    "power": ((0.10, 0.10, 0.10), (0.95, 0.76, 0.10)),
    "drains": ((0.96, 0.97, 0.98), (0.36, 0.24, 0.16)),
    "heating": ((0.96, 0.97, 0.98), (0.86, 0.38, 0.07)),
    "air": ((0.10, 0.10, 0.10), (0.62, 0.84, 0.90)),
    "vents": ((0.96, 0.97, 0.98), (0.45, 0.20, 0.55)),
}
# dark, warning, fault
LIGHTS = ((0.16, 0.13, 0.13, 1.0), (0.85, 0.42, 0.0, 1.0), (0.95, 0.02, 0.02, 1.0))
DARK, WARNING, FAULT = range(3)
BEZEL = (0.10, 0.11, 0.12, 1.0)
CAP = (0.90, 0.91, 0.90, 1.0)
BOARD = (0.30, 0.34, 0.38, 1.0)
BUTTON_TOP_M = 0.001 + HEIGHT_M  # of a button that is up, above the face
LAMPS = tuple(
    f"lamp_{row}_{column}" for row in range(ROWS) for column in range(COLUMNS)
)
BUTTONS = tuple(
    f"button_{row}_{column}" for row in range(ROWS) for column in range(COLUMNS)
)
NAMES = tuple(f"row_name_{row}" for row in range(ROWS))


def middle_m(row: int, column: int) -> tuple[float, float]:
    """(x, y) in the face between a lamp and its button."""
    return FIRST_M[0] + column * PITCH_M[0], FIRST_M[1] - row * PITCH_M[1]


def add_panel(spec: mujoco.MjSpec, face: mujoco.MjsBody) -> None:
    """Adds the panel to a face (x right, y up, z outwards) of at least 0.6 x 0.44 m."""
    spec.add_material(name="lamp", emission=0.8, specular=0.2, shininess=0.2)
    paint = Paint(spec, face, "panel_paint")
    flat = (1, 0, 0, 0)
    style = {
        system: SignStyle(NAME_M, ink, paper)
        for system, (ink, paper) in SYSTEMS.items()
    }
    for system in SYSTEMS:
        add_text(spec, f"row_{system}", system.upper(), style[system])
    for row, name in enumerate(NAMES):
        add_plate(
            spec,
            face,
            name,
            "row_cooling",
            (NAME_X_M, middle_m(row, 0)[1], 0),
            NAME_M,
            flat,
        )
        for column in range(COLUMNS):
            _add_pair(face, paint, row, column)
        x = (middle_m(row, 0)[0] + middle_m(row, COLUMNS - 1)[0]) / 2
        y = middle_m(row, 0)[1]
        paint.box(
            (x, y, 0.0005),
            (COLUMNS * PITCH_M[0] / 2, PITCH_M[1] / 2 - 0.004, 0.0005),
            BOARD,
        )
    for column in range(COLUMNS):
        x, y = middle_m(0, column)
        style_m = SignStyle((0.028, 0.022))
        add_sign(
            spec,
            face,
            f"column_{column}",
            str(column + 1),
            (x, y + PITCH_M[1] / 2 + 0.012, 0),
            style_m,
            flat,
        )
    paint.add()


def _add_pair(face: mujoco.MjsBody, paint: Paint, row: int, column: int) -> None:
    (x, y) = middle_m(row, column)
    k = row * COLUMNS + column
    lamp = face.add_geom(
        name=LAMPS[k],
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=(LAMP_RADIUS_M, 0.006, 0),
        mass=0,
    )
    lamp.pos = [x, y + LAMP_ABOVE_M, 0.006]
    lamp.material = "lamp"
    lamp.rgba = list(LIGHTS[DARK])
    lamp.contype = 0
    lamp.conaffinity = 0
    lamp.group = 2
    paint.cylinder(
        (x, y + LAMP_ABOVE_M, 0, x, y + LAMP_ABOVE_M, 0.007),
        LAMP_RADIUS_M + 0.004,
        BEZEL,
    )
    paint.cylinder(
        (x, y - BUTTON_BELOW_M, 0, x, y - BUTTON_BELOW_M, 0.004), 0.022, BEZEL
    )
    add_button(face, BUTTONS[k], (x, y - BUTTON_BELOW_M, BUTTON_TOP_M - HEIGHT_M), CAP)


def lamp_of_button(xp: Any, at_m: Array) -> Array:
    """(n,) numbers of the lamps whose buttons are at x, y (n, 2) of the face."""
    column = xp.round((at_m[:, 0] - FIRST_M[0]) / PITCH_M[0])
    row = xp.round((FIRST_M[1] - BUTTON_BELOW_M - at_m[:, 1]) / PITCH_M[1])
    return xp.astype(row * COLUMNS + column, xp.int64)


class Panel:
    """Lamps and row names in N worlds."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        xp = engine.xp
        self._lamps = [engine.model.geom(name).id for name in LAMPS]
        # (3, 4) rgba, as precise as the model holds it
        self._lights = xp.asarray(LIGHTS, dtype=xp.float32)
        self._signs = Signs(engine, NAMES, [f"row_{system}" for system in SYSTEMS])
        engine.vary("geom_rgba")

    def show(self, lights: Array) -> None:
        """Lights every lamp (N, 12): DARK, WARNING or FAULT."""
        self._engine.vary("geom_rgba")[:, self._lamps] = self._lights[lights]

    def show_one(self, world: int, lights: np.ndarray) -> None:
        """Lights the lamps (12,) of one world."""
        self._engine.vary("geom_rgba")[world, self._lamps] = self._lights[lights]

    def name_rows(self, world: int, systems: Sequence[str]) -> None:
        """Writes what the rows of one world are for, from the top."""
        names = list(SYSTEMS)
        self._signs.write(world, [names.index(system) for system in systems])
