"""The gripper of the Franka Research 3, with a camera at its side.

Sources: franka_description, `end_effectors/franka_hand` (Apache-2.0; commit b299b39):
80 mm stroke and 70 N. Unlike the real gripper, it opens twice as fast (0.2 instead of
0.1 m/s) and has longer pads (40 mm).
"""

from __future__ import annotations

import mujoco
import numpy as np

from embodied.robots.arm_visual import HAND_SHELLS, add_shells
from embodied.robots.gripping import (
    FINGER_ARMATURE_KG,
    add_width_drive,
    couple_fingers,
    make_pad,
)
from embodied.robots.modelling import add_solid_box, exclude_contact, set_inertia
from embodied.robots.parts.gripper import Gripper
from embodied.robots.parts.part import Placement

FLANGE_M = 0.107  # distance of the flange from the arm's last frame, along its z axis
HAND_YAW_RAD = -np.pi / 4  # rotation of the hand on the flange
TCP_M = 0.1034  # distance of the tool centre point (tcp) from the flange, along z
FINGER_M = 0.0584  # distance of the fingers' frames from the flange, along z
FINGER_TRAVEL_M = 0.04  # from closed to open
FINGERS = ("finger_left", "finger_right")
# (3,) half sizes of a pad: across, along the opening, along the approach
PAD_HALF_M = (0.011, 0.004, 0.020)
# the wrist camera in the hand's frame, and its tilt towards the finger tips
CAMERA_POS = (0.061, 0, 0.051)
CAMERA_TILT_RAD = np.radians(22)
CAMERA_FOVY_DEG = 75

GRIPPER_FORCE_N = 70.0
GRIPPER_SPEED_M_S = 0.2  # speed of the width at full force

FINGER_INERTIA = (
    0.0291,
    (0, 0.0152850, 0.0219675),
    (8.49e-06, 8.53e-06, 1.77e-06, 0, 0, -1.06e-06),
)
# body -> mass in kg, centre of mass in m, inertia about it in kg m2
# (xx, yy, zz, xy, xz, yz), in the body's frame
INERTIAS = {
    "hand": (
        0.6544,
        (-0.0000376, 0.0119128, 0.0207260),
        (0.00186, 0.00030, 0.00174, 0, 0, -0.00002),
    ),
    "finger_left": FINGER_INERTIA,
    "finger_right": FINGER_INERTIA,
}
# body, centre, half sizes of its collision boxes in m, in the body's frame
BOXES = (
    ("hand", (0, 0, 0.030), (0.032, 0.102, 0.036)),
    ("hand", (0.052, 0, 0.036), (0.020, 0.045, 0.012)),  # camera
    ("finger_left", (0, 0.016, 0.015), (0.0105, 0.010, 0.010)),
    ("finger_right", (0, 0.016, 0.015), (0.0105, 0.010, 0.010)),
)
# End of a sensor's name -> the kind of sensor of the tool centre point (tcp).
TOOL_SENSORS = {
    "pos_w": mujoco.mjtSensor.mjSENS_FRAMEPOS,
    "quat_w": mujoco.mjtSensor.mjSENS_FRAMEQUAT,
    "linvel_w": mujoco.mjtSensor.mjSENS_FRAMELINVEL,
    "angvel_w": mujoco.mjtSensor.mjSENS_FRAMEANGVEL,
}


def franka_hand(on: str = "arm") -> Gripper:
    """Returns the gripper, mounted on the flange of an arm."""
    return Gripper(
        on=on,
        build=add_hand,
        cameras=("wrist",),
        fingers=FINGERS,
        open_at=(FINGER_TRAVEL_M, FINGER_TRAVEL_M),
        width_m=2 * FINGER_TRAVEL_M,
    )


def add_hand(
    spec: mujoco.MjSpec, mount: mujoco.MjsBody, placement: Placement
) -> mujoco.MjsBody:
    """Adds hand, fingers, camera, tcp, drive and sensors; returns the hand."""
    prefix = placement.prefix
    hand = _add_bodies(mount, prefix)
    for name, (mass_kg, centre, inertia) in INERTIAS.items():
        set_inertia(spec.body(prefix + name), mass_kg, centre, inertia)

    # shells and collision geoms
    add_shells(spec, HAND_SHELLS, prefix=prefix)
    for name, pos, half_size in BOXES:
        add_solid_box(spec.body(prefix + name), pos, half_size)
    for name in FINGERS:
        _add_pad(spec.body(prefix + name))

    # Both fingers are coupled, and one actuator drives their width. The joints' ranges
    # stop the fingers where the pads meet, so they need no contact with each other.
    left, right = (prefix + name for name in FINGERS)
    exclude_contact(spec, left, right)
    couple_fingers(spec, f"{prefix}fingers", left, right)
    add_width_drive(
        spec,
        f"{prefix}gripper",
        levers={left: 1, right: 1},  # the width is the sum of both fingers' positions
        width_m=2 * FINGER_TRAVEL_M,
        force_n=GRIPPER_FORCE_N,
    )

    _add_sensors(spec, prefix)
    return hand


def _add_bodies(mount: mujoco.MjsBody, prefix: str) -> mujoco.MjsBody:
    """Adds the hand with its tcp, camera and fingers; returns the hand."""
    half_yaw = HAND_YAW_RAD / 2
    hand = mount.add_body(
        name=f"{prefix}hand",
        pos=(0, 0, FLANGE_M),
        quat=(np.cos(half_yaw), 0, 0, np.sin(half_yaw)),
    )
    hand.add_site(
        name=f"{prefix}tcp", pos=(0, 0, TCP_M), size=(0.004, 0.004, 0.004), group=4
    )  # group 4: not drawn in pictures

    # A camera looks along its -z axis. Rotated by 180 degrees about the diagonal of x and
    # y, it looks along the hand's z axis, with the hand's x axis up in the picture. It is
    # then tilted about the picture's horizontal axis, towards the fingers.
    half_tilt = CAMERA_TILT_RAD / 2
    cos, sin = np.sqrt(0.5) * np.array([np.cos(half_tilt), np.sin(half_tilt)])
    hand.add_camera(
        name=f"{prefix}wrist",
        pos=CAMERA_POS,
        quat=(sin, cos, cos, sin),
        fovy=CAMERA_FOVY_DEG,
    )

    # The right finger is the left one, rotated by 180 degrees about z. The damping limits
    # a finger's speed at full force to half of the width's speed.
    for name, quat in zip(FINGERS, ((1, 0, 0, 0), (0, 0, 0, 1)), strict=True):
        finger = hand.add_body(name=prefix + name, pos=(0, 0, FINGER_M), quat=quat)
        finger.add_joint(
            name=prefix + name,
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=(0, 1, 0),
            range=(0, FINGER_TRAVEL_M),
            armature=FINGER_ARMATURE_KG,
            damping=GRIPPER_FORCE_N / (GRIPPER_SPEED_M_S / 2),
        )
    return hand


def _add_pad(finger: mujoco.MjsBody) -> None:
    """Adds a pad around the tcp to a finger; the pads of a closed gripper touch."""
    pad = finger.add_geom(
        name=f"{finger.name}_pad",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=(0, PAD_HALF_M[1], TCP_M - FINGER_M),
        size=PAD_HALF_M,
        material="arm_pad",
        group=2,  # drawn in pictures
        mass=0,  # the finger's inertia includes the pad
    )
    make_pad(pad)


def _add_sensors(spec: mujoco.MjSpec, prefix: str) -> None:
    """Adds the sensors of the tcp (see TOOL_SENSORS) and of the grip force."""
    for name, kind in TOOL_SENSORS.items():
        spec.add_sensor(
            name=f"{prefix}tcp_{name}",
            type=kind,
            objtype=mujoco.mjtObj.mjOBJ_SITE,
            objname=f"{prefix}tcp",
        )

    spec.add_sensor(
        name=f"{prefix}gripper_force",
        type=mujoco.mjtSensor.mjSENS_ACTUATORFRC,
        objtype=mujoco.mjtObj.mjOBJ_ACTUATOR,
        objname=f"{prefix}gripper",
    )
