"""The tip of the closed fingers, which presses buttons."""

from __future__ import annotations

from embodied.core import Array
from embodied.robots.parts.gripper import TIP_M
from embodied.rotations import cross


def fingertip_w(tcp_w: Array, rot6d: Array, tip_m: float = TIP_M) -> Array:
    """Returns the fingertips (n, 3) m of hands.

    Args:
        tcp_w: (n, 3) m, the tool centre points.
        rot6d: (n, 6), the hands' x and y axes.
        tip_m: how far the tips are beyond those points.
    """
    # along the hand's z axis, which points out of the fingers
    return tcp_w + tip_m * cross(rot6d[:, :3], rot6d[:, 3:])
