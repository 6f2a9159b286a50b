"""What one says of a robot of one's own: an MJCF file's names and a few numbers, as a
TOML file.
"""

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


@dataclass(frozen=True)
class Mount:
    """Where the arm is bolted on, and how it stands there."""

    body: str = ""  # default: the file's first
    pos_w: Numbers = (0.0, 0.0, 0.72)  # m
    yaw_deg: float = 0.0
    stand: bool = True  # whether there is a column below it


@dataclass(frozen=True)
class Tcp:
    """The tool centre point: z out of the hand, y along which the fingers open. A site,
    or a place on a body.
    """

    site: str = ""
    body: str = ""
    pos: Numbers = (0.0, 0.0, 0.0)  # m
    quat_wxyz: Numbers = (1.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Gripper:
    """Fingers that slide, each from 0, where it touches the other, to the end of its
    range.
    """

    joints: Names
    pads: Names = ()  # geoms that grip
    force_n: float = 70.0
    speed_m_s: float = 0.2  # of the width


@dataclass(frozen=True)
class Description:
    """An arm with a parallel gripper. Lengths in m, angles in rad, speeds in rad/s.

    Raises EmbodiedError for numbers that don't go together.
    """

    name: str
    mjcf: str  # a file, from the description's folder
    joints: Names  # of the arm, from the mount on
    speeds: Numbers
    home: Numbers
    gripper: Gripper
    tcp: Tcp
    mount: Mount = field(default_factory=Mount)
    cameras: Names = ()  # that the robot carries
    servos: str = "ours"  # or "file": the position servos that the file has
    ee_speed_m_s: float = 0.6
    ee_speed_rad_s: float = 2.0

    def __post_init__(self) -> None:
        count = len(self.joints)
        for key, values, wanted in (
            ("speeds", self.speeds, count),
            ("home", self.home, count),
            ("mount.pos_w", self.mount.pos_w, 3),
            ("tcp.pos", self.tcp.pos, 3),
            ("tcp.quat_wxyz", self.tcp.quat_wxyz, 4),
        ):
            if len(values) != wanted:
                joints = (
                    f", one for each of {', '.join(self.joints)}"
                    if key in ("speeds", "home")
                    else ""
                )
                raise EmbodiedError(
                    f"{key} has {len(values)} numbers, expected {wanted}{joints}"
                )
        if not (self.joints and self.gripper.joints):
            raise EmbodiedError(
                "joints and gripper.joints must each name at least one joint"
            )
        if bool(self.tcp.site) == bool(self.tcp.body):
            raise EmbodiedError(
                "tcp needs either a site, or a body with pos and quat_wxyz"
            )
        if self.servos not in ("ours", "file"):
            raise unknown("kind of servos", self.servos, ("ours", "file"))


def read_description(path: Path) -> Description:
    """The description in a file; its `mjcf` becomes a path that holds from anywhere.

    Raises EmbodiedError for a file that is not there or no TOML, and for keys that are
    missing, unknown or of another kind.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # covers TOML and UTF-8 errors
        raise EmbodiedError(f"no description can be read: {error}") from error
    described = _decode(Description, table, "")
    return replace(described, mjcf=str((path.parent / described.mjcf).resolve()))


def _decode(cls: type[T], table: Mapping[str, Any], where: str) -> T:
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    for key in table:
        if key not in known:
            raise unknown("key", f"{where}{key}", [f"{where}{name}" for name in known])
    needed = [
        name
        for name, f in known.items()
        if f.default is MISSING and f.default_factory is MISSING
    ]
    missing = [f"{where}{name}" for name in needed if name not in table]
    if missing:
        raise EmbodiedError(f"it lacks {', '.join(missing)}")
    hints = get_type_hints(cls)
    return cls(
        **{
            key: _value(hints[key], value, f"{where}{key}")
            for key, value in table.items()
        }
    )


def _value(hint: Any, value: Any, where: str) -> Any:
    if is_dataclass(hint) and isinstance(value, dict):
        return _decode(hint, value, f"{where}.")  # type: ignore[arg-type]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is float and is_number:
        return float(value)
    if hint in (Names, Numbers) and isinstance(value, list):
        item = str if hint == Names else float
        return tuple(
            _value(item, part, f"{where}[{k}]") for k, part in enumerate(value)
        )
    if hint in (str, bool) and isinstance(value, hint):
        return value
    kinds = {
        str: "a string",
        float: "a number",
        bool: "true or false",
        Names: "strings",
        Numbers: "numbers",
    }
    raise EmbodiedError(f"{where} is {value!r}, expected {kinds.get(hint, 'a table')}")
