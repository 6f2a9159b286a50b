"""Physics options of a user's file; a scene ignores them."""

from __future__ import annotations

import mujoco
import numpy as np

# The names of physics options, in `MjSpec.option` and in `MjModel.opt`.
OPTIONS = (
    "ccd_iterations",
    "ccd_tolerance",
    "cone",
    "density",
    "disableactuator",
    "disableflags",
    "enableflags",
    "gravity",
    "impratio",
    "integrator",
    "iterations",
    "jacobian",
    "ls_iterations",
    "ls_tolerance",
    "magnetic",
    "noslip_iterations",
    "noslip_tolerance",
    "o_friction",
    "o_margin",
    "o_solimp",
    "o_solref",
    "sdf_initpoints",
    "sdf_iterations",
    "sleep_tolerance",
    "solver",
    "timestep",
    "tolerance",
    "viscosity",
    "wind",
)


def share_settings(own: mujoco.MjSpec, spec: mujoco.MjSpec) -> None:
    """Copies the physics options of `spec` to `own`, which will be attached to it.

    MuJoCo would keep those of `spec` in any case, but warn about each difference.
    """
    for name in OPTIONS:
        setattr(own.option, name, getattr(spec.option, name))


def changed_settings(model: mujoco.MjModel) -> list[str]:
    """Returns the names of the options that differ from MuJoCo's defaults."""
    default = mujoco.MjModel.from_xml_string("<mujoco/>").opt
    changed = []
    for name in OPTIONS:
        value = getattr(model.opt, name)
        if not np.array_equal(value, getattr(default, name)):
            changed.append(name)
    return changed
