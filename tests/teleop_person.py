"""A person who can see: a scripted device that completes tasks, for the tests."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from embodied.core import SKILLS
from embodied.envs.worlds import Worlds
from embodied.policies.expert import EXPERT
from embodied.policies.teleop.device import Command
from embodied.policies.teleop.operator import DRIVE_M_S, DRIVE_RAD_S, HAND_M_S
from embodied.robots.mount import MountPose
from embodied.rotations import quat_conjugate, quat_from_yaw, quat_rotate

GAIN_PER_S = 4.0  # how fast a hand goes to where the person looks
REACTION_READS = 25  # a person looks at the world 8 times per second


class SeeingPerson:
    """Moves the hand to where the task's planner would have it; keeps takes at the end."""

    name = "seeing"
    keys = ()

    def __init__(self, worlds: Worlds, ends: tuple[str, ...] = ("keep",)) -> None:
        self._worlds = worlds
        self._planner = EXPERT.make(worlds).planner
        self._mount = MountPose(worlds.robot, worlds.agent_layout)
        self._tcp = worlds.agent_layout.slices()["tcp_pos_w"]
        self._ends = list(ends)
        self._gain_per_s = GAIN_PER_S
        self._plan: Any = None
        self._reads = 0
        self._is_over = False
        self.said: list[Command] = []

    def open(self) -> None:
        """Nothing to connect to."""

    def close(self) -> None:
        """Nothing to let go of."""

    def ended(self) -> None:
        """Is told that a take is over: the next read decides about it."""
        self._is_over = True

    def read(self) -> Command:
        command = self._decision() if self._is_over else self._motion()
        self.said.append(command)
        return command

    def _decision(self) -> Command:
        self._is_over = False
        self._reads = 0
        return Command(events=frozenset({self._ends.pop(0)}))

    def _motion(self) -> Command:
        observation = self._worlds.observe(privileged=True)
        if self._reads % REACTION_READS == 0:
            self._plan = self._planner.plan(observation, np.array([0]))
        self._reads += 1

        mount = self._mount.read(observation.agent_pos)
        to_mount = quat_conjugate(quat_from_yaw(mount[:, 3]))
        if self._plan.subtask[0] == SKILLS.index("drive_to"):
            way = self._plan.base_goal_w[:, 0] - mount
            along = quat_rotate(to_mount, way[:, :3])[0] * self._gain_per_s / DRIVE_M_S
            yaw = (way[0, 3] + np.pi) % (2 * np.pi) - np.pi
            drive = [*along, yaw * self._gain_per_s / DRIVE_RAD_S]
            return Command(drive=shares(drive))

        way = self._plan.goal_pos_w[:, 0] - observation.agent_pos[:, self._tcp]
        velocity = quat_rotate(
            to_mount, self._gain_per_s * way + self._plan.goal_vel_w[:, 0]
        )
        return Command(
            move=shares(velocity[0] / HAND_M_S),
            grip=float(np.sign(self._plan.gripper[0, 0])),
        )


def shares(values: Any) -> Any:
    """Returns numbers in [-1, 1], as a device gives them."""
    return tuple(round(float(np.clip(value, -1, 1)), 4) for value in values)


def write_script(path: Path, commands: list[Command]) -> Path:
    """Writes commands as a file for the device `script:FILE`."""
    lines = []
    for command in commands:
        entry = {name: value for name, value in asdict(command).items() if value}
        entry["events"] = sorted(command.events)
        lines.append(json.dumps(entry))
    path.write_text("\n".join(lines))
    return path
