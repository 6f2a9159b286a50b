"""A robot as plain data: parts mounted on each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import mujoco
import numpy as np

from embodied.core import ActionInterface
from embodied.errors import EmbodiedError, unknown
from embodied.names import TEAM_SIGN, check_names
from embodied.plan import PlanShape
from embodied.robots.parts.arm import Arm
from embodied.robots.parts.base import Base
from embodied.robots.parts.gripper import Gripper
from embodied.robots.parts.part import CONTROL_MODES, Effector, Part, Vector3
from embodied.robots.parts.torso import Lift, Waist


class ToolPose(NamedTuple):
    """The pose of a tcp in the mount's frame."""

    pos: tuple[float, ...]  # (3,) m
    quat_wxyz: tuple[float, ...]  # (4,)


@dataclass(frozen=True)
class Robot:
    """A robot composed of parts, in the order of their actions.

    Each part is mounted on an earlier one, so the base comes first. With the base at
    home, the mount faces along the world's x axis.

    Attributes:
        name: name of the robot.
        parts: the robot's parts, in the order of their actions.
        content_hash: hash of the description and the model files it was read from;
            empty for a robot that is composed in Python.

    Raises:
        EmbodiedError: two parts have the same name, a name breaks the rule of
            `embodied.names`, a part is not mounted on an earlier one, or an effector
            lacks its arm or gripper.
    """

    name: str
    parts: tuple[Part, ...]
    content_hash: str = ""

    def __deepcopy__(self, _memo: dict[int, Any]) -> Robot:
        """Returns the robot itself: it is immutable, and holds results that are computed once."""
        return self

    def __post_init__(self) -> None:
        """Checks names and mountings; raises EmbodiedError for a wrong one."""
        names: list[str] = []
        for part in self.parts:
            self._check_part(part, names)
            names.append(part.name)

        # the name of a team is those of its members, such as arm+wheeled_arm
        for name in self.name.split(TEAM_SIGN):
            check_names("robot", [name])
        check_names(f"part of robot {self.name}", names)
        check_names(f"camera of robot {self.name}", self.cameras)
        effectors = [effector.name for effector in self.effectors]
        check_names(f"effector of robot {self.name}", effectors)
        for part in self.parts:
            kind = f"joint in the actions of {part.name} of robot {self.name}"
            check_names(kind, part.joints.elements)

        # every effector needs the arm that moves it and its gripper
        for effector in self.effectors:
            for name in (effector.arm, effector.gripper):
                if name not in names:
                    raise unknown(f"part of effector {effector.name}", name, names)

    def _check_part(self, part: Part, before: Sequence[str]) -> None:
        """Raises EmbodiedError for a repeated name, or a carrier that is not earlier.

        `before` has the names of the earlier parts.
        """
        if part.name in before:
            raise EmbodiedError(
                f"robot {self.name}: two parts are named {part.name!r}; use "
                "`part.prefixed` to name one anew"
            )
        is_base = isinstance(part, Base)
        if not is_base and part.on not in before:
            raise EmbodiedError(
                f"robot {self.name}: {part.name!r} is mounted on {part.on!r}, "
                f"expected one of the parts before it: {', '.join(before) or 'none'}"
            )

    @cached_property
    def bases(self) -> tuple[Base, ...]:
        """The robot's bases: one, or more for a team of robots."""
        return tuple(part for part in self.parts if isinstance(part, Base))

    @property
    def base(self) -> Base:
        """The first base."""
        return self.bases[0]

    @property
    def travels(self) -> bool:
        """Whether the first base can drive."""
        return self.base.travels

    @cached_property
    def torsos(self) -> tuple[Lift, ...]:
        return tuple(part for part in self.parts if isinstance(part, Lift))

    @cached_property
    def waists(self) -> tuple[Waist, ...]:
        return tuple(part for part in self.parts if isinstance(part, Waist))

    @cached_property
    def arms(self) -> tuple[Arm, ...]:
        return tuple(part for part in self.parts if isinstance(part, Arm))

    @cached_property
    def grippers(self) -> tuple[Gripper, ...]:
        return tuple(part for part in self.parts if isinstance(part, Gripper))

    @cached_property
    def effectors(self) -> tuple[Effector, ...]:
        """The robot's effectors, in the order of a plan's goals."""
        effectors = [part.effector for part in self.parts]
        return tuple(effector for effector in effectors if effector is not None)

    @cached_property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras that the robot carries."""
        return tuple(camera for part in self.parts for camera in part.cameras)

    @cached_property
    def joint_names(self) -> tuple[str, ...]:
        """(J,) all joints except the fingers, in the order of `joint_pos`."""
        return tuple(name for part in self.parts for name in part.joints.names)

    @cached_property
    def actuators(self) -> tuple[str, ...]:
        """(T,) names of all servos, in the order of joint targets."""
        return tuple(name for part in self.parts for name in part.actuators)

    @property
    def plan_shape(self) -> PlanShape:
        """The numbers of goals in a plan for this robot."""
        bases = sum(base.travels for base in self.bases)
        return PlanShape(effectors=len(self.effectors), bases=bases)

    def part(self, name: str) -> Part:
        """Returns the part with a name.

        Raises:
            EmbodiedError: there is no such part.
        """
        for part in self.parts:
            if part.name == name:
                return part
        names = [part.name for part in self.parts]
        raise unknown(f"part of robot {self.name}", name, names)

    def base_of(self, part: Part) -> Base:
        """Returns the base that carries a part; a base carries itself."""
        while not isinstance(part, Base):
            part = self.part(part.on)
        return part

    def effector_of(self, arm: Arm) -> Effector:
        """Returns the effector that an arm moves.

        Raises:
            EmbodiedError: the arm has no effector.
        """
        for effector in self.effectors:
            if effector.arm == arm.name:
                return effector
        raise EmbodiedError(
            f"robot {self.name}: the arm {arm.name!r} has no effector, so there is "
            "nothing to move in mode ee_delta; mount a gripper on it"
        )

    def gripper_of(self, effector: Effector) -> Gripper:
        """Returns the gripper at an effector.

        Raises:
            EmbodiedError: the effector has no gripper.
        """
        for gripper in self.grippers:
            if gripper.name == effector.gripper:
                return gripper
        raise EmbodiedError(f"robot {self.name}: {effector.name} has no gripper")

    def joint_slice(self, part: Part) -> slice:
        """Returns the columns of a part's joints in `joint_pos`."""
        start = 0
        for other in self.parts:
            if other.name == part.name:
                return slice(start, start + len(part.joints))
            start += len(other.joints)
        names = [other.name for other in self.parts]
        raise unknown(f"part of robot {self.name}", part.name, names)

    def interface(self, mode: str) -> ActionInterface:
        """Returns the meaning of an action's elements in one of CONTROL_MODES.

        Raises:
            EmbodiedError: there is no such mode.
        """
        if mode not in CONTROL_MODES:
            raise unknown("control mode", mode, CONTROL_MODES)
        groups = [part.action_group(mode) for part in self.parts]
        return ActionInterface(mode, tuple(g for g in groups if g is not None))

    def build(self) -> mujoco.MjSpec:
        """Returns the model of the robot alone; keyframe 0 is its home."""
        spec = mujoco.MjSpec()
        spec.compiler.degree = False
        spec.modelname = self.name

        # name of a part -> the body that carries the parts on it; bases are on "", the
        # world
        bodies = {"": spec.worldbody}
        for part in self.parts:
            bodies[part.name] = part.add_to(spec, bodies[part.on])

        self._add_home(spec)
        return spec

    def home(self) -> dict[str, float]:
        """Returns the home position of each joint in rad or m, fingers included."""
        home: dict[str, float] = {}
        for part in self.parts:
            home.update(zip(part.joints.names, part.joints.home, strict=True))
        for gripper in self.grippers:
            home.update(zip(gripper.fingers, gripper.open_at, strict=True))
        return home

    @cached_property
    def tools_at_home(self) -> dict[str, ToolPose]:
        """Effector's name -> pose of its tcp at home, in the frame of its robot's mount."""
        model = self.build().compile()
        data = mujoco.MjData(model)
        mujoco.mj_resetDataKeyframe(model, data, 0)
        mujoco.mj_kinematics(model, data)

        tools = {}
        for effector in self.effectors:
            base = self.base_of(self.part(effector.arm))
            x, y, z, yaw = self._mount_at_home(base)

            # from the world to the mount's frame, which undoes the mount's yaw
            site = data.site(effector.site)
            quat = np.zeros(4)
            mujoco.mju_mat2Quat(quat, site.xmat)
            world_to_mount = np.array([np.cos(yaw / 2), 0, 0, -np.sin(yaw / 2)])
            pos = np.zeros(3)
            quat_in_mount = np.zeros(4)
            mujoco.mju_rotVecQuat(pos, site.xpos - (x, y, z), world_to_mount)
            mujoco.mju_mulQuat(quat_in_mount, world_to_mount, quat)
            tools[effector.name] = ToolPose(tuple(pos), tuple(quat_in_mount))
        return tools

    def _mount_at_home(self, base: Base) -> np.ndarray:
        """Returns the pose (4,) of a base's mount at home: x, y, z in m and yaw in rad."""
        lift_m = 0.0
        for torso in self.torsos:
            if self.base_of(torso) == base:
                lift_m += sum(torso.joints.home)

        # `mount_pose` takes batches: this is a batch of one
        home = np.array([base.joints.home])
        mount_pose: np.ndarray = base.mount_pose(np, home, np.array([lift_m]))[0]
        return mount_pose

    def _add_home(self, spec: mujoco.MjSpec) -> None:
        """Adds a keyframe of `home`, with servo targets that hold it."""
        # the addresses of joints and servos are known once the model is compiled
        model = spec.compile()
        qpos = model.qpos0.copy()
        ctrl = np.zeros(model.nu)
        for name, value in self.home().items():
            qpos[model.joint(name).qposadr[0]] = value

        # servos hold the joints, and grippers are open
        for part in self.parts:
            for name, value in zip(part.joints.names, part.joints.home, strict=True):
                ctrl[model.actuator(name).id] = value
        for gripper in self.grippers:
            ctrl[model.actuator(gripper.name).id] = gripper.open_target
        spec.add_key(name="home", qpos=qpos, ctrl=ctrl)

    def prefixed(self, prefix: str) -> Robot:
        """Returns the same robot, with the prefix before all names in it."""
        parts = tuple(part.prefixed(prefix) for part in self.parts)
        return replace(self, name=prefix + self.name, parts=parts)

    def summary(self) -> str:
        """Returns the robot's parts in one line of text."""
        summaries = [part.summary() for part in self.parts]
        return ", ".join(summary for summary in summaries if summary)


def team_of(robots: Sequence[Robot]) -> Robot:
    """Returns a team of robots, of one kind or several, with unique names for all parts.

    Names in the first robot get the prefix `r1_`, names in the second `r2_`, and so on.
    All robots are still at the same place: see `placed`.
    """
    name = TEAM_SIGN.join(robot.name for robot in robots)
    members = [robot.prefixed(f"r{k}_") for k, robot in enumerate(robots, start=1)]
    hashes = [robot.content_hash for robot in robots]
    # the hashes in the robots' order; the hash of a robot composed in Python is ""
    content = "+".join(hashes) if any(hashes) else ""
    return replace(team(name, members), content_hash=content)


def placed(robot: Robot, places: Sequence[Vector3]) -> Robot:
    """Returns a team with each member at its own place.

    Args:
        robot: the team.
        places: x, y in m and yaw in rad of each member.

    Raises:
        EmbodiedError: there are more robots than places.
    """
    if len(robot.bases) > len(places):
        raise EmbodiedError(
            f"there is room for {len(places)} robots, not for the "
            f"{len(robot.bases)} of {robot.name}"
        )
    # `strict` is False because there may be more places than robots
    place_of_base = {
        base.name: place for base, place in zip(robot.bases, places, strict=False)
    }
    parts = [
        part.placed(place_of_base[part.name]) if isinstance(part, Base) else part
        for part in robot.parts
    ]
    return replace(robot, parts=tuple(parts))


def team(name: str, robots: Sequence[Robot]) -> Robot:
    """Returns one robot with the parts of several robots.

    All parts must have different names. Rename the parts of equal robots first:
    `ARM.prefixed("left_")`.
    """
    return Robot(name, tuple(part for robot in robots for part in robot.parts))
