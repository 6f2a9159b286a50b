"""The position of the closed fingertips, which press buttons."""

from __future__ import annotations

from embodied.core import Array
from embodied.robots.parts.gripper import TIP_M
from embodied.rotations import cross


def fingertip_w(tcp_w: Array, rot6d: Array, tip_m: float = TIP_M) -> Array:
    """Returns the positions (n, 3) m of the closed fingertips of n hands.

    Args:
        tcp_w: (n, 3) m, the tool centre points.
        rot6d: (n, 6), the hands' x and y axes.
        tip_m: The distance from the tool centre point to the fingertips.
    """
    # along the hand's z axis, the cross product of its x and y axes, which points from
    # the palm to the fingertips
    return tcp_w + tip_m * cross(rot6d[:, :3], rot6d[:, 3:])
