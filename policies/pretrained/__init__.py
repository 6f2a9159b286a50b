"""Runs that ship with this package: `--policy pretrained`.

Each lies in a folder named TASK-ROBOT, as `embodied train` wrote it. `make pretrained`
trains them anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from embodied.core import Policy, PolicySpec
from embodied.envs.registry import get_task
from embodied.errors import EmbodiedError
from embodied.policies.registry import find_policy
from embodied.policies.run_folder import weights_hash

if TYPE_CHECKING:
    from embodied.envs.worlds import Worlds
    from embodied.policies.dual_system import DualSystemConfig

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


class Pretrained:
    """The source of the policy `pretrained`: the run that ships for a task and a robot."""

    planner_hz = 8.0  # of all runs that ship
    trained_for = None

    @property
    def weights_hash(self) -> str:
        return weights_hash(FOLDER)

    def spec(self, task: str, robot: str | None = None) -> PolicySpec:
        run = find_policy(str(pretrained_run(task, robot)))
        return run.spec(task, robot)

    def make(self, worlds: Worlds, dual: DualSystemConfig | None = None) -> Policy:
        folder = pretrained_run(worlds.spec.name, worlds.robot.name)
        return find_policy(str(folder)).make(worlds, dual)


PRETRAINED = Pretrained()
