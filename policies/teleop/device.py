"""What a device tells of a person's hand: all that a new device must give.

A device knows no window, no world and no file. It is asked at each control step, and
answers at once with what the person wants at this moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

# What a person may say beside moving; a command carries those of this moment.
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
    """What a person wants at one moment; numbers are shares of the top speed in [-1, 1].

    Directions are those of the robot: ahead of it, to its left, up.
    """

    move: tuple[float, float, float] = (0.0, 0.0, 0.0)  # the hand ahead, left, up
    # the hand about these axes: roll, pitch, yaw
    turn: tuple[float, float, float] = (0.0, 0.0, 0.0)
    grip: float = 0.0  # below 0 closes, above 0 opens, 0 leaves the gripper as it is
    # the base ahead, to the left, up, and turning left
    drive: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    events: frozenset[str] = frozenset()  # of EVENTS


class Device(Protocol):
    """A device in a person's hand.

    Attributes:
        name: by which takes are labelled, such as "keyboard".
        keys: what to press, and what it does, for the person to read.
    """

    name: str
    keys: tuple[tuple[str, str], ...]

    def open(self) -> None:
        """Connects to the device.

        Raises:
            EmbodiedError: it is not there, or its package is not installed.
        """

    def read(self) -> Command:
        """Returns what the person wants now, without waiting for it.

        Each event is told once.
        """

    def close(self) -> None:
        """Lets go of the device."""


@runtime_checkable
class KeyListener(Protocol):
    """A device that is told of keys by whoever has the keyboard, such as a window."""

    def press(self, key: str) -> None:
        """Notes that a key went down: a letter, or a word such as "space"."""

    def release(self, key: str) -> None:
        """Notes that it went up."""


def axis(value: float, dead_zone: float = 0.0) -> float:
    """Returns an axis of a stick in [-1, 1], without the trembling around its middle.

    Args:
        value: as the device has it.
        dead_zone: the share of the axis around its middle that counts as 0.
    """
    size = min(abs(value), 1.0)
    if size <= dead_zone:
        return 0.0
    share = (size - dead_zone) / (1 - dead_zone)
    return share if value > 0 else -share
