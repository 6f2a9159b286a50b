"""Bridges by name: built in, or `MODULE:NAME` for one of your own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from embodied.errors import EmbodiedError, in_one_line, unknown
from embodied.policies.bridges.bridge import Bridge, Setting
from embodied.policies.bridges.ensemble import Ensemble
from embodied.policies.bridges.hold import Hold
from embodied.policies.bridges.residual import PathResidual
from embodied.policies.bridges.rtc import RealTimeChunking
from embodied.policies.locations import is_location, load_attribute

# Makes the bridge of a dual system.
MakeBridge = Callable[[Setting], Bridge]


@dataclass(frozen=True)
class BuiltIn:
    """A bridge that comes with this package."""

    make: MakeBridge
    summary: str


BRIDGES = {
    "hold": BuiltIn(Hold, "the newest plan as it is, until the next one comes"),
    "ensemble": BuiltIn(
        Ensemble, "mean of what the last chunks say about the moment (ACT)"
    ),
    "rtc": BuiltIn(
        RealTimeChunking,
        "fades from the old chunk into the new by the mask of real-time chunking",
    ),
    "residual": BuiltIn(
        PathResidual, "corrects each step towards the path of the chunk"
    ),
}
MEMBERS = ("kinds", "reset", "merge", "correct")  # the members of the protocol `Bridge`


def find_bridge(name: str) -> MakeBridge:
    """Returns the function that makes a bridge, by the bridge's name.

    Raises:
        EmbodiedError: there is no such bridge (the message lists the known ones), or it
            cannot be loaded.
    """
    if name in BRIDGES:
        return BRIDGES[name].make
    if not is_location(name):
        raise EmbodiedError(
            f"{unknown('bridge', name, BRIDGES)}; or MODULE:NAME for one of your own"
        )
    return cast(MakeBridge, load_attribute(f"bridge {name}", name))


def make_bridge(name: str, setting: Setting) -> Bridge:
    """Returns a new bridge.

    Args:
        name: the name of the bridge.
        setting: the worlds that the bridge works in.

    Raises:
        EmbodiedError: there is no such bridge, it cannot be made, or it lacks a member of
            `Bridge`.
    """
    make = find_bridge(name)
    try:
        bridge = make(setting)
    except EmbodiedError:
        raise
    except Exception as error:  # a user's own bridge may raise anything
        raise EmbodiedError(f"bridge {name} raised {in_one_line(error)}") from error

    missing = [member for member in MEMBERS if not hasattr(bridge, member)]
    if missing:
        raise EmbodiedError(
            f"bridge {name} is a {type(bridge).__name__} without {', '.join(missing)}: "
            "derive it from embodied.policies.bridges.hold.Hold"
        )
    return bridge
