"""A controller that follows timed waypoints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from embodied.core import Array
from embodied.plan import Payload, PayloadKind
from embodied.policies.present_plan import PresentPlanReader
from embodied.rotations import (
    quat_conjugate,
    quat_from_rotvec,
    quat_multiply,
    quat_to_rotvec,
)


class WaypointFollower(PresentPlanReader):
    """Follows timed waypoints by a controller of goals, such as the goal servo.

    At each control step it gives that controller the goal for the current time, between the
    waypoints before and after. So waypoints whose time passed while the plan was on its way
    are skipped.

    Positions are interpolated linearly, and orientations by the shortest turn at an even
    speed. The goal's velocity is that between the two waypoints, and 0 before the first and
    after the last waypoint, where the goal rests. A gripper's command is that of the
    waypoint before, since commands to open or to close are never interpolated.

    Args:
        controller: the controller that follows goals.
    """

    takes: tuple[PayloadKind, ...] = ("waypoints",)

    def present(self, payload: Payload, age_s: Array) -> Payload:
        return goals_at(payload, age_s)


def goals_at(payload: Payload, time_s: Array) -> Payload:
    """Returns plans whose goals are where their waypoints lead at a time.

    Args:
        payload: n plans with waypoints.
        time_s: (n,) s after the `tick_frame` of each plan.
    """
    times_s = payload.waypoint_s  # (n, W)
    num, count = times_s.shape
    rows = np.arange(num)

    # the waypoints before and after the time; at both ends they are the same
    num_passed = (times_s <= time_s[:, None]).sum(axis=1)
    before = np.clip(num_passed - 1, 0, count - 1)
    after = np.clip(num_passed, 0, count - 1)
    is_between = before < after

    # the share of the way between the two, (n, 1, 1) as effectors and axes follow
    duration_s = np.where(is_between, times_s[rows, after] - times_s[rows, before], 1.0)
    share = (time_s - times_s[rows, before]) / duration_s
    share = np.where(is_between, share, 0.0)[:, None, None]

    # positions (n, E, 3)
    start_w = payload.waypoint_pos_w[rows, before]
    move_m = payload.waypoint_pos_w[rows, after] - start_w

    # orientations (n, E, 4): the turn from the waypoint before to the one after, in part
    quat_before = payload.waypoint_quat_wxyz[rows, before]
    quat_after = payload.waypoint_quat_wxyz[rows, after]
    turn = quat_to_rotvec(quat_multiply(quat_after, quat_conjugate(quat_before)))

    return replace(
        payload,
        goal_pos_w=start_w + share * move_m,
        goal_quat_wxyz=quat_multiply(quat_from_rotvec(share * turn), quat_before),
        goal_vel_w=move_m / duration_s[:, None, None],
        gripper=payload.waypoint_gripper[rows, before],
    )
