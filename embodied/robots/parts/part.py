"""The interface of all parts of robots: names, limits and control."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, Self

import mujoco

from embodied.core import ActionGroup, Array
from embodied.names import as_name
from embodied.sim.engine import Engine

if TYPE_CHECKING:  # a robot is made of parts
    from embodied.robots.robot import Robot

CONTROL_MODES = ("joint", "joint_delta", "ee_delta")
Vector3 = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
Ranges = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Joints:
    """J joints of a part, each driven by a position servo of the same name.

    Attributes:
        names: their names in the model.
        ranges: (J, 2) rad or m.
        speeds: (J,) largest speeds, rad/s or m/s.
        home: (J,) positions at which episodes begin, rad or m.
        leads: (J,) largest distances of targets from the measured joints in the delta
            modes, rad or m.
        labels: names in the action interface; empty for `names`, made valid by
            `as_name`.
    """

    names: tuple[str, ...] = ()
    ranges: Ranges = ()
    speeds: tuple[float, ...] = ()
    home: tuple[float, ...] = ()
    leads: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def elements(self) -> tuple[str, ...]:
        """(J,) the joints' names in the action interface."""
        return self.labels or tuple(as_name(name) for name in self.names)

    def prefixed(self, prefix: str) -> Joints:
        """Returns the same joints with a prefix before their names in the model.

        Their names in the action interface stay without it, since the part's name, which
        gets the prefix, stands before them there.
        """
        names = tuple(prefix + name for name in self.names)
        # without labels of their own, `elements` would follow the new names
        return replace(self, names=names, labels=self.elements)

    def position_group(self, name: str, unit: str, frame: str) -> ActionGroup:
        """Returns the action group `name` that commands the joints' positions.

        Args:
            name: the group's name, which is the part's.
            unit: the unit of the positions, as in `ActionGroup`.
            frame: the frame of the positions, such as "joint" or "world".
        """
        low = tuple(low for low, _ in self.ranges)
        high = tuple(high for _, high in self.ranges)
        return ActionGroup(
            name, labels=self.elements, unit=unit, frame=frame, low=low, high=high
        )

    def speed_group(self, name: str, unit: str, frame: str) -> ActionGroup:
        """Returns the action group `name` that commands the joints' speeds.

        The arguments are as in `position_group`.
        """
        return speed_group(
            name, labels=self.elements, unit=unit, frame=frame, speeds=self.speeds
        )


def speed_group(
    name: str,
    labels: tuple[str, ...],
    unit: str,
    frame: str,
    speeds: tuple[float, ...],
) -> ActionGroup:
    """Returns an action group of speeds; -1 and 1 are full speed in either direction.

    Args:
        name: the group's name.
        labels: (a,) names of its elements.
        unit: the unit of the speeds, as in `ActionGroup`.
        frame: the frame of the speeds, such as "joint" or "mount".
        speeds: (a,) full speeds, in that unit.
    """
    backwards = tuple(-speed for speed in speeds)
    return ActionGroup(
        name, labels=labels, unit=unit, frame=frame, low=backwards, high=speeds
    )


@dataclass(frozen=True)
class Placement:
    """The pose of a part on its carrier, and the prefix of its names in the model.

    Attributes:
        prefix: prefix of all names of the part.
        pos: (3,) m, in the frame of the carrying body.
        quat_wxyz: (4,) rotation in the frame of the carrying body.
    """

    prefix: str = ""
    pos: Vector3 = (0.0, 0.0, 0.0)
    quat_wxyz: Quaternion = (1.0, 0.0, 0.0, 0.0)


# (spec, carrying body, placement) -> the body that carries the next part. A builder adds
# the part's bodies, joints, servos and sensors.
PartBuilder = Callable[[mujoco.MjSpec, mujoco.MjsBody, Placement], mujoco.MjsBody]


@dataclass(frozen=True)
class Effector:
    """A named tool centre point (tcp); plans have a goal for each.

    Its z axis points out of the hand. The fingers open along its y axis. Proprioception
    shows its pose as `<name>_pos_w` and `<name>_rot6d`; the sensor `<name>_quat_w`
    measures its orientation.

    Attributes:
        name: name of the effector.
        site: name of its site in the model.
        arm: name of the arm that moves it.
        gripper: name of the gripper at it.
    """

    name: str
    site: str
    arm: str
    gripper: str

    def prefixed(self, prefix: str) -> Effector:
        """Returns the same effector, with the prefix before all names in it."""
        return Effector(
            name=prefix + self.name,
            site=prefix + self.site,
            arm=prefix + self.arm,
            gripper=prefix + self.gripper,
        )


class TargetLaw(Protocol):
    """Turns the actions of one part into targets of its servos, for N worlds."""

    def reset(self, which: Array) -> None:
        """Resets its memory in the worlds `which` (N,) bool."""

    def memory(self) -> Mapping[str, Array]:
        """Returns the state that it keeps between actions: live (N, ...) arrays by name."""

    def initial(self) -> Array:
        """Returns the targets (N, T) at the start of an episode.

        They hold the joints at their measured positions and open a gripper.
        """

    def targets(self, action: Array, previous: Array) -> Array:
        """Returns targets (N, T) for actions (N, a), from the previous targets (N, T).

        T is the number of the part's servos.
        """


@dataclass(frozen=True, kw_only=True)
class Part:
    """The base class of all parts; the modules beside this one have the subclasses.

    Attributes:
        name: name of the part, and of its action group.
        on: name of the part that carries it; empty for a base.
        build: the function that adds the part to a model.
        placement: its pose on its carrier, and the prefix of its names.
        cameras: names of the cameras that it carries.
        joints: its joints in proprioception; empty for grippers, and for heads that do
            not move.
    """

    name: str
    build: PartBuilder
    on: str = ""
    placement: Placement = field(default_factory=Placement)
    cameras: tuple[str, ...] = ()
    joints: Joints = field(default_factory=Joints)

    @property
    def actuators(self) -> tuple[str, ...]:
        """Names of the servos, in the order of `TargetLaw.targets`."""
        return self.joints.names

    @property
    def effector(self) -> Effector | None:
        """The effector of the part; None without one."""
        return None

    def add_to(self, spec: mujoco.MjSpec, mount: mujoco.MjsBody) -> mujoco.MjsBody:
        """Adds the part to a model; returns the body that carries the next part."""
        return self.build(spec, mount, self.placement)

    def action_group(self, mode: str) -> ActionGroup | None:
        """Returns the meaning of its action elements; None if it takes no actions."""
        return None

    def law(self, mode: str, engine: Engine, robot: Robot, dt_s: float) -> TargetLaw:
        """Returns the law that turns its actions into targets, in one of CONTROL_MODES.

        It is called only if the part has an action group.
        """
        raise TypeError(f"the part {self.name!r} takes no actions")

    def prefixed(self, prefix: str, on: str | None = None) -> Self:
        """Returns the same part with a prefix before its names, for robots with two.

        Args:
            prefix: the prefix of all names.
            on: the name of its carrier; None for the same carrier with the prefix.
        """
        if on is None:
            on = prefix + self.on if self.on else ""
        return replace(
            self,
            name=prefix + self.name,
            on=on,
            placement=replace(self.placement, prefix=prefix + self.placement.prefix),
            cameras=tuple(prefix + camera for camera in self.cameras),
            joints=self.joints.prefixed(prefix),
        )

    def summary(self) -> str:
        """Returns a few words about it, for users."""
        return self.name
