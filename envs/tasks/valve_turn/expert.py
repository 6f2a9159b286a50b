"""The scripted expert of ValveTurn: grip the valve's handle, turn it and let go.

Each plan follows from the present state alone, so the expert recovers from whatever
happens. The valve is on the face of a console; the hand approaches it along the face's
normal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from embodied.arrays import dot
from embodied.core import Array
from embodied.envs.skills.face_reach import ASIDE_W, is_aligned, outwards
from embodied.envs.skills.scripted import (
    POINTING_DOWN,
    Readings,
    Row,
    completion_of,
    is_skill,
    last_row,
    make_payload,
)
from embodied.envs.tasks.valve_turn.grasp import grasp_pos_w, grasp_quat_wxyz
from embodied.envs.tasks.valve_turn.scene import CONSOLE
from embodied.plan import Payload
from embodied.rotations import quat_to_rot6d

# The skills in the order of their use, by which completion rises.
ORDER = ("reach", "grasp", "turn", "release", "retreat", "look_at")
# The hand's distance from the grasp, along the face's normal, before it goes to the grasp.
STANDOFF_M = 0.085
# The hand goes to the grasp if its error parallel to the face is below this.
OVER_HANDLE_M = 0.010
# The fingers close if the hand's errors parallel to the face and along its normal are
# below this.
AT_GRASP_M = 0.006
# The fingers are around the handle if the hand's errors are below these: along the
# face's normal, across the handle, and along the handle.
AROUND_OUT_M = 0.02
AROUND_ACROSS_M = 0.012
AROUND_ALONG_M = 0.025
# The hand is near the handle within these distances, parallel to the face and along the
# face's normal.
NEAR_M = 0.04
NEAR_OUT_M = 0.05
# While the hand turns the handle, its goal leads the handle by at most this angle.
LEAD_RAD = 0.15
# A held handle is turned until its angle is at most this far from its target.
STOP_RAD = np.deg2rad(1.2)
# A handle with an error below this is let go and left alone. This limit is larger than
# STOP_RAD, so that a handle that moves a little at the release is not gripped again.
DONE_RAD = np.deg2rad(3.5)
# The gripper command, from -1 for closed to 1 for open, for a width of 50 mm. At this width
# the fingers fit between the hub and the rim of a wheel.
AJAR_COMMAND = 0.25
# A gripper narrower than HELD_WIDTH_M holds a handle; one wider than FREE_WIDTH_M is clear
# of it.
HELD_WIDTH_M = 0.019
FREE_WIDTH_M = 0.030


@dataclass(frozen=True)
class ExpertFacts:
    """What the expert knows of hand and handle in n worlds, (n,) bool each."""

    is_over_handle: Array  # the hand is in front of the grasp and may go to it
    is_at_grasp: Array  # the fingers may close
    is_holding: Array  # the hand holds the handle
    is_near_handle: Array  # the hand is near the handle
    is_gripper_free: Array  # the gripper is wide enough to move away from the handle
    is_at_target: Array  # the handle's error is small enough to stop turning
    is_done: Array  # the handle's error is small enough to leave it alone


def decide(xp: Any, agent: Readings, state: Readings) -> Payload:
    """Returns the plans for n worlds, from proprioception and the privileged state."""
    hub = state["valve_pos_w"]
    angle = state["valve_angle"][:, 0]
    target = state["target_angle"][:, 0]
    is_wheel = state["valve_is_wheel"][:, 0]
    present_grasp = grasp_pos_w(xp, hub, angle, is_wheel)
    facts = _read_facts(xp, agent, grasp=present_grasp, angle=angle, target=target)

    # while the hand turns the handle, its goal leads the handle towards the target
    is_turning = facts.is_holding & ~facts.is_at_target
    next_angle = angle + xp.clip(target - angle, -LEAD_RAD, LEAD_RAD)
    next_angle = xp.where(is_turning, next_angle, angle)
    next_grasp = grasp_pos_w(xp, hub, next_angle, is_wheel)
    skill, goal = _choose(xp, agent["tcp_pos_w"], next_grasp, facts=facts)

    # with the work done, the hand points down, out of the camera's view of the console
    is_finished = is_skill(skill, "look_at")[:, None]
    quat = grasp_quat_wxyz(xp, next_angle)
    is_closing = is_turning | (is_skill(skill, "grasp") & facts.is_at_grasp)
    return make_payload(
        skill=skill,
        pos_w=goal,
        quat_wxyz=xp.where(is_finished, xp.asarray(POINTING_DOWN), quat),
        gripper=xp.where(is_closing, -1.0, AJAR_COMMAND),
        completion=completion_of(xp, ORDER, skill),
    )


def _read_facts(
    xp: Any, agent: Readings, grasp: Array, angle: Array, target: Array
) -> ExpertFacts:
    """Returns the facts of an observation.

    Args:
        xp: The array namespace.
        agent: Proprioception.
        grasp: (n, 3) m, TCP position of the grasp at the handle's present angle.
        angle: (n,) rad, the handle's present angle.
        target: (n,) rad, the handle's target angle.
    """
    # the x and y axes of a hand that grips the handle: x is along the handle, and the
    # fingers open along y, across it
    grasp_rot6d = quat_to_rot6d(grasp_quat_wxyz(xp, angle))
    along_handle = grasp_rot6d[:, :3]
    across_handle = grasp_rot6d[:, 3:]
    width = agent["gripper_width"][:, 0]

    # the hand's position error: along the face's normal, and along both hand axes
    error = agent["tcp_pos_w"] - grasp
    error_out = dot(error, outwards(xp, CONSOLE))
    error_along = xp.abs(dot(error, along_handle))
    error_across = xp.abs(dot(error, across_handle))
    error_in_face = xp.maximum(error_along, error_across)
    is_straight = is_aligned(agent["tcp_rot6d"], grasp_rot6d)

    is_around = (xp.abs(error_out) < AROUND_OUT_M) & (error_across < AROUND_ACROSS_M)
    is_around = is_around & (error_along < AROUND_ALONG_M)
    is_at_grasp = (error_in_face < AT_GRASP_M) & (xp.abs(error_out) < AT_GRASP_M)
    angle_error = xp.abs(target - angle)
    return ExpertFacts(
        is_over_handle=(error_in_face < OVER_HANDLE_M) & is_straight,
        is_at_grasp=is_at_grasp & is_straight,
        is_holding=(width < HELD_WIDTH_M) & is_around,
        is_near_handle=(error_in_face < NEAR_M) & (error_out < NEAR_OUT_M),
        is_gripper_free=width > FREE_WIDTH_M,
        is_at_target=angle_error <= STOP_RAD,
        is_done=angle_error < DONE_RAD,
    )


def _choose(
    xp: Any, tcp: Array, grasp: Array, facts: ExpertFacts
) -> tuple[Array, Array]:
    """Returns the skill (n,), an index into SKILLS, and the hand's goal (n, 3) m.

    Args:
        xp: The array namespace.
        tcp: (n, 3) m, the hand's present position.
        grasp: (n, 3) m, the TCP position for gripping the handle. While the hand turns
            the handle, it is the position for the handle's next angle.
        facts: What the expert knows.
    """
    standoff = grasp + STANDOFF_M * outwards(xp, CONSOLE)
    aside = xp.broadcast_to(xp.asarray(ASIDE_W), standoff.shape)

    is_held = facts.is_holding
    is_turning = is_held & ~facts.is_at_target
    must_grip = ~is_held & ~facts.is_done
    must_leave = ~is_held & facts.is_done
    # the fingers are around the handle and not yet wide enough to leave it
    are_fingers_around = facts.is_near_handle & ~facts.is_gripper_free
    must_release = are_fingers_around & facts.is_done & ~is_turning
    rows = [  # the last row that applies wins
        Row("reach", when=must_grip, goal_w=standoff),
        Row("grasp", when=must_grip & facts.is_over_handle, goal_w=grasp),
        Row("turn", when=is_turning, goal_w=grasp),
        Row("retreat", when=must_leave, goal_w=standoff),
        Row("look_at", when=must_leave & ~facts.is_near_handle, goal_w=aside),
        Row("release", when=must_release, goal_w=tcp),
    ]
    return last_row(xp, rows, otherwise_w=standoff)
