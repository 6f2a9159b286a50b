"""A user's description of their own robot: a TOML file beside its model's file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from embodied.errors import EmbodiedError, unknown
from embodied.names import check_names
from embodied.robots.described.tables import Names, Numbers, read_table

# "ours": servos that this program adds; "file": the position servos of the model file.
SERVOS = ("ours", "file")
VERSION = 1  # of the description format
# A quaternion with a norm below this is refused, as it gives no rotation.
LEAST_NORM = 1e-6


def _within(low: float, high: float) -> dict[str, Any]:
    """Returns the metadata of a key whose numbers lie in a range, ends included."""
    return {"range": (low, high)}


@dataclass(frozen=True)
class Mount:
    """Where the arm is bolted on, and how it stands there."""

    body: str = ""  # empty: the bodies that carry the arms
    # (3,) m; z is the height above the floor
    pos_w: Numbers = field(default=(0.0, 0.0, 0.72), metadata=_within(-10, 10))
    yaw_deg: float = field(default=0.0, metadata=_within(-360, 360))
    stand: bool = True  # whether there is a column below it

    def __post_init__(self) -> None:
        _check_count("mount.pos_w", self.pos_w, 3)
        if self.stand and self.pos_w[2] <= 0:
            raise EmbodiedError(
                f"mount.pos_w has a height of {self.pos_w[2]:g} m, where no column fits "
                "below: write mount.stand = false, or a height above 0"
            )


@dataclass(frozen=True)
class Tcp:
    """The tool centre point: a site of the file, or a place on a body.

    Its z points out of the hand; its y is the direction along which the fingers open.
    """

    site: str = ""
    body: str = ""
    # (3,) m, on the body
    pos: Numbers = field(default=(0.0, 0.0, 0.0), metadata=_within(-2, 2))
    quat_wxyz: Numbers = field(
        default=(1.0, 0.0, 0.0, 0.0), metadata=_within(-100, 100)
    )

    def __post_init__(self) -> None:
        if bool(self.site) == bool(self.body):
            raise EmbodiedError(
                "tcp needs either a site, or a body with pos and quat_wxyz"
            )
        _check_count("tcp.pos", self.pos, 3)
        _check_quat("tcp.quat_wxyz", self.quat_wxyz)


@dataclass(frozen=True)
class Gripper:
    """Fingers that slide or turn.

    Attributes:
        joints: names of the F joints that are driven; what is coupled to them in the
            file follows.
        closed: (F,) m or rad, where the fingers touch; empty: the end of each range at
            which a finger is nearer to the tool centre point.
        open: (F,) m or rad, where they are open; empty: the other end.
        pads: names of geoms that grip.
        force_n: grip force; None: what the file says, else 70 N.
        speed_m_s: how fast the width changes.
        mjcf: the gripper's own file, where it is not part of the arm's.
        on: the arm's body or site that such a gripper sits on.
        pos: (3,) m, its place there.
        quat_wxyz: how it is turned there.
    """

    joints: Names
    closed: Numbers = field(default=(), metadata=_within(-20, 20))
    open: Numbers = field(default=(), metadata=_within(-20, 20))
    pads: Names = ()
    force_n: float | None = field(default=None, metadata=_within(0.1, 10_000))
    speed_m_s: float = field(default=0.2, metadata=_within(0.005, 5))
    mjcf: str = ""
    on: str = ""
    pos: Numbers = field(default=(0.0, 0.0, 0.0), metadata=_within(-2, 2))
    quat_wxyz: Numbers = field(
        default=(1.0, 0.0, 0.0, 0.0), metadata=_within(-100, 100)
    )

    def __post_init__(self) -> None:
        if not self.joints:
            raise EmbodiedError("gripper.joints must name at least one joint")
        _check_once("gripper.joints", self.joints)
        _check_once("gripper.pads", self.pads)

        # both postures or none, one number per joint
        if bool(self.closed) != bool(self.open):
            raise EmbodiedError(
                "gripper.closed and gripper.open go together: write both or neither"
            )
        each = f", one for each of {', '.join(self.joints)}"
        for key, values in (("closed", self.closed), ("open", self.open)):
            if values:
                _check_count(f"gripper.{key}", values, len(self.joints), each)

        # a file of its own
        _check_count("gripper.pos", self.pos, 3)
        _check_quat("gripper.quat_wxyz", self.quat_wxyz)
        if bool(self.mjcf) != bool(self.on):
            raise EmbodiedError(
                "gripper.mjcf and gripper.on go together: the gripper's file, and the "
                "arm's body or site that it sits on"
            )


@dataclass(frozen=True)
class DrivenBase:
    """A base that drives in every direction: our own with a lift, or the file's.

    Attributes:
        joints: of the file: one that slides along its x, one along its y, and one that
            turns about its z; empty for our own base, which is put below.
        speeds: (3,) of x and y in m/s, and of yaw in rad/s; empty for those of our base.
    """

    joints: Names = ()
    speeds: Numbers = field(default=(), metadata=_within(0.01, 20))

    def __post_init__(self) -> None:
        _check_once("base.joints", self.joints)
        if self.joints and len(self.joints) != 3:
            raise EmbodiedError(
                f"base.joints has {len(self.joints)} names, expected 3: two joints that "
                "slide along x and y, and one that turns about z; without the key our own "
                "base is put below"
            )
        if self.speeds:
            _check_count("base.speeds", self.speeds, 3, ": of x, y and yaw")


@dataclass(frozen=True)
class DescribedArm:
    """One arm with its gripper.

    Attributes:
        joints: names of the arm's J joints, from the mount on.
        speeds: (J,) largest speed of each joint, rad/s.
        home: (J,) rad, where episodes start.
        gripper: its fingers.
        tcp: its tool centre point.
        name: what the names of its parts begin with; empty for an only arm.
    """

    joints: Names
    speeds: Numbers = field(metadata=_within(0.01, 100))
    home: Numbers = field(metadata=_within(-100, 100))
    gripper: Gripper
    tcp: Tcp
    name: str = ""

    def __post_init__(self) -> None:
        if not self.joints:
            raise EmbodiedError("joints must name at least one joint")
        _check_once("joints", self.joints)
        for joint in self.gripper.joints:
            if joint in self.joints and not self.gripper.mjcf:
                raise EmbodiedError(
                    f"{joint!r} is among joints and gripper.joints: leave it in one"
                )

        # one number per joint
        each = f", one for each of {', '.join(self.joints)}"
        _check_count("speeds", self.speeds, len(self.joints), each)
        _check_count("home", self.home, len(self.joints), each)

    @property
    def prefix(self) -> str:
        """What the names of its parts begin with."""
        return f"{self.name}_" if self.name else ""


@dataclass(frozen=True)
class Description:
    """A robot with one arm, whose keys stand at the top, or with several.

    Attributes:
        name: name of the robot; it goes before all names of the file.
        mjcf: path of the model, MJCF or URDF.
        joints, speeds, home, gripper, tcp: of an only arm, see `DescribedArm`.
        arm: two or more arms.
        mount: where it stands.
        base: what it drives on; None for a robot that stays where it is.
        held: names of joints outside the arms that are held at a place of their own,
            instead of the one that the file has.
        held_at: where each of those is held, in rad or m.
        cameras: names of cameras that it carries.
        servos: "ours", or "file" for the position servos that the file has.
        ee_speed_m_s: full speed of the tool in the mode `ee_delta`.
        ee_speed_rad_s: full turning speed of the tool in that mode.
        version: of this format.

    Raises:
        EmbodiedError: numbers or names do not go together.
    """

    name: str
    mjcf: str
    joints: Names = ()
    speeds: Numbers = field(default=(), metadata=_within(0.01, 100))
    home: Numbers = field(default=(), metadata=_within(-100, 100))
    gripper: Gripper | None = None
    tcp: Tcp | None = None
    arm: tuple[DescribedArm, ...] = ()
    mount: Mount = field(default_factory=Mount)
    base: DrivenBase | None = None
    held: Names = ()
    held_at: Numbers = field(default=(), metadata=_within(-100, 100))
    cameras: Names = ()
    servos: str = "ours"
    ee_speed_m_s: float = field(default=0.6, metadata=_within(0.01, 10))
    ee_speed_rad_s: float = field(default=2.0, metadata=_within(0.01, 50))
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
        _check_once("cameras", self.cameras)
        _check_once("held", self.held)
        each = f", one for each of {', '.join(self.held) or 'held, which names none'}"
        _check_count("held_at", self.held_at, len(self.held), each)
        self._check_arms()

    @property
    def arms(self) -> tuple[DescribedArm, ...]:
        """Its arms: one, or more."""
        if self.arm or self.gripper is None or self.tcp is None:
            return self.arm
        only = DescribedArm(self.joints, self.speeds, self.home, self.gripper, self.tcp)
        return (only,)

    def _check_arms(self) -> None:
        """Raises EmbodiedError unless there is one arm at the top, or a list of them."""
        of_one = {
            "joints": self.joints,
            "speeds": self.speeds,
            "home": self.home,
            "gripper": self.gripper,
            "tcp": self.tcp,
        }
        given = [key for key, value in of_one.items() if value]
        missing = [key for key, value in of_one.items() if not value]
        if self.arm and given:
            raise EmbodiedError(
                f"{', '.join(given)} and [[arm]] are both given: an only arm stands at "
                "the top, several stand in [[arm]] tables"
            )
        if not self.arm and missing:
            raise EmbodiedError(f"these keys are missing: {', '.join(missing)}")

        # their names tell them apart, and a joint belongs to one
        names = [arm.name for arm in self.arms]
        if len(names) > 1:
            check_names("arm (arm.name)", names)
        driven = [joint for arm in self.arms for joint in arm.joints]
        _check_once("joints", driven)
        for joint in self.held:
            if joint in driven:
                raise EmbodiedError(
                    f"{joint!r} is among joints and held: leave it in one"
                )
        self._check_base(driven)

    def _check_base(self, driven: list[str]) -> None:
        """Raises EmbodiedError where the base does not go with the rest."""
        if self.base is None or not self.base.joints:
            return
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


def _check_count(key: str, values: Numbers, expected: int, hint: str = "") -> None:
    if len(values) != expected:
        raise EmbodiedError(
            f"{key} has {len(values)} numbers, expected {expected}{hint}"
        )


def _check_quat(key: str, quat_wxyz: Numbers) -> None:
    _check_count(key, quat_wxyz, 4)
    if sum(value * value for value in quat_wxyz) < LEAST_NORM**2:
        raise EmbodiedError(
            f"{key} is all zeros, which is no rotation: [1, 0, 0, 0] turns nothing"
        )


def _check_once(key: str, names: Sequence[str]) -> None:
    """Raises EmbodiedError for a name that is empty or occurs twice."""
    for name in names:
        if not name:
            raise EmbodiedError(f"{key} has an empty name")
        if names.count(name) > 1:
            raise EmbodiedError(f"{key} names {name!r} twice")
