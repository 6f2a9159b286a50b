"""The start of every scene: the robot in its place, the physics and the hall."""

from __future__ import annotations

import mujoco

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
