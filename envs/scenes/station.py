"""What every scene begins with: the robot in its place, the physics, the hall around
it.
"""

from __future__ import annotations

import mujoco

from embodied.envs.props.hall import add_hall
from embodied.robots.robot import Robot
from embodied.sim.physics import apply_defaults


def start_station(name: str, robot: Robot, fenced: bool = True) -> mujoco.MjSpec:
    """Returns a spec named `name` with the robot, its mount over the world's origin looking
    along +x, in an empty hall, with or without a guard rail behind it.
    """
    spec = robot.build()
    spec.modelname = name
    for key in spec.keys:  # the robot's alone: a scene's starts are the task's to write
        spec.delete(key)
    apply_defaults(spec)
    add_hall(spec, fenced)
    return spec
