"""Bodies that move freely: reads their poses and velocities, places and pushes them."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from embodied.arrays import columns
from embodied.core import Array
from embodied.envs.props.shapes import Vector, add_box, upright
from embodied.sim.engine import ROT6D_OF_XMAT, Engine

# The gravity compensation of a body with weight: practically none, but not 0, because
# MuJoCo counts the bodies with gravity compensation, and models with different counts
# cannot share a batch.
NO_GRAVCOMP = 1e-12
WEIGHTLESS_GRAVCOMP = 1.0
SLIDING_FRICTION = 0.8  # of a box that `add_free_box` adds


def add_free_box(
    spec: mujoco.MjSpec, name: str, size: Vector, mass: float, rgba: Vector
) -> mujoco.MjsBody:
    """Adds a solid box with a free joint, and returns its body.

    The frame of the body is at the box's centre.

    Args:
        spec: the scene.
        name: name of the body and its joint.
        size: the box's full size (3,) in m.
        mass: the box's mass in kg.
        rgba: the box's colour.
    """
    half = np.asarray(size, float) / 2  # (3,) m
    # (3,) kg m2, the inertia of a solid box: m / 3 (b^2 + c^2) about the axis of a, for half
    # sizes a, b and c
    inertia = mass / 3 * (half @ half - half**2)
    body = spec.worldbody.add_body(
        name=name, explicitinertial=True, mass=mass, inertia=inertia
    )
    body.add_freejoint(name=name)
    box = add_box(body, (0, 0, 0), half, rgba, name=f"{name}_box")
    box.friction[0] = SLIDING_FRICTION
    return body


class FreeBody:
    """One free body in N worlds; its joint has the body's name."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._body = engine.model.body(name).id
        joint = engine.model.joint(name)
        # the free joint's first columns in `qpos` and in `qvel`
        self._qpos = int(joint.qposadr[0])
        self._qvel = int(joint.dofadr[0])

    def pos_w(self) -> Array:
        """Returns the position (N, 3) m of the body's frame in the world."""
        return self._engine.view("xpos")[:, self._body]

    def rot6d(self) -> Array:
        """Returns the body's x and y axes in the world, (N, 6)."""
        return self._engine.view("xmat")[:, self._body][:, ROT6D_OF_XMAT]

    def vel_w(self) -> Array:
        """Returns the body's velocity (N, 3) m/s in the world."""
        return self._engine.view("qvel")[:, self._qvel : self._qvel + 3]

    def place(self, world: int, pos_w: Vector, yaw: float = 0.0) -> None:
        """Places one world's body upright and at rest.

        Args:
            world: the index of the world.
            pos_w: (3,) m, the position of the body's frame.
            yaw: the body's yaw, rad.
        """
        # a free joint has 7 positions, (x, y, z) and a quaternion, and 6 velocities
        pose = [*pos_w, *upright(yaw)]
        self._engine.view("qpos")[world, self._qpos : self._qpos + 7] = pose
        self._engine.view("qvel")[world, self._qvel : self._qvel + 6] = 0.0


class FreeBodies:
    """K free bodies in N worlds; each joint has its body's name.

    Props whose size or colour differs between worlds derive from this class. The argument
    `which` of its methods is the index of a body in `names`.
    """

    def __init__(
        self,
        engine: Engine,
        names: Sequence[str],
        geoms: Sequence[Sequence[str]],
        varied_fields: Sequence[str],
    ) -> None:
        """Finds the bodies in the model.

        Args:
            engine: the physics of the worlds.
            names: names of the K bodies.
            geoms: the names of each body's geoms.
            varied_fields: fields of the model that differ between worlds, in addition to
                those that `set_present` writes.
        """
        self._engine = engine
        self.names = tuple(names)
        model = engine.model
        xp = engine.xp

        # the bodies' ids, three times: as a list for writing to one body, as columns for
        # reading all bodies, and as an array for choosing one body per world
        self._bodies = [model.body(name).id for name in names]
        self._body_columns = columns(self._bodies)
        self._body_ids = xp.asarray(self._bodies)
        self._geoms = [[model.geom(name).id for name in of_body] for of_body in geoms]
        # the first column of each body's free joint in `qpos`
        self._qpos = [int(model.joint(name).qposadr[0]) for name in names]
        # (K, 3) columns of the linear velocities in `qvel`
        qvel = [int(model.joint(name).dofadr[0]) for name in names]
        self._qvel = xp.asarray([[first, first + 1, first + 2] for first in qvel])
        # the worlds' indices, for choosing one body per world (N,), or several (N, 1)
        self._worlds = xp.arange(engine.num_worlds)
        self._each_world = self._worlds[:, None]

        # views of the state of all B bodies of the model, kept because making them takes
        # time
        self._pos_w = engine.view("xpos")  # (N, B, 3)
        self._xmat = engine.view("xmat")  # (N, B, 9)
        self._velocities = engine.view("qvel")
        self._forces = engine.view("xfrc_applied")  # (N, B, 6)

        # the first call for a field gives each world its own values of the field
        for field in ("geom_rgba", "body_gravcomp", *varied_fields):
            engine.model_view(field)

    def positions_w(self) -> Array:
        """Returns the positions (N, K, 3) m of all K bodies."""
        return self._pos_w[:, self._body_columns]

    def pose_of(self, which: Array) -> tuple[Array, Array]:
        """Returns the pose of one body per world.

        Args:
            which: (N,) the index of each world's body.

        Returns:
            The body's position (N, 3) in m, and its rotation matrix (N, 9), row by row.
        """
        bodies = self._body_ids[which]
        return self._pos_w[self._worlds, bodies], self._xmat[self._worlds, bodies]

    def poses_of(self, which: Array) -> tuple[Array, Array]:
        """Returns the poses of k bodies per world.

        Args:
            which: (N, k) the indices of each world's bodies.

        Returns:
            The bodies' positions (N, k, 3) in m, and their rotation matrices (N, k, 9),
            row by row.
        """
        bodies = self._body_ids[which]
        each_world = self._each_world
        return self._pos_w[each_world, bodies], self._xmat[each_world, bodies]

    def rotations(self) -> Array:
        """Returns the rotation matrices (N, K, 3, 3) of all K bodies."""
        matrices = self._xmat[:, self._body_columns]
        return self._engine.xp.reshape(matrices, (*matrices.shape[:2], 3, 3))

    def velocities_w(self) -> Array:
        """Returns the velocities (N, K, 3) m/s of all K bodies."""
        return self._velocities[:, self._qvel]

    def velocity_of(self, which: Array) -> Array:
        """Returns the velocity (N, 3) m/s of one body per world.

        Args:
            which: (N,) the index of each world's body.
        """
        return self._velocities[self._each_world, self._qvel[which]]

    def push(self, which: Array, force_n: Array) -> None:
        """Pushes one body per world until called again.

        Args:
            which: (N,) the index of each world's body. It must not change during a push,
                because the force on the previous body would stay.
            force_n: (N, 2) x and y of the forces in the world, N.
        """
        self._forces[self._worlds, self._body_ids[which], :2] = force_n

    def place(self, world: int, which: int, pos_w: Vector, yaw: float) -> None:
        """Places one body of a world upright and at rest; for use during a reset.

        The body is at rest because a reset first sets all velocities to zero.

        Args:
            world: the index of the world.
            which: the index of the body.
            pos_w: (3,) m, the position of the body's frame.
            yaw: the body's yaw, rad.
        """
        # a free joint has 7 positions: (x, y, z) and a quaternion
        first = self._qpos[which]
        pose = [*pos_w, *upright(yaw)]
        self._engine.view("qpos")[world, first : first + 7] = pose

    def set_present(self, world: int, which: int, present: bool) -> None:
        """Makes one body take part in a world, or makes it weightless and invisible.

        A body that takes no part still collides, so it must be moved to a parking place;
        see the module `parking`.

        Args:
            world: the index of the world.
            which: the index of the body.
            present: whether the body takes part.
        """
        model_view = self._engine.model_view
        gravcomp = NO_GRAVCOMP if present else WEIGHTLESS_GRAVCOMP
        # alpha is 1 for visible geoms and 0 for invisible ones
        model_view("geom_rgba")[world, self._geoms[which], 3] = float(present)
        model_view("body_gravcomp")[world, self._bodies[which]] = gravcomp
