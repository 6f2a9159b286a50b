"""Chooses where an arm stands, so that its hand reaches the places that tasks use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from embodied.robots.described.description import Mount
from embodied.robots.described.home import HomeSearch

# Places that a hand pointing down must reach: (x, y, z) in m in the world, and the hand's
# yaw in degrees. They are the outermost places of the built-in tasks.
WORK_W = (
    ((0.53, 0.00, 0.72), 0.0),  # the handle of a closed drawer
    ((0.39, 0.00, 0.72), 0.0),  # the handle of an open drawer
    ((0.52, -0.44, 0.73), 0.0),  # both ends of the used part of a belt
    ((0.52, 0.42, 0.73), 0.0),
    ((0.29, 0.44, 0.83), 57.0),  # the scanner
    ((-0.27, 0.54, 0.82), 117.0),  # the farthest bin
    ((-0.21, 0.63, 1.04), 0.0),  # above the rack, and in it
    ((-0.21, 0.63, 0.93), 0.0),
    ((0.13, 0.63, 1.04), 0.0),
    ((0.13, 0.40, 0.80), 0.0),
)
# Shifts (x, z) of the mount in m; the first with which all places are reached is taken.
SHIFTS_M = (
    (0.0, 0.0),
    (0.0, 0.08),
    (0.0, 0.15),
    (-0.1, 0.0),
    (-0.1, 0.08),
    (-0.1, 0.15),
)
# Wanted distance of the joints from the ends of their ranges.
MARGIN_RAD = 0.15


def best_mount(search: HomeSearch, mount: Mount, home_w: np.ndarray) -> Mount:
    """Returns the mount, moved back or up if the hand reaches more places of WORK_W then.

    Args:
        search: inverse kinematics of the arm.
        mount: the usual mount.
        home_w: (3,) m, the position of the hand at home, in the world.
    """
    best = mount
    best_score = (-1, 0.0)  # places reached, then the least margin of a joint in rad
    for shift_x, shift_z in SHIFTS_M:
        x, y, z = mount.pos_w
        moved = replace(mount, pos_w=(round(x + shift_x, 3), y, round(z + shift_z, 3)))
        reached, margin = _reached(search, np.array(moved.pos_w), home_w)
        if reached == len(WORK_W) and margin >= MARGIN_RAD:
            return moved
        if (reached, margin) > best_score:
            best_score = (reached, margin)
            best = moved
    return best


def _reached(
    search: HomeSearch, mount_w: np.ndarray, home_w: np.ndarray
) -> tuple[int, float]:
    """Returns how many places are reached, and the least margin of a joint there, rad."""
    # the search works in the file's world, whose origin is at the mount
    homes = search.postures(home_w - mount_w)
    if not homes:
        return 0, 0.0
    margins = []
    for place_w, yaw_deg in WORK_W:
        posture = search.reach(
            homes[0][0], place_w - mount_w, pointing_down_axes(yaw_deg)
        )
        if posture is not None:
            margins.append(search.margin_rad(posture))
    return len(margins), min(margins, default=0.0)


def pointing_down_axes(yaw_deg: float) -> np.ndarray:
    """Returns the axes (3, 3), as columns, of a hand that points down at a yaw."""
    yaw = np.deg2rad(yaw_deg)
    x: Sequence[float] = (float(np.cos(yaw)), float(np.sin(yaw)), 0.0)
    y: Sequence[float] = (x[1], -x[0], 0.0)
    return np.stack([x, y, (0.0, 0.0, -1.0)], axis=1)
