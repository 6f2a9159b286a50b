"""A fixture of a machine: a pocket that holds a workpiece upright, with sloped edges.

The slopes (the "lead-in") guide the workpiece into the pocket. The fixture's position and
yaw and the clearance of its pocket differ between worlds.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.core import Array
from embodied.envs.props.colours import FRAME_BLUE, SAFETY_YELLOW, STEEL
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import add_box, upright
from embodied.sim.contact_force import SUM_OF_CONTACTS, ContactForce, add_contact_sensor
from embodied.sim.engine import Engine

BODY = "fixture"
FORCE = "fixture_force"
JAW = (0.70, 0.72, 0.74, 1.0)
LEAD_IN = (0.86, 0.87, 0.88, 1.0)
FLOOR = (0.30, 0.32, 0.34, 1.0)
KNOB = (0.72, 0.16, 0.13, 1.0)
SLIDING_FRICTION = 0.15  # low, because the surfaces are ground and oiled
# The clearance with which the model is built; each world then sets its own.
NOMINAL_CLEARANCE_M = 0.002
# Four jaws around the pocket, at +x, -x, +y and -y, each with a slope on top.
JAWS = tuple(f"fixture_jaw_{k}" for k in range(4))
SLOPES = tuple(f"fixture_slope_{k}" for k in range(4))
DIRECTIONS = ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0))


@dataclass(frozen=True)
class FixtureSize:
    """Nominal position in the world of the pocket's floor, and sizes, m."""

    x: float = 0.52
    y: float = 0.16
    floor_z: float = 0.725
    # size of the workpiece that fits into the pocket
    length: float = 0.060  # along x
    width: float = 0.040  # along y
    depth: float = 0.018  # height of the jaws' vertical faces above the pocket's floor
    jaw: float = 0.012  # thickness of the jaws
    lead_in: float = 0.010  # length of the slopes
    plate: float = 0.004  # thickness of the slopes
    lean_rad: float = np.deg2rad(40.0)  # angle of the slopes from the vertical

    @property
    def rim(self) -> float:
        """Height of the slopes' upper edge above the pocket's floor."""
        return float(self.depth + self.lead_in * np.cos(self.lean_rad))


def add_fixture(spec: mujoco.MjSpec, size: FixtureSize) -> None:
    """Adds the fixture as a body with its frame at the centre of the pocket's floor.

    Boxes are given by their middle and half size, cylinders by the middles of their two
    ends and their radius, m.
    """
    body = spec.worldbody.add_body(name=BODY, pos=[size.x, size.y, size.floor_z])

    # the base plate, whose upper face is the pocket's floor; it reaches 14 mm beyond the
    # jaws
    half_x = size.length / 2 + size.jaw + 0.014
    half_y = size.width / 2 + size.jaw + 0.014
    base = add_box(body, (0, 0, -0.006), (half_x, half_y, 0.006), FLOOR)
    base.friction[0] = SLIDING_FRICTION

    jaws = _jaws(size, clearance_m=NOMINAL_CLEARANCE_M)
    for name, (pos, half) in zip(JAWS, jaws, strict=True):
        jaw = add_box(body, pos, half, JAW, name=name)
        jaw.friction[0] = SLIDING_FRICTION

    slopes = _slopes(size, clearance_m=NOMINAL_CLEARANCE_M)
    for k, (pos, half) in enumerate(slopes):
        slope = add_box(body, pos, half, LEAD_IN, name=SLOPES[k])
        slope.quat = _slope_quat(size, k)
        slope.friction[0] = SLIDING_FRICTION
    add_contact_sensor(spec, FORCE, BODY, reduce=SUM_OF_CONTACTS)

    # a foot below the base plate, whose underside is 12 mm below the pocket's floor
    paint = Paint(spec, body, "fixture_paint")
    foot_half_z = 0.0065
    foot = (half_x + 0.02, half_y + 0.02, foot_half_z)
    paint.box((0, 0, -0.012 - foot_half_z), foot, FRAME_BLUE)
    # bolts in the foot's corners, a clamp that stands open behind the pocket, and a
    # yellow stripe on the foot's front
    for x in (-half_x - 0.008, half_x + 0.008):
        for y in (-half_y - 0.008, half_y + 0.008):
            paint.cylinder((x, y, -0.012), (x, y, -0.006), 0.006, STEEL)
    clamp_x = half_x + 0.006
    paint.box((clamp_x, 0, 0.012), (0.010, 0.014, 0.026), STEEL)
    paint.cylinder((clamp_x, 0, 0.03), (clamp_x + 0.05, 0, 0.085), 0.006, STEEL)
    grip = ((clamp_x + 0.05, 0, 0.085), (clamp_x + 0.075, 0, 0.1125))
    paint.cylinder(*grip, 0.009, KNOB)
    stripe = (-half_x - 0.0205, 0, -0.0185)
    paint.box(stripe, (0.0005, half_y + 0.02, 0.005), SAFETY_YELLOW)
    paint.add()


def _jaws(size: FixtureSize, clearance_m: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns the centre and half size, (3,) m each, of the four jaws.

    Args:
        size: sizes of the fixture.
        clearance_m: how much larger than the workpiece the pocket is in both directions.
    """
    inner = (np.array([size.length, size.width]) + clearance_m) / 2  # half the pocket
    half_jaw = size.jaw / 2
    half_z = size.depth / 2
    boxes = []
    for x, y in DIRECTIONS:
        out = np.array([x, y])
        pos = np.array([*(out * (inner + half_jaw)), half_z])
        # jaws at +-x end at the pocket's corners; jaws at +-y cover the corners
        half = (half_jaw, inner[1]) if x else (inner[0] + size.jaw, half_jaw)
        boxes.append((pos, np.array([*half, half_z])))
    return boxes


def _slopes(
    size: FixtureSize, clearance_m: float
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns the centre and half size, (3,) m each, of the slopes on the jaws.

    A slope's upper face starts at its jaw's inner edge and leans outwards. The arguments
    are those of `_jaws`.
    """
    inner = (np.array([size.length, size.width]) + clearance_m) / 2  # half the pocket
    sin = np.sin(size.lean_rad)
    cos = np.cos(size.lean_rad)
    half_long = size.lead_in / 2
    half_thick = size.plate / 2

    # outwards and up from the jaw's inner edge to the slope's centre, which is half the
    # slope's length along its upper face, and half its thickness below that face
    out_m = half_long * sin + half_thick * cos
    up_m = half_long * cos - half_thick * sin
    boxes = []
    for x, y in DIRECTIONS:
        out = np.array([x, y])
        pos = np.array([*(out * (inner + out_m)), size.depth + up_m])
        half = (half_thick, inner[1]) if x else (inner[0], half_thick)
        boxes.append((pos, np.array([*half, half_long])))
    return boxes


def _slope_quat(size: FixtureSize, k: int) -> list[float]:
    """Returns the rotation (4,) wxyz of the k-th slope, which leans outwards."""
    x, y = DIRECTIONS[k]
    half_angle = size.lean_rad / 2
    sin = float(np.sin(half_angle))
    # leaning towards +x is a rotation about y, and leaning towards +y about -x
    return [float(np.cos(half_angle)), -y * sin, x * sin, 0.0]


class Fixture:
    """The fixture of N worlds."""

    def __init__(self, engine: Engine, size: FixtureSize) -> None:
        """Finds the fixture in the model."""
        self._engine = engine
        self._size = size
        model = engine.model
        self._body = model.body(BODY).id
        self._jaws = [model.geom(name).id for name in JAWS]
        self._slopes = [model.geom(name).id for name in SLOPES]
        self._force = ContactForce(engine, FORCE)
        # the first call for a field gives each world its own values of the field
        for field in ("body_pos", "body_quat", "geom_pos", "geom_size"):
            engine.model_view(field)

    def place(self, world: int, shift_m: tuple[float, float], yaw: float) -> None:
        """Moves one world's fixture by (x, y) m from its nominal place, and sets its yaw."""
        size = self._size
        pos = (size.x + shift_m[0], size.y + shift_m[1], size.floor_z)
        self._engine.model_view("body_pos")[world, self._body] = pos
        self._engine.model_view("body_quat")[world, self._body] = upright(yaw)

    def fit(self, world: int, clearance_m: float) -> None:
        """Sets the clearance of one world's pocket.

        The clearance is how much larger than the workpiece the pocket is in both
        directions.
        """
        model_view = self._engine.model_view
        for geoms, boxes in (
            (self._jaws, _jaws(self._size, clearance_m)),
            (self._slopes, _slopes(self._size, clearance_m)),
        ):
            model_view("geom_pos")[world, geoms] = [pos for pos, _ in boxes]
            model_view("geom_size")[world, geoms] = [half for _, half in boxes]

    def floor_w(self) -> Array:
        """Returns the centre (N, 3) m in the world of the pocket's floor."""
        return self._engine.view("xpos")[:, self._body]

    def heading(self) -> Array:
        """Returns the cosine and the sine (N, 2) of the fixture's yaw."""
        # x and y of the fixture's x axis, the first column of its rotation matrix
        return self._engine.view("xmat")[:, self._body][:, [0, 3]]

    def force_n(self) -> Array:
        """Returns the peak force (N,) N on the fixture in the last control step.

        In each physics step, the forces of all contacts of the fixture are added; the
        peak is the largest of these sums.
        """
        return self._force.peaks_n()[:, 0]
