"""A box with a machine's start button and a lamp that shows the machine's state."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco

from embodied.core import Array
from embodied.envs.props.button import CAP_HEIGHT_M, STOP_ABOVE_M, add_button
from embodied.envs.props.colours import SAFETY_YELLOW
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import add_box, make_visual
from embodied.sim.engine import Engine

BODY = "start_box"
BUTTON = "start_button"
LAMP = "start_lamp"
CASE = (0.86, 0.87, 0.86, 1.0)
BEZEL = (0.10, 0.11, 0.12, 1.0)
CAP = (0.10, 0.55, 0.22, 1.0)
# The states of the machine that the lamp shows, and the lamp's colour in each state.
WAITS, RUNS, FAULT = range(3)
LIGHTS = ((0.20, 0.21, 0.20, 1.0), (0.10, 0.90, 0.25, 1.0), (0.95, 0.05, 0.05, 1.0))


@dataclass(frozen=True)
class StartBoxPlace:
    """Nominal position of the centre of the box's underside, and its half size, m."""

    x: float = 0.42
    y: float = 0.43
    z: float = 0.70
    half: tuple[float, float, float] = (0.045, 0.045, 0.035)


def add_start_box(spec: mujoco.MjSpec, place: StartBoxPlace) -> None:
    """Adds the box as a body with its frame at the centre of its underside.

    Boxes are given by their middle and half size, cylinders by the middles of their two
    ends and their radius, m.
    """
    half_x, half_y, half_z = place.half
    box = spec.worldbody.add_body(name=BODY, pos=[place.x, place.y, place.z])
    add_box(box, (0, 0, half_z), place.half, CASE)
    top_z = 2 * half_z  # above the box's underside
    add_button(box, BUTTON, (0, 0, top_z + STOP_ABOVE_M), CAP)

    spec.add_material(name=LAMP, emission=0.8, specular=0.2, shininess=0.2)
    lamp = box.add_geom(
        name=LAMP,
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        pos=[half_x - 0.013, half_y - 0.013, top_z + 0.03],
        size=(0.011, 0.03, 0),
        material=LAMP,
        rgba=list(LIGHTS[WAITS]),
        mass=0,
    )
    make_visual(lamp)

    # a bezel around the button, and a yellow band around the box
    paint = Paint(spec, box, "start_box_paint")
    paint.cylinder((0, 0, top_z), (0, 0, top_z + 0.004), 0.024, BEZEL)
    band_half = (half_x + 0.0005, half_y + 0.0005, 0.006)
    paint.box((0, 0, top_z - 0.012), band_half, SAFETY_YELLOW)
    paint.add()


def button_top_z(place: StartBoxPlace) -> float:
    """Returns the world height of the button's top while it is not pressed, m."""
    return place.z + 2 * place.half[2] + STOP_ABOVE_M + CAP_HEIGHT_M


class StartBox:
    """The start box of N worlds, and its lamp. `Buttons` reads its button."""

    def __init__(self, engine: Engine, place: StartBoxPlace) -> None:
        """Finds the box and its lamp in the model."""
        self._engine = engine
        self._place = place
        self._body = engine.model.body(BODY).id
        self._lamp = engine.model.geom(LAMP).id
        xp = engine.xp
        # (3, 4) rgba of the states, in the model's precision
        self._lights = xp.asarray(LIGHTS, dtype=xp.float32)
        # the first call for a field gives each world its own values of the field
        for field in ("body_pos", "geom_rgba"):
            engine.model_view(field)

    def shift(self, world: int, offset_m: tuple[float, float]) -> None:
        """Moves one world's box by (x, y) m from its nominal place."""
        place = self._place
        pos = (place.x + offset_m[0], place.y + offset_m[1], place.z)
        self._engine.model_view("body_pos")[world, self._body] = pos

    def show(self, light: Array) -> None:
        """Sets the lamps of all worlds to the states `light` (N,): WAITS, RUNS or FAULT."""
        self._engine.model_view("geom_rgba")[:, self._lamp] = self._lights[light]

    def show_one(self, world: int, light: int) -> None:
        """Sets the lamp of one world to the state `light`: WAITS, RUNS or FAULT."""
        self._engine.model_view("geom_rgba")[world, self._lamp] = self._lights[light]
