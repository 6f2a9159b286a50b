"""A thing that lies about: one free body, where it is in each world, and putting it
somewhere.
"""

from __future__ import annotations

import mujoco
import numpy as np

from embodied.core import Array
from embodied.envs.props.shapes import Vector, add_box
from embodied.sim.engine import ROT6D_OF_XMAT, Engine


def add_free_box(
    spec: mujoco.MjSpec, name: str, size: Vector, mass: float, rgba: Vector
) -> mujoco.MjsBody:
    """Adds a solid box of full `size` (3,) in m and `mass` in kg that may go anywhere,
    its frame in its middle.
    """
    half = np.asarray(size, float) / 2
    inertia = mass / 3 * (half @ half - half**2)
    body = spec.worldbody.add_body(
        name=name, explicitinertial=True, mass=mass, inertia=inertia
    )
    body.add_freejoint(name=name)
    add_box(body, (0, 0, 0), half, rgba, f"{name}_box").friction = [0.8, 0.005, 0.0001]
    return body


class FreeBody:
    """One free body, the same in N worlds; its joint has its name."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._body = engine.model.body(name).id
        joint = engine.model.joint(name)
        self._qpos = int(joint.qposadr[0])
        self._qvel = int(joint.dofadr[0])

    def pos_w(self) -> Array:
        """(N, 3) m."""
        return self._engine.view("xpos")[:, self._body]

    def rot6d(self) -> Array:
        """(N, 6) its x and y axes."""
        return self._engine.view("xmat")[:, self._body][:, ROT6D_OF_XMAT]

    def vel_w(self) -> Array:
        """(N, 3) m/s."""
        return self._engine.view("qvel")[:, self._qvel : self._qvel + 3]

    def place(self, world: int, pos_w: Vector, yaw: float = 0.0) -> None:
        """Sets it upright somewhere in one world, at rest; to be called in a task's
        `start`.
        """
        pose = [*pos_w, np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]
        self._engine.view("qpos")[world, self._qpos : self._qpos + 7] = pose
        self._engine.view("qvel")[world, self._qvel : self._qvel + 6] = 0.0
