"""A cloth pad to wipe with: a folded cloth over foam, under a plate with a handle; and
the mat that it lies on.

The foam is a sprung slide between plate and cloth, so that how deep the handle is
pressed decides the force: a stiff arm that presses a rigid block would go from no force
to too much within a millimetre.
"""

from __future__ import annotations

import mujoco
import numpy as np

from embodied.core import Array
from embodied.envs.props.shapes import VISUAL_GROUP, Vector, add_box
from embodied.envs.props.table import TABLE
from embodied.robots.shells import Loft, add_shell
from embodied.sim.contact_force import ContactForce, add_contact_sensor
from embodied.sim.engine import ROT6D_OF_XMAT, Engine

PAD = "cloth"
SOLE = "cloth_sole"
MAT = "cloth_mat"
FORCE = "cloth_force"
HALF_M = np.array([0.058, 0.042])  # of the cloth, along the handle and across it
HANDLE_M = (0.032, 0.012, 0.024)  # half sizes
HELD_WIDTH_M = (0.018, 0.030)  # of a gripper that holds it
GRIP_Z_M = 0.058  # of the handle's middle above the cloth's underside
PLATE_Z_M = 0.029
PLATE_HALF_M = (0.046, 0.026, 0.003)
FOOT_M = 0.006  # radius of the four balls that touch the table
# stiffness, damping, and depth at which it is flat
FOAM_N_M = 1500.0
FOAM_N_S_M = 12.0
FOAM_M = 0.016
PLATE_KG = 0.14
SOLE_KG = 0.08
PLATE_COM_Z_M = 0.038
SOLE_COM_Z_M = 0.012
SAG_M = PLATE_KG * 9.81 / FOAM_N_M  # of the foam under the plate's weight
SINK_M = 0.00018  # of the feet into the table at rest
CLOTH_RGB = (0.24, 0.52, 0.74)
SEAM_RGB = (0.95, 0.95, 0.93)


def add_pad(spec: mujoco.MjSpec) -> None:
    """Adds the pad, its frame in the middle of the cloth's underside, x along the
    handle.
    """
    _add_materials(spec)
    # of a box of the plate's and the handle's outline
    inertia = [1.2e-4, 2.0e-4, 2.2e-4]
    pad = spec.worldbody.add_body(
        name=PAD,
        mass=PLATE_KG,
        ipos=[0, 0, PLATE_COM_Z_M],
        inertia=inertia,
        explicitinertial=True,
    )
    pad.add_freejoint(name=PAD)
    for name, z, half in (
        ("handle", GRIP_Z_M - 0.001, HANDLE_M),
        ("plate", PLATE_Z_M, PLATE_HALF_M),
    ):
        geom = add_box(pad, (0, 0, z), half, (0, 0, 0, 0), f"cloth_{name}")
        geom.friction = [0.8, 0.005, 0.0001]
        geom.condim = 3
        geom.group = 3
    _add_sole(pad)
    _add_looks(spec, pad)
    add_contact_sensor(spec, FORCE, PAD, TABLE)
    spec.sensor(FORCE).intprm[1] = 3  # the sum of all contacts, not the strongest


def _add_sole(pad: mujoco.MjsBody) -> None:
    inertia = [5e-5, 1e-4, 1.4e-4]
    sole = pad.add_body(
        name=SOLE,
        mass=SOLE_KG,
        ipos=[0, 0, SOLE_COM_Z_M],
        inertia=inertia,
        explicitinertial=True,
    )
    foam = sole.add_joint(
        name=SOLE,
        type=mujoco.mjtJoint.mjJNT_SLIDE,
        axis=[0, 0, 1],
        range=[-0.001, FOAM_M],
    )
    foam.limited = mujoco.mjtLimited.mjLIMITED_TRUE
    foam.stiffness = [FOAM_N_M, 0, 0]
    foam.damping = [FOAM_N_S_M, 0, 0]
    for k, (x, y) in enumerate((x, y) for x in (-1, 1) for y in (-1, 1)):
        at = (x * (HALF_M[0] - FOOT_M), y * (HALF_M[1] - FOOT_M), FOOT_M)
        foot = sole.add_geom(
            name=f"cloth_foot_{k}",
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            pos=at,
            size=[FOOT_M, 0, 0],
        )
        foot.friction = [0.5, 0.005, 0.0001]
        foot.condim = 3
        foot.group = 3
        foot.mass = 0
        foot.priority = 1


def _add_materials(spec: mujoco.MjSpec) -> None:
    looks = {
        "cloth": (CLOTH_RGB, 0.02, 0.1),
        "cloth_seam": (SEAM_RGB, 0.02, 0.1),
        "cloth_grip": ((0.15, 0.16, 0.18), 0.4, 0.5),
        "cloth_plate": ((0.30, 0.33, 0.36), 0.4, 0.5),
        "cloth_mat": ((0.34, 0.37, 0.40), 0.05, 0.1),
        "cloth_mat_rim": ((0.24, 0.27, 0.30), 0.05, 0.1),
    }
    for name, (rgb, specular, shininess) in looks.items():
        spec.add_material(
            name=name, rgba=[*rgb, 1], specular=specular, shininess=shininess
        )


def _slab(low_z: float, high_z: float, half: Vector, power: float = 7.0) -> Loft:
    """A flat box with round corners and edges."""
    edge = 0.003
    outline = ((low_z, edge), (low_z + edge, 0.0), (high_z - edge, 0.0), (high_z, edge))
    sections = tuple(
        (z, 0.0, 0.0, half[0] - inset, half[1] - inset) for z, inset in outline
    )
    return Loft("z", sections, power, smooth=0, sides=28)


def _add_looks(spec: mujoco.MjSpec, pad: mujoco.MjsBody) -> None:
    """Three folds of cloth with white seams between, the plate, and a handle with
    rounded ends.
    """
    sole = spec.body(SOLE)
    x, y = HALF_M
    folds = [
        _slab(0.0, 0.010, (x, y)),
        _slab(0.0095, 0.018, (x - 0.001, y - 0.001)),
        _slab(0.0175, 0.026, (x, y)),
    ]
    add_shell(spec, sole, "cloth_folds", folds, "cloth")
    stripes = [
        Loft(
            "x",
            (
                (at, 0, 0.013, y + 0.0006, 0.0136),
                (at + 0.006, 0, 0.013, y + 0.0006, 0.0136),
            ),
            12,
            0,
            28,
        )
        for at in (-0.046, -0.034, 0.028, 0.040)
    ]
    add_shell(spec, sole, "cloth_stripes", stripes, "cloth_seam")
    add_shell(
        spec, pad, "cloth_top", [_slab(0.0255, 0.032, PLATE_HALF_M[:2])], "cloth_plate"
    )
    # of the grip: along, half across, half height
    ends = ((0.034, 0.009, 0.019), (0.030, 0.012, 0.0245))
    sections = [(-t, 0, GRIP_Z_M, *half) for t, *half in ends] + [
        (t, 0, GRIP_Z_M, *half) for t, *half in ends[::-1]
    ]
    whole = Loft("x", tuple(sections), power=6, smooth=0, sides=20)
    add_shell(spec, pad, "cloth_handle_looks", [whole], "cloth_grip")


def add_mat(spec: mujoco.MjSpec, table: mujoco.MjsBody) -> None:
    """Adds the drip mat, which is only drawn, where a world puts it."""
    mat = table.add_body(name=MAT)
    half = HALF_M + 0.022
    rim = add_shell(
        spec, mat, "cloth_mat_rim", [_slab(-0.001, 0.0015, half)], "cloth_mat_rim"
    )
    inner = add_shell(
        spec, mat, "cloth_mat_inner", [_slab(-0.001, 0.0022, half - 0.008)], "cloth_mat"
    )
    rim.group = inner.group = VISUAL_GROUP


class Pad:
    """The pad and its mat in N worlds."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        model = engine.model
        self._body = model.body(PAD).id
        self._mat = model.body(MAT).id
        self._qpos = int(model.joint(PAD).qposadr[0])
        self._qvel = int(model.joint(PAD).dofadr[0])
        self._squeeze = int(model.joint(SOLE).qposadr[0])
        self._folds = model.geom("cloth_folds").id
        self._feet = [model.geom(f"cloth_foot_{k}").id for k in range(4)]
        self._force = ContactForce(engine, FORCE)
        for field in ("body_pos", "body_quat", "geom_rgba", "geom_friction"):
            engine.vary(field)

    def pose(self) -> tuple[Array, Array, Array]:
        """Position (N, 3) m, rotation as two columns (N, 6), velocity (N, 3) m/s."""
        view = self._engine.view
        velocity = view("qvel")[:, self._qvel : self._qvel + 3]
        return (
            view("xpos")[:, self._body],
            view("xmat")[:, self._body][:, ROT6D_OF_XMAT],
            velocity,
        )

    def squeeze_m(self) -> Array:
        """(N,) how far the foam is squeezed."""
        return self._engine.view("qpos")[:, self._squeeze]

    def grip_w(self) -> Array:
        """(N, 3) middle of the handle in the world, m."""
        view = self._engine.view
        up = view("xmat")[:, self._body][:, [2, 5, 8]]
        return view("xpos")[:, self._body] + GRIP_Z_M * up

    def force_n(self) -> Array:
        """(N,) strongest force between pad and table at any physics step of the last 50
        ms.
        """
        return self._force.peaks_n()[:, 0]

    def under(self, xy_w: Array) -> Array:
        """(N, s, k) bool, which of the points (N, 2, s, k) in the world lie under the
        cloth.
        """
        xp = self._engine.xp
        view = self._engine.view
        pos = view("xpos")[:, self._body, None, None]
        rotation = view("xmat")[:, self._body, None, None]
        x = xy_w[:, 0] - pos[..., 0]
        y = xy_w[:, 1] - pos[..., 1]
        along, across = (
            x * rotation[..., k] + y * rotation[..., 3 + k] for k in (0, 1)
        )
        return (xp.abs(along) < HALF_M[0]) & (xp.abs(across) < HALF_M[1])

    def mat_w(self) -> Array:
        """(N, 2) middle of the mat in the world, m."""
        return self._engine.view("xpos")[:, self._mat, :2]

    def push(self, force_n: Array) -> None:
        """Pushes the pads by their cloths with a horizontal force (N, 2) until told
        otherwise.
        """
        xp = self._engine.xp
        applied = self._engine.view("xfrc_applied")
        low_m = PLATE_COM_Z_M - SOLE_COM_Z_M  # or they would tip
        applied[:, self._body, :2] = force_n
        applied[:, self._body, 3:5] = low_m * xp.stack(
            [force_n[:, 1], -force_n[:, 0]], axis=1
        )

    def place(self, world: int, pos_w: Vector, yaw: float) -> None:
        """Sets one world's pad down at rest, the foam squeezed by the plate's weight;
        `pos_w` is on the table.
        """
        x, y, z = pos_w
        qpos = self._engine.view("qpos")
        qpos[world, self._qpos : self._qpos + 7] = (
            x,
            y,
            z - SAG_M - SINK_M,
            np.cos(yaw / 2),
            0,
            0,
            np.sin(yaw / 2),
        )
        qpos[world, self._squeeze] = SAG_M

    def place_mat(self, world: int, pos: Vector, yaw: float) -> None:
        """Lays one world's mat onto the table, at (x, y) in the table's frame."""
        self._engine.vary("body_pos")[world, self._mat] = (*pos, 0.0)
        self._engine.vary("body_quat")[world, self._mat] = (
            np.cos(yaw / 2),
            0,
            0,
            np.sin(yaw / 2),
        )

    def paint(self, world: int, rgb: Vector) -> None:
        """Colours one world's cloth."""
        self._engine.vary("geom_rgba")[world, self._folds] = (*rgb, 1.0)

    def roughen(self, world: int, friction: float) -> None:
        """Sets the friction between cloth and table in one world."""
        self._engine.vary("geom_friction")[world, self._feet, 0] = friction
