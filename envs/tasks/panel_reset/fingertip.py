"""Where the tip of the closed fingers is, which presses buttons."""

from __future__ import annotations

from embodied.core import Array
from embodied.rotations import cross

TIP_M = 0.020  # beyond the tool centre point


def fingertip_w(tcp_w: Array, rot6d: Array) -> Array:
    """(n, 3) m, of hands with their tool centre points at `tcp_w` (n, 3) and the axes
    `rot6d` (n, 6).
    """
    return tcp_w + TIP_M * cross(rot6d[:, :3], rot6d[:, 3:])
