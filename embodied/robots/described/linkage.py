"""Hands brought to rest: what is coupled to the driven fingers finds its place."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import mujoco
import numpy as np

from embodied.errors import EmbodiedError
from embodied.sim.physics import TIMESTEP_S

# How long a linkage settles, and the armature (kg m2 or kg) that all other joints have
# meanwhile: they are set directly, and the linkage must not push them.
SETTLING_S = 1.5
HEAVY = 1e5
LOSS = 0.9  # share of a linkage's speed that is left after each step


def scratch(model: mujoco.MjModel) -> mujoco.MjModel:
    """Returns a copy in which only linkages move: no gravity, no contacts, no servos.

    All its shapes can be met by rays.
    """
    still = copy.copy(model)
    still.opt.timestep = TIMESTEP_S
    still.opt.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    still.opt.gravity[:] = 0
    still.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_CONTACT)
    still.opt.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_ACTUATION)
    still.dof_frictionloss[:] = 0
    # rays pass through what is fully transparent
    still.geom_rgba[:, 3] = 1
    still.geom_matid[:] = -1
    return still


def settled(
    model: mujoco.MjModel,
    start: mujoco.MjData,
    fingers: Sequence[str],
    positions: Sequence[float],
    passive: Sequence[int],
) -> mujoco.MjData:
    """Returns the model with its fingers at positions (F,), and its linkage at rest.

    Args:
        model: a copy of `scratch`.
        start: where everything is before; it is moved.
        fingers: (F,) names of the driven joints.
        positions: (F,) m or rad.
        passive: ids of the joints that follow; all others are held.

    Raises:
        EmbodiedError: the linkage finds no rest.
    """
    data = start
    addresses = [int(model.joint(name).qposadr[0]) for name in fingers]
    begin = data.qpos[addresses].copy()
    if passive:
        # all but the linkage is so heavy that it moves nothing
        is_heavy = np.ones(model.nv, bool)
        is_heavy[[int(model.jnt_dofadr[j]) for j in passive]] = False
        model.dof_armature[is_heavy] = HEAVY
        is_held = np.ones(model.nq, bool)
        is_held[[int(model.jnt_qposadr[j]) for j in passive]] = False

        # Fingers are set directly, over the first half of the time, so slowly that what
        # is coupled keeps pace; it settles in the second half.
        held = data.qpos.copy()
        steps = int(SETTLING_S / model.opt.timestep)
        for step in range(steps):
            share = min(1.0, 2 * step / steps)
            held[addresses] = begin + share * (np.array(positions) - begin)
            data.qpos[is_held] = held[is_held]
            # without momentum, so that springs come to rest
            data.qvel *= np.where(is_heavy, 0.0, LOSS)
            mujoco.mj_step(model, data)

    data.qpos[addresses] = positions
    if not np.isfinite(data.qpos).all():
        raise EmbodiedError(
            "the gripper's linkage finds no rest between gripper.closed and "
            "gripper.open: write positions that it can reach"
        )
    mujoco.mj_forward(model, data)
    return data
