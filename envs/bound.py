"""A task and a robot bound to an engine, the physics of the worlds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from embodied.core import PHYSICS_HZ
from embodied.envs.config import EnvConfig
from embodied.envs.proprioception import Proprioception
from embodied.envs.safety import SafetySignals
from embodied.envs.snapshot import Memories, memory_of_watchers
from embodied.envs.task import Task, TaskSpec
from embodied.envs.task_checks import explaining_errors
from embodied.robots.control import RobotControl
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine


@dataclass(frozen=True)
class Bound:
    """What worlds add to their physics, on either engine.

    `Worlds` and `WarpWorlds` make one instance when they are built. It has the task that
    judges, the robot with its control and proprioception, and the safety signals. All of
    these read and write the arrays of the same engine.
    """

    engine: Engine
    robot: Robot
    task: Task
    control: RobotControl
    proprioception: Proprioception
    safety: SafetySignals

    @classmethod
    def to(
        cls, engine: Engine, spec: TaskSpec, robot: Robot, config: EnvConfig
    ) -> Bound:
        """Binds a task and a robot to the engine that simulates both.

        Raises:
            EmbodiedError: the task cannot be bound. The message names the task.
        """
        with explaining_errors(spec.name, "bind"):
            task = spec.bind(engine, robot)
        return cls(
            engine=engine,
            robot=robot,
            task=task,
            control=RobotControl(robot, engine, config.control_mode, config.control_hz),
            proprioception=Proprioception(engine, robot),
            safety=SafetySignals(engine, robot, PHYSICS_HZ // config.control_hz),
        )

    def memories(self) -> Memories:
        """Returns the `memory` method of each object that keeps state, by owner.

        Each method returns the object's state outside of the engine, as arrays by name.
        """
        return {
            "task": self.task.memory,
            "control": self.control.memory,
            "proprioception": self.proprioception.memory,
            # objects that observe every physics step, such as the peak of a force
            "watchers": partial(memory_of_watchers, self.engine),
        }
