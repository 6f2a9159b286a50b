"""Turns actions into servo targets, for a batch of worlds."""

from __future__ import annotations

from dataclasses import dataclass

from embodied.arrays import columns, one_row
from embodied.core import Array
from embodied.robots.parts.laws import clip
from embodied.robots.parts.part import TargetLaw
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine


@dataclass(frozen=True)
class _DrivenPart:
    """A part that takes actions, with its share of the robot's actions and targets.

    Attributes:
        name: name of the part.
        law: turns its actions into its targets.
        action: its columns in actions (N, A).
        target: its columns of the robot's targets (N, T), a view.
    """

    name: str
    law: TargetLaw
    action: slice
    target: Array


class RobotControl:
    """Turns actions (N, A) in [-1, 1] into targets (N, T) of a robot's servos.

    Each part has its own columns of the action. Their meaning depends on the mode:

    - `joint`: absolute joint targets, approached at the joints' speed limits at most.
    - `joint_delta`: speeds of the targets, which stay near the measured joints.
    - `ee_delta`: velocities of a virtual tcp target that the arm follows.

    In both delta modes a base takes speeds along its own axes. A gripper takes its
    opening in every mode.
    """

    def __init__(
        self, robot: Robot, engine: Engine, mode: str, control_hz: int
    ) -> None:
        """Finds the robot's joints and servos in the engine's model.

        Args:
            robot: the robot that is controlled.
            engine: the engine that simulates it.
            mode: one of CONTROL_MODES.
            control_hz: actions per second.
        """
        self.mode = mode
        self.interface = robot.interface(mode)
        self.joint_interface = robot.interface("joint")
        self._xp = engine.xp

        # columns of the robot's joints and servos in the live state
        model = engine.model
        joints = [model.joint(name).qposadr[0] for name in robot.joint_names]
        actuators = [model.actuator(name).id for name in robot.actuators]
        self._qpos = engine.view("qpos")
        self._ctrl = engine.view("ctrl")
        self._joint_columns = columns(joints)
        self._actuator_columns = columns(actuators)

        # actions of the mode `joint` are targets, so its limits are those of targets
        self._low = one_row(engine.xp, self.joint_interface.low)  # (1, T) rad or m
        self._high = one_row(engine.xp, self.joint_interface.high)
        self._target = engine.xp.zeros((engine.num_worlds, len(actuators)))  # (N, T)
        self._driven = _driven_parts(robot, engine, mode, 1 / control_hz, self._target)

    @property
    def joint_target(self) -> Array:
        """(N, T) the targets of the last actions: joints in rad or m, widths in m.

        `apply` sends them to the servos; `update_joint_target` does not.
        """
        return self._target

    def joints(self) -> Array:
        """Returns (N, J) measured positions of all joints except the fingers."""
        return self._qpos[:, self._joint_columns]

    def reset(self, which: Array) -> None:
        """Sets the targets in worlds `which` (N,) bool to the measured positions.

        Grippers are told to open.
        """
        xp = self._xp
        for part in self._driven:
            part.law.reset(which)
        initial = xp.concat([part.law.initial() for part in self._driven], axis=1)
        self._target[...] = xp.where(which[:, None], initial, self._target)
        self._ctrl[:, self._actuator_columns] = self._target

    def memory(self) -> dict[str, Array]:
        """Returns the state that is kept between actions: live (N, ...) arrays by name."""
        memory = {"target": self._target}
        for part in self._driven:
            for name, values in part.law.memory().items():
                memory[f"{part.name}/{name}"] = values
        return memory

    def follow(self, other: RobotControl, which: Array) -> None:
        """Copies another control's memory, in worlds `which` (N,) bool.

        Both must control the same robot in the same mode.
        """
        xp = self._xp
        other_memory = other.memory()
        for name, values in self.memory().items():
            # (N, 1, ...), with as many axes as the values
            is_copied = xp.reshape(which, (-1,) + (1,) * (values.ndim - 1))
            values[...] = xp.where(is_copied, other_memory[name], values)

    def apply(self, action: Array) -> None:
        """Turns actions (N, A), finite and in [-1, 1], into targets of the servos."""
        self.update_joint_target(action)
        self._ctrl[:, self._actuator_columns] = self._target

    def update_joint_target(self, action: Array) -> None:
        """Computes `joint_target` from actions without moving the robot.

        The recorder uses it to learn which targets a policy intended before noise was
        added to its actions. `apply` also sends the targets to the servos.

        Args:
            action: (N, A), finite and in [-1, 1].
        """
        for part in self._driven:
            part.target[...] = part.law.targets(action[:, part.action], part.target)
        self._target[...] = clip(self._xp, self._target, self._low, self._high)


def _driven_parts(
    robot: Robot, engine: Engine, mode: str, dt_s: float, targets: Array
) -> tuple[_DrivenPart, ...]:
    """Returns the parts that take actions, with their shares of actions and targets.

    Args:
        robot: the robot that has the parts.
        engine: the engine that simulates it.
        mode: one of CONTROL_MODES.
        dt_s: the control period.
        targets: (N, T) the robot's targets, of which each part writes its columns.
    """
    driven = []
    first_action = 0
    first_target = 0
    for part in robot.parts:
        # heads and fixed bases take no actions, and have no servos
        group = part.action_group(mode)
        if group is None:
            continue

        action = slice(first_action, first_action + len(group.labels))
        target = slice(first_target, first_target + len(part.actuators))
        law = part.law(mode, engine, robot, dt_s)
        driven.append(_DrivenPart(part.name, law, action, targets[:, target]))
        first_action = action.stop
        first_target = target.stop

    return tuple(driven)
