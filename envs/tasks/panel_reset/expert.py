"""The scripted planner of PanelReset: goes to the lit lamp's button and presses it.

It decides from the present state alone, so that it recovers from whatever happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embodied.arrays import dot
from embodied.core import Array, Payload
from embodied.envs.props.panel import BUTTON_TOP_M, lamp_of_button
from embodied.envs.skills.face_reach import (
    ASIDE_W,
    face_quat,
    hand_quat_in_face,
    is_aligned,
    outwards,
)
from embodied.envs.skills.fingertip import fingertip_w
from embodied.envs.skills.scripted import (
    POINTING_DOWN,
    Readings,
    Row,
    completion_of,
    is_skill,
    last_row,
    make_payload,
)
from embodied.envs.tasks.panel_reset.scene import CONSOLE
from embodied.robots.parts.gripper import TIP_M
from embodied.rotations import quat_multiply, quat_to_rot6d

ORDER = ("reach", "press", "retreat", "look_at")
# How far from a button the fingertip waits, and from where it may go to another one.
STANDOFF_M = 0.045
CLEAR_M = 0.030
# How far the tip presses a button: past the click, but not onto the stop.
DEPTH_M = 0.0068
# The largest error of the tip along the face for pressing.
OVER_M = 0.006
# The value of `lamps` above which a lamp shows a fault.
LIT = 0.75


@dataclass(frozen=True)
class ExpertFacts:
    """What the expert knows of the button to press and the fingertip in n worlds."""

    top: Array  # (n, 3) m, of the button when it is up
    beside: Array  # (n, 3) m, from the button to the tip, along the face
    # (n,) bool each
    is_lit: Array  # the button's lamp shows a fault
    is_over: Array  # the tip is above the button
    is_clear: Array  # the tip is far enough from the face to go anywhere
    is_straight: Array  # the hand points straight at the face


def decide(xp: Any, agent: Readings, state: Readings) -> Payload:
    """Returns the plans for n worlds."""
    num = agent["tcp_pos_w"].shape[0]
    # of a hand that points straight at the face, in the world
    quat = quat_multiply(face_quat(xp, CONSOLE, num), hand_quat_in_face(xp, num))
    facts = _facts(xp, agent, state, quat_to_rot6d(quat))
    skill, tip = _choose(xp, facts)

    is_aside = is_skill(skill, "look_at")[:, None]
    tcp = tip + TIP_M * outwards(xp, CONSOLE)
    return make_payload(
        skill=skill,
        pos_w=xp.where(is_aside, xp.asarray(ASIDE_W), tcp),
        quat_wxyz=xp.where(is_aside, xp.asarray(POINTING_DOWN), quat),
        gripper=xp.full(skill.shape, -1.0),
        completion=completion_of(xp, ORDER, skill),
    )


def _facts(
    xp: Any, agent: Readings, state: Readings, wanted_rot6d: Array
) -> ExpertFacts:
    """Returns the facts of an observation."""
    right, up, out = (xp.asarray(axis) for axis in CONSOLE.axes().T)
    rot6d = agent["tcp_rot6d"]

    # the button, the light of its lamp, and where its top is when nothing presses it:
    # BUTTON_TOP_M out of the face
    button = state["button_pos_w"]
    on_face = button - state["panel_pos_w"]
    xy_on_face = xp.stack([dot(on_face, right), dot(on_face, up)], axis=1)
    lamp = lamp_of_button(xp, xy_on_face)
    light = state["lamps"][xp.arange(lamp.shape[0]), lamp]
    top = button + (BUTTON_TOP_M - dot(on_face, out))[:, None] * out

    # from the button's top to the tip of the fingers: out of the face, and along it
    offset = fingertip_w(agent["tcp_pos_w"], rot6d) - top
    height = dot(offset, out)
    beside = offset - height[:, None] * out
    return ExpertFacts(
        top=top,
        beside=beside,
        is_lit=light > LIT,
        is_over=xp.sqrt(dot(beside, beside)) < OVER_M,
        is_clear=height > CLEAR_M,
        is_straight=is_aligned(rot6d, wanted_rot6d),
    )


def _choose(xp: Any, facts: ExpertFacts) -> tuple[Array, Array]:
    """Returns the skill (n,) and the fingertip's goal (n, 3) m.

    The goal of `look_at` is another one, see `decide`.
    """
    out = outwards(xp, CONSOLE)
    before = facts.top + STANDOFF_M * out
    # out of the face from where the tip is now
    straight_out = facts.top + facts.beside + STANDOFF_M * out
    pressed = facts.top - DEPTH_M * out

    is_ready = facts.is_over & facts.is_straight
    rows = [  # the last that applies wins
        Row("reach", when=facts.is_lit, goal_w=before),
        Row("retreat", when=~facts.is_lit, goal_w=before),
        Row("look_at", when=~facts.is_lit & facts.is_clear, goal_w=before),
        Row("retreat", when=~facts.is_clear & ~facts.is_over, goal_w=straight_out),
        Row("press", when=facts.is_lit & is_ready, goal_w=pressed),
    ]
    return last_row(xp, rows, otherwise_w=before)
