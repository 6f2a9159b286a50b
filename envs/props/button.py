"""Push buttons that spring back."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco

from embodied.core import Array
from embodied.envs.props.shapes import Vector
from embodied.sim.engine import Engine
from embodied.sim.physics import PAD_SOLREF

# of the cap, over the face
RADIUS_M = 0.017
HEIGHT_M = 0.014
TRAVEL_M = 0.008  # to its stop
# down from the first on, up again from the second on
PRESSED_M = 0.005
RELEASED_M = 0.002
SPRING_N_M = 500.0
DAMPING_N_S_M = 12.0
# a light cap alone would chatter on a finger
MASS_KG = 0.02
ARMATURE_KG = 0.05


def add_button(
    face: mujoco.MjsBody,
    name: str,
    pos: Vector,
    rgba: tuple[float, float, float, float],
) -> mujoco.MjsBody:
    """Adds a button to a face (z outwards): body, joint and geom are called `name`, and
    the joint's position is how far it is pressed, m. It rests just off its upper stop,
    where no constraint costs time.
    """
    inertia = {"mass": MASS_KG, "inertia": (1e-5, 1e-5, 1e-5), "explicitinertial": True}
    body = face.add_body(name=name, pos=list(pos), gravcomp=1, **inertia)
    joint = body.add_joint(name=name, type=mujoco.mjtJoint.mjJNT_SLIDE, axis=(0, 0, -1))
    joint.range = (-0.001, TRAVEL_M)
    joint.limited = True
    joint.solref_limit = PAD_SOLREF
    joint.solimp_limit = (0.99, 0.99, 0.001, 0.5, 2.0)
    joint.stiffness = [SPRING_N_M, 0, 0]
    joint.damping = [DAMPING_N_S_M, 0, 0]
    joint.armature = ARMATURE_KG
    cap = body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=(RADIUS_M, HEIGHT_M / 2, 0),
        mass=0,
    )
    cap.pos = [0, 0, HEIGHT_M / 2]
    cap.rgba = list(rgba)
    cap.contype = 0  # only what moves by itself touches it: the robot
    return body


class Buttons:
    """Some buttons of a scene in N worlds."""

    def __init__(self, engine: Engine, names: Sequence[str]) -> None:
        self._engine = engine
        model = engine.model
        self._qpos = [int(model.joint(name).qposadr[0]) for name in names]
        self._body_ids = engine.xp.asarray([model.body(name).id for name in names])
        self._rows = engine.xp.arange(engine.num_worlds)

    def travel(self) -> Array:
        """(N, K) m that each is pressed."""
        return self._engine.view("qpos")[:, self._qpos]

    def down(self, before: Array) -> Array:
        """(N, K) bool which are down, given which were (N, K): the way back is longer,
        so that none flickers.
        """
        travel = self.travel()
        return (travel > PRESSED_M) | (before & (travel > RELEASED_M))

    def tops_w(self, button: Array) -> Array:
        """(N, 3) middle of the top of each world's `button` (N,), m; it sinks as it is
        pressed.
        """
        view = self._engine.view
        bodies = self._body_ids[button]
        outwards = view("xmat")[self._rows, bodies][:, [2, 5, 8]]
        return view("xpos")[self._rows, bodies] + HEIGHT_M * outwards
