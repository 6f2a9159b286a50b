"""The properties that all episodes of an audited file share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from embodied.core import ActionInterface, Layout
from embodied.datasets.audit.positions import JOINTS
from embodied.datasets.importing.robomimic import noted_headers, stored_rate
from embodied.datasets.schema import H5, Header

# The frame rate of files that do not store a rate: robosuite's default.
FOREIGN_HZ = 20.0
# A longer part of the proprioception than this is taken for damage.
LONGEST_PART = 10**4


@dataclass(frozen=True)
class Source:
    """The properties that all episodes of a file share.

    Attributes:
        header: the header of a dataset of ours; None for a file from elsewhere.
        frame_hz: frames per second.
        agent_layout: (name, width) of each part of the proprioception; () if unknown.
    """

    header: Header | None
    frame_hz: float
    agent_layout: tuple[tuple[str, int], ...] = ()

    @cached_property
    def control_hz(self) -> float:
        """Control steps per second; the frame rate for a file from elsewhere."""
        if self.header is None:
            return self.frame_hz
        config = self.header.metadata.get("config", {})
        return float(config.get("control_hz") or self.frame_hz)

    @cached_property
    def agent_slices(self) -> dict[str, slice]:
        """Name of each part of the proprioception -> its columns; empty if unknown."""
        return Layout(self.agent_layout).slices()

    @cached_property
    def unit(self) -> str:
        """The unit of the robot's positions, for messages."""
        is_ours = self.header is not None and JOINTS in self.agent_slices
        return "rad or m" if is_ours else "units of the file"

    @cached_property
    def joint_interface(self) -> ActionInterface | None:
        """The joints with their ranges; None if unknown."""
        stored = self.header and self.header.metadata.get("joint_interface")
        return ActionInterface.of(stored) if stored else None


def file_source(file: H5, header: Header | None) -> Source:
    """Returns the properties that all episodes of an open file share.

    Args:
        file: the open file.
        header: the header of a dataset of ours; None for a file from elsewhere.
    """
    if header is None:
        return Source(None, _foreign_hz(file), _noted_layout(file))
    stored = header.metadata.get("agent_layout", ())
    layout = tuple((str(name), int(width)) for name, width in stored)
    return Source(header, float(header.record_hz), layout)


def _foreign_hz(file: H5) -> float:
    """Returns the frame rate that a robomimic file stores, else `FOREIGN_HZ`."""
    rate = stored_rate(file)
    # a bool would count as a number, too
    if isinstance(rate, bool) or not isinstance(rate, int | float | str):
        return FOREIGN_HZ
    try:
        hz = float(rate)
    except (OverflowError, ValueError):
        return FOREIGN_HZ
    return hz if np.isfinite(hz) and hz > 0 else FOREIGN_HZ


def _noted_layout(file: H5) -> tuple[tuple[str, int], ...]:
    """Returns the parts of `obs/agent_pos` in a robomimic file that our export wrote.

    All files that were exported together have the same parts. The result is () for other
    files, and for a note that is damaged.
    """
    match noted_headers(file):
        case [{"metadata": {"agent_layout": [*stored]}}, *_]:
            pass
        case _:
            return ()

    parts = []
    for part in stored:
        match part:
            case [str(name), int(width)] if 0 < width <= LONGEST_PART:
                parts.append((name, width))
            case _:
                return ()
    return tuple(parts)
