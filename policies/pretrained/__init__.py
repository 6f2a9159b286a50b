"""The policy `pretrained`: the runs that ship with this package.

Each is a run folder TASK-ROBOT, written by `embodied train`. `make pretrained` trains it
again.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from embodied.core import Policy, PolicySpec
from embodied.envs.registry import get_task
from embodied.errors import EmbodiedError
from embodied.policies.registry import PolicySource, find_policy
from embodied.policies.run_folder import INFO, weights_hash

if TYPE_CHECKING:
    from embodied.envs.worlds import Worlds
    from embodied.policies.dual_system import DualSystemConfig

FOLDER = Path(__file__).parent


def shipped_runs() -> list[Path]:
    """Returns the run folders that ship with this package."""
    return sorted(path.parent for path in FOLDER.glob(f"*/{INFO}"))


def pretrained_folder(task: str, robot: str) -> Path:
    """Returns the folder of the run for a task and a robot.

    Raises:
        EmbodiedError: no run ships for this task and robot; the message lists the runs.
    """
    folder = FOLDER / f"{task}-{robot}"
    shipped = shipped_runs()
    if folder not in shipped:
        names = ", ".join(path.name for path in shipped)
        raise EmbodiedError(
            f"no pretrained policy ships for {folder.name}, only for {names}: train "
            "one with `embodied collect` and `embodied train`"
        )
    return folder


class Pretrained:
    """The source of the policy `pretrained`, which uses the run for task and robot."""

    planner_hz = 8.0  # the same in all runs that ship
    trained_for = None

    @property
    def weights_hash(self) -> str:
        # the task is not known here, so this is the hash of all runs together
        return weights_hash(FOLDER)

    def spec(self, task: str, robot: str | None = None) -> PolicySpec:
        task_spec = get_task(task)
        run = self._run(task_spec.name, robot or task_spec.default_robot)
        return run.spec(task, robot)

    def make(self, worlds: Worlds, dual: DualSystemConfig | None = None) -> Policy:
        run = self._run(worlds.spec.name, worlds.robot.name)
        return run.make(worlds, dual)

    def _run(self, task: str, robot: str) -> PolicySource:
        """Returns the source of the run for a task and a robot."""
        return find_policy(str(pretrained_folder(task, robot)))


PRETRAINED = Pretrained()
