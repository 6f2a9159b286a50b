"""The interface of a device, by which a person drives a robot.

A device knows nothing of windows, worlds or files. It is read at each control step, and
returns the person's current command without waiting.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

# event -> its meaning; a command contains the events since the last read
EVENTS = {
    "grip": "close the gripper, or open it if it is closed",
    "keep": "keep this take; counts at its end only",
    "mark": "mark this take, to look at it again; at its end also keep it",
    "discard": "throw this take away and begin it again, at any time",
    "next_arm": "move the next arm",
    "take_over": "take over from the policy, or hand back to it",
    "quit": "end the session; an unfinished take is thrown away",
}


@dataclass(frozen=True)
class Command:
    """A person's command at one moment.

    Velocities are shares of the top speed, in [-1, 1]. Directions are relative to the
    robot: ahead, to its left, up.

    Attributes:
        move: the velocity of the hand ahead, to the left, up.
        turn: the angular velocity of the hand about the same axes: roll, pitch, yaw.
        grip: the command for the gripper: below 0 closes it, above 0 opens it, 0 leaves it.
        drive: the velocity of the base ahead, to the left, up, and its yaw rate.
        events: the events since the last read, keys of EVENTS.
    """

    move: tuple[float, float, float] = (0.0, 0.0, 0.0)
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0)
    grip: float = 0.0
    drive: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    events: frozenset[str] = frozenset()


class Device(Protocol):
    """A device by which a person drives a robot.

    Attributes:
        name: the name that is stored with each take, such as "keyboard".
        keys: (key, its effect) for each key, to be shown to the person.
    """

    name: str
    keys: tuple[tuple[str, str], ...]

    def open(self) -> None:
        """Connects to the device.

        Raises:
            EmbodiedError: the device is not connected, or its package is not installed.
        """

    def read(self) -> Command:
        """Returns the current command, without waiting; each event is returned once."""

    def close(self) -> None:
        """Disconnects from the device."""


@runtime_checkable
class KeyListener(Protocol):
    """A device that gets its keys from the owner of the keyboard, such as a window."""

    def press(self, key: str) -> None:
        """Notes that a key went down: a letter, or a word such as "space"."""

    def release(self, key: str) -> None:
        """Notes that a key went up."""


def axis(value: float, dead_zone: float = 0.0) -> float:
    """Returns an axis of a stick in [-1, 1], which is 0 within a dead zone.

    Args:
        value: the value of the axis, which is limited to [-1, 1] here.
        dead_zone: the absolute value up to which values become 0, to ignore noise at rest.
    """
    magnitude = min(abs(value), 1.0)
    if magnitude <= dead_zone:
        return 0.0
    # from 0 at the edge of the dead zone to 1, so that there is no jump
    scaled = (magnitude - dead_zone) / (1 - dead_zone)
    return scaled if value > 0 else -scaled
