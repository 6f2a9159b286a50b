"""A cloth pad to wipe with: a folded cloth over foam, under a plate with a handle.

The foam is a sliding joint with a spring between plate and cloth, so that the force rises
gradually as the handle is pushed down. With a rigid block, a stiff arm would go from no
force to too much within a millimetre. `add_mat` adds the mat that the pad lies on.
"""

from __future__ import annotations

import mujoco
import numpy as np

from embodied.core import Array
from embodied.envs.props.colours import INVISIBLE
from embodied.envs.props.shapes import (
    COLLISION_GROUP,
    VISUAL_GROUP,
    Vector,
    add_box,
    upright,
)
from embodied.envs.props.table import TABLE
from embodied.robots.shells import Loft, add_shell
from embodied.sim.contact_force import SUM_OF_CONTACTS, ContactForce, add_contact_sensor
from embodied.sim.engine import ROT6D_OF_XMAT, Engine

PAD = "cloth"
SOLE = "cloth_sole"
MAT = "cloth_mat"
FORCE = "cloth_force"  # the sensor of the force between pad and table
FEET = tuple(f"cloth_foot_{k}" for k in range(4))

# Half the size of the cloth, along the handle and across it.
HALF_M = np.array([0.058, 0.042])
HANDLE_HALF_M = (0.032, 0.012, 0.024)
# The gripper's width is in this range if it holds the handle, which is 24 mm wide.
HELD_WIDTH_M = (0.018, 0.030)
# The height of the handle's middle above the cloth's underside.
GRIP_Z_M = 0.058
PLATE_Z_M = 0.029
PLATE_HALF_M = (0.046, 0.026, 0.003)
FOOT_RADIUS_M = 0.006  # of the four balls that touch the table
MAT_MARGIN_M = 0.022  # around the cloth
HANDLE_FRICTION = 0.8
CLOTH_FRICTION = 0.5

FOAM_STIFFNESS_N_M = 1500.0
FOAM_DAMPING_N_S_M = 12.0
FOAM_M = 0.016  # the foam's largest compression

PLATE_KG = 0.14
PLATE_COM_Z_M = 0.038
# The inertia of a box with the outline of the plate and the handle.
PLATE_INERTIA_KG_M2 = (1.2e-4, 2.0e-4, 2.2e-4)
SOLE_KG = 0.08
SOLE_COM_Z_M = 0.012
SOLE_INERTIA_KG_M2 = (5e-5, 1e-4, 1.4e-4)
# Compression of the foam by the plate's weight, at rest.
SAG_M = PLATE_KG * 9.81 / FOAM_STIFFNESS_N_M
# Penetration of the feet into the table at rest.
SINK_M = 0.00018

# material -> colour, specular, shininess
MATERIALS = {
    "cloth": ((0.24, 0.52, 0.74), 0.02, 0.1),
    "cloth_seam": ((0.95, 0.95, 0.93), 0.02, 0.1),
    "cloth_grip": ((0.15, 0.16, 0.18), 0.4, 0.5),
    "cloth_plate": ((0.30, 0.33, 0.36), 0.4, 0.5),
    "cloth_mat": ((0.34, 0.37, 0.40), 0.05, 0.1),
    "cloth_mat_rim": ((0.24, 0.27, 0.30), 0.05, 0.1),
}


def add_pad(spec: mujoco.MjSpec) -> None:
    """Adds the pad and the materials of pad and mat.

    The pad's frame is at the centre of the cloth's underside, with x along the handle.
    """
    for name, (rgb, specular, shininess) in MATERIALS.items():
        spec.add_material(
            name=name, rgba=[*rgb, 1], specular=specular, shininess=shininess
        )

    pad = spec.worldbody.add_body(
        name=PAD,
        mass=PLATE_KG,
        ipos=[0, 0, PLATE_COM_Z_M],
        inertia=PLATE_INERTIA_KG_M2,
        explicitinertial=True,
    )
    pad.add_freejoint(name=PAD)
    # collision boxes, given by the height of the centre and half size; there is 1 mm
    # between handle and plate
    solids = {
        "handle": (GRIP_Z_M - 0.001, HANDLE_HALF_M),
        "plate": (PLATE_Z_M, PLATE_HALF_M),
    }
    for name, (z, half) in solids.items():
        geom = add_box(pad, (0, 0, z), half, INVISIBLE, name=f"cloth_{name}")
        geom.friction[0] = HANDLE_FRICTION
        geom.condim = 3  # contacts with sliding friction only
        geom.group = COLLISION_GROUP

    _add_sole(pad)
    _add_looks(spec, pad)
    add_contact_sensor(spec, FORCE, PAD, TABLE, reduce=SUM_OF_CONTACTS)


def _add_sole(pad: mujoco.MjsBody) -> None:
    """Adds the cloth: a body on the foam's spring that stands on four feet."""
    sole = pad.add_body(
        name=SOLE,
        mass=SOLE_KG,
        ipos=[0, 0, SOLE_COM_Z_M],
        inertia=SOLE_INERTIA_KG_M2,
        explicitinertial=True,
    )
    # the joint's position is the compression of the foam, m
    foam = sole.add_joint(
        name=SOLE,
        type=mujoco.mjtJoint.mjJNT_SLIDE,
        axis=[0, 0, 1],
        range=[-0.001, FOAM_M],  # the relaxed foam is 1 mm before its lower stop
    )
    foam.limited = mujoco.mjtLimited.mjLIMITED_TRUE
    # of stiffness and damping, only the linear terms
    foam.stiffness = [FOAM_STIFFNESS_N_M, 0, 0]
    foam.damping = [FOAM_DAMPING_N_S_M, 0, 0]

    corners = ((-1, -1), (-1, 1), (1, -1), (1, 1))
    for name, (side_x, side_y) in zip(FEET, corners, strict=True):
        x = side_x * (HALF_M[0] - FOOT_RADIUS_M)
        y = side_y * (HALF_M[1] - FOOT_RADIUS_M)
        foot = sole.add_geom(
            name=name,
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            pos=(x, y, FOOT_RADIUS_M),
            size=[FOOT_RADIUS_M, 0, 0],
        )
        foot.friction[0] = CLOTH_FRICTION
        foot.condim = 3  # contacts with sliding friction only
        foot.group = COLLISION_GROUP
        foot.mass = 0
        foot.priority = 1  # contacts use the friction of the foot, not of the table


def _add_looks(spec: mujoco.MjSpec, pad: mujoco.MjsBody) -> None:
    """Adds the visual geoms of the pad: a folded cloth, a plate on it, and a grip.

    A section of a loft along x is (x, centre y, centre z, half y, half z), in m. The
    higher a loft's `power`, the more nearly rectangular its sections are.
    """
    # three layers of folded cloth, on the body that moves on the foam's spring
    sole = spec.body(SOLE)
    x, y = HALF_M
    folds = [
        _slab(0.0, 0.010, (x, y)),
        _slab(0.0095, 0.018, (x - 0.001, y - 0.001)),
        _slab(0.0175, 0.026, (x, y)),
    ]
    add_shell(spec, sole, "cloth_folds", shapes=folds, material="cloth")

    # white seams around the folds, each given by its start along x; they are 6 mm wide
    # and stand out a little from the cloth
    seams = []
    for start in (-0.046, -0.034, 0.028, 0.040):
        ends = tuple(
            (seam_x, 0, 0.013, y + 0.0006, 0.0136) for seam_x in (start, start + 0.006)
        )
        seams.append(Loft("x", ends, power=12, smooth=0, sides=28))
    add_shell(spec, sole, "cloth_stripes", shapes=seams, material="cloth_seam")

    # the plate above the cloth
    plate = _slab(0.0255, 0.032, PLATE_HALF_M[:2])
    add_shell(spec, pad, "cloth_top", shapes=[plate], material="cloth_plate")

    # the grip, with rounded ends
    sections = (
        (-0.034, 0, GRIP_Z_M, 0.009, 0.019),
        (-0.030, 0, GRIP_Z_M, 0.012, 0.0245),
        (0.030, 0, GRIP_Z_M, 0.012, 0.0245),
        (0.034, 0, GRIP_Z_M, 0.009, 0.019),
    )
    grip = Loft("x", sections, power=6, smooth=0, sides=20)
    add_shell(spec, pad, "cloth_handle_looks", shapes=[grip], material="cloth_grip")


def add_mat(spec: mujoco.MjSpec, table: mujoco.MjsBody) -> None:
    """Adds the mat, which is only drawn, to the table; worlds place it below the pad.

    The mat's inner part is a little higher than its rim, which is 8 mm wide. Both reach 1
    mm into the table.
    """
    mat = table.add_body(name=MAT)
    half = HALF_M + MAT_MARGIN_M
    rim = [_slab(-0.001, 0.0015, half)]
    inner = [_slab(-0.001, 0.0022, half - 0.008)]
    rim_geom = add_shell(
        spec, mat, "cloth_mat_rim", shapes=rim, material="cloth_mat_rim"
    )
    rim_geom.group = VISUAL_GROUP
    inner_geom = add_shell(
        spec, mat, "cloth_mat_inner", shapes=inner, material="cloth_mat"
    )
    inner_geom.group = VISUAL_GROUP


def _slab(low_z: float, high_z: float, half: Vector) -> Loft:
    """Returns a flat box with round corners and edges between two heights, m.

    A section of a loft along z is (z, centre x, centre y, half x, half y), in m.

    Args:
        low_z: height of the lower face, m.
        high_z: height of the upper face, m.
        half: (2,) half the box's sizes along x and y, m.
    """
    edge = 0.003  # size of the bevel at the lower and upper edges
    # the outline from below: (height, inset of the edge at this height)
    outline = ((low_z, edge), (low_z + edge, 0.0), (high_z - edge, 0.0), (high_z, edge))
    sections = tuple(
        (z, 0.0, 0.0, half[0] - inset, half[1] - inset) for z, inset in outline
    )
    return Loft("z", sections, power=7.0, smooth=0, sides=28)


class Pad:
    """The pad and its mat in N worlds."""

    def __init__(self, engine: Engine) -> None:
        """Finds the pad and the mat in the model."""
        self._engine = engine
        model = engine.model
        self._body = model.body(PAD).id
        self._mat = model.body(MAT).id
        # first columns of the pad's free joint in `qpos` and `qvel`, and the column of
        # the foam's joint in `qpos`
        self._qpos = int(model.joint(PAD).qposadr[0])
        self._qvel = int(model.joint(PAD).dofadr[0])
        self._squeeze = int(model.joint(SOLE).qposadr[0])
        self._folds = model.geom("cloth_folds").id
        self._feet = [model.geom(name).id for name in FEET]
        self._force = ContactForce(engine, FORCE)
        # the first call for a field gives each world its own values of the field
        for field in ("body_pos", "body_quat", "geom_rgba", "geom_friction"):
            engine.model_view(field)

    def pose(self) -> tuple[Array, Array, Array]:
        """Returns the pad's position, rotation and velocity in the world.

        Returns:
            The position (N, 3) in m of the centre of the cloth's underside; the pad's x
            and y axes (N, 6); and the velocity (N, 3) in m/s.
        """
        view = self._engine.view
        position = view("xpos")[:, self._body]
        rotation = view("xmat")[:, self._body][:, ROT6D_OF_XMAT]
        velocity = view("qvel")[:, self._qvel : self._qvel + 3]
        return position, rotation, velocity

    def grip_w(self) -> Array:
        """Returns the centre (N, 3) of the handle in the world, m."""
        view = self._engine.view
        # the z axis is the third column of the rotation matrix, stored row by row
        z_axis = view("xmat")[:, self._body][:, [2, 5, 8]]
        return view("xpos")[:, self._body] + GRIP_Z_M * z_axis

    def force_n(self) -> Array:
        """Returns the recent peak force (N,) between pad and table, N.

        The peak is the largest force in the physics steps of the last control step, or
        of the last 50 ms if the control step is shorter.
        """
        return self._force.peaks_n()[:, 0]

    def under(self, xy_w: Array) -> Array:
        """Returns which points of the table lie under the cloth.

        Args:
            xy_w: (N, 2, S, C) m, world x and y of C points in each of S groups.

        Returns:
            (N, S, C) bool, whether each point is under the cloth.
        """
        xp = self._engine.xp
        view = self._engine.view
        pos = view("xpos")[:, self._body, None, None]  # (N, 1, 1, 3)
        rotation = view("xmat")[:, self._body, None, None]
        x = xy_w[:, 0] - pos[..., 0]
        y = xy_w[:, 1] - pos[..., 1]
        # the pad's x and y axes are the first two columns of its rotation matrix, which
        # is stored row by row
        along_x = x * rotation[..., 0] + y * rotation[..., 3]
        along_y = x * rotation[..., 1] + y * rotation[..., 4]
        return (xp.abs(along_x) < HALF_M[0]) & (xp.abs(along_y) < HALF_M[1])

    def mat_w(self) -> Array:
        """Returns the centre (N, 2) of the mat in the world, m."""
        return self._engine.view("xpos")[:, self._mat, :2]

    def push(self, force_n: Array) -> None:
        """Pushes each world's pad with a horizontal force until called again.

        The force acts at the height of the cloth, because a force higher up would tip
        the pad.

        Args:
            force_n: (N, 2) x and y of the forces in the world, N.
        """
        xp = self._engine.xp
        applied = self._engine.view("xfrc_applied")
        # MuJoCo applies forces at the centre of mass; a torque shifts the line of action
        # down to the cloth
        lever_m = PLATE_COM_Z_M - SOLE_COM_Z_M
        torque = lever_m * xp.stack([force_n[:, 1], -force_n[:, 0]], axis=1)
        applied[:, self._body, :2] = force_n
        applied[:, self._body, 3:5] = torque

    def place(self, world: int, pos_w: Vector, yaw: float) -> None:
        """Places one world's pad with the foam compressed by the plate's weight.

        The pad is at rest, because a reset sets all velocities to zero first.

        Args:
            world: the index of the world.
            pos_w: (3,) m, the point on the table where the cloth's centre shall be.
            yaw: the pad's yaw, rad.
        """
        x, y, z = pos_w
        pose = (x, y, z - SAG_M - SINK_M, *upright(yaw))
        qpos = self._engine.view("qpos")
        qpos[world, self._qpos : self._qpos + 7] = pose
        qpos[world, self._squeeze] = SAG_M

    def place_mat(self, world: int, pos: Vector, yaw: float) -> None:
        """Lays one world's mat onto the table, at (x, y) m in the table's frame."""
        self._engine.model_view("body_pos")[world, self._mat] = (*pos, 0.0)
        self._engine.model_view("body_quat")[world, self._mat] = upright(yaw)

    def paint(self, world: int, rgb: Vector) -> None:
        """Colours one world's cloth."""
        self._engine.model_view("geom_rgba")[world, self._folds] = (*rgb, 1.0)

    def set_friction(self, world: int, friction: float) -> None:
        """Sets the friction between cloth and table in one world."""
        self._engine.model_view("geom_friction")[world, self._feet, 0] = friction
