"""The bottle's filling at rest, which episodes start with."""

from __future__ import annotations

from functools import cache

import mujoco
import numpy as np

from embodied.envs.props.granules import Granules, add_granules, filling
from embodied.envs.props.vessels import BOTTLE, FLOOR_M, add_bottle
from embodied.envs.tasks.pour_water.scene import BOTTLE_SIZE, GRAINS, solve_water
from embodied.sim.physics import TIMESTEP_S, apply_defaults

# The simulated time after which the grains are at rest.
SETTLING_S = 1.5


@cache
def settled_filling() -> np.ndarray:
    """Returns the grains' positions at rest, (GRAINS, 3) m in the bottle's frame.

    Grains on a regular grid are not at rest: their collapse would shake the bottle at the
    start of each episode, and take the solver three times as long. So the collapse is
    simulated once per process, in a bottle that stands alone.
    """
    # a scene with nothing but the floor, the grains and the bottle
    spec = mujoco.MjSpec()
    spec.compiler.degree = False  # angles are in rad
    apply_defaults(spec)
    solve_water(spec)
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[1, 1, 1])
    add_granules(spec, GRAINS)
    add_bottle(spec, BOTTLE_SIZE)
    model = spec.compile()
    data = mujoco.MjData(model)

    # fill the bottle with grains on a grid, and let them collapse
    grains = Granules.qpos_of(model, GRAINS)
    data.qpos[grains] = filling(GRAINS, BOTTLE_SIZE.half_width, FLOOR_M).ravel()
    mujoco.mj_step(model, data, round(SETTLING_S / TIMESTEP_S))

    bottle = data.body(BOTTLE)
    # from the world's frame to the bottle's: row vectors times the rotation matrix
    offset = data.qpos[grains].reshape(-1, 3) - bottle.xpos
    settled = offset @ bottle.xmat.reshape(3, 3)
    settled.setflags(write=False)  # all callers share the cached array
    return settled
