"""A desk with a sloped face, on which buttons, lamps and valves are mounted."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.core import Array
from embodied.envs.props.colours import FRAME_BLUE, INVISIBLE, SAFETY_YELLOW
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import (
    COLLISION_GROUP,
    Mesh,
    add_box,
    add_visual_mesh,
    join_meshes,
    touched_by_robots_only,
)
from embodied.sim.engine import Engine

FACE = (0.66, 0.69, 0.70, 1.0)
CABINET = (0.58, 0.61, 0.63, 1.0)
# Thickness of the cabinet's side panels ("cheeks"), which stand out above the face.
CHEEK_M = 0.02
# How much lower than the cheeks the shell between them is.
SHELL_BELOW_CHEEKS_M = 0.012
# Distance of the collision box behind the front of the shell.
SOLID_BEHIND_SHELL_M = 0.02


@dataclass(frozen=True)
class ConsoleSize:
    """Centre of the console's face in the world, and sizes, m.

    The face is tilted: it looks up and back at the robot. A hand that points straight
    at any point of the face can roll by +-60 degrees, with all joints at least 0.5 rad
    inside their ranges. A vertical face at this place would be out of the wrist's
    range.
    """

    x: float = 0.72  # of the face's centre; its y is 0
    z: float = 0.92
    width: float = 0.62  # along y
    height: float = 0.46  # along the slope
    tilt_rad: float = np.deg2rad(58.0)  # of the face from upright
    depth: float = 0.16  # depth of the cabinet's top behind the face

    def axes(self) -> np.ndarray:
        """Returns the face's axes in the world as the columns of a matrix (3, 3).

        The x, y and z axes point to the right, up along the face, and out of the face.
        """
        sin = np.sin(self.tilt_rad)
        cos = np.cos(self.tilt_rad)
        return np.array([(0.0, sin, -cos), (-1.0, 0.0, 0.0), (0.0, cos, sin)])

    def quat(self) -> np.ndarray:
        """Returns the rotation (4,) wxyz of the face."""
        quat = np.zeros(4)
        mujoco.mju_mat2Quat(quat, self.axes().ravel())
        return quat


def add_console(spec: mujoco.MjSpec, size: ConsoleSize) -> mujoco.MjsBody:
    """Adds the body `console`, which worlds may shift, and returns it.

    The body's frame is at the centre of the face: x right, y up along the face, z
    outwards.
    """
    console = spec.worldbody.add_body(
        name="console", pos=[size.x, 0, size.z], quat=size.quat()
    )
    half_width = size.width / 2
    face_half = (half_width, size.height / 2, 0.01)
    face = add_box(console, (0, 0, -0.01), face_half, FACE, name="console_face")
    touched_by_robots_only(face)

    # the cabinet is upright: the conjugate of the face's rotation (wxyz) undoes it
    upright = size.quat() * (1, -1, -1, -1)
    cabinet = console.add_body(name="console_cabinet", quat=upright)
    outline = _outline(size)
    # the cheeks at both sides, and the shell between them, which is a little lower
    cheeks = join_meshes(
        [
            _prism(outline, half_width, half_width + CHEEK_M),
            _prism(outline, -half_width - CHEEK_M, -half_width),
        ]
    )
    add_visual_mesh(spec, cabinet, "console_cheeks", cheeks).rgba = list(FRAME_BLUE)
    inner = outline - np.array([0.0, SHELL_BELOW_CHEEKS_M])
    shell = _prism(inner, -half_width, half_width)
    add_visual_mesh(spec, cabinet, "console_shell", shell).rgba = list(CABINET)

    _add_solid(cabinet, inner, half_width)
    _paint_trim(spec, cabinet, outline, half_width + CHEEK_M)
    return console


def _outline(size: ConsoleSize) -> np.ndarray:
    """Returns the outline (6, 2) of the cabinet as seen from the side: x and z, m.

    Seen from the right, the points run counterclockwise from the face's lower edge. They
    are relative to the face's centre.
    """
    # x and z of the outline's upper corner: 15 mm beyond the face's upper edge, along
    # the axis that points up the face
    top = size.axes()[[0, 2], 1] * (size.height / 2 + 0.015)
    front = -top
    back_x = top[0] + size.depth
    floor_z = -size.z
    return np.array(
        [
            front,  # beyond the face's lower edge
            (front[0], front[1] - 0.05),  # below it, where the front begins to recede
            (front[0] + 0.06, floor_z),  # the toe, set back for people's feet
            (back_x, floor_z),
            (back_x, top[1]),
            top,
        ]
    )


def _prism(outline: np.ndarray, near_y: float, far_y: float) -> Mesh:
    """Returns the prism over a convex outline (n, 2), x and z, between two values of y.

    The outline must run counterclockwise as seen from -y, and `near_y` must be the
    smaller y, so that the triangles face outwards. Each side of the prism has its own
    vertices, so that edges are drawn sharp.

    Args:
        outline: (n, 2) m, x and z of the outline's corners.
        near_y: y of the end that is nearer to -y, m.
        far_y: y of the other end, m.
    """
    count = len(outline)
    near = np.insert(outline, 1, near_y, axis=1)
    far = np.insert(outline, 1, far_y, axis=1)

    # the two ends, each a fan of triangles
    first = np.zeros(count - 2, int)
    second = np.arange(1, count - 1)
    fan = np.stack([first, second, second + 1], axis=1)
    vertices = [near, far]
    faces = [fan, fan[:, ::-1] + count]

    # the sides, each of two triangles
    two_triangles = np.array([(0, 1, 2), (0, 2, 3)])
    for k in range(count):
        after = (k + 1) % count
        vertices.append(np.array([near[k], far[k], far[after], near[after]]))
        faces.append(two_triangles + 2 * count + 4 * k)
    return np.concatenate(vertices), np.concatenate(faces)


def _add_solid(cabinet: mujoco.MjsBody, inner: np.ndarray, half_width: float) -> None:
    """Adds the collision box inside the shell.

    The box stops robots only; parts mounted on the console pass through it. The box
    reaches from the floor up to the lower edge of the face.

    Args:
        cabinet: the cabinet's body, which is upright.
        inner: the shell's outline (6, 2), in the order of `_outline`.
        half_width: half the width of the console, m.
    """
    # without the first two points, which are farther forwards than the toe
    behind_toe = inner[2:]
    low_x, low_z = behind_toe.min(axis=0)
    high_x = behind_toe.max(axis=0)[0]
    high_z = inner[0, 1]  # height of the face's lower edge

    middle = (
        (low_x + SOLID_BEHIND_SHELL_M + high_x) / 2,
        0.0,
        (low_z + high_z) / 2,
    )
    half = (
        (high_x - low_x - SOLID_BEHIND_SHELL_M) / 2,
        half_width,
        (high_z - low_z) / 2,
    )
    solid = add_box(cabinet, middle, half, INVISIBLE, name="console_solid")
    solid.group = COLLISION_GROUP
    touched_by_robots_only(solid)


def _paint_trim(
    spec: mujoco.MjSpec, cabinet: mujoco.MjsBody, outline: np.ndarray, half_y: float
) -> None:
    """Adds a plinth, and a yellow strip under the face; both are only drawn.

    Boxes are given by their middle and half size, m.

    Args:
        spec: the scene.
        cabinet: the cabinet's body, which gets both.
        outline: (6, 2), the result of `_outline`: x and z in the cabinet's frame, m.
        half_y: half the cabinet's width, m.
    """
    front = outline[0]  # beyond the face's lower edge
    toe = outline[2]  # where the cabinet's front meets the floor
    back = outline[3]  # where the cabinet's back meets the floor
    paint = Paint(spec, cabinet, "console_trim")

    # 8 cm high, from 5 mm before the toe to 25 mm behind the back
    plinth = ((toe[0] + back[0]) / 2 + 0.01, 0, toe[1] + 0.04)
    plinth_half = ((back[0] - toe[0]) / 2 + 0.015, half_y + 0.004, 0.04)
    paint.box(plinth, plinth_half, FRAME_BLUE)

    # the strip, just below the face's lower edge
    strip = (front[0] - 0.004, 0, front[1] - 0.03)
    paint.box(strip, (0.006, half_y, 0.016), SAFETY_YELLOW)
    paint.add()


class Console:
    """The position of the console in N worlds."""

    def __init__(self, engine: Engine, size: ConsoleSize) -> None:
        self._engine = engine
        self._body = engine.model.body("console").id
        self._nominal = np.array([size.x, 0.0, size.z])
        engine.model_view("body_pos")  # gives each world its own values

    def shift(self, world: int, offset_m: np.ndarray) -> None:
        """Moves the console of one world by (x, y, z) m from its nominal place."""
        self._engine.model_view("body_pos")[world, self._body] = (
            self._nominal + offset_m
        )

    def pos_w(self) -> Array:
        """Returns the middle (N, 3) m of the console's face."""
        return self._engine.model_view("body_pos")[:, self._body]
