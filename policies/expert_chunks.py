"""The expert of each task as a planner of action chunks, like today's VLAs.

The expert's plans have goals. Here each plan has, as well, the actions of the next second
towards its goals. So the effects of delays and bridges on action chunks can be studied
without a trained policy.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from embodied.core import Array, Observation
from embodied.envs.worlds import Worlds
from embodied.plan import Controller, Payload, Planner
from embodied.policies.chunks import ChunkPlayer
from embodied.policies.expert_ahead import AheadPlanner, ExpertAhead

# As in pi0 (arXiv 2410.24164): chunks of 50 actions, at up to 50 Hz.
CHUNK_STEPS = 50
CHUNK_HZ = 50.0


class ChunkingPlanner(AheadPlanner):
    """Converts a planner's plans to action chunks, by running its controller ahead.

    The controller computes each row of a chunk from the predicted state of the robot
    after the rows before, with goals extrapolated by their velocities.
    """

    def __init__(
        self, planner: Planner, controller: Controller, worlds: Worlds
    ) -> None:
        """Declares the shape of the plans; the arguments are as in `AheadPlanner`."""
        super().__init__(planner, controller, worlds)
        self._num_actions = len(worlds.interface.labels)
        self.plan_shape = replace(
            planner.plan_shape,
            chunk_steps=CHUNK_STEPS,
            chunk_actions=self._num_actions,
        )

    def plan(self, observation: Observation, ids: Array) -> Payload:
        """Returns the planner's plans, each with a chunk of the controller's future actions."""
        plan = self._planner.plan(observation, ids)
        num = len(plan.subtask)  # number of plans
        chunk = np.zeros((num, CHUNK_STEPS, self._num_actions), np.float32)
        steps = self._run_ahead.steps(plan, observation, CHUNK_STEPS, CHUNK_HZ)
        for k, (_, action) in enumerate(steps):
            chunk[:, k] = action
        return replace(plan, chunk=chunk, chunk_hz=np.full(num, CHUNK_HZ))


def _chunk_player(worlds: Worlds, controller: Controller) -> ChunkPlayer:
    """Returns the controller that plays the chunks, with the spec of the expert's."""
    return ChunkPlayer(worlds.interface, replace(controller.spec, privileged=True))


EXPERT_CHUNKS = ExpertAhead(ChunkingPlanner, _chunk_player)
