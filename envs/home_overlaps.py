"""Finds overlaps of a robot in its home posture with the scenes of tasks."""

from __future__ import annotations

from contextlib import closing

import mujoco
import numpy as np

from embodied.envs.config import EnvConfig
from embodied.envs.worlds import Worlds
from embodied.robots.robot import Robot

# Overlaps up to this depth are tolerated.
OVERLAP_M = 1e-3
LEVEL = "L1"  # at which objects are at their nominal places
SEED = 0


def overlaps_at_home(task: str, robot: Robot) -> list[str]:
    """Returns a sentence for each overlap of the robot and the scene when a task begins."""
    config = EnvConfig(task, robot=robot, level=LEVEL, num_threads=1)
    with closing(Worlds(config)) as worlds:
        worlds.reset(np.array([0]), [SEED])
        model = worlds.engine.world_model(0)
        data = worlds.engine.world_data(0)
        mujoco.mj_forward(model, data)
        own = _own_bodies(model, robot)

        deepest: dict[tuple[str, str], float] = {}  # pair of bodies -> m
        for contact in data.contact[: data.ncon]:
            bodies = [int(model.geom_bodyid[geom]) for geom in contact.geom]
            is_deep = contact.dist < -OVERLAP_M
            is_robot_with_scene = (bodies[0] in own) != (bodies[1] in own)
            if not (is_deep and is_robot_with_scene):
                continue
            # the robot's body first
            first, second = sorted(bodies, key=lambda body: body not in own)
            pair = (model.body(first).name, model.body(second).name)
            deepest[pair] = max(deepest.get(pair, 0.0), float(-contact.dist))
    return [
        f"at home {first} and {second} of {task} overlap by {1000 * depth_m:.0f} mm: "
        "choose another home or mount"
        for (first, second), depth_m in deepest.items()
    ]


def _own_bodies(model: mujoco.MjModel, robot: Robot) -> set[int]:
    """Returns the ids of a robot's bodies: its bases and all that they carry."""
    own = {model.body(base.root_body).id for base in robot.bases}
    for body in range(1, model.nbody):  # a parent comes before its children
        if int(model.body_parentid[body]) in own:
            own.add(body)
    return own
