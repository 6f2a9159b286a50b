"""Open bins on stands, each in its own colour, into which things are sorted."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.arrays import columns
from embodied.core import Array
from embodied.envs.props.colours import FRAME_BLUE, INVISIBLE
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import COLLISION_GROUP, Box, Rgb, add_box, upright
from embodied.sim.engine import Engine

UNPAINTED = (0.5, 0.5, 0.5, 1.0)
WALL_M = 0.006
RIM_HALF_M = 0.010  # half the width and half the height of the painted rim
# A point at most this far below the floor still counts as inside.
FLOOR_TOLERANCE_M = 0.005
# A horizontal half size of a wall below this is across the wall; a larger one is along it.
THIN_M = 0.01


@dataclass(frozen=True)
class BinSize:
    """Inner size of a bin in m; `depth` is along the direction away from the robot."""

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
    """Where a bin stands: the middle (x, y) of its floor, and its yaw."""

    name: str  # of the bin's body
    x: float  # m
    y: float  # m
    yaw: float  # rad, of the direction of the bin's depth


def add_bin(spec: mujoco.MjSpec, place: BinPlace, size: BinSize) -> None:
    """Adds a bin as a body that a world may shift.

    The frame is in the middle of the bin's floor, with x along the bin's depth. Boxes are
    given by their middle and half size, m.
    """
    body = spec.worldbody.add_body(
        name=place.name,
        pos=[place.x, place.y, size.floor_z],
        quat=upright(place.yaw),
    )

    # the collision geoms: the floor and four walls
    half_x = size.depth / 2
    half_y = size.width / 2
    walls = _walls(size)
    floor: Box = ((0, 0, -0.01), (half_x, half_y, 0.01))
    for pos, half in (floor, *walls):
        add_box(body, pos, half, INVISIBLE).group = COLLISION_GROUP

    # the visual shell, whose colour differs between worlds
    shell = Paint(spec, body, f"{place.name}_shell")
    shell.box((0, 0, -0.008), (half_x, half_y, 0.008), UNPAINTED)
    half_z = size.height / 2
    for (x, y, _), (wall_x, wall_y, _) in walls:  # middle and half size
        # painted walls reach 1 cm lower than the solid walls, to cover the floor's sides
        wall_half = (wall_x, wall_y, half_z + 0.005)
        shell.box((x, y, half_z - 0.005), wall_half, UNPAINTED)
        rim_half = (_rim_half(wall_x), _rim_half(wall_y), RIM_HALF_M)
        shell.box((x, y, size.height - RIM_HALF_M), rim_half, UNPAINTED)
    shell.add()

    _paint_stand(spec, body, place, size)


def _walls(size: BinSize) -> list[Box]:
    """Returns the boxes of the four walls: -y, +y, -x and +x in the bin's frame."""
    x = size.depth / 2
    y = size.width / 2
    wall = WALL_M / 2
    z = size.height / 2

    # half sizes; the walls along x are longer, as they cover the corners
    along_x = (x + WALL_M, wall, z)
    along_y = (wall, y, z)
    return [
        ((0, -1 * (y + wall), z), along_x),
        ((0, y + wall, z), along_x),
        ((-1 * (x + wall), 0, z), along_y),
        ((x + wall, 0, z), along_y),
    ]


def _rim_half(wall_half: float) -> float:
    """Returns the half size of a rim along one axis, m.

    Args:
        wall_half: The half size of the wall below the rim, along the same axis.
    """
    # across the wall, the rim is wider than the wall
    if wall_half < THIN_M:
        return max(wall_half, RIM_HALF_M)
    # along the wall, the rim is longer than the wall, so that neighbouring rims meet
    return wall_half + RIM_HALF_M


def _paint_stand(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, place: BinPlace, size: BinSize
) -> None:
    """Adds a shelf and four legs with a rail at the near and the far side.

    Boxes are given by their middle and half size in the bin's frame, m.

    Args:
        spec: the scene.
        body: the bin's body.
        place: the bin's name and place.
        size: the size of a bin.
    """
    stand = Paint(spec, body, f"{place.name}_stand")
    x = size.depth / 2
    y = size.width / 2
    half_z = size.floor_z / 2

    # the shelf under the bin, then the legs, and a rail from leg to leg on each side
    stand.box((0, 0, -0.035), (x + 0.01, y + 0.01, 0.015), FRAME_BLUE)
    for leg_x in (-x + 0.01, x - 0.01):
        for leg_y in (-y + 0.01, y - 0.01):
            stand.box((leg_x, leg_y, -half_z), (0.012, 0.012, half_z), FRAME_BLUE)
        stand.box((leg_x, 0, -0.36), (0.010, y, 0.015), FRAME_BLUE)
    stand.add()


class Bins:
    """The B bins of a scene in N worlds."""

    def __init__(
        self, engine: Engine, places: tuple[BinPlace, ...], size: BinSize
    ) -> None:
        """Finds the bins at `places` in the model."""
        self._engine = engine
        self._size = size
        model = engine.model
        xp = engine.xp
        self._bodies = columns([model.body(place.name).id for place in places])
        self._shells = [model.geom(f"{place.name}_shell_0").id for place in places]
        # (B, 3) m, nominal centres of the floors
        self._nominal = np.array([(place.x, place.y, size.floor_z) for place in places])

        # (B, 2) each: the world's x axis and its y axis in each bin's frame
        yaw = np.array([place.yaw for place in places])
        cos = np.cos(yaw)
        sin = np.sin(yaw)
        self._world_x_in_bin = xp.asarray(np.stack([cos, -sin], axis=1))
        self._world_y_in_bin = xp.asarray(np.stack([sin, cos], axis=1))
        self._half = xp.asarray([size.depth / 2, size.width / 2])

        # the first call for a field gives each world its own values of the field
        for field in ("body_pos", "geom_rgba"):
            engine.model_view(field)

    def shift(self, world: int, offset_m: np.ndarray) -> None:
        """Moves all bins of one world by (x, y) m from their nominal places."""
        offset = np.array([*offset_m, 0.0])
        self._engine.model_view("body_pos")[world, self._bodies] = (
            self._nominal + offset
        )

    def paint(self, world: int, colours: list[Rgb]) -> None:
        """Colours each bin of one world."""
        self._engine.model_view("geom_rgba")[world, self._shells, :3] = colours

    def floors_w(self) -> Array:
        """Returns the centres (N, B, 3) m in the world of the bins' floors."""
        return self._engine.model_view("body_pos")[:, self._bodies]

    def contain(self, points_w: Array) -> Array:
        """Returns whether points are between the walls of each bin, below its rim.

        Args:
            points_w: (N, P, 3) m, P points in each world.

        Returns:
            (N, P, B) bool, whether each point is in each bin.
        """
        xp = self._engine.xp
        # (N, P, B, 3) from each bin's floor to each point, in the world's frame
        offset = points_w[:, :, None, :] - self.floors_w()[:, None, :, :]
        # (N, P, B, 2) x and y in the bin's frame
        xy = offset[..., :1] * self._world_x_in_bin
        xy = xy + offset[..., 1:2] * self._world_y_in_bin
        within = xp.abs(xy) < self._half
        z = offset[..., 2]
        above_floor = z > -FLOOR_TOLERANCE_M
        below_rim = z < self._size.height
        return within[..., 0] & within[..., 1] & above_floor & below_rim
