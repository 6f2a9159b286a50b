"""Divides a team's actions, proprioception and cameras among its robots."""

from __future__ import annotations

from dataclasses import dataclass

from embodied.core import ActionInterface, Layout
from embodied.robots.parts.base import Base
from embodied.robots.robot import Robot


@dataclass(frozen=True)
class RobotView:
    """One robot of a team.

    Attributes:
        name: the prefix of the names of the robot's parts, such as `r1`.
        actions: indices of the robot's own elements in the team's action.
        agent_pos: indices of the robot's own elements in the team's proprioception.
        cameras: names of the cameras that the robot carries.
    """

    name: str
    actions: tuple[int, ...]
    agent_pos: tuple[int, ...]
    cameras: tuple[str, ...]


def robot_views(
    robot: Robot, interface: ActionInterface, agent_layout: Layout
) -> tuple[RobotView, ...]:
    """Returns the robots of a team; a single robot is a team of one.

    Each element of actions and proprioception belongs to exactly one robot.

    Args:
        robot: the team.
        interface: the interface of the team's actions, in any control mode.
        agent_layout: the layout of the team's proprioception.
    """
    return tuple(_view(robot, base, interface, agent_layout) for base in robot.bases)


def _view(
    robot: Robot, base: Base, interface: ActionInterface, agent_layout: Layout
) -> RobotView:
    """Returns the robot of a team that stands on one of the team's bases.

    Args:
        robot: the team.
        base: the base.
        interface: the interface of the team's actions.
        agent_layout: the layout of the team's proprioception.
    """
    own_parts = [part for part in robot.parts if robot.base_of(part) == base]
    names = {part.name for part in own_parts}

    # the columns of the actions of its parts
    actions: list[int] = []
    first = 0
    for group in interface.groups:
        last = first + len(group.labels)
        if group.name in names:
            actions += range(first, last)
        first = last

    # the columns of proprioception: positions and speeds of its joints
    slices = agent_layout.slices()
    agent_pos: list[int] = []
    for key in ("joint_pos", "joint_vel"):
        start = slices[key].start
        for part in own_parts:
            joints = robot.joint_slice(part)
            agent_pos += range(start + joints.start, start + joints.stop)

    # then readings of its grippers and poses of its effectors
    effectors = [effector for effector in robot.effectors if effector.arm in names]
    grippers = [robot.gripper_of(effector) for effector in effectors]
    keys = [f"{gripper.name}_{gripper.reading}" for gripper in grippers]
    for effector in effectors:
        keys += [f"{effector.name}_pos_w", f"{effector.name}_rot6d"]
    for key in keys:
        agent_pos += range(slices[key].start, slices[key].stop)

    cameras = tuple(camera for part in own_parts for camera in part.cameras)
    # parts of a team have a prefix per robot: `r1_base` -> `r1`; a single robot has none
    name = base.name.removesuffix("base").rstrip("_") or robot.name
    return RobotView(name, tuple(actions), tuple(agent_pos), cameras)
