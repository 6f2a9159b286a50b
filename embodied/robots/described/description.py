"""A user's description of their own robot: a TOML file beside its model's file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from embodied.errors import EmbodiedError, unknown
from embodied.names import check_names
from embodied.robots.described.gripper_keys import Gripper
from embodied.robots.described.tables import (
    Names,
    Numbers,
    Pairs,
    check_count,
    check_once,
    check_quat,
    later,
    read_table,
    within,
)

# "ours": servos that this program adds; "file": the position servos of the model file.
SERVOS = ("ours", "file")
VERSION = 1  # version of the description format


@dataclass(frozen=True)
class Mount:
    """The pose of the file's model in the world.

    Attributes:
        body: the top-level body of the file to mount; empty: all bodies with an arm.
        pos_w: (3,) m; z is the height above the floor.
        yaw_deg: rotation about the vertical.
        stand: whether a column is drawn below the mount.
    """

    body: str = ""
    pos_w: Numbers = field(default=(0.0, 0.0, 0.72), metadata=within(-10, 10))
    yaw_deg: float = field(default=0.0, metadata=within(-360, 360))
    stand: bool = True

    def __post_init__(self) -> None:
        check_count("mount.pos_w", self.pos_w, 3)
        if self.stand and self.pos_w[2] <= 0:
            raise EmbodiedError(
                f"mount.pos_w has a height of {self.pos_w[2]:g} m, where no column fits "
                "below: write mount.stand = false, or a height above 0"
            )


@dataclass(frozen=True)
class Tcp:
    """The tool centre point (tcp): a site of the file, or a pose on a body.

    Its z axis points out of the hand. The fingers open along its y axis.

    Attributes:
        site: name of the site; empty if the tcp is a pose on a body.
        body: name of the body; empty if the tcp is a site.
        pos: (3,) m, position on the body.
        quat_wxyz: orientation on the body.
    """

    site: str = ""
    body: str = ""
    pos: Numbers = field(default=(0.0, 0.0, 0.0), metadata=within(-2, 2))
    quat_wxyz: Numbers = field(default=(1.0, 0.0, 0.0, 0.0), metadata=within(-100, 100))

    def __post_init__(self) -> None:
        if bool(self.site) == bool(self.body):
            raise EmbodiedError(
                "tcp needs either a site, or a body with pos and quat_wxyz"
            )
        check_count("tcp.pos", self.pos, 3)
        check_quat("tcp.quat_wxyz", self.quat_wxyz)


@dataclass(frozen=True)
class DrivenBase:
    """A base that drives in every direction: our own with a lift, or the file's.

    Attributes:
        joints: (3,) names of joints of the file: one that slides along its x, one along
            its y, and one that turns about its z; empty for our own base, which is put
            below the arms.
        speeds: (3,) largest speeds of x and y in m/s, and of yaw in rad/s; empty for the
            speeds of our own base.
    """

    joints: Names = ()
    speeds: Numbers = field(default=(), metadata=within(0.01, 20))

    def __post_init__(self) -> None:
        check_once("base.joints", self.joints)
        if self.joints and len(self.joints) != 3:
            raise EmbodiedError(
                f"base.joints has {len(self.joints)} names, expected 3: two joints that "
                "slide along x and y, and one that turns about z; without the key our own "
                "base is put below"
            )
        if self.speeds:
            check_count("base.speeds", self.speeds, 3, ": of x, y and yaw")


@dataclass(frozen=True)
class DescribedArm:
    """One arm with its gripper.

    Attributes:
        joints: names of the arm's J joints, from the mount to the hand.
        speeds: (J,) largest speed of each joint, rad/s.
        home: (J,) joint positions at which episodes start, rad.
        gripper: the arm's gripper.
        tcp: the arm's tool centre point.
        name: the arm's name, e.g. "left"; empty for a single arm.
    """

    joints: Names
    speeds: Numbers = field(metadata=within(0.01, 100))
    home: Numbers = field(metadata=within(-100, 100))
    gripper: Gripper
    tcp: Tcp
    name: str = ""

    def __post_init__(self) -> None:
        if not self.joints:
            raise EmbodiedError("joints must name at least one joint")
        check_once("joints", self.joints)
        # a gripper with its own file may have joints of the same names as the arm's
        for joint in self.gripper.joints:
            if joint in self.joints and not self.gripper.mjcf:
                raise EmbodiedError(
                    f"{joint!r} is among joints and gripper.joints: leave it in one"
                )

        # one number per joint
        hint = f", one for each of {', '.join(self.joints)}"
        check_count("speeds", self.speeds, len(self.joints), hint)
        check_count("home", self.home, len(self.joints), hint)

    @property
    def prefix(self) -> str:
        """The prefix of the names of the arm's parts, e.g. "left_"."""
        return f"{self.name}_" if self.name else ""


@dataclass(frozen=True)
class Description:
    """A robot with one arm, described by keys at the top, or with several.

    Attributes:
        name: the robot's name; it becomes the prefix of all names of the file.
        mjcf: path of the model file, MJCF or URDF.
        joints, speeds, home, gripper, tcp: keys of a single arm, see `DescribedArm`.
        arm: two or more arms; empty for a single arm.
        mount: the pose of the file's model in the world.
        base: the base that drives it; None for a fixed robot.
        held: names of joints outside the arms to hold at other positions than the file
            gives.
        held_at: the position of each joint in `held`, rad or m.
        exclude: pairs of bodies of the file that do not collide with each other.
        cameras: names of the cameras that it carries.
        servos: "ours", or "file" for the file's own position servos.
        ee_speed_m_s: full speed of the tcp in the mode `ee_delta`.
        ee_speed_rad_s: full angular speed of the tcp in that mode.
        version: the version of the description format.

    Raises:
        EmbodiedError: the keys contradict each other.
    """

    name: str
    mjcf: str
    joints: Names = ()
    speeds: Numbers = field(default=(), metadata=within(0.01, 100))
    home: Numbers = field(default=(), metadata=within(-100, 100))
    gripper: Gripper | None = None
    tcp: Tcp | None = None
    arm: tuple[DescribedArm, ...] = ()
    mount: Mount = field(default_factory=Mount)
    base: DrivenBase | None = field(default=None, metadata=later())
    held: Names = ()
    held_at: Numbers = field(default=(), metadata=within(-100, 100))
    exclude: Pairs = field(default=(), metadata=later())
    cameras: Names = ()
    servos: str = "ours"
    ee_speed_m_s: float = field(default=0.6, metadata=within(0.01, 10))
    ee_speed_rad_s: float = field(default=2.0, metadata=within(0.01, 50))
    version: float = float(VERSION)

    def __post_init__(self) -> None:
        check_names("robot (name)", [self.name])
        if self.version != VERSION:
            raise EmbodiedError(
                f"version is {self.version:g}, and this program reads {VERSION}: "
                "update it, or write the description anew"
            )

        if self.servos not in SERVOS:
            raise unknown("kind of servos", self.servos, SERVOS)
        check_once("cameras", self.cameras)
        check_once("held", self.held)
        hint = f", one for each of {', '.join(self.held) or 'held, which names none'}"
        check_count("held_at", self.held_at, len(self.held), hint)

        for pair in self.exclude:
            if len(pair) != 2 or pair[0] == pair[1]:
                raise EmbodiedError(
                    f"exclude has {list(pair)}, expected the names of two bodies"
                )
        self._check_arms()

    @property
    def arms(self) -> tuple[DescribedArm, ...]:
        """The arms: those of `arm`, or the single one that the keys at the top describe."""
        if self.arm or self.gripper is None or self.tcp is None:
            return self.arm
        single = DescribedArm(
            joints=self.joints,
            speeds=self.speeds,
            home=self.home,
            gripper=self.gripper,
            tcp=self.tcp,
        )
        return (single,)

    def _check_arms(self) -> None:
        """Raises EmbodiedError unless there are keys of a single arm or several arms."""
        single_arm_keys = {
            "joints": self.joints,
            "speeds": self.speeds,
            "home": self.home,
            "gripper": self.gripper,
            "tcp": self.tcp,
        }
        given = [key for key, value in single_arm_keys.items() if value]
        missing = [key for key, value in single_arm_keys.items() if not value]
        if self.arm and given:
            raise EmbodiedError(
                f"{', '.join(given)} and [[arm]] are both given: a single arm's keys "
                "stand at the top, several arms stand in [[arm]] tables"
            )
        if not self.arm and missing:
            raise EmbodiedError(f"these keys are missing: {', '.join(missing)}")

        # several arms need different names, and each joint belongs to one arm
        names = [arm.name for arm in self.arms]
        if len(names) > 1:
            check_names("arm (arm.name)", names)
        driven = [joint for arm in self.arms for joint in arm.joints]
        check_once("joints", driven)
        for joint in self.held:
            if joint in driven:
                raise EmbodiedError(
                    f"{joint!r} is among joints and held: leave it in one"
                )
        self._check_base(driven)

    def _check_base(self, driven: list[str]) -> None:
        """Raises EmbodiedError if a base joint has another use, or the mount is turned."""
        if self.base is None or not self.base.joints:
            return

        # each joint has one use
        for joint in self.base.joints:
            if joint in driven or joint in self.held:
                other = "joints" if joint in driven else "held"
                raise EmbodiedError(
                    f"{joint!r} is among base.joints and {other}: leave it in one"
                )

        if self.mount.yaw_deg:
            raise EmbodiedError(
                f"mount.yaw_deg is {self.mount.yaw_deg:g}, and base.joints turn the robot: "
                "leave mount.yaw_deg out"
            )


def read_description(path: Path) -> Description:
    """Returns the description in a file; paths in it become absolute.

    Raises:
        EmbodiedError: the file does not exist or is not TOML, or a key is missing,
            unknown, of another type or out of its range.
    """
    description = read_table(Description, path)
    folder = path.parent
    if not description.mjcf:
        raise EmbodiedError("mjcf must name the model's file")

    # grippers may have files of their own
    arms = tuple(_with_paths(arm, folder) for arm in description.arms)
    mjcf = str((folder / description.mjcf).resolve())
    if description.arm:
        return replace(description, mjcf=mjcf, arm=arms)
    return replace(description, mjcf=mjcf, gripper=arms[0].gripper)


def _with_paths(arm: DescribedArm, folder: Path) -> DescribedArm:
    """Returns the arm, with the path of its gripper's file made absolute."""
    if not arm.gripper.mjcf:
        return arm
    mjcf = str((folder / arm.gripper.mjcf).resolve())
    return replace(arm, gripper=replace(arm.gripper, mjcf=mjcf))
