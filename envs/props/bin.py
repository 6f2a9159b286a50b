"""Open bins on stands, each in a colour of its own: where sorted things go."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.core import Array
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import add_box
from embodied.sim.engine import Engine

STEEL = (0.20, 0.28, 0.36, 1.0)
GREY = (0.5, 0.5, 0.5, 1.0)
HIDDEN = (0.0, 0.0, 0.0, 0.0)
WALL_M = 0.006
RIM_M = 0.010


@dataclass(frozen=True)
class BinSize:
    """Inner size in m: `width` across and `depth` along the direction in which it faces
    away from the robot.
    """

    width: float = 0.135
    depth: float = 0.25
    height: float = 0.12
    floor_z: float = 0.68  # in the world

    @property
    def rim_z(self) -> float:
        """Height of the upper edge in the world, m."""
        return self.floor_z + self.height


@dataclass(frozen=True)
class BinPlace:
    """Where a bin stands: the middle of its floor (x, y) in m, and the yaw in rad of
    its depth.
    """

    name: str
    x: float
    y: float
    yaw: float


def add_bin(spec: mujoco.MjSpec, place: BinPlace, size: BinSize) -> None:
    """Adds a bin as a body that a world may shift, its frame in the middle of its
    floor, x along its depth.
    """
    half = place.yaw / 2
    body = spec.worldbody.add_body(
        name=place.name,
        pos=[place.x, place.y, size.floor_z],
        quat=[np.cos(half), 0, 0, np.sin(half)],
    )
    walls = _walls(size)
    mid_z = size.height / 2
    for pos, wall_half in (
        ((0, 0, -0.01), (size.depth / 2, size.width / 2, 0.01)),
        *walls,
    ):
        add_box(body, pos, wall_half, HIDDEN).group = 3
    shell = Paint(spec, body, f"{place.name}_shell")
    shell.box((0, 0, -0.008), (size.depth / 2, size.width / 2, 0.008), GREY)
    for pos, wall_half in walls:
        shell.box(
            (pos[0], pos[1], mid_z - 0.005),
            (wall_half[0], wall_half[1], mid_z + 0.005),
            GREY,
        )
        x, y = (
            max(wall, RIM_M) if wall < 0.01 else wall + RIM_M for wall in wall_half[:2]
        )
        shell.box((pos[0], pos[1], size.height - RIM_M), (x, y, RIM_M), GREY)
    shell.add()
    _paint_stand(spec, body, place, size)


def _walls(
    size: BinSize,
) -> list[tuple[tuple[float, float, float], tuple[float, float, float]]]:
    """Centres and half sizes of the four walls."""
    x = size.depth / 2
    y = size.width / 2
    wall = WALL_M / 2
    z = size.height / 2
    along = (x + WALL_M, wall, z)
    across = (wall, y, z)
    return [((0, s * (y + wall), z), along) for s in (-1, 1)] + [
        ((s * (x + wall), 0, z), across) for s in (-1, 1)
    ]


def _paint_stand(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, place: BinPlace, size: BinSize
) -> None:
    """A shelf and four legs."""
    stand = Paint(spec, body, f"{place.name}_stand")
    x = size.depth / 2
    y = size.width / 2
    stand.box((0, 0, -0.035), (x + 0.01, y + 0.01, 0.015), STEEL)
    for leg_x in (-x + 0.01, x - 0.01):
        for leg_y in (-y + 0.01, y - 0.01):
            stand.box(
                (leg_x, leg_y, -size.floor_z / 2),
                (0.012, 0.012, size.floor_z / 2),
                STEEL,
            )
        stand.box((leg_x, 0, -0.36), (0.010, y, 0.015), STEEL)
    stand.add()


class Bins:
    """The B bins of a scene in N worlds."""

    def __init__(
        self, engine: Engine, places: tuple[BinPlace, ...], size: BinSize
    ) -> None:
        self._engine = engine
        self._size = size
        model = engine.model
        xp = engine.xp
        self._bodies = [model.body(place.name).id for place in places]
        self._shells = [model.geom(f"{place.name}_shell_0").id for place in places]
        # (B, 3)
        self._nominal = np.array([(place.x, place.y, size.floor_z) for place in places])
        yaw = np.array([place.yaw for place in places])
        cos = np.cos(yaw)
        sin = np.sin(yaw)
        # (B, 2) of the bins' own axes, the world's x and y
        self._of_x = xp.asarray(np.stack([cos, -sin], axis=1))
        self._of_y = xp.asarray(np.stack([sin, cos], axis=1))
        self._half = xp.asarray([size.depth / 2, size.width / 2])
        for field in ("body_pos", "geom_rgba"):
            engine.vary(field)

    def shift(self, world: int, offset_m: np.ndarray) -> None:
        """Moves all bins of one world by (x, y) from their nominal places."""
        self._engine.vary("body_pos")[world, self._bodies] = self._nominal + np.array(
            [*offset_m, 0.0]
        )

    def paint(self, world: int, colours: list[tuple[float, float, float]]) -> None:
        """One colour a bin."""
        self._engine.vary("geom_rgba")[world, self._shells, :3] = colours

    def floors_w(self) -> Array:
        """(N, B, 3) middles of the floors, m."""
        return self._engine.vary("body_pos")[:, self._bodies]

    def contain(self, points_w: Array) -> Array:
        """(N, P, B) bool, whether points (N, P, 3) lie between the walls of each bin,
        below its rim.
        """
        xp = self._engine.xp
        size = self._size
        # (N, P, B, 3)
        offset = points_w[:, :, None, :] - self.floors_w()[:, None, :, :]
        # (N, P, B, 2)
        own = xp.abs(offset[..., :1] * self._of_x + offset[..., 1:2] * self._of_y)
        beside = own < self._half
        z = offset[..., 2]
        return beside[..., 0] & beside[..., 1] & (z > -0.005) & (z < size.height)
