"""Checks that the axes of a tool centre point (tcp) match the hand that it belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import mujoco
import numpy as np

from embodied.errors import EmbodiedError
from embodied.robots.geometry import main_axis, points_of

# The largest angle between the tcp's y axis and the direction in which the fingers open.
MAX_Y_ERROR_DEG = 20.0
# The largest angle between the tcp's z axis and the direction from the wrist to the
# fingertips.
MAX_Z_ERROR_DEG = 45.0


class TcpSite(NamedTuple):
    """The site of a tcp in a model."""

    model: mujoco.MjModel
    site: int  # the id of the site
    prefix: str  # the prefix of the file's names in the model


def in_tcp_frame(data: mujoco.MjData, site: int, points_w: np.ndarray) -> np.ndarray:
    """Returns world points (n, 3) in the frame of a tcp, given by its site's id."""
    axes = data.site_xmat[site].reshape(3, 3)
    return (points_w - data.site_xpos[site]) @ axes


def check_tcp_axes(
    tcp: TcpSite,
    wrist_joint: int,
    finger_geoms: Sequence[int],
    at_closed: mujoco.MjData,
    at_open: mujoco.MjData,
) -> None:
    """Checks a tcp: y along the opening of the fingers, z out of the hand.

    Args:
        tcp: The tcp.
        wrist_joint: Id of the arm's last joint.
        finger_geoms: Ids of the geoms that move when the hand opens.
        at_closed: The state with the hand closed.
        at_open: The state with the hand open.

    Raises:
        EmbodiedError: an axis is too far off. The message has the keys of a correct tcp.
    """
    opening = _opening_direction(tcp, finger_geoms, at_closed, at_open)
    wrist_w = at_closed.xanchor[wrist_joint]
    wrist_to_tcp = -in_tcp_frame(at_closed, tcp.site, wrist_w[None])[0]
    # the direction out of the hand: away from the wrist, perpendicular to the opening
    out = wrist_to_tcp - (wrist_to_tcp @ opening) * opening
    out /= max(float(np.linalg.norm(out)), 1e-9)  # 0 if the tcp is at the wrist

    # In the tcp's frame, component i of a unit vector is the cosine of its angle to axis i.
    # Fingers open along +y and -y, so the sign of y does not count.
    y_error_deg = np.degrees(np.arccos(min(1.0, abs(float(opening[1])))))
    z_error_deg = np.degrees(np.arccos(np.clip(out[2], -1, 1)))
    if y_error_deg > MAX_Y_ERROR_DEG:
        problem = (
            f"its y is {y_error_deg:.0f} degrees off the direction in which the fingers "
            "open"
        )
    elif z_error_deg > MAX_Z_ERROR_DEG:
        problem = (
            f"its z is {z_error_deg:.0f} degrees off the direction out of the hand"
        )
    else:
        return
    keys = _corrected_keys(tcp, opening, out, at_closed)
    raise EmbodiedError(f"the tcp's axes don't match the hand: {problem}; write {keys}")


def _opening_direction(
    tcp: TcpSite,
    finger_geoms: Sequence[int],
    at_closed: mujoco.MjData,
    at_open: mujoco.MjData,
) -> np.ndarray:
    """Returns the unit vector (3,) along which the fingers open, in the tcp's frame.

    It is the main axis of the geoms' motion; points near the tcp count most. Of the two
    opposite vectors it is the one with y >= 0.
    """
    before_w = [points_of(tcp.model, at_closed, geom) for geom in finger_geoms]
    after_w = [points_of(tcp.model, at_open, geom) for geom in finger_geoms]
    axis = main_axis(
        in_tcp_frame(at_closed, tcp.site, np.concatenate(before_w)),
        in_tcp_frame(at_open, tcp.site, np.concatenate(after_w)),
    )
    return axis if axis[1] >= 0 else -axis


def _corrected_keys(
    tcp: TcpSite, opening: np.ndarray, out: np.ndarray, data: mujoco.MjData
) -> str:
    """Returns the keys of a tcp at the same place whose axes match the hand.

    Args:
        tcp: The present tcp.
        opening: (3,) direction in which the fingers open, in the tcp's frame.
        out: (3,) direction out of the hand, in the tcp's frame.
        data: The state in which the directions were measured.
    """
    model = tcp.model
    # the correct axes as columns: in the present tcp's frame, the world's, the body's
    axes_in_tcp = np.stack([np.cross(opening, out), opening, out], axis=1)
    axes_in_world = data.site_xmat[tcp.site].reshape(3, 3) @ axes_in_tcp
    body = int(model.site_bodyid[tcp.site])
    axes_in_body = data.xmat[body].reshape(3, 3).T @ axes_in_world
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, axes_in_body.flatten())

    name = model.body(body).name.removeprefix(tcp.prefix)
    pos = [round(float(x), 4) for x in model.site_pos[tcp.site]]
    rounded = [round(float(x), 4) for x in quat]
    return f'tcp.body = "{name}", tcp.pos = {pos}, tcp.quat_wxyz = {rounded}'
