"""`arm`: a 7-joint arm with a parallel gripper on a pedestal, with the published
figures of the Franka Research 3.

Sources: kinematics, joint limits and inertias: franka_description, `robots/fr3/*.yaml`
and `end_effectors/franka_hand` (Apache-2.0; commit b299b39). The limits are those of
Franka's FCI documentation, "Limits for Franka Research 3". Rotor inertias: Franka's
figures as published with Drake's franka_description. Gripper: Franka Hand, 80 mm stroke
and 70 N; it is twice as fast as the real one (0.1 m/s), and its pads are longer (40
mm).
"""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from embodied.robots.arm_visual import SHELLS, STAND, add_materials, dress
from embodied.robots.robot import Robot
from embodied.sim.physics import PAD_SOLREF

# Modified Denavit-Hartenberg parameters (Craig): a_{i-1} in m, d_i in m, alpha_{i-1} in
# rad.
DH = np.array(
    [
        (0.0, 0.333, 0.0),
        (0.0, 0.0, -np.pi / 2),
        (0.0, 0.316, np.pi / 2),
        (0.0825, 0.0, np.pi / 2),
        (-0.0825, 0.384, -np.pi / 2),
        (0.0, 0.0, np.pi / 2),
        (0.088, 0.0, np.pi / 2),
    ]
)  # (7, 3)
FLANGE_M = 0.107  # from frame 7 along its z axis
HAND_YAW_RAD = -np.pi / 4
TCP_M = 0.1034  # from the flange along z
JOINT_RANGES = np.array(
    [
        (-2.7437, 2.7437),
        (-1.7837, 1.7837),
        (-2.9007, 2.9007),
        (-3.0421, -0.1518),
        (-2.8065, 2.8065),
        (0.5445, 4.5169),
        (-3.0159, 3.0159),
    ]
)  # (7, 2) rad
JOINT_SPEED_LIMITS = np.array([2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26])  # (7,) rad/s
TORQUE_LIMITS = np.array([87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0])  # (7,) N m
# (7,) kg m2, at the joint
ROTOR_INERTIA = np.array([0.6057, 0.6057, 0.4625, 0.4625, 0.2055, 0.2055, 0.2055])
# (7,) rad: tcp at (0.45, 0, 0.25), pointing down
HOME = np.array([0.0, -0.1848, 0.0, -2.4967, 0.0, 2.3119, 0.7854])

# Stiffness in N m/rad. Damping is `LAG_S` times it for every joint, so that the arm
# follows a moving target on the target's own path, `LAG_S` late; stiffness is such that
# this is at least critical (0.96 outstretched). (7,)
STIFFNESS = np.array([18_000.0, 18_000.0, 9000.0, 7000.0, 1400.0, 1400.0, 1000.0])
LAG_S = 0.03

GRIPPER_FORCE_N = 70.0
GRIPPER_SPEED_M_S = 0.2  # of the width
# N per m of width: saturates at 2.8 mm, so a 4 mm wall is held with full force
GRIPPER_STIFFNESS = 25_000.0
FINGER_TRAVEL_M = 0.04
FINGER_M = 0.0584  # from the flange along z to the fingers' frames
CAMERA_TILT_RAD = np.radians(22)  # of the wrist camera, towards the finger tips
STAND_HEIGHT_M = 0.72
PAD_HALF_M = (0.011, 0.004, 0.020)  # across, along the opening, along the approach

# body -> mass in kg, centre of mass in m, inertia about it in kg m2 (xx, yy, zz, xy,
# xz, yz), in the body's frame
INERTIAS = {
    "link0": (
        2.3966,
        (-0.0172, 0.0004, 0.0745),
        (0.0090, 0.0115, 0.0085, 0, 0.0020, 0),
    ),
    "link1": (
        2.9275,
        (0, -0.0181251, -0.0386036),
        (0.0239273, 0.0224822, 0.0063501, 1.33e-05, -0.0001140, -0.0019950),
    ),
    "link2": (
        2.9355,
        (0.0031829, -0.0743222, 0.0088146),
        (0.0419389, 0.0251451, 0.0617021, 0.0002026, 0.0040778, -0.0042252),
    ),
    "link3": (
        2.2449,
        (0.0407016, -0.0048201, -0.0289731),
        (0.0241014, 0.0197405, 0.0190445, 0.0024047, -0.0028563, -0.0021042),
    ),
    "link4": (
        2.6156,
        (-0.0459101, 0.0630493, -0.0085188),
        (0.0345300, 0.0288816, 0.0412547, 0.0132255, 0.0101514, -0.0009763),
    ),
    "link5": (
        2.3271,
        (-0.0016040, 0.0292536, -0.0972966),
        (0.0516103, 0.0478773, 0.0164236, -0.0057152, -0.0035673, 0.0106740),
    ),
    "link6": (
        1.8170,
        (0.0597131, -0.0410295, -0.0101693),
        (0.0054123, 0.0140583, 0.0160808, 0.0061935, 0.0014219, -0.0013141),
    ),
    "link7": (
        0.6271,
        (0.0045226, 0.0086262, -0.0161633),
        (0.00021092, 0.00017719, 0.00005993, -2.4333e-05, 4.5645e-05, 8.7441e-05),
    ),
    "hand": (
        0.6544,
        (-0.0000376, 0.0119128, 0.0207260),
        (0.00186, 0.00030, 0.00174, 0, 0, -0.00002),
    ),
    "finger_left": (
        0.0291,
        (0, 0.0152850, 0.0219675),
        (8.49e-06, 8.53e-06, 1.77e-06, 0, 0, -1.06e-06),
    ),
    "finger_right": (
        0.0291,
        (0, 0.0152850, 0.0219675),
        (8.49e-06, 8.53e-06, 1.77e-06, 0, 0, -1.06e-06),
    ),
}
CAPSULES = {  # body -> (from, to, radius) in m, in the body's frame
    "link0": (((-0.08, 0, 0.055), (0, 0, 0.055), 0.06),),
    "link1": (((0, 0, -0.27), (0, 0, -0.05), 0.06),),
    "link2": (((0, 0, -0.07), (0, 0, 0.07), 0.06),),
    "link3": (((0, 0, -0.22), (0, 0, -0.07), 0.06),),
    "link4": (((0, 0, -0.06), (0, 0, 0.06), 0.06),),
    "link5": (
        ((0, 0, -0.31), (0, 0, -0.21), 0.06),
        ((0, 0.085, -0.19), (0, 0.085, -0.06), 0.035),
    ),
    "link6": (((0, 0, -0.085), (0, 0, 0.01), 0.05),),
    "link7": (((0, 0, -0.05), (0, 0, 0.06), 0.045),),
}
STAND_BOX = ((-0.02, 0, -0.36), (0.085, 0.085, 0.36))  # centre, half sizes in m
BOXES = (  # body, centre, half sizes in m, in the body's frame
    ("hand", (0, 0, 0.030), (0.032, 0.102, 0.036)),
    ("hand", (0.052, 0, 0.036), (0.020, 0.045, 0.012)),  # camera
    ("finger_left", (0, 0.016, 0.015), (0.0105, 0.010, 0.010)),
    ("finger_right", (0, 0.016, 0.015), (0.0105, 0.010, 0.010)),
)
# The shapes of links 1 and 3 overlap at the shoulder.
EXCLUDED_PAIRS = (
    ("link0", "link1"),
    ("link1", "link3"),
    ("finger_left", "finger_right"),
)


def build_arm() -> mujoco.MjSpec:
    """The arm alone. The origin is the centre of its base plate, 0.72 m above the floor
    on which its stand is.
    """
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.modelname = "arm"
    stand = spec.worldbody.add_body(
        name="stand", mass=40, inertia=(4, 4, 1), explicitinertial=True
    )
    add_materials(spec)
    dress(spec, STAND)
    add_solid_box(stand, *STAND_BOX)
    # MuJoCo does not filter a child of a body fixed to the world.
    spec.add_exclude(name="stand_link1", bodyname1="stand", bodyname2="link1")
    add_arm(spec, stand)
    home = (*HOME, FINGER_TRAVEL_M, FINGER_TRAVEL_M)
    spec.add_key(name="home", qpos=home, ctrl=(*HOME, 2 * FINGER_TRAVEL_M))
    return spec


def add_arm(spec: mujoco.MjSpec, mount: mujoco.MjsBody) -> None:
    """Bolts arm and gripper, with servos and sensors, on a body: the base plate's
    centre is that body's origin, and the arm looks along its x. The materials of
    `add_materials` must be there.
    """
    _add_links(mount)
    _add_hand(spec, spec.body("link7"))
    for name, (mass, center, inertia) in INERTIAS.items():
        body = spec.body(name)
        body.mass = mass
        body.ipos = center
        body.fullinertia = inertia
        body.explicitinertial = True
        body.gravcomp = 1
    dress(spec, SHELLS)
    _add_collision(spec)
    _add_actuators(spec)
    _add_sensors(spec)


def add_solid_box(
    body: mujoco.MjsBody, pos: Sequence[float], half_size: Sequence[float]
) -> None:
    """A massless box that collides and is not shown; m."""
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX, pos=pos, size=half_size, group=3, mass=0
    )


def _add_links(mount: mujoco.MjsBody) -> None:
    mount.add_body(name="link0")
    body = mount
    for i, ((a, d, alpha), limits) in enumerate(
        zip(DH, JOINT_RANGES, strict=True), start=1
    ):
        pos = (a, -d * np.sin(alpha), d * np.cos(alpha))
        body = body.add_body(
            name=f"link{i}", pos=pos, quat=(np.cos(alpha / 2), np.sin(alpha / 2), 0, 0)
        )
        body.add_joint(
            name=f"joint{i}",
            axis=(0, 0, 1),
            range=limits,
            armature=ROTOR_INERTIA[i - 1],
        )


def _add_hand(spec: mujoco.MjSpec, link7: mujoco.MjsBody) -> None:
    half_yaw = HAND_YAW_RAD / 2
    hand = link7.add_body(
        name="hand",
        pos=(0, 0, FLANGE_M),
        quat=(np.cos(half_yaw), 0, 0, np.sin(half_yaw)),
    )
    hand.add_site(name="tcp", pos=(0, 0, TCP_M), size=(0.004, 0.004, 0.004), group=4)
    cos, sin = np.sqrt(0.5) * np.array(
        [np.cos(CAMERA_TILT_RAD / 2), np.sin(CAMERA_TILT_RAD / 2)]
    )
    # image up: hand's x
    hand.add_camera(
        name="wrist", pos=(0.061, 0, 0.051), quat=(sin, cos, cos, sin), fovy=75
    )
    for name, quat in (("finger_left", (1, 0, 0, 0)), ("finger_right", (0, 0, 0, 1))):
        finger = hand.add_body(name=name, pos=(0, 0, FINGER_M), quat=quat)
        finger.add_joint(
            name=name,
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=(0, 1, 0),
            range=(0, FINGER_TRAVEL_M),
            # a finger much lighter than damping times timestep chatters on what it
            # holds
            armature=1.25,
            damping=GRIPPER_FORCE_N / (GRIPPER_SPEED_M_S / 2),
        )
    spec.add_equality(
        name="fingers",
        type=mujoco.mjtEq.mjEQ_JOINT,
        name1="finger_left",
        name2="finger_right",
        data=(0, 1, *[0] * 10),
        solref=PAD_SOLREF,
        solimp=(0.99, 0.99, 0.001, 0.5, 2),
    )


def _add_collision(spec: mujoco.MjSpec) -> None:
    for body, capsules in CAPSULES.items():
        for start, end, radius in capsules:
            shape = {"fromto": (*start, *end), "size": (radius, 0, 0)}
            spec.body(body).add_geom(
                type=mujoco.mjtGeom.mjGEOM_CAPSULE, group=3, mass=0, **shape
            )
    for body, pos, half_size in BOXES:
        add_solid_box(spec.body(body), pos, half_size)
    for name in ("finger_left", "finger_right"):
        spec.body(name).add_geom(
            name=f"{name}_pad",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            pos=(0, PAD_HALF_M[1], TCP_M - FINGER_M),
            size=PAD_HALF_M,
            material="arm_pad",
            group=2,
            mass=0,
            solref=PAD_SOLREF,
            priority=1,
            condim=3,
            friction=(1.2, 0.005, 0.0001),
        )
    for body1, body2 in EXCLUDED_PAIRS:
        spec.add_exclude(name=f"{body1}_{body2}", bodyname1=body1, bodyname2=body2)


def _add_actuators(spec: mujoco.MjSpec) -> None:
    for i, (stiffness, limits, torque) in enumerate(
        zip(STIFFNESS, JOINT_RANGES, TORQUE_LIMITS, strict=True), start=1
    ):
        servo = spec.add_actuator(
            name=f"joint{i}", target=f"joint{i}", trntype=mujoco.mjtTrn.mjTRN_JOINT
        )
        servo.set_to_position(kp=stiffness, kv=LAG_S * stiffness)
        servo.ctrlrange = limits
        servo.forcerange = (-torque, torque)
    tendon = spec.add_tendon(name="gripper_width")
    for finger in ("finger_left", "finger_right"):
        tendon.wrap_joint(finger, 1)
    servo = spec.add_actuator(
        name="gripper", target="gripper_width", trntype=mujoco.mjtTrn.mjTRN_TENDON
    )
    servo.set_to_position(kp=GRIPPER_STIFFNESS)
    servo.ctrlrange = (0, 2 * FINGER_TRAVEL_M)
    servo.forcerange = (-GRIPPER_FORCE_N, GRIPPER_FORCE_N)


def _add_sensors(spec: mujoco.MjSpec) -> None:
    kinds = {
        "tcp_pos_w": mujoco.mjtSensor.mjSENS_FRAMEPOS,
        "tcp_quat_w": mujoco.mjtSensor.mjSENS_FRAMEQUAT,
        "tcp_linvel_w": mujoco.mjtSensor.mjSENS_FRAMELINVEL,
        "tcp_angvel_w": mujoco.mjtSensor.mjSENS_FRAMEANGVEL,
    }
    for name, kind in kinds.items():
        spec.add_sensor(
            name=name, type=kind, objtype=mujoco.mjtObj.mjOBJ_SITE, objname="tcp"
        )
    force = mujoco.mjtSensor.mjSENS_ACTUATORFRC
    actuator = mujoco.mjtObj.mjOBJ_ACTUATOR
    spec.add_sensor(
        name="gripper_force", type=force, objtype=actuator, objname="gripper"
    )


ARM = Robot(
    name="arm",
    build=build_arm,
    joints=tuple(f"joint{i}" for i in range(1, 8)),
    joint_range=tuple((float(low), float(high)) for low, high in JOINT_RANGES),
    joint_speed=tuple(JOINT_SPEED_LIMITS.tolist()),
    home=tuple(HOME.tolist()),
    mount_pos_w=(0.0, 0.0, STAND_HEIGHT_M),
)
