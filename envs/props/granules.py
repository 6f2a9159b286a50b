"""Water as a few dozen smooth grains, which pile up, flow and spill.

Grains are spheres without friction on each other and in vessels, so they need not rotate.
Each grain therefore has three slide joints instead of a free joint, which halves the work
of the simulation.
"""

from __future__ import annotations

import mujoco
import numpy as np

from embodied.arrays import columns, dot
from embodied.core import Array
from embodied.envs.props.shapes import COLLISION_GROUP, Rgb
from embodied.sim.engine import Engine

RADIUS_M = 0.0075
# MuJoCo's `solref` of the grains' contacts: soft enough for a solver that makes 40
# iterations of conjugate gradients.
SOLREF = (0.01, 1.0)
# Twice the mass of a ball of water of that radius, because grains fill only half of the
# volume that water would.
MASS_KG = 0.0035
# Damping of the slides. Without it all grains would run out of a vessel as soon as one of
# its walls slopes down. With it they creep down a slope of 3 degrees at 6 cm/s, and still
# fall at up to 1.1 m/s.
DRAG_N_S_M = 0.03
# Grains are drawn larger than they are, so that neighbours merge and look like water.
DRAWN_RADIUS_M = 0.0102
PREFIX = "grain"
WATER = (0.36, 0.66, 0.88, 1.0)
# Grains fill a vessel in layers: nine grains, then four in the gaps of the nine, and so
# on. x and y of the grains of a layer, as multiples of the distance of neighbours:
NINE = tuple((x, y) for x in (-1.0, 0.0, 1.0) for y in (-1.0, 0.0, 1.0))
FOUR = tuple((x, y) for x in (-0.5, 0.5) for y in (-0.5, 0.5))
# The distance from one layer of nine to the next, in diameters of a grain. It is a little
# more than 1, so that the grains do not touch.
LAYER_PAIR = 1.03


def add_granules(spec: mujoco.MjSpec, count: int) -> None:
    """Adds `count` grains of water at the origin, from where `Granules.place` moves them."""
    inertia = 0.4 * MASS_KG * RADIUS_M**2  # kg m2, of a ball
    for k in range(count):
        body = spec.worldbody.add_body(
            name=f"{PREFIX}_{k}",
            explicitinertial=True,
            mass=MASS_KG,
            inertia=[inertia] * 3,
        )
        for axis, direction in zip("xyz", np.eye(3), strict=True):
            body.add_joint(
                name=f"{PREFIX}_{k}_{axis}",
                type=mujoco.mjtJoint.mjJNT_SLIDE,
                axis=direction,
                damping=[DRAG_N_S_M, 0.0, 0.0],  # only the linear term
            )
        ball = body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[RADIUS_M, 0, 0], mass=0
        )
        ball.condim = 1  # contacts without friction
        ball.solref = SOLREF
        ball.group = COLLISION_GROUP
        # the drawn sphere is a site, because a geom would cost time in the collision
        # search
        body.add_site(
            name=f"{PREFIX}_{k}",
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            size=[DRAWN_RADIUS_M, 0, 0],
            rgba=WATER,
            group=0,  # cameras draw sites of this group
        )


def filling(count: int, half_width_m: float, floor_m: float) -> np.ndarray:
    """Returns positions (count, 3) m at which grains fill a square vessel.

    The grains do not touch, because the solver would need a hundred times as long for a
    start with grains inside each other.

    Args:
        count: the number of grains.
        half_width_m: half the width of the vessel's inside.
        floor_m: height of the vessel's floor; the returned heights are in the same frame.
    """
    # the distance of neighbours in a layer: the outer grains of the nine are 0.5 mm from
    # the walls
    pitch = half_width_m - RADIUS_M - 0.0005

    # how much higher the layer of four lies than the layer of nine below: the centres of
    # touching grains would be two radii apart, and a gap of 0.6 mm is added
    aside = pitch / np.sqrt(2)  # horizontal distance of neighbours in the two layers
    rise = np.sqrt(max((2 * RADIUS_M) ** 2 - aside**2, 0.0)) + 0.0006

    positions: list[tuple[float, float, float]] = []
    z = floor_m + RADIUS_M + 0.0002  # of the lowest layer, 0.2 mm above the floor
    while len(positions) < count:
        for layer, above in ((NINE, 0.0), (FOUR, rise)):
            positions += [(pitch * x, pitch * y, z + above) for x, y in layer]
        z += LAYER_PAIR * 2 * RADIUS_M
    return np.array(positions[:count])


class Granules:
    """The K grains of each of N worlds."""

    def __init__(self, engine: Engine, count: int) -> None:
        """Finds the `count` grains in the model, which were added one after the other."""
        self._engine = engine
        model = engine.model
        self._qpos = self.qpos_of(model, count)
        self._drops = [model.site(f"{PREFIX}_{k}").id for k in range(count)]
        bodies = [model.body(f"{PREFIX}_{k}").id for k in range(count)]
        self._columns = columns(bodies)
        self._pos_w = engine.view("xpos")
        first = int(model.joint(f"{PREFIX}_0_x").dofadr[0])
        # (N, 3 K) m/s: since the slides are along the world's axes, their velocities are
        # the grains' velocities in the world
        self._vel_w = engine.view("qvel")[:, first : first + 3 * count]
        engine.model_view("site_rgba")  # gives each world its own values

    @staticmethod
    def qpos_of(model: mujoco.MjModel, count: int) -> slice:
        """Returns the columns of `qpos` that hold x, y and z of each grain in turn."""
        first = int(model.joint(f"{PREFIX}_0_x").qposadr[0])
        return slice(first, first + 3 * count)

    def positions_w(self) -> Array:
        """Returns the positions (N, K, 3) m of the grains."""
        return self._pos_w[:, self._columns]

    def speeds_m_s(self) -> Array:
        """Returns the speeds (N, K) m/s of the grains."""
        vel_w = self._vel_w.reshape(len(self._vel_w), -1, 3)
        return self._engine.xp.sqrt(dot(vel_w, vel_w))

    def place(self, world: int, positions_w: np.ndarray) -> None:
        """Moves one world's grains to positions (K, 3) m; for use during a reset."""
        self._engine.view("qpos")[world, self._qpos] = positions_w.ravel()

    def paint(self, world: int, rgb: Rgb) -> None:
        """Colours the water of one world."""
        self._engine.model_view("site_rgba")[world, self._drops, :3] = rgb
