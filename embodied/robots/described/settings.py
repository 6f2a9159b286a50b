"""Physics settings of a user's file, which a scene does not take over."""

from __future__ import annotations

import mujoco
import numpy as np

# Fields of `MjSpec.option` and `MjModel.opt`.
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
    """Gives a model that is to be attached the physics settings of the other one.

    MuJoCo keeps the other's in any case, but warns of each that differs.
    """
    for name in OPTIONS:
        setattr(own.option, name, getattr(spec.option, name))


def changed_settings(model: mujoco.MjModel) -> list[str]:
    """Returns the names of the options that a file sets unlike MuJoCo's defaults."""
    default = mujoco.MjModel.from_xml_string("<mujoco/>").opt
    changed = []
    for name in OPTIONS:
        value = getattr(model.opt, name)
        if not np.array_equal(value, getattr(default, name)):
            changed.append(name)
    return changed
