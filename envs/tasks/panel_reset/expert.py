"""The scripted expert of PanelReset: go to the lit lamp's button and press it.

Each plan follows from the present state alone, so the expert recovers from whatever
happens. The buttons are on the face of a console; the hand approaches them along the
face's normal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embodied.arrays import dot, norm
from embodied.core import Array
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
from embodied.plan import Payload
from embodied.robots.parts.gripper import TIP_M
from embodied.rotations import quat_multiply, quat_to_rot6d

# The skills in the order of their use, by which completion rises.
ORDER = ("reach", "press", "retreat", "look_at")
# The fingertip's distance from the button before it presses.
STANDOFF_M = 0.045
# A fingertip farther than this from the button's top, along the face's normal, may move
# to another button.
CLEAR_M = 0.030
# How far the fingertip pushes a button down: past the click, but not onto the stop.
DEPTH_M = 0.0068
# The hand presses if the distance from fingertip to button, parallel to the face, is
# below this.
OVER_BUTTON_M = 0.006
# A lamp shows a fault if its value in the state's `lamps` is above this: 0.5 is a
# warning, 1 a fault.
FAULT_LEVEL = 0.75


@dataclass(frozen=True)
class ExpertFacts:
    """What the expert knows of the button to press and the fingertip in n worlds."""

    top: Array  # (n, 3) m, top of the button while it is not pressed
    # (n, 3) m, from the button to the fingertip, the part parallel to the face
    offset_in_face: Array
    # (n,) bool each
    is_lit: Array  # the button's lamp shows a fault
    is_over: Array  # the fingertip is above the button
    is_clear: Array  # the fingertip is far enough from the face to move sideways
    is_straight: Array  # the hand points straight at the face


def decide(xp: Any, agent: Readings, state: Readings) -> Payload:
    """Returns the plans for n worlds, from proprioception and the privileged state."""
    num = agent["tcp_pos_w"].shape[0]
    # rotation of a hand that points straight at the face
    straight = quat_multiply(face_quat(xp, CONSOLE, num), hand_quat_in_face(xp, num))
    facts = _read_facts(xp, agent, state, straight_rot6d=quat_to_rot6d(straight))
    skill, tip_goal = _choose(xp, facts)

    # with the work done, the hand points down, out of the camera's view of the panel
    is_finished = is_skill(skill, "look_at")[:, None]
    tcp_goal = tip_goal + TIP_M * outwards(xp, CONSOLE)
    return make_payload(
        skill=skill,
        pos_w=xp.where(is_finished, xp.asarray(ASIDE_W), tcp_goal),
        quat_wxyz=xp.where(is_finished, xp.asarray(POINTING_DOWN), straight),
        gripper=xp.full(skill.shape, -1.0),  # closed
        completion=completion_of(xp, ORDER, skill),
    )


def _read_facts(
    xp: Any, agent: Readings, state: Readings, straight_rot6d: Array
) -> ExpertFacts:
    """Returns the facts of an observation.

    Args:
        xp: The array namespace.
        agent: Proprioception.
        state: Privileged state.
        straight_rot6d: (n, 6) x and y axes of a hand that points straight at the face.
    """
    # the console face's axes in the world: to the right, up, and out of the face
    right, up, out = (xp.asarray(axis) for axis in CONSOLE.axes().T)
    rot6d = agent["tcp_rot6d"]

    # the lamp that belongs to the button, found by the button's position on the face
    button = state["button_pos_w"]
    panel_to_button = button - state["panel_pos_w"]
    x_on_face = dot(panel_to_button, right)
    y_on_face = dot(panel_to_button, up)
    lamp = lamp_of_button(xp, xp.stack([x_on_face, y_on_face], axis=1))
    light = state["lamps"][xp.arange(lamp.shape[0]), lamp]

    # the top of the button while it is not pressed, which is BUTTON_TOP_M above the face
    depth = BUTTON_TOP_M - dot(panel_to_button, out)  # how far the button is pressed
    top = button + depth[:, None] * out

    # from the button's top to the fingertip: along the face's normal, and in the face
    offset = fingertip_w(agent["tcp_pos_w"], rot6d) - top
    height = dot(offset, out)
    offset_in_face = offset - height[:, None] * out
    return ExpertFacts(
        top=top,
        offset_in_face=offset_in_face,
        is_lit=light > FAULT_LEVEL,
        is_over=norm(offset_in_face) < OVER_BUTTON_M,
        is_clear=height > CLEAR_M,
        is_straight=is_aligned(rot6d, straight_rot6d),
    )


def _choose(xp: Any, facts: ExpertFacts) -> tuple[Array, Array]:
    """Returns the skill (n,), an index into SKILLS, and the fingertip's goal (n, 3) m.

    The goal of `look_at` is not used, because `decide` then sends the hand aside.
    """
    # the goals: in front of the button, and as deep as a press needs
    out = outwards(xp, CONSOLE)
    standoff = facts.top + STANDOFF_M * out
    pressed = facts.top - DEPTH_M * out
    # straight away from the face, so that the fingertip touches no other button
    straight_out = facts.top + facts.offset_in_face + STANDOFF_M * out

    may_press = facts.is_lit & facts.is_over & facts.is_straight
    must_clear = ~facts.is_clear & ~facts.is_over
    rows = [  # the last row that applies wins
        Row("reach", when=facts.is_lit, goal_w=standoff),
        Row("retreat", when=~facts.is_lit, goal_w=standoff),
        Row("look_at", when=~facts.is_lit & facts.is_clear, goal_w=standoff),
        Row("retreat", when=must_clear, goal_w=straight_out),
        Row("press", when=may_press, goal_w=pressed),
    ]
    return last_row(xp, rows, otherwise_w=standoff)
