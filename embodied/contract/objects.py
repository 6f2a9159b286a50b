"""Contract on objects: the objects that a task declares have valid poses."""

from __future__ import annotations

from contextlib import closing

import numpy as np

from embodied.contract.case import Case, require

WORLDS = 4
LEVEL = "L2"
FARTHEST_M = 20.0  # largest coordinate of an object in the room
UNIT_ERROR = 1e-6  # largest deviation of a unit quaternion's length from 1


def objects_of_subtasks_are_poses(case: Case) -> None:
    """Checks the poses that `TaskSpec.objects` computes, if the task declares objects.

    These are the objects that the task's subtasks are about.
    """
    objects = case.spec.objects
    if objects is None:
        return

    with closing(case.worlds(WORLDS, level=LEVEL)) as worlds:
        state = np.asarray(worlds.task.state())
        parts = worlds.state_layout.slices()
        poses = objects.poses(
            np, {name: state[:, part] for name, part in parts.items()}
        )

    for name, pose in poses.items():
        require(
            np.shape(pose.pos_w) == (WORLDS, 3),
            f"objects: pos_w of {name} has the shape {np.shape(pose.pos_w)}, expected "
            f"({WORLDS}, 3)",
        )
        is_near = np.abs(pose.pos_w) < FARTHEST_M
        require(np.all(is_near), f"objects: {name} is not in the room: {pose.pos_w}")
        if pose.quat_wxyz is not None:
            length = np.linalg.norm(pose.quat_wxyz, axis=-1)
            require(
                length.shape == (WORLDS,) and np.all(np.abs(length - 1) < UNIT_ERROR),
                f"objects: quat_wxyz of {name} must be {WORLDS} unit quaternions",
            )

    # `brought_to` maps a grasped object to its destination: both need a pose. A task
    # without grasped objects has a single object, which all subtasks are about.
    named = {*objects.brought_to, *objects.brought_to.values()}
    missing = sorted(named - poses.keys())
    require(
        not missing,
        f"objects: brought_to names {', '.join(missing)}, but poses are of "
        f"{', '.join(poses)}",
    )
    require(
        bool(objects.brought_to) or len(poses) == 1,
        "objects: nothing is brought anywhere, so there must be one object, not "
        f"{', '.join(poses)}",
    )
