"""A gamepad as a device, read with pygame: two sticks, two triggers, and buttons."""

from __future__ import annotations

import importlib
import os
from typing import Any

from embodied.errors import EmbodiedError
from embodied.policies.teleop.device import Command, axis

DEAD_ZONE = 0.12  # a share of the full deflection of a stick
# pygame's numbers of the axes and buttons of an Xbox controller. SDL maps other
# controllers to the same numbers.
LEFT_X = 0
LEFT_Y = 1
LEFT_TRIGGER = 2
RIGHT_X = 3
RIGHT_Y = 4
RIGHT_TRIGGER = 5
A = 0
B = 1
X = 2
Y = 3
LEFT_BUMPER = 4
RIGHT_BUMPER = 5
BACK = 6
START = 7
EVENT_BUTTONS = {
    START: "keep",
    Y: "mark",
    BACK: "discard",
    X: "next_arm",
    RIGHT_BUMPER: "take_over",
}


class Gamepad:
    """The first connected gamepad. While the left bumper is held, it drives the base."""

    name = "gamepad"
    keys = (
        ("left stick", "hand ahead, back, left, right"),
        ("triggers", "hand down (left), up (right)"),
        ("right stick", "turn the hand: yaw, pitch"),
        ("A, B", "close, open the gripper"),
        ("left bumper held", "the sticks drive the base, the triggers lift it"),
        ("X", "the next arm"),
        ("right bumper", "hand back to the policy, or take over"),
        ("start, Y", "at the end of a take: keep it, keep it with a mark"),
        ("back", "throw the take away and begin it again"),
        ("start and back together", "end the session"),
    )

    def __init__(self, pygame: Any = None) -> None:
        """Prepares the device.

        Args:
            pygame: the module `pygame`; None to import it.
        """
        self._pygame = pygame
        self._pad: Any = None
        self._down: set[int] = set()  # event buttons that are held

    def open(self) -> None:
        """Connects to the gamepad; raises EmbodiedError if there is none."""
        if self._pygame is None:
            self._pygame = import_pygame()
        self._pygame.display.init()  # pygame delivers events only with a display
        self._pygame.joystick.init()
        if not self._pygame.joystick.get_count():
            raise EmbodiedError(
                "no gamepad is connected: plug one in, or choose another --device"
            )
        self._pad = self._pygame.joystick.Joystick(0)
        self._pad.init()

    def close(self) -> None:
        self._pad = None

    def read(self) -> Command:
        """Returns the command of the sticks, triggers and buttons at this moment."""
        self._pygame.event.pump()  # updates pygame's state of axes and buttons
        ahead = -self._axis(LEFT_Y)
        left = -self._axis(LEFT_X)
        # A stick's axes point down and right, a command's ahead and to the left, hence the
        # minus signs. Triggers go from -1 at rest to 1 when pressed; at rest they cancel out.
        lift = (self._axis(RIGHT_TRIGGER) - self._axis(LEFT_TRIGGER)) / 2
        yaw = -self._axis(RIGHT_X)
        pitch = -self._axis(RIGHT_Y)
        grip = float(self._button(B)) - float(self._button(A))
        if self._button(LEFT_BUMPER):
            drive = (ahead, left, lift, yaw)
            return Command(drive=drive, grip=grip, events=self._events())
        return Command(
            move=(ahead, left, lift),
            turn=(0.0, pitch, yaw),
            grip=grip,
            events=self._events(),
        )

    def _axis(self, number: int) -> float:
        """Returns an axis in [-1, 1], 0 within the dead zone."""
        return axis(float(self._pad.get_axis(number)), DEAD_ZONE)

    def _button(self, number: int) -> bool:
        return bool(self._pad.get_button(number))

    def _events(self) -> frozenset[str]:
        """Returns the events of the buttons that went down since the last read."""
        if self._button(START) and self._button(BACK):
            return frozenset({"quit"})
        down_before = self._down
        self._down = {number for number in EVENT_BUTTONS if self._button(number)}
        return frozenset(EVENT_BUTTONS[number] for number in self._down - down_before)


def import_pygame() -> Any:
    """Returns the package pygame, which is an extra.

    Raises:
        EmbodiedError: pygame is not installed.
    """
    # without this variable pygame prints a greeting to stdout
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        return importlib.import_module("pygame")
    except ImportError as error:
        raise EmbodiedError(
            "the window and gamepads need pygame: pip install 'embodied-ground[teleop]'"
        ) from error
