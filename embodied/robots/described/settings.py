"""Physics options and sizes of a user's file; a scene ignores them."""

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
# The names of reserved sizes, in `MjSpec`.
SIZES = (
    "memory",
    "nconmax",
    "nemax",
    "njmax",
    "nkey",
    "nstack",
    "nuser_actuator",
    "nuser_body",
    "nuser_cam",
    "nuser_geom",
    "nuser_jnt",
    "nuser_sensor",
    "nuser_site",
    "nuser_tendon",
    "nuserdata",
)


def share_settings(attached: mujoco.MjSpec, spec: mujoco.MjSpec) -> None:
    """Copies the settings of a model `spec` to a model that will be attached to `spec`.

    The settings are physics options, reserved sizes, and the cameras' range of distances.
    MuJoCo keeps those of `spec` in any case, but it warns about each difference.
    """
    for name in OPTIONS:
        setattr(attached.option, name, getattr(spec.option, name))
    for name in SIZES:
        setattr(attached, name, getattr(spec, name))
    attached.visual.map.znear = spec.visual.map.znear
    attached.visual.map.zfar = spec.visual.map.zfar


def changed_settings(model: mujoco.MjModel) -> list[str]:
    """Returns the names of the options that differ from MuJoCo's defaults."""
    default = mujoco.MjModel.from_xml_string("<mujoco/>").opt
    changed = []
    for name in OPTIONS:
        value = getattr(model.opt, name)
        if not np.array_equal(value, getattr(default, name)):
            changed.append(name)
    return changed
