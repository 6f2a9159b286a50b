"""Finds where a robot in its home posture overlaps the scene of a task."""

from __future__ import annotations

from contextlib import closing

import mujoco
import numpy as np

from embodied.envs.config import EnvConfig
from embodied.envs.worlds import Worlds
from embodied.robots.robot import Robot

# Overlaps up to this depth are tolerated.
OVERLAP_M = 1e-3
LEVEL = "L1"  # the level at which objects are at their nominal places
SEED = 0


def overlaps_at_home(task: str, robot: Robot) -> list[str]:
    """Returns a sentence for each overlap of robot and scene at the start of an episode.

    Args:
        task: the name of the task.
        robot: the robot.
    """
    config = EnvConfig(task, robot=robot, level=LEVEL, num_threads=1)
    with closing(Worlds(config)) as worlds:
        worlds.reset(np.array([0]), [SEED])
        model = worlds.engine.world_model(0)
        data = worlds.engine.world_data(0)
        mujoco.mj_forward(model, data)
        robot_bodies = _bodies_of(model, robot)

        # names of a body of the robot and of a body of the scene -> their deepest overlap
        deepest_m: dict[tuple[str, str], float] = {}
        for contact in data.contact[: data.ncon]:
            bodies = [int(model.geom_bodyid[geom]) for geom in contact.geom]
            is_deep = contact.dist < -OVERLAP_M
            is_robot = [body in robot_bodies for body in bodies]
            if not is_deep or is_robot[0] == is_robot[1]:
                continue
            # the robot's body first
            first, second = bodies if is_robot[0] else bodies[::-1]
            pair = (model.body(first).name, model.body(second).name)
            deepest_m[pair] = max(deepest_m.get(pair, 0.0), float(-contact.dist))
    return [
        f"at home {first} and {second} of {task} overlap by {1000 * depth_m:.0f} mm: "
        "choose another home or mount"
        for (first, second), depth_m in deepest_m.items()
    ]


def _bodies_of(model: mujoco.MjModel, robot: Robot) -> set[int]:
    """Returns the ids of a robot's bodies: its bases and all that they carry."""
    bodies = {model.body(base.root_body).id for base in robot.bases}
    # one pass suffices, because a parent comes before its children
    for body in range(1, model.nbody):
        if int(model.body_parentid[body]) in bodies:
            bodies.add(body)
    return bodies
