"""The start of every scene: the robot in its place, the physics, the hall, and places around."""

from __future__ import annotations

import mujoco
import numpy as np

from embodied.envs.props.hall import add_hall
from embodied.robots.robot import Robot
from embodied.sim.physics import apply_defaults


def start_station(name: str, robot: Robot, fenced: bool = True) -> mujoco.MjSpec:
    """Returns a spec with the robot in an otherwise empty hall.

    The robot's mount is above the world's origin and looks along +x.

    Args:
        name: name of the model.
        robot: the robot.
        fenced: whether there is a guard rail behind the robot.
    """
    spec = start_scene(name, robot)
    add_hall(spec, fenced)
    return spec


def start_scene(name: str, robot: Robot) -> mujoco.MjSpec:
    """Returns a spec with only the robot in it, and the physics settings of all scenes."""
    spec = robot.build()
    spec.modelname = name
    # keyframes of the robot alone do not fit the state of the whole scene
    for key in spec.keys:
        spec.delete(key)
    apply_defaults(spec)
    return spec


def around_column(radius_m: float, angle_deg: float) -> tuple[float, float, float]:
    """Returns a place around a robot's column, which is at the world's origin.

    Args:
        radius_m: The place's distance from the column.
        angle_deg: The place's direction from the column, counterclockwise from +x.

    Returns:
        The place's x and y in m, and the yaw that faces away from the column, in rad.
    """
    angle = float(np.deg2rad(angle_deg))
    return radius_m * float(np.cos(angle)), radius_m * float(np.sin(angle)), angle
