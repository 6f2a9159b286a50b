"""The tip of the closed fingers, which presses buttons."""

from __future__ import annotations

from embodied.core import Array
from embodied.rotations import cross

TIP_M = 0.020  # beyond the tool centre point


def fingertip_w(tcp_w: Array, rot6d: Array) -> Array:
    """Returns the fingertips (n, 3) m of hands.

    Args:
        tcp_w: (n, 3) m, the tool centre points.
        rot6d: (n, 6), the hands' x and y axes.
    """
    # along the hand's z axis, which points out of the fingers
    return tcp_w + TIP_M * cross(rot6d[:, :3], rot6d[:, 3:])
