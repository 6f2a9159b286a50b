"""Devices by name: built in, a script, or `MODULE:NAME` for one of your own."""

from __future__ import annotations

from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from embodied.errors import EmbodiedError, in_one_line, unknown
from embodied.policies.locations import is_location, load_attribute
from embodied.policies.teleop.device import Device

# name -> (location of the class, summary)
BUILT_IN = {
    "keyboard": (
        "embodied.policies.teleop.keyboard:Keyboard",
        "the keys of the window; needs pygame",
    ),
    "gamepad": (
        "embodied.policies.teleop.gamepad:Gamepad",
        "two sticks and two triggers; needs pygame",
    ),
    "spacemouse": (
        "embodied.policies.teleop.spacemouse:SpaceMouse",
        "a 3Dconnexion knob; needs hidapi",
    ),
}
SCRIPT_PREFIX = "script:"
MEMBERS = ("name", "keys", "open", "read", "close")  # the members of `Device`


def find_device(name: str) -> Device:
    """Returns a device, which is not opened yet.

    Args:
        name: one of `BUILT_IN`, `script:FILE`, or `MODULE:NAME` of a class, or of a
            function that returns a device.

    Raises:
        EmbodiedError: there is no such device, or it lacks a member of `Device`.
    """
    if name.startswith(SCRIPT_PREFIX):
        from embodied.policies.teleop.script import Script

        return Script(Path(name.removeprefix(SCRIPT_PREFIX)))
    if name in BUILT_IN:
        location, _ = BUILT_IN[name]
        return resolve_name(location)()

    if not is_location(name):
        names = [*BUILT_IN, f"{SCRIPT_PREFIX}FILE"]
        raise EmbodiedError(
            f"{unknown('device', name, names)}; or MODULE:NAME for one of your own"
        )
    make_device = load_attribute(f"device {name}", name)
    try:
        device: Any = make_device()
    except EmbodiedError:
        raise
    except Exception as error:  # a user's own device may raise anything
        raise EmbodiedError(f"device {name} raised {in_one_line(error)}") from error

    missing = [member for member in MEMBERS if not hasattr(device, member)]
    if missing:
        raise EmbodiedError(
            f"device {name} is no device: it has no {', '.join(missing)} "
            "(docs/teleoperation.md)"
        )
    return device
