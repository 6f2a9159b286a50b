"""The watchdog of stale plans stops every robot, in every control mode."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from itertools import product

import numpy as np
import pytest

from embodied.core import Array, Observation, PolicySpec
from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_task, robots_for
from embodied.envs.worlds import Worlds
from embodied.plan import Payload, PlanShape
from embodied.policies.assembly import dual_system
from embodied.policies.channel import Interruption
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from embodied.robots.parts.part import CONTROL_MODES
from tests.commands import TASK

CONTROL_HZ = 200
STALE_S = 0.2
CUT_S = 0.3  # from then on no plan arrives
MOVING = 0.2  # rad/s of any joint, or m/s of the effector
STOPPED = 0.02
LONGEST_STOP_S = 0.8  # `dual_arm`, which has the most to stop, takes 0.75


class Restless:
    """A planner of one word, and a controller that swings all joints while it is told."""

    plan_shape = PlanShape(effectors=0)

    def __init__(self, worlds: Worlds) -> None:
        config = worlds.config
        self.spec = PolicySpec(config.control_mode, config.control_hz)
        self._worlds = worlds
        self._grippers = list(worlds.interface.gripper_elements)

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Does nothing."""

    def plan(self, observation: Observation, ids: Array) -> Payload:
        return Payload.empty(len(ids), self.plan_shape)

    def act(self, observation: Observation, payload: Payload, age_s: Array) -> Array:
        size = len(self._worlds.interface.labels)
        if self._worlds.config.control_mode == "joint":
            # places ahead of where the joints are on their way to
            target = self._worlds.control.joint_target
            action = self._worlds.interface.to_normalized(target) + 0.05
        else:
            action = np.full((len(age_s), size), 0.4)
        action[:, self._grippers] = -0.3
        return action


PAIRS = list(product(robots_for(get_task(TASK)), CONTROL_MODES))


def time_to_stop_s(robot: str, mode: str) -> tuple[float, float]:
    """Returns how fast the robot moved, and how long it took to stop, in s.

    In `ee_delta` the effector is what stops. The arm's redundant joint still drifts home
    then, at less than 0.1 rad/s, while the effector stays where it is.
    """
    config = EnvConfig(TASK, robot=robot, control_mode=mode, control_hz=CONTROL_HZ)
    with closing(Worlds(config)) as worlds:
        policy = restless_policy(worlds)
        worlds.reset(np.arange(1), [0])
        policy.reset(np.arange(1), worlds.observe(), [0])

        seen = []
        for _ in range(2 * CONTROL_HZ):
            observation = worlds.observe()
            seen.append(observation.agent_pos[0])
            worlds.step(policy.act(observation))
        parts = worlds.agent_layout.slices()
        tools = [parts[f"{effector.name}_pos_w"] for effector in worlds.robot.effectors]

    table = np.array(seen)
    speeds = np.abs(table[:, parts["joint_vel"]]).max(axis=1)
    if mode == "ee_delta":
        assert speeds[-1] < 0.1
        steps_m = [np.diff(table[:, tool], axis=0) for tool in tools]
        speeds = np.max(np.linalg.norm(steps_m, axis=2), axis=0) * CONTROL_HZ

    # the last plan was made just before the cut
    stale_step = int((CUT_S + STALE_S) * CONTROL_HZ)
    last_moving = np.flatnonzero(speeds > STOPPED).max()
    return speeds[stale_step - 4], (last_moving + 1 - stale_step) / CONTROL_HZ


def restless_policy(worlds: Worlds) -> DualSystem:
    """Returns a policy that swings all joints until its plans are cut off."""
    restless = Restless(worlds)
    config = DualSystemConfig(
        planner_hz=50,
        stale_after_s=STALE_S,
        outage=Interruption(60, start_s=CUT_S),
    )
    return dual_system(worlds, restless, restless, restless.spec, config)


@pytest.mark.slow
@pytest.mark.parametrize(("robot", "mode"), PAIRS)
def test_a_robot_whose_plans_stop_coming_stands_still_in_time(
    robot: str, mode: str
) -> None:
    speed, stop_s = time_to_stop_s(robot, mode)
    assert speed > MOVING
    assert stop_s < LONGEST_STOP_S
