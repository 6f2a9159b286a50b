"""Moves the fingers of a hand, and lets its linkages settle."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import mujoco
import numpy as np

from embodied.errors import EmbodiedError
from embodied.robots.described.holding import subtree
from embodied.robots.geometry import solid_geoms
from embodied.sim.physics import TIMESTEP_S

# Simulated time for moving the fingers and letting the linkages settle.
SETTLING_S = 1.5
# Armature (kg m2 or kg) of all joints outside the linkages while these settle. It is so
# large that the linkages cannot push joints whose positions are set directly.
HEAVY = 1e5
# Factor on the linkages' velocities in each step, which brings them to rest.
VELOCITY_FACTOR = 0.9


def scratch(model: mujoco.MjModel) -> mujoco.MjModel:
    """Returns a copy of a model without gravity, contacts, servos and joint friction.

    Rays can hit all its geoms.
    """
    still = copy.copy(model)
    still.opt.timestep = TIMESTEP_S
    still.opt.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    still.opt.gravity[:] = 0
    still.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_CONTACT)
    still.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_ACTUATION)
    still.dof_frictionloss[:] = 0
    # rays pass through fully transparent geoms, so make all geoms opaque
    still.geom_rgba[:, 3] = 1
    still.geom_matid[:] = -1
    return still


def hand_geoms(
    model: mujoco.MjModel, bodies: set[int], fingers: Sequence[str]
) -> list[int]:
    """Returns the ids of a hand's geoms that collide, or of all if none does.

    Of a finger without a geom that has a contype, those with a conaffinity are returned.

    Args:
        model: the robot's.
        bodies: the hand's.
        fingers: names of the driven joints.
    """
    geoms = solid_geoms(model, bodies)
    for name in fingers:
        carried = subtree(model, int(model.joint(name).bodyid[0]))
        if not any(int(model.geom_bodyid[geom]) in carried for geom in geoms):
            geoms += [
                geom
                for geom in range(model.ngeom)
                if int(model.geom_bodyid[geom]) in carried
                and model.geom_conaffinity[geom]
            ]
    return sorted(geoms)


def settled(
    model: mujoco.MjModel,
    start: mujoco.MjData,
    fingers: Sequence[str],
    positions: Sequence[float],
    passive: Sequence[int],
) -> mujoco.MjData:
    """Returns data with the fingers at positions (F,), and the linkages at rest.

    Args:
        model: A copy made by `scratch`; its armature is changed.
        start: The state to begin with; it is changed and returned.
        fingers: (F,) names of the driven joints.
        positions: (F,) the positions of these joints, m or rad.
        passive: Ids of the linkages' joints; all other joints are held in place.

    Raises:
        EmbodiedError: the simulation of the linkages diverges.
    """
    data = start
    addresses = [int(model.joint(name).qposadr[0]) for name in fingers]
    first_positions = data.qpos[addresses].copy()
    # without linkages, the fingers' positions are set at once, below
    if passive:
        # make all other joints so heavy that the linkages can't move them
        is_heavy = np.ones(model.nv, bool)
        is_heavy[[int(model.jnt_dofadr[j]) for j in passive]] = False
        model.dof_armature[is_heavy] = HEAVY
        is_held = np.ones(model.nq, bool)
        is_held[[int(model.jnt_qposadr[j]) for j in passive]] = False

        # move the fingers in the first half of the time, slowly enough for the linkages
        # to follow, and let the linkages settle in the second half
        held = data.qpos.copy()
        steps = int(SETTLING_S / model.opt.timestep)
        for step in range(steps):
            share = min(1.0, 2 * step / steps)
            travel = np.array(positions) - first_positions
            held[addresses] = first_positions + share * travel
            data.qpos[is_held] = held[is_held]
            # damp the velocities, so that springs come to rest
            data.qvel *= np.where(is_heavy, 0.0, VELOCITY_FACTOR)
            mujoco.mj_step(model, data)

    data.qpos[addresses] = positions
    if not np.isfinite(data.qpos).all():
        raise EmbodiedError(
            "the gripper's linkage finds no rest between gripper.closed and "
            "gripper.open: give positions that it can reach"
        )
    mujoco.mj_forward(model, data)
    return data
