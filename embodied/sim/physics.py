"""Physics defaults of all scenes."""

from __future__ import annotations

import mujoco

from embodied.core import PHYSICS_HZ

TIMESTEP_S = 1 / PHYSICS_HZ
# `solref` of grasping pads: the smallest time constant that MuJoCo can resolve is two
# timesteps; the damping is critical.
PAD_SOLREF = (2 * TIMESTEP_S, 1.0)
# `solimp` of the hardest constraint that MuJoCo accepts: smallest and largest impedance,
# width, midpoint, power.
FRICTION_SOLIMP = (0.9999, 0.9999, 0.001, 0.5, 2.0)
FRICTION_ARMATURE = 0.05  # kg m2 for a hinge, kg for a slide
FRICTION_DAMPING = 0.5  # N m s/rad for a hinge, N s/m for a slide
SCENE_EXTENT_M = 8.0
# The near plane of cameras; small, because the wrist camera gets close to objects.
NEAR_M = 0.015
LARGEST_PICTURE = (1280, 960)  # (W, H) pixels


def apply_defaults(spec: mujoco.MjSpec) -> None:
    """Sets the solver's options, and a low rendering quality for fast training.

    With these options a parallel gripper holds a thin wall without creep. With an
    impedance ratio of 1 the wall slips by 8 to 18 mm in 5 s; with Euler integration it
    is lost.
    """
    option = spec.option
    option.timestep = TIMESTEP_S
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.solver = mujoco.mjtSolver.mjSOL_NEWTON
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = 10  # friction is 10 times as stiff as the contact normal
    # an automatic reset would hide a diverged world
    option.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)

    # without shadows and antialiasing, software OpenGL renders 70 times faster
    quality = spec.visual.quality
    quality.shadowsize = 0
    quality.offsamples = 0
    quality.numslices = 10
    quality.numstacks = 4

    # MuJoCo measures the near plane's distance in units of the scene's extent
    spec.stat.extent = SCENE_EXTENT_M
    spec.visual.map.znear = NEAR_M / SCENE_EXTENT_M
    spec.visual.global_.offwidth = LARGEST_PICTURE[0]
    spec.visual.global_.offheight = LARGEST_PICTURE[1]


def stiff_friction(joint: mujoco.MjsJoint, torque_n_m: float) -> None:
    """Gives a joint dry friction that holds it in place, such as a valve or a drawer.

    MuJoCo's plain `frictionloss` creeps: at 90 % of the friction torque a light valve
    rotates by 540 degrees in 10 s. With the settings here it rotates by 0.003 degrees. The
    price is some armature and damping when the joint moves.

    Args:
        joint: a hinge or a slide.
        torque_n_m: the friction torque of a hinge, or the friction force of a slide in
            N.
    """
    joint.frictionloss = torque_n_m
    joint.armature = FRICTION_ARMATURE
    joint.damping = [FRICTION_DAMPING, 0.0, 0.0]
    joint.solimp_friction = FRICTION_SOLIMP
    joint.solref_friction = PAD_SOLREF
