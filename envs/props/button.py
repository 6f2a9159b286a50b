"""Push buttons that spring back."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco

from embodied.arrays import columns
from embodied.core import Array
from embodied.envs.props.shapes import Rgba, Vector, touched_by_robots_only
from embodied.sim.engine import Engine
from embodied.sim.physics import PAD_SOLREF

CAP_RADIUS_M = 0.017
CAP_HEIGHT_M = 0.014  # above the face
TRAVEL_M = 0.008  # from a button's rest position to its lower stop
# A button clicks down when its travel exceeds PRESSED_M, and up when it is below
# RELEASED_M.
PRESSED_M = 0.005
RELEASED_M = 0.002
SPRING_N_M = 500.0
DAMPING_N_S_M = 12.0
MASS_KG = 0.02
# Added inertia, without which the light cap would chatter on a finger.
ARMATURE_KG = 0.05
# The upper stop is this far above the rest position, so that a button at rest does not
# touch it, because an active constraint costs time.
STOP_ABOVE_M = 0.001


def add_button(
    face: mujoco.MjsBody, name: str, pos: Vector, rgba: Rgba
) -> mujoco.MjsBody:
    """Adds a button to a face (z outwards), and returns the button's body.

    The joint's position is the button's travel, m.

    Args:
        face: the body of the face.
        name: the name of the button's body, joint and geom.
        pos: (3,) m, the centre of the cap's underside in the face's frame.
        rgba: the colour of the cap.
    """
    body = face.add_body(
        name=name,
        pos=list(pos),
        gravcomp=1,
        mass=MASS_KG,
        inertia=(1e-5, 1e-5, 1e-5),  # kg m2; without effect, since it only slides
        explicitinertial=True,
    )

    joint = body.add_joint(name=name, type=mujoco.mjtJoint.mjJNT_SLIDE, axis=(0, 0, -1))
    joint.range = (-STOP_ABOVE_M, TRAVEL_M)
    # make the stops nearly as stiff as MuJoCo allows; `solimp` is (dmin, dmax, width,
    # midpoint, power)
    joint.limited = True
    joint.solref_limit = PAD_SOLREF
    joint.solimp_limit = (0.99, 0.99, 0.001, 0.5, 2.0)
    # of stiffness and damping, only the linear terms
    joint.stiffness = [SPRING_N_M, 0, 0]
    joint.damping = [DAMPING_N_S_M, 0, 0]
    joint.armature = ARMATURE_KG

    cap = body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        pos=(0, 0, CAP_HEIGHT_M / 2),
        size=(CAP_RADIUS_M, CAP_HEIGHT_M / 2, 0),
        rgba=list(rgba),
        mass=0,
    )
    touched_by_robots_only(cap)
    return body


class Buttons:
    """The K buttons of a scene in N worlds."""

    def __init__(self, engine: Engine, names: Sequence[str]) -> None:
        """Finds the buttons with these names in the model."""
        self._engine = engine
        model = engine.model
        # the joints' columns in `qpos`, the ids of the bodies, and the worlds' indices,
        # which serve to choose one button per world
        self._qpos = columns([model.joint(name).qposadr[0] for name in names])
        self._body_ids = engine.xp.asarray([model.body(name).id for name in names])
        self._worlds = engine.xp.arange(engine.num_worlds)

    def travel(self) -> Array:
        """Returns the travel (N, K) of each button, m."""
        return self._engine.view("qpos")[:, self._qpos]

    def share_pressed(self) -> Array:
        """Returns each button's travel as a share (N, K) of the travel to its click.

        The share is clipped to [0, 1], because a button can travel past its click, and
        slightly above its rest position.
        """
        xp = self._engine.xp
        share = self.travel() / PRESSED_M
        return xp.where(share > 1.0, 1.0, xp.where(share < 0.0, 0.0, share))

    def down(self, before: Array) -> Array:
        """Returns which buttons are down, given which were down before.

        A button goes up at a smaller travel than it goes down, so that its state does
        not flicker.

        Args:
            before: (N, K) bool, which buttons were down in the previous step.

        Returns:
            (N, K) bool, which buttons are down now.
        """
        travel = self.travel()
        return (travel > PRESSED_M) | (before & (travel > RELEASED_M))

    def tops_w(self, button: Array) -> Array:
        """Returns the centre (N, 3) m of the top of one button per world.

        The top sinks with the button's travel.

        Args:
            button: (N,) the index of each world's button.
        """
        view = self._engine.view
        bodies = self._body_ids[button]
        # the z axis is the third column of the rotation matrix, stored row by row
        outwards = view("xmat")[self._worlds, bodies][:, [2, 5, 8]]
        return view("xpos")[self._worlds, bodies] + CAP_HEIGHT_M * outwards
