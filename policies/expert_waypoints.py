"""The expert of each task as a planner of timed waypoints.

The expert's plans have goals. Here each plan has, as well, the poses that the hands will
have on their way to these goals, within the next second.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from embodied.core import Array, Observation
from embodied.envs.worlds import Worlds
from embodied.plan import Controller, Payload, Planner
from embodied.policies.expert_ahead import AheadPlanner, ExpertAhead
from embodied.policies.waypoints import WaypointFollower
from embodied.rotations import quat_from_rot6d

WAYPOINTS = 11
WAYPOINT_HZ = 10.0  # so the last waypoint is for 1 s after the first
# The controller is run ahead at this rate; a waypoint is the pose at every fifth step.
AHEAD_HZ = 50.0
STEPS_PER_WAYPOINT = 5


class WaypointPlanner(AheadPlanner):
    """Adds timed waypoints to a planner's plans, by running its controller ahead."""

    def __init__(
        self, planner: Planner, controller: Controller, worlds: Worlds
    ) -> None:
        """Declares the shape of the plans; the arguments are as in `AheadPlanner`."""
        super().__init__(planner, controller, worlds)
        # columns of the position and of the orientation of each effector that has goals
        slices = worlds.agent_layout.slices()
        effectors = worlds.robot.effectors[: planner.plan_shape.effectors]
        self._columns = [
            (slices[f"{effector.name}_pos_w"], slices[f"{effector.name}_rot6d"])
            for effector in effectors
        ]
        self.plan_shape = replace(
            planner.plan_shape,
            waypoints=WAYPOINTS,
            waypoint_effectors=len(effectors),
        )

    def plan(self, observation: Observation, ids: Array) -> Payload:
        """Returns the planner's plans, each with the poses of the hands on their way."""
        plan = self._planner.plan(observation, ids)
        num = len(plan.subtask)  # number of plans

        # the predicted proprioception at each waypoint, (W, n, P)
        count = (WAYPOINTS - 1) * STEPS_PER_WAYPOINT + 1
        steps = self._run_ahead.steps(plan, observation, count, AHEAD_HZ)
        poses = [agent_pos for agent_pos, _ in steps][::STEPS_PER_WAYPOINT]
        agent_pos = np.stack(poses, axis=1)  # (n, W, P)

        pos_w = [agent_pos[..., pos] for pos, _ in self._columns]
        quat = [quat_from_rot6d(agent_pos[..., rot6d]) for _, rot6d in self._columns]
        return replace(
            plan,
            waypoint_s=np.tile(np.arange(WAYPOINTS) / WAYPOINT_HZ, (num, 1)),
            waypoint_pos_w=np.stack(pos_w, axis=2),
            waypoint_quat_wxyz=np.stack(quat, axis=2),
            # a plan commands each gripper once
            waypoint_gripper=np.repeat(plan.gripper[:, None], WAYPOINTS, axis=1),
        )


def _follower(worlds: Worlds, controller: Controller) -> WaypointFollower:
    """Returns the controller that follows the waypoints by the expert's controller."""
    return WaypointFollower(controller)


EXPERT_WAYPOINTS = ExpertAhead(WaypointPlanner, _follower)
