"""A desk with a sloped face, on which buttons, lamps and valves are mounted."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.core import Array
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import VISUAL_GROUP, add_box
from embodied.sim.engine import Engine

FRAME = (0.20, 0.28, 0.36, 1.0)
FACE = (0.66, 0.69, 0.70, 1.0)
CABINET = (0.58, 0.61, 0.63, 1.0)
ACCENT = (0.93, 0.70, 0.13, 1.0)
SIDE_M = 0.02  # thickness of the cabinet's cheeks, which stand over the face


@dataclass(frozen=True)
class ConsoleSize:
    """Middle of the face in the world and its size, m; the face looks back at the robot
    and up.

    A hand that comes straight at it can roll by 60 degrees either way all over it, half
    a radian within all joints' ranges; an upright face as near and as low would need
    the wrist to bend further than it can.
    """

    x: float = 0.72
    z: float = 0.92
    width: float = 0.62
    height: float = 0.46  # along the slope
    tilt_rad: float = np.deg2rad(58.0)  # from upright
    depth: float = 0.16  # of the cabinet's top behind the face

    def axes(self) -> np.ndarray:
        """(3, 3) columns: to the right, up along the face, and out of it, in the world."""
        sin = np.sin(self.tilt_rad)
        cos = np.cos(self.tilt_rad)
        return np.array([(0.0, sin, -cos), (-1.0, 0.0, 0.0), (0.0, cos, sin)])

    def quat(self) -> np.ndarray:
        """(4,) wxyz of the face."""
        quat = np.zeros(4)
        mujoco.mju_mat2Quat(quat, self.axes().ravel())
        return quat


def add_console(spec: mujoco.MjSpec, size: ConsoleSize) -> mujoco.MjsBody:
    """Adds the body `console`, which worlds may shift: its frame lies in the face, x
    right, y up, z outwards.
    """
    console = spec.worldbody.add_body(
        name="console", pos=[size.x, 0, size.z], quat=size.quat()
    )
    face = add_box(
        console,
        (0, 0, -0.01),
        (size.width / 2, size.height / 2, 0.01),
        FACE,
        "console_face",
    )
    # upright, like the world
    cabinet = console.add_body(
        name="console_cabinet", quat=size.quat() * (1, -1, -1, -1)
    )
    profile = _profile(size)
    _add_prism(
        spec,
        cabinet,
        "console_cheeks",
        profile,
        (size.width / 2, size.width / 2 + SIDE_M),
        FRAME,
    )
    inner = profile - np.array([0.0, 0.012])
    _add_prism(
        spec,
        cabinet,
        "console_shell",
        inner,
        (-size.width / 2, size.width / 2),
        CABINET,
    )
    low = inner[2:].min(axis=0)
    high = inner[2:].max(axis=0)
    solid = (low[0] + 0.02 + high[0]) / 2, 0.0, (low[1] + inner[0, 1]) / 2
    half = ((high[0] - low[0] - 0.02) / 2, size.width / 2, (inner[0, 1] - low[1]) / 2)
    inside = add_box(cabinet, solid, half, (0, 0, 0, 0), "console_solid")
    inside.group = 3
    # what is mounted on it passes through, the robot does not
    face.contype = inside.contype = 0
    _paint_trim(spec, cabinet, size, profile)
    return console


def _profile(size: ConsoleSize) -> np.ndarray:
    """(6, 2) x and z of the cabinet's outline seen from its right, counterclockwise
    from the face's lower edge.
    """
    up = size.axes()[[0, 2], 1] * (size.height / 2 + 0.015)
    front = -up
    top = up
    back = top[0] + size.depth
    floor = -size.z
    return np.array(
        [
            front,
            (front[0], front[1] - 0.05),
            (front[0] + 0.06, floor),
            (back, floor),
            (back, top[1]),
            top,
        ]
    )


def _add_prism(
    spec: mujoco.MjSpec,
    body: mujoco.MjsBody,
    name: str,
    profile: np.ndarray,
    y: tuple[float, float],
    rgba: tuple[float, ...],
) -> None:
    """A painted prism of a convex outline in x and z between two y, and for cheeks
    (y[0] > 0) its mirror image too.
    """
    mirrored = ((y[0], y[1]), (-y[1], -y[0])) if y[0] > 0 else (y,)
    parts = [_prism(profile, near, far) for near, far in mirrored]
    vertices = [part for part, _ in parts]
    faces = [triangles + k * len(vertices[0]) for k, (_, triangles) in enumerate(parts)]
    mesh = spec.add_mesh(
        name=name,
        uservert=np.concatenate(vertices).ravel(),
        userface=np.concatenate(faces).ravel(),
    )
    mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
    geom = body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=name,
        rgba=list(rgba),
        mass=0,
    )
    geom.contype = 0
    geom.conaffinity = 0
    geom.group = VISUAL_GROUP


def _prism(
    profile: np.ndarray, near: float, far: float
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices, those of each side its own so that edges are sharp, and faces (m, 3)
    that look outwards.
    """
    count = len(profile)
    ends = [np.insert(profile, 1, y, axis=1) for y in (near, far)]
    fan = np.stack(
        [np.zeros(count - 2, int), np.arange(1, count - 1), np.arange(2, count)], axis=1
    )
    vertices = [ends[0], ends[1]]
    faces = [fan, fan[:, ::-1] + count]
    for k in range(count):
        after = (k + 1) % count
        vertices.append(
            np.array([ends[0][k], ends[1][k], ends[1][after], ends[0][after]])
        )
        faces.append(np.array([(0, 1, 2), (0, 2, 3)]) + 2 * count + 4 * k)
    return np.concatenate(vertices), np.concatenate(faces)


def _paint_trim(
    spec: mujoco.MjSpec, cabinet: mujoco.MjsBody, size: ConsoleSize, profile: np.ndarray
) -> None:
    paint = Paint(spec, cabinet, "console_trim")
    front = profile[0]
    toe = profile[2]
    back = profile[3]
    half_y = size.width / 2 + SIDE_M
    paint.box(
        ((toe[0] + back[0]) / 2 + 0.01, 0, toe[1] + 0.04),
        ((back[0] - toe[0]) / 2 + 0.015, half_y + 0.004, 0.04),
        FRAME,
    )
    paint.box((front[0] - 0.004, 0, front[1] - 0.03), (0.006, half_y, 0.016), ACCENT)
    paint.add()


class Console:
    """Where the console stands in N worlds."""

    def __init__(self, engine: Engine, size: ConsoleSize) -> None:
        self._engine = engine
        self._size = size
        self._body = engine.model.body("console").id
        engine.vary("body_pos")

    def shift(self, world: int, offset_m: np.ndarray) -> None:
        """Moves the console of one world by (x, y, z) from its nominal place."""
        nominal = np.array([self._size.x, 0.0, self._size.z])
        self._engine.vary("body_pos")[world, self._body] = nominal + offset_m

    def pos_w(self) -> Array:
        """(N, 3) middle of the face, m."""
        return self._engine.vary("body_pos")[:, self._body]
