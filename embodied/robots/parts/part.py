"""What every part of a robot declares: its names, its limits, and how it is driven."""

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
    """J joints of a part, each driven by a position servo of the same name."""

    names: tuple[str, ...] = ()
    ranges: Ranges = ()  # (J, 2) rad or m
    speeds: tuple[float, ...] = ()  # (J,) rad/s or m/s
    home: tuple[float, ...] = ()  # (J,) rad or m, where episodes begin
    # (J,) rad or m: how far a target may run ahead of the measured joint
    leads: tuple[float, ...] = ()
    # names in the action interface; default: `names`, with _ for what no name may have
    labels: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    @property
    def elements(self) -> tuple[str, ...]:
        """(J,) what the joints are called in the action interface."""
        return self.labels or tuple(as_name(name) for name in self.names)

    def prefixed(self, prefix: str) -> Joints:
        """Returns the same joints under other names in the model.

        In the action interface they keep their names: there the part's name, which has
        the prefix, goes before them.
        """
        names = tuple(prefix + name for name in self.names)
        return replace(self, names=names, labels=self.elements)

    def position_group(self, name: str, unit: str, frame: str) -> ActionGroup:
        """Returns the action group `name` that commands the joints' positions.

        Args:
            name: of the group, which is the part's.
            unit: as in `ActionGroup`.
            frame: what the positions refer to, such as "joint" or "world".
        """
        low = tuple(low for low, _ in self.ranges)
        high = tuple(high for _, high in self.ranges)
        return ActionGroup(name, self.elements, unit, frame, low, high)

    def speed_group(self, name: str, unit: str, frame: str) -> ActionGroup:
        """Returns the action group `name` that commands the joints' speeds.

        The arguments are as in `position_group`.
        """
        return speed_group(name, self.elements, unit, frame, self.speeds)


def speed_group(
    name: str,
    labels: tuple[str, ...],
    unit: str,
    frame: str,
    speeds: tuple[float, ...],
) -> ActionGroup:
    """Returns an action group whose actions of -1 and 1 are full speeds.

    Args:
        name: of the group.
        labels: names of its a elements.
        unit: as in `ActionGroup`.
        frame: along whose axes the speeds are, such as "joint" or "mount".
        speeds: (a,) full speeds, in that unit.
    """
    backwards = tuple(-speed for speed in speeds)
    return ActionGroup(name, labels, unit, frame, backwards, speeds)


@dataclass(frozen=True)
class Placement:
    """Where a part sits on its carrier, and what its names in the model begin with."""

    prefix: str = ""
    pos: Vector3 = (0.0, 0.0, 0.0)  # m, in the frame of the carrying body
    quat_wxyz: Quaternion = (1.0, 0.0, 0.0, 0.0)


# (spec, carrying body, placement) -> the body that the next part is mounted on. Adds
# the part's bodies, joints, servos and sensors.
PartBuilder = Callable[[mujoco.MjSpec, mujoco.MjsBody, Placement], mujoco.MjsBody]


@dataclass(frozen=True)
class Effector:
    """A named tool point: what plans give goals to.

    z points out of the hand, y is the direction along which the fingers open.
    Proprioception shows its pose as `<name>_pos_w` and `<name>_rot6d`; the sensor
    `<name>_quat_w` measures its orientation.
    """

    name: str
    site: str
    arm: str  # name of the part that moves it
    gripper: str  # name of the part that opens and closes at it

    def prefixed(self, prefix: str) -> Effector:
        """Returns the same tool point, with the prefix before all names in it."""
        return Effector(
            name=prefix + self.name,
            site=prefix + self.site,
            arm=prefix + self.arm,
            gripper=prefix + self.gripper,
        )


class TargetLaw(Protocol):
    """Turns the actions of one part into targets of its servos, for N worlds."""

    def reset(self, which: Array) -> None:
        """Begins anew in the worlds `which` (N,) bool."""

    def memory(self) -> Mapping[str, Array]:
        """Returns what it remembers between actions: live (N, ...) arrays by name."""

    def initial(self) -> Array:
        """Returns targets (N, T) that keep the part as it is."""

    def targets(self, action: Array, previous: Array) -> Array:
        """Returns targets (N, T) for actions (N, a), given the targets before (N, T).

        T is the number of the part's servos.
        """


@dataclass(frozen=True, kw_only=True)
class Part:
    """A piece of a robot; the modules beside this one hold the kinds.

    Attributes:
        name: of the part, and of its action group.
        on: name of the part that carries it; empty for a base.
        build: adds it to a model.
        placement: where it sits on its carrier.
        cameras: names of the cameras that it carries.
        joints: those that proprioception shows; none for grippers and heads.
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
        """The tool point of the part, where it has one."""
        return None

    def add_to(self, spec: mujoco.MjSpec, mount: mujoco.MjsBody) -> mujoco.MjsBody:
        """Adds the part to a model; returns the body that the next part sits on."""
        return self.build(spec, mount, self.placement)

    def action_group(self, mode: str) -> ActionGroup | None:
        """Returns the meaning of its action elements; None where it takes none."""
        return None

    def law(self, mode: str, engine: Engine, robot: Robot, dt_s: float) -> TargetLaw:
        """Returns what resolves its actions in one of CONTROL_MODES.

        Only asked of parts that have an action group.
        """
        raise TypeError(f"the part {self.name!r} takes no actions")

    def prefixed(self, prefix: str, on: str | None = None) -> Self:
        """Returns the same part under other names, for robots that have two of it.

        Args:
            prefix: what its names begin with.
            on: its carrier; None for one whose name has the same prefix.
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
        """Returns a few words for people."""
        return self.name
