"""A user's description of their own robot: a TOML file beside its MJCF file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from embodied.errors import EmbodiedError, unknown

Names = tuple[str, ...]
Numbers = tuple[float, ...]
T = TypeVar("T")

SERVOS = ("ours", "file")


@dataclass(frozen=True)
class Mount:
    """Where the arm is bolted on, and how it stands there."""

    body: str = ""  # empty: the file's first
    pos_w: Numbers = (0.0, 0.0, 0.72)  # (3,) m
    yaw_deg: float = 0.0
    stand: bool = True  # whether there is a column below it


@dataclass(frozen=True)
class Tcp:
    """The tool centre point: a site of the file, or a place on a body.

    Its z points out of the hand; its y is the direction along which the fingers open.
    """

    site: str = ""
    body: str = ""
    pos: Numbers = (0.0, 0.0, 0.0)  # (3,) m, on the body
    quat_wxyz: Numbers = (1.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Gripper:
    """Fingers that slide from 0, where they touch, to the end of their ranges."""

    joints: Names
    pads: Names = ()  # geoms that grip
    force_n: float = 70.0
    speed_m_s: float = 0.2  # of the width


@dataclass(frozen=True)
class Description:
    """An arm with a parallel gripper.

    Attributes:
        name: name of the robot; it goes before all names of the file.
        mjcf: path of the model.
        joints: names of the arm's J joints, from the mount on.
        speeds: (J,) largest speed of each joint, rad/s.
        home: (J,) rad, where episodes start.
        gripper: its fingers.
        tcp: its tool centre point.
        mount: where it stands.
        cameras: names of cameras that it carries.
        servos: "ours", or "file" for the position servos that the file has.
        ee_speed_m_s: full speed of the tool in the mode `ee_delta`.
        ee_speed_rad_s: full turning speed of the tool in that mode.

    Raises:
        EmbodiedError: numbers or names do not go together.
    """

    name: str
    mjcf: str
    joints: Names
    speeds: Numbers
    home: Numbers
    gripper: Gripper
    tcp: Tcp
    mount: Mount = field(default_factory=Mount)
    cameras: Names = ()
    servos: str = "ours"
    ee_speed_m_s: float = 0.6
    ee_speed_rad_s: float = 2.0

    def __post_init__(self) -> None:
        if not (self.joints and self.gripper.joints):
            raise EmbodiedError(
                "joints and gripper.joints must each name at least one joint"
            )
        if bool(self.tcp.site) == bool(self.tcp.body):
            raise EmbodiedError(
                "tcp needs either a site, or a body with pos and quat_wxyz"
            )
        if self.servos not in SERVOS:
            raise unknown("kind of servos", self.servos, SERVOS)

        # one number per joint
        each = f", one for each of {', '.join(self.joints)}"
        _check_count("speeds", self.speeds, len(self.joints), each)
        _check_count("home", self.home, len(self.joints), each)

        # vectors
        _check_count("mount.pos_w", self.mount.pos_w, 3)
        _check_count("tcp.pos", self.tcp.pos, 3)
        _check_count("tcp.quat_wxyz", self.tcp.quat_wxyz, 4)


def _check_count(key: str, values: Numbers, expected: int, hint: str = "") -> None:
    if len(values) != expected:
        raise EmbodiedError(
            f"{key} has {len(values)} numbers, expected {expected}{hint}"
        )


def read_description(path: Path) -> Description:
    """Returns the description in a file; its `mjcf` becomes an absolute path.

    Raises:
        EmbodiedError: the file does not exist or is not TOML, or a key is missing,
            unknown or of another type.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # covers TOML and UTF-8 errors
        reason = error.strerror if isinstance(error, OSError) else error
        raise EmbodiedError(f"no description can be read: {reason}") from error

    description = _decode(Description, table, "")
    mjcf = (path.parent / description.mjcf).resolve()
    return replace(description, mjcf=str(mjcf))


def _decode(cls: type[T], table: Mapping[str, Any], where: str) -> T:
    """Returns an instance of a dataclass with the values of a TOML table.

    Args:
        cls: the dataclass.
        table: the values.
        where: what the table's keys begin with in messages, e.g. "gripper.".
    """
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            raise unknown("key", f"{where}{key}", [f"{where}{name}" for name in known])

    # fields without a default must be given
    missing = []
    for name, f in known.items():
        has_default = f.default is not MISSING or f.default_factory is not MISSING
        if not has_default and name not in table:
            missing.append(f"{where}{name}")
    if missing:
        raise EmbodiedError(f"these keys are missing: {', '.join(missing)}")

    hints = get_type_hints(cls)
    values = {}
    for key, value in table.items():
        values[key] = _value(hints[key], value, f"{where}{key}")
    return cls(**values)


def _value(hint: Any, value: Any, where: str) -> Any:
    """Returns a TOML value as a field of type `hint` wants it."""
    if is_dataclass(hint) and isinstance(value, dict):
        return _decode(hint, value, f"{where}.")  # type: ignore[arg-type]

    # TOML's integers are numbers, too; its booleans are not
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is float and is_number:
        return float(value)
    if hint in (str, bool) and isinstance(value, hint):
        return value

    if hint in (Names, Numbers) and isinstance(value, list):
        item = str if hint == Names else float
        items = enumerate(value)
        return tuple(_value(item, element, f"{where}[{k}]") for k, element in items)

    kinds = {
        str: "a string",
        float: "a number",
        bool: "true or false",
        Names: "strings",
        Numbers: "numbers",
    }
    raise EmbodiedError(f"{where} is {value!r}, expected {kinds.get(hint, 'a table')}")
