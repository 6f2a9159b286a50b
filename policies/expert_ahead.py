"""Experts that plan ahead: what their plans of goals lead to within the next second."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from embodied.core import Array, Observation, PolicySpec
from embodied.envs.config import EnvConfig
from embodied.envs.worlds import Worlds
from embodied.plan import Controller, Payload, Planner
from embodied.policies.assembly import dual_system
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from embodied.policies.forecast import Forecast


class RunAhead:
    """Runs a controller of goals ahead of time, on the predicted motion of the robot.

    Args:
        controller: the controller that follows goals.
        worlds: the worlds in which it acts.
    """

    def __init__(self, controller: Controller, worlds: Worlds) -> None:
        """Prepares the forecast of the robot's motion."""
        self._controller = controller
        self._forecast = Forecast(worlds.robot, worlds.agent_layout)

    def steps(
        self, plan: Payload, observation: Observation, count: int, rate_hz: float
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields, for each step, the predicted proprioception before it and the action.

        Args:
            plan: n plans with goals, which are extrapolated by their velocities.
            observation: the n observations from which the plans were made.
            count: the number of steps.
            rate_hz: steps per second.

        Yields:
            (n, P) proprioception, and (n, A) the controller's action in that state.
        """
        num = len(plan.subtask)  # number of plans
        agent_pos = np.array(observation.agent_pos, np.float64)
        for k in range(count):
            age_s = np.full(num, k / rate_hz)
            goal_pos_w = plan.goal_pos_w + plan.goal_vel_w * age_s[:, None, None]
            # the goals are extrapolated already, as the mailbox does in its mode `predictive`
            action = self._controller.act(
                replace(observation, agent_pos=agent_pos),
                replace(plan, goal_pos_w=goal_pos_w),
                age_s,
            )
            yield agent_pos, action
            agent_pos = self._forecast.after(agent_pos, action, 1 / rate_hz)


class AheadPlanner:
    """The base of planners that add, to another planner's plans, what these lead to.

    Subclasses define `plan_shape` and `plan`.

    Args:
        planner: the planner, whose plans have goals.
        controller: the controller that follows these goals.
        worlds: the worlds in which planner and controller act.
    """

    def __init__(
        self, planner: Planner, controller: Controller, worlds: Worlds
    ) -> None:
        self._planner = planner
        self._run_ahead = RunAhead(controller, worlds)

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        self._planner.reset(ids, seeds)


@dataclass(frozen=True)
class ExpertAhead:
    """The source of an expert whose plans hold more than goals. It sees the privileged state.

    Attributes:
        wrap: makes the planner, from the expert's planner and controller and the worlds.
        make_controller: makes the controller that follows such plans, from the worlds and
            the expert's controller.
    """

    wrap: Callable[[Planner, Controller, Worlds], Planner]
    make_controller: Callable[[Worlds, Controller], Controller]

    planner_hz = 8.0
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
        return dual_system(
            worlds,
            self.wrap(planner, controller, worlds),
            self.make_controller(worlds, controller),
            spec=replace(controller.spec, privileged=True),
            config=dual or DualSystemConfig(planner_hz=self.planner_hz),
        )
