"""The expert of each task as a planner of action chunks, like today's VLAs.

The expert's plans have goals. Here each plan has, as well, the actions of the next second
towards its goals. So the effects of delays and bridges on action chunks can be studied
without a trained policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

import numpy as np

from embodied.core import Array, Observation, PolicySpec
from embodied.envs.config import EnvConfig
from embodied.envs.worlds import Worlds
from embodied.plan import Controller, Payload, Planner
from embodied.policies.assembly import dual_system
from embodied.policies.chunks import ChunkPlayer
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from embodied.policies.forecast import Forecast

PLANNER_HZ = 8.0
# As in pi0 (arXiv 2410.24164): chunks of 50 actions, at up to 50 Hz.
CHUNK_STEPS = 50
CHUNK_HZ = 50.0


class ChunkingPlanner:
    """Converts a planner's plans to action chunks, by running its controller ahead.

    The controller computes each row of a chunk from the predicted state of the robot
    after the rows before, with goals extrapolated by their velocities.

    Args:
        planner: the planner, whose plans have goals.
        controller: the controller that follows these goals.
        worlds: the worlds in which planner and controller act.
    """

    def __init__(
        self, planner: Planner, controller: Controller, worlds: Worlds
    ) -> None:
        """Prepares the forecast of the robot's motion, by which the controller runs ahead."""
        self._planner = planner
        self._controller = controller
        self._forecast = Forecast(worlds.robot, worlds.agent_layout)
        self._num_actions = len(worlds.interface.labels)
        self.plan_shape = replace(
            planner.plan_shape,
            chunk_steps=CHUNK_STEPS,
            chunk_actions=self._num_actions,
        )

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        self._planner.reset(ids, seeds)

    def plan(self, observation: Observation, ids: Array) -> Payload:
        """Returns the planner's plans, each with a chunk of the controller's future actions."""
        plan = self._planner.plan(observation, ids)
        num = len(plan.subtask)  # number of plans
        agent_pos = np.array(observation.agent_pos, np.float64)
        chunk = np.zeros((num, CHUNK_STEPS, self._num_actions), np.float32)

        # for each row: extrapolate the goals, compute the action towards them, and predict
        # the proprioception after that action
        for k in range(CHUNK_STEPS):
            age_s = np.full(num, k / CHUNK_HZ)
            goal_pos_w = plan.goal_pos_w + plan.goal_vel_w * age_s[:, None, None]
            # the goals are extrapolated already, as the mailbox does in its mode `predictive`
            action = self._controller.act(
                replace(observation, agent_pos=agent_pos),
                replace(plan, goal_pos_w=goal_pos_w),
                age_s,
            )
            chunk[:, k] = action
            agent_pos = self._forecast.after(agent_pos, action, 1 / CHUNK_HZ)
        return replace(plan, chunk=chunk, chunk_hz=np.full(num, CHUNK_HZ))


class ExpertChunks:
    """The source of the policy `expert_chunks`. It sees the privileged state."""

    planner_hz = PLANNER_HZ
    weights_hash = ""
    trained_for = None

    def spec(self, task: str, robot: str | None = None) -> PolicySpec:
        """Returns the requirements of the task's expert."""
        with closing(Worlds(EnvConfig(task, robot=robot))) as worlds:
            _, controller = worlds.spec.expert(
                worlds.agent_layout, worlds.state_layout, worlds.robot
            )
            return replace(controller.spec, privileged=True)

    def make(self, worlds: Worlds, dual: DualSystemConfig | None = None) -> DualSystem:
        """Returns the policy for these worlds; `dual` replaces the default timing of plans."""
        planner, controller = worlds.spec.expert(
            worlds.agent_layout, worlds.state_layout, worlds.robot
        )
        spec = replace(controller.spec, privileged=True)
        return dual_system(
            worlds,
            ChunkingPlanner(planner, controller, worlds),
            ChunkPlayer(worlds.interface, spec),
            spec=spec,
            config=dual or DualSystemConfig(planner_hz=self.planner_hz),
        )


EXPERT_CHUNKS = ExpertChunks()
