"""Physics defaults of every scene, set in one place."""

from __future__ import annotations

import mujoco

from embodied.core import PHYSICS_HZ

TIMESTEP_S = 1 / PHYSICS_HZ
# For grasping pads: the stiffest contact that MuJoCo can resolve, two steps long.
PAD_SOLREF = (2 * TIMESTEP_S, 1.0)
# The hardest constraint that MuJoCo takes.
# (least and greatest impedance, width, midpoint, power), see MuJoCo's `solimp`.
FRICTION_SOLIMP = (0.9999, 0.9999, 0.001, 0.5, 2.0)
FRICTION_ARMATURE = 0.05  # kg m2 for a hinge, kg for a slide
FRICTION_DAMPING = 0.5  # N m s/rad for a hinge, N s/m for a slide
SCENE_EXTENT_M = 8.0
# Nothing nearer to a camera is drawn. The wrist camera gets close to things.
NEAR_M = 0.015
LARGEST_PICTURE = (1280, 960)  # (W, H) pixels


def apply_defaults(spec: mujoco.MjSpec) -> None:
    """Sets the solver, and makes pictures cheap for training.

    The solver lets a parallel gripper hold a thin wall without creep. With an impedance
    ratio of 1 a held wall slips by 8 to 18 mm in 5 s, and Euler integration loses it.
    """
    option = spec.option
    option.timestep = TIMESTEP_S
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.solver = mujoco.mjtSolver.mjSOL_NEWTON
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = 10
    # a reset would hide a diverged world by setting it back to time 0
    option.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)

    # without shadows and smooth edges, a software GL renders frames 70 times faster
    quality = spec.visual.quality
    quality.shadowsize = 0
    quality.offsamples = 0
    quality.numslices = 10
    quality.numstacks = 4

    # MuJoCo counts the near plane's distance in extents of the scene
    spec.stat.extent = SCENE_EXTENT_M
    spec.visual.map.znear = NEAR_M / SCENE_EXTENT_M
    spec.visual.global_.offwidth = LARGEST_PICTURE[0]
    spec.visual.global_.offheight = LARGEST_PICTURE[1]


def stiff_friction(joint: mujoco.MjsJoint, torque_n_m: float) -> None:
    """Gives a joint dry friction that holds it where it is left: a valve, a drawer.

    MuJoCo's plain `frictionloss` creeps: nine tenths of its torque turns a light valve
    by 540 degrees in 10 s; here it turns by 0.003. That takes some armature and
    damping, which the joint feels when it moves.

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
