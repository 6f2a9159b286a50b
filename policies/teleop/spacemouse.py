"""A 3Dconnexion SpaceMouse as a device, a knob to push and rotate, read with hidapi."""

from __future__ import annotations

import importlib
import struct
from typing import Any

from embodied.errors import EmbodiedError
from embodied.policies.teleop.device import Command, axis

# USB numbers of the vendors: 3Dconnexion, and Logitech for older models
VENDORS = (0x256F, 0x046D)
PRODUCTS = ("SpaceMouse", "SpaceNavigator", "SpacePilot", "SpaceExplorer")
FULL_DEFLECTION = 350.0  # the value of an axis at its end
DEAD_ZONE = 0.08  # a share of the full deflection
# The first byte of a report is its kind.
MOVE_REPORT = 1
TURN_REPORT = 2
BUTTON_REPORT = 3
# Move reports of wireless models have this many bytes, and contain the rotation, too.
LONG_REPORT = 13
MAX_REPORT = 64  # bytes; no report of USB is longer
# bits of a button report
LEFT_BUTTON = 1
RIGHT_BUTTON = 2


class SpaceMouse:
    """The first SpaceMouse that is connected."""

    name = "spacemouse"
    keys = (
        ("push the knob", "the hand ahead, back, left, right, up, down"),
        ("turn the knob", "turn the hand"),
        ("left button", "close or open the gripper; at the end of a take: keep it"),
        ("right button", "throw the take away and begin it again"),
        ("both buttons", "end the session"),
    )

    def __init__(self, hid: Any = None) -> None:
        """Prepares the device.

        Args:
            hid: the module `hid`; None to import it.
        """
        self._hid = hid
        self._mouse: Any = None
        # axes in [-1, 1]: translation right, back, down, then rotation about them
        self._knob = [0.0] * 6
        self._buttons = 0  # bits of the buttons that are down

    def open(self) -> None:
        """Connects to the SpaceMouse; raises EmbodiedError if there is none."""
        if self._hid is None:
            self._hid = _import_hid()

        # open the first SpaceMouse among the vendors' devices
        for device in self._hid.enumerate():
            name = str(device.get("product_string") or "")
            is_known = any(word in name for word in PRODUCTS)
            if device["vendor_id"] in VENDORS and is_known:
                self._mouse = self._hid.device()
                self._mouse.open_path(device["path"])
                self._mouse.set_nonblocking(1)
                return

        raise EmbodiedError(
            "no SpaceMouse is connected, or this user may not read it (on Linux: a udev "
            "rule for /dev/hidraw*): plug one in, or choose another --device"
        )

    def close(self) -> None:
        if self._mouse is not None:
            self._mouse.close()
        self._mouse = None

    def read(self) -> Command:
        """Returns the command of the knob now, and of the buttons pressed since."""
        # handle all reports since the last read; an empty one means that there are no more
        events: set[str] = set()
        report = bytes(self._mouse.read(MAX_REPORT))
        while report:
            events |= self._handle_report(report)
            report = bytes(self._mouse.read(MAX_REPORT))

        # the knob's axes point right, back and down; a command's point ahead, left and up
        right, back, down, pitch, roll, yaw = self._knob
        return Command(
            move=(-back, -right, -down),
            turn=(-roll, -pitch, -yaw),
            events=frozenset(events),
        )

    def _handle_report(self, report: bytes) -> set[str]:
        """Updates the state from a report of the device; returns the report's events.

        Args:
            report: byte 0 is the kind of the report; then come axes of two bytes each, or
                the bits of the buttons.
        """
        kind = report[0]
        if kind == MOVE_REPORT:
            self._knob[:3] = _axes(report[1:7])
            if len(report) >= LONG_REPORT:
                self._knob[3:] = _axes(report[7:13])
        elif kind == TURN_REPORT:
            self._knob[3:] = _axes(report[1:7])
        elif kind == BUTTON_REPORT:
            return self._set_buttons(report[1])
        return set()

    def _set_buttons(self, buttons: int) -> set[str]:
        """Sets the buttons that are down; returns the events of newly pressed buttons.

        Args:
            buttons: the bits of the buttons that are down.
        """
        pressed = buttons & ~self._buttons  # bits of the buttons that were up before
        self._buttons = buttons
        if buttons == LEFT_BUTTON | RIGHT_BUTTON:
            return {"quit"}
        if pressed & LEFT_BUTTON:
            return {"grip", "keep"}
        if pressed & RIGHT_BUTTON:
            return {"discard"}
        return set()


def _axes(data: bytes) -> list[float]:
    """Returns three axes of the knob in [-1, 1], from three 16-bit integers."""
    values = struct.unpack("<3h", data)
    return [axis(value / FULL_DEFLECTION, DEAD_ZONE) for value in values]


def _import_hid() -> Any:
    """Returns the module `hid`; raises EmbodiedError if hidapi is not installed."""
    try:
        return importlib.import_module("hid")
    except ImportError as error:
        raise EmbodiedError(
            "a SpaceMouse needs hidapi: pip install 'embodied-ground[teleop]'"
        ) from error
