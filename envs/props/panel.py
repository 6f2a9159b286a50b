"""A fault panel: rows of lamps, each with its reset button.

A plate beside each row shows the name of the row's system.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np

from embodied.core import Array
from embodied.envs.props.button import CAP_HEIGHT_M, STOP_ABOVE_M, add_button
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import make_visual
from embodied.envs.props.sign import Signs, SignStyle, add_plate, add_sign, add_text
from embodied.sim.engine import Engine

ROWS = 3
COLUMNS = 4
# A lamp and the button below it are a pair. Distances between columns and between rows of
# pairs:
PITCH_X_M = 0.105
PITCH_Y_M = 0.118
# The centre of the upper left pair in the face's frame.
FIRST_X_M = -0.095
FIRST_Y_M = 0.100
LAMP_ABOVE_M = 0.026  # above the centre of the pair
LAMP_RADIUS_M = 0.017
BUTTON_BELOW_M = 0.024  # below the centre of the pair
# height of a button's top above the face while it is not pressed
BUTTON_TOP_M = STOP_ABOVE_M + CAP_HEIGHT_M
NAME_X_M = -0.222
NAME_SIZE_M = (0.146, 0.106)
FLAT = (1, 0, 0, 0)  # wxyz of a plate on the face

# System -> text of a row's plate. Lines have at most five letters, so that they can be
# read in the frames of the task's camera: these are 96 pixels high, and a plate in them is
# 21 x 15 pixels. Only the letters tell the systems apart, so a policy must read them.
SYSTEMS = {
    "cooling": "COOL\nING",
    "pumps": "PUMPS",
    "power": "POWER",
    "drains": "DRA\nINS",
    "heating": "HEAT\nING",
    "air": "AIR",
    "vents": "VENTS",
}
NAME_STYLE = SignStyle(
    NAME_SIZE_M, ink=(0.02, 0.02, 0.03), paper=(0.97, 0.97, 0.96), stretched=True
)
# The states of a lamp, and the lamp's colour in each state.
DARK, WARNING, FAULT = range(3)
LIGHTS = ((0.16, 0.13, 0.13, 1.0), (0.85, 0.42, 0.0, 1.0), (0.95, 0.02, 0.02, 1.0))
BEZEL = (0.10, 0.11, 0.12, 1.0)
CAP = (0.90, 0.91, 0.90, 1.0)
BOARD = (0.30, 0.34, 0.38, 1.0)

_PAIRS = [(row, column) for row in range(ROWS) for column in range(COLUMNS)]
LAMPS = tuple(f"lamp_{row}_{column}" for row, column in _PAIRS)
BUTTONS = tuple(f"button_{row}_{column}" for row, column in _PAIRS)
NAMES = tuple(f"row_name_{row}" for row in range(ROWS))


def middle_m(row: int, column: int) -> tuple[float, float]:
    """Returns the centre (x, y) of a pair of lamp and button in the face, m."""
    return FIRST_X_M + column * PITCH_X_M, FIRST_Y_M - row * PITCH_Y_M


def add_panel(spec: mujoco.MjSpec, face: mujoco.MjsBody) -> None:
    """Adds the panel to a face (x right, y up, z outwards) of at least 0.6 x 0.44 m."""
    spec.add_material(name="lamp", emission=0.8, specular=0.2, shininess=0.2)
    # the texts of all systems; worlds choose which three to show
    for system, text in SYSTEMS.items():
        add_text(spec, f"row_{system}", text, NAME_STYLE)

    paint = Paint(spec, face, "panel_paint")
    for row in range(ROWS):
        _add_row(spec, face, paint, row)

    # the numbers over the columns
    for column in range(COLUMNS):
        x, y = middle_m(0, column)
        pos = (x, y + PITCH_Y_M / 2 + 0.012, 0)
        number = SignStyle((0.028, 0.022))
        add_sign(
            spec,
            face,
            f"column_{column}",
            str(column + 1),
            pos=pos,
            style=number,
            quat=FLAT,
        )
    paint.add()


def _add_row(spec: mujoco.MjSpec, face: mujoco.MjsBody, paint: Paint, row: int) -> None:
    """Adds a row's plate, its lamps and buttons, and the board behind them.

    Boxes are given by their middle and half size, m.

    Args:
        spec: the scene.
        face: the body of the face.
        paint: the collection that gets the drawn parts.
        row: the row's index, counted from the top.
    """
    first_x, y = middle_m(row, 0)
    last_x, _ = middle_m(row, COLUMNS - 1)
    first_text = f"row_{next(iter(SYSTEMS))}"  # until a world chooses another
    add_plate(
        spec,
        face,
        NAMES[row],
        material=first_text,
        pos=(NAME_X_M, y, 0),
        size_m=NAME_SIZE_M,
        quat=FLAT,
    )

    for column in range(COLUMNS):
        _add_pair(face, paint, row, column)

    # the board, behind all lamps and buttons of the row
    board_half = (COLUMNS * PITCH_X_M / 2, PITCH_Y_M / 2 - 0.004, 0.0005)
    paint.box(((first_x + last_x) / 2, y, 0.0005), board_half, BOARD)


def _add_pair(face: mujoco.MjsBody, paint: Paint, row: int, column: int) -> None:
    """Adds a lamp and its button, each in a bezel.

    Cylinders are given by the middles of their two ends and their radius, m.

    Args:
        face: the body of the face.
        paint: the collection that gets the drawn parts.
        row: the row's index, counted from the top.
        column: the column's index, counted from the left.
    """
    x, y = middle_m(row, column)
    lamp_y = y + LAMP_ABOVE_M
    button_y = y - BUTTON_BELOW_M
    k = row * COLUMNS + column  # index into LAMPS and BUTTONS

    # heights above the face: the lamp 12 mm, its bezel 7 mm, the button's bezel 4 mm
    lamp = face.add_geom(
        name=LAMPS[k],
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        pos=[x, lamp_y, 0.006],
        size=(LAMP_RADIUS_M, 0.006, 0),
        material="lamp",
        rgba=list(LIGHTS[DARK]),
        mass=0,
    )
    make_visual(lamp)
    paint.cylinder((x, lamp_y, 0), (x, lamp_y, 0.007), LAMP_RADIUS_M + 0.004, BEZEL)
    paint.cylinder((x, button_y, 0), (x, button_y, 0.004), 0.022, BEZEL)
    add_button(face, BUTTONS[k], (x, button_y, BUTTON_TOP_M - CAP_HEIGHT_M), CAP)


def lamp_of_button(xp: Any, at_m: Array) -> Array:
    """Returns the index (n,) into LAMPS of the lamp that belongs to each of n buttons.

    Args:
        xp: the array namespace.
        at_m: (n, 2) x and y of the buttons in the face, m.
    """
    # round to the nearest column and row
    column = xp.round((at_m[:, 0] - FIRST_X_M) / PITCH_X_M)
    row = xp.round((FIRST_Y_M - BUTTON_BELOW_M - at_m[:, 1]) / PITCH_Y_M)
    return xp.astype(row * COLUMNS + column, xp.int64)


class Panel:
    """Lamps and row names in N worlds."""

    def __init__(self, engine: Engine) -> None:
        """Finds lamps and plates in the model."""
        self._engine = engine
        xp = engine.xp
        self._lamps = [engine.model.geom(name).id for name in LAMPS]
        # (3, 4) rgba of the states, in the model's precision
        self._lights = xp.asarray(LIGHTS, dtype=xp.float32)
        self._signs = Signs(engine, NAMES, [f"row_{system}" for system in SYSTEMS])
        engine.model_view("geom_rgba")  # gives each world its own values

    def show(self, lights: Array) -> None:
        """Sets the lamps of all worlds.

        Args:
            lights: (N, 12) DARK, WARNING or FAULT for each lamp, in the order of LAMPS.
        """
        self._engine.model_view("geom_rgba")[:, self._lamps] = self._lights[lights]

    def show_one(self, world: int, lights: np.ndarray) -> None:
        """Sets the lamps of one world, as `show` does, to `lights` (12,)."""
        self._engine.model_view("geom_rgba")[world, self._lamps] = self._lights[lights]

    def name_rows(self, world: int, systems: Sequence[str]) -> None:
        """Shows the names of `systems` on one world's plates, from the top row down."""
        names = list(SYSTEMS)
        self._signs.write(world, [names.index(system) for system in systems])
