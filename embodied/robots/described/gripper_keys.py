"""The keys of a gripper in a user's description: fingers, or a cup."""

from __future__ import annotations

from dataclasses import dataclass, field

from embodied.errors import EmbodiedError, unknown
from embodied.robots.described.tables import (
    Names,
    Numbers,
    check_count,
    check_once,
    check_quat,
    later,
    within,
)

GRIPPERS = ("fingers", "suction")
# Speed of a gripper's opening width, unless a description says otherwise.
SPEED_M_S = 0.2


@dataclass(frozen=True)
class Gripper:
    """A gripper with fingers that slide or rotate, or a cup that holds by vacuum.

    Attributes:
        joints: names of the F driven joints; joints that the file couples to them
            follow. Empty for a cup, which has no fingers.
        closed: (F,) m or rad, positions of the driven joints when the fingers touch;
            empty: the end of each joint's range at which the finger is nearer to the tcp.
        open: (F,) m or rad, positions of the driven joints when the hand is open; empty:
            the other end of each range.
        pads: names of the geoms that grip.
        force_n: with fingers, the grip force; None: the model file's, else 70 N. With a
            cup, the largest pull that it holds; None: 0.6 bar times its area.
        speed_m_s: speed at which the opening width changes.
        mjcf: path of the gripper's own file; empty if the arm's file includes it.
        on: the arm's body or site that carries a gripper with its own file.
        pos: (3,) m, position of such a gripper in the frame of that body or site.
        quat_wxyz: orientation of such a gripper in that frame.
        kind: "fingers" or "suction".
        radius_m: radius of a cup's lip; None: 15 mm.
    """

    joints: Names = ()
    closed: Numbers = field(default=(), metadata=within(-20, 20))
    open: Numbers = field(default=(), metadata=within(-20, 20))
    pads: Names = ()
    force_n: float | None = field(default=None, metadata=within(0.1, 10_000))
    speed_m_s: float = field(default=SPEED_M_S, metadata=within(0.005, 5))
    mjcf: str = ""
    on: str = ""
    pos: Numbers = field(default=(0.0, 0.0, 0.0), metadata=within(-2, 2))
    quat_wxyz: Numbers = field(default=(1.0, 0.0, 0.0, 0.0), metadata=within(-100, 100))
    kind: str = field(default="fingers", metadata=later())
    radius_m: float | None = field(default=None, metadata=later(**within(0.002, 0.2)))

    def __post_init__(self) -> None:
        self._check_kind()
        check_once("gripper.joints", self.joints)
        check_once("gripper.pads", self.pads)

        # `closed` and `open` are both given or both left out, with a number per joint
        if bool(self.closed) != bool(self.open):
            raise EmbodiedError(
                "gripper.closed and gripper.open go together: write both or neither"
            )
        each = f", one for each of {', '.join(self.joints)}"
        for key, values in (("closed", self.closed), ("open", self.open)):
            if values:
                check_count(f"gripper.{key}", values, len(self.joints), each)

        # the pose and the carrier of a gripper with its own file
        check_count("gripper.pos", self.pos, 3)
        check_quat("gripper.quat_wxyz", self.quat_wxyz)
        if bool(self.mjcf) != bool(self.on):
            raise EmbodiedError(
                "gripper.mjcf and gripper.on go together: the gripper's file, and the "
                "arm's body or site that it sits on"
            )

    def _check_kind(self) -> None:
        """Raises EmbodiedError for keys that do not go with the kind of gripper."""
        if self.kind not in GRIPPERS:
            raise unknown("kind of gripper (gripper.kind)", self.kind, GRIPPERS)
        if self.kind == "fingers":
            if self.radius_m is not None:
                raise EmbodiedError(
                    "gripper.radius_m is that of a cup: write gripper.kind = "
                    '"suction", or leave it out'
                )
            if not self.joints:
                raise EmbodiedError(
                    "gripper.joints must name at least one joint, unless it is a cup "
                    '(gripper.kind = "suction")'
                )
            return

        # a cup allows none of the keys of fingers: key -> whether it is given
        finger_keys = {
            "joints": self.joints,
            "closed": self.closed,
            "open": self.open,
            "pads": self.pads,
            "speed_m_s": self.speed_m_s != SPEED_M_S,
        }
        given = [f"gripper.{key}" for key, value in finger_keys.items() if value]
        if given:
            raise EmbodiedError(
                f"a cup (gripper.kind = {self.kind!r}) has no {', '.join(given)}: leave "
                "them out"
            )
