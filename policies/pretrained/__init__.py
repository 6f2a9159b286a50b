"""Runs that ship with this package: `--policy pretrained`.

Each lies in a folder named TASK-ROBOT, as `embodied train` wrote it. `make pretrained`
trains them anew.
"""

from __future__ import annotations

from pathlib import Path

from embodied.envs.registry import get_task
from embodied.errors import EmbodiedError

NAME = "pretrained"
FOLDER = Path(__file__).parent


def pretrained_run(task: str, robot: str | None = None) -> Path:
    """Returns the run folder that ships for a task and a robot.

    Args:
        task: the task's name, with or without its namespace and version.
        robot: the robot's name; None for the task's first.

    Raises:
        EmbodiedError: no such task, or nothing ships for these two.
    """
    known = get_task(task)
    wanted = f"{known.name}-{robot or known.default_robot}"
    shipped = sorted(path.name for path in FOLDER.iterdir() if "-" in path.name)

    if wanted not in shipped:
        raise EmbodiedError(
            f"no pretrained policy ships for {wanted}, only for {', '.join(shipped)}: "
            "train one with `embodied collect` and `embodied train`"
        )
    return FOLDER / wanted
