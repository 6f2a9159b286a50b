"""Physics defaults of every scene, set in one place."""

from __future__ import annotations

import mujoco

from embodied.core import PHYSICS_HZ

TIMESTEP_S = 1 / PHYSICS_HZ
# the stiffest contact that two steps resolve: for grasping pads
PAD_SOLREF = (2 * TIMESTEP_S, 1.0)
# as hard as MuJoCo lets a constraint be
FRICTION_SOLIMP = (0.9999, 0.9999, 0.001, 0.5, 2.0)
# of a scene; what is nearer to a camera is not drawn: the wrist's gets close to things
EXTENT_M = 8.0
NEAR_M = 0.015
# kg m2 and N m s/rad, of a slide kg and N s/m
FRICTION_ARMATURE = 0.05
FRICTION_DAMPING = 0.5


def apply_defaults(spec: mujoco.MjSpec) -> None:
    """Sets the solver that lets a parallel gripper hold a thin wall without creep, and
    cheap training cameras.

    An impedance ratio of 1 lets a held wall slip 8-18 mm in 5 s, Euler integration
    loses it; autoreset is off because it would hide a diverged world by setting it back
    to time 0.
    """
    option = spec.option
    option.timestep = TIMESTEP_S
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.solver = mujoco.mjtSolver.mjSOL_NEWTON
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = 10
    option.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)
    quality = spec.visual.quality
    # 70 times faster frames on a software GL
    quality.shadowsize = 0
    quality.offsamples = 0
    quality.numslices = 10
    quality.numstacks = 4
    spec.stat.extent = EXTENT_M
    spec.visual.map.znear = NEAR_M / EXTENT_M
    spec.visual.global_.offwidth = 1280
    spec.visual.global_.offheight = 960


def stiff_friction(joint: mujoco.MjsJoint, torque_n_m: float) -> None:
    """Dry friction that holds a hinge (N m) or a slide (N) where it is left: a valve, a
    drawer.

    MuJoCo's own `frictionloss` creeps: nine tenths of its torque turns a light valve by
    540 degrees in 10 s, here by 0.003. It takes some armature and damping, which the
    joint feels when it moves.
    """
    joint.frictionloss = torque_n_m
    joint.armature = FRICTION_ARMATURE
    joint.damping = [FRICTION_DAMPING, 0.0, 0.0]
    joint.solimp_friction = FRICTION_SOLIMP
    joint.solref_friction = PAD_SOLREF
