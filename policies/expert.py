"""The expert of each task: its scripted planner with the skill controller."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

from embodied.core import PolicySpec
from embodied.envs.config import EnvConfig
from embodied.envs.worlds import Worlds
from embodied.policies.assembly import dual_system
from embodied.policies.dual_system import DualSystem, DualSystemConfig

PLANNER_HZ = 8.0


class Expert:
    """The source of the policy `expert`, which solves any task.

    It sees the privileged state.
    """

    planner_hz = PLANNER_HZ
    weights_hash = ""
    trained_for = None

    def spec(self, task: str, robot: str | None = None) -> PolicySpec:
        with closing(Worlds(EnvConfig(task, robot=robot))) as worlds:
            return self.make(worlds).spec

    def make(self, worlds: Worlds, dual: DualSystemConfig | None = None) -> DualSystem:
        """Returns the task's expert for these worlds; `dual` replaces the default timing."""
        planner, controller = worlds.spec.expert(
            worlds.agent_layout, worlds.state_layout, worlds.robot
        )
        return dual_system(
            worlds,
            planner,
            controller,
            # only the planner needs the privileged state
            spec=replace(controller.spec, privileged=True),
            config=dual or DualSystemConfig(planner_hz=self.planner_hz),
        )


EXPERT = Expert()
