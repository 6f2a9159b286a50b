"""The scripted expert of WeighPack: weigh the item, pack it, shut the box's flap.

The hand puts the item on the scale, waits for the display, puts the item into the box that
the display shows, and pushes that box's flap shut. Like a learned policy, the expert knows
the item's box from the display alone.

Each plan follows from the present state alone, so the expert recovers from whatever
happens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from embodied.arrays import dot, norm
from embodied.core import Array
from embodied.envs.props.packing_box import CLOSED_RAD, OPEN_RAD
from embodied.envs.skills.fingertip import fingertip_w
from embodied.envs.skills.scripted import (
    Readings,
    Row,
    around_column,
    completion_of,
    is_skill,
    last_row,
    make_payload,
    pointing_down,
    with_z,
)
from embodied.envs.skills.top_grasp import TopGrasp, top_grasp
from embodied.envs.tasks.weigh_pack.facts import GRIP_DOWN_M, PUSH_AT_M
from embodied.envs.tasks.weigh_pack.scene import BOX, PACKING_TABLE, SCALE
from embodied.plan import Payload
from embodied.robots.parts.gripper import TIP_M
from embodied.rotations import angle_modulo

# The skills in the order of their use, by which completion rises; in "look_at" the hand
# waits for the display.
ORDER = ("reach", "grasp", "lift", "carry", "place", "release", "look_at")
# The hand's height above the grip before it goes down, and while the item is weighed.
HOVER_M = 0.08
# The hand goes down to the grip when its horizontal error is below NEAR_M, and the sine of
# its yaw error is below YAW_SIN.
NEAR_M = 0.012
YAW_SIN = 0.10
# The fingers close when the hand's error is below this, horizontally and vertically.
AT_GRIP_M = 0.008
# The gripper holds the item if it is at most this much narrower or wider than the item,
# and the hand's errors to the grip are below IN_HAND_M.
NARROWER_M = 0.006
WIDER_M = 0.003
IN_HAND_M = 0.025
# The height of the item's underside above the boxes' rims while it is carried.
TRAVEL_M = 0.05
# An item, or a hand, that sags at most this far below its travel height may travel.
SAG_M = 0.03
# The item is lowered when its horizontal error to its place is below this.
OVER_PLACE_M = 0.010
# An item that is already down is released if its horizontal error is below this, rather
# than lifted again.
PLACED_M = 0.030
# The item is down if its underside is at most this high above its place.
SET_DOWN_M = 0.005
# The goal for setting the item down is this far below its place, so that the item surely
# gets there.
PRESS_M = 0.002
# The item is in the box that the display shows if its centre is at most IN_BOX_M from the
# middle of the box's floor, along x and along y, and its underside is at most ON_FLOOR_M
# above the floor. The same height counts as standing on the scale's pan.
IN_BOX_M = 0.06
ON_FLOOR_M = 0.02
# The TCP height at which an empty hand clears the open flaps.
CLEAR_Z_W = PACKING_TABLE.top_z + 0.27
# The closed fingers come down this far behind the outer face of the flap, in order to push
# the flap from there.
BEHIND_M = 0.055
# The fingertips stay this far from the flap's middle plane while they push: half their
# thickness and half the flap's.
FINGER_M = 0.012
# The hand is over the point behind the flap if its horizontal error is below this.
AT_FLAP_M = 0.015
# The fingertips may push while they are at most this far from the point where they push,
# along the flap and along its hinge.
TOUCH_M = 0.040
# The goal of a hand that pushes is where the flap will be after this angle.
AHEAD_RAD = 0.35
# A hand farther than this from the grip, horizontally, rises before it travels.
FAR_M = 0.10
# Waypoints around the robot's column: the largest angle about the column from one waypoint
# to the next, and the range of their distances from the column.
WAYPOINT_RAD = 0.8
RADIUS_M = (0.42, 0.64)
# A point far from everything, m, given as the only neighbour of an item without any.
NOWHERE_W = (9.0, 9.0, 0.0)


@dataclass(frozen=True)
class ExpertFacts:
    """What the expert knows of hand, item, scale and boxes in n worlds."""

    tcp: Array  # (n, 3) m
    item: Array  # (n, 3) m, centre of the item
    grip: Array  # (n, 3) m, TCP position for taking the item
    place: Array  # (n, 3) m, where the middle of the item's underside goes
    yaw: Array  # (n,) rad, of the hand at its next goal
    underside_z: Array  # (n,) m, height of the item's underside
    # about the item, (n,) bool each
    is_held: Array
    is_weighed: Array  # the display shows a box
    is_on_pan: Array  # the item is on the scale
    is_over_place: Array  # the item may be lowered
    is_set_down: Array  # the item is at its place and may be released
    is_packed: Array  # the item is in the box that the display shows
    # about the hand, (n,) bool each
    is_hand_far: Array  # the hand is far from the grip
    is_hand_over_grip: Array  # the hand may go down to the grip
    is_hand_at_grip: Array  # the fingers may close
    is_hand_high: Array  # the hand clears the open flaps


@dataclass(frozen=True)
class FlapFacts:
    """What the expert knows of the flap to be closed, in n worlds."""

    behind: Array  # (n, 3) m, where the fingertips come down behind the flap
    pushed: Array  # (n, 3) m, the goal of fingertips that push the flap
    share_shut: Array  # (n,) in [0, 1], how far the flap is shut
    # (n,) bool each
    is_shut: Array
    is_hand_over: Array  # the fingertips are over the point behind the flap
    is_hand_near: Array  # the fingertips may push


def decide(xp: Any, agent: Readings, state: Readings) -> Payload:
    """Returns the plans for n worlds, from proprioception and the privileged state."""
    facts = _read_facts(xp, agent, state)
    flap = _read_flap(xp, agent, state)
    skill, pos = _choose(xp, facts, flap)

    # the fingers close to grasp and to hold the item; and once the item is packed and the
    # hand has risen, to push the flap
    is_closing = is_skill(skill, "grasp") & facts.is_hand_at_grip
    is_closing = is_closing | (facts.is_held & ~is_skill(skill, "release"))
    is_off_to_flap = facts.is_packed & ~facts.is_held & ~is_skill(skill, "retreat")
    return make_payload(
        skill=skill,
        pos_w=pos,
        quat_wxyz=pointing_down(xp, facts.yaw),
        gripper=xp.where(is_closing | is_off_to_flap, -1.0, 1.0),
        completion=_completion(xp, facts, flap, skill),
    )


def _read_facts(xp: Any, agent: Readings, state: Readings) -> ExpertFacts:
    """Returns the facts of an observation, all but those of the flap."""
    tcp = agent["tcp_pos_w"]
    rot6d = agent["tcp_rot6d"]
    item = state["item_pos_w"]
    grasp = _grasp(xp, state)
    grip = with_z(xp, item, grasp.top_z - GRIP_DOWN_M)

    # the hand's error to the grip, and whether the item is in the hand
    width = agent["gripper_width"][:, 0]
    is_closed = (width > grasp.span - NARROWER_M) & (width < grasp.span + WIDER_M)
    error = tcp - grip
    error_xy = norm(error[:, :2])
    error_z = xp.abs(error[:, 2])
    is_held = is_closed & (error_xy < IN_HAND_M) & (error_z < IN_HAND_M)

    # the hand's yaw must agree with the grip's, modulo half a turn, since fingers are alike
    grip_yaw = angle_modulo(grasp.yaw, math.pi)
    hand_yaw = xp.atan2(rot6d[:, 1], rot6d[:, 0])
    is_aligned = xp.abs(xp.sin(hand_yaw - grip_yaw)) < YAW_SIN

    # whether the item is on the scale's pan
    pan = state["pan_pos_w"]
    from_pan = xp.abs(item - pan)
    is_over_pan = xp.maximum(from_pan[:, 0], from_pan[:, 1]) < SCALE.pan_half
    is_on_pan = is_over_pan & (grasp.bottom_z - pan[:, 2] < ON_FLOOR_M)

    # the item's place is on the pan or, once the item is weighed, in the box that the
    # display shows
    is_weighed = state["weighed"][:, 0] > 0.5  # the state holds 0 or 1
    place = state["asked_pos_w"]
    aside = norm((item - place)[:, :2])  # horizontal distance from the place
    above = grasp.bottom_z - place[:, 2]  # height above the place
    from_place = xp.abs(item - place)
    is_in_box = xp.maximum(from_place[:, 0], from_place[:, 1]) < IN_BOX_M
    is_packed = is_weighed & is_in_box & (above < ON_FLOOR_M)
    return ExpertFacts(
        tcp=tcp,
        item=item,
        grip=grip,
        place=place,
        # an item in the hand is brought to yaw 0, and so is the hand that pushes the flap
        yaw=xp.where(is_held | is_packed, 0.0, grip_yaw),
        underside_z=grasp.bottom_z,
        is_held=is_held,
        is_weighed=is_weighed,
        is_on_pan=is_on_pan,
        is_over_place=aside < OVER_PLACE_M,
        is_set_down=(aside < PLACED_M) & (above < SET_DOWN_M),
        is_packed=is_packed,
        is_hand_far=error_xy > FAR_M,
        is_hand_over_grip=(error_xy < NEAR_M) & is_aligned,
        is_hand_at_grip=(error_xy < AT_GRIP_M) & (error_z < AT_GRIP_M) & is_aligned,
        is_hand_high=tcp[:, 2] > CLEAR_Z_W - SAG_M,
    )


def _grasp(xp: Any, state: Readings) -> TopGrasp:
    """Returns the grasp of the item from above, as if nothing stood around it."""
    item = state["item_pos_w"]
    nothing = xp.broadcast_to(xp.asarray(NOWHERE_W), (item.shape[0], 1, 3))
    return top_grasp(
        pos_w=item,
        rot6d=state["item_rot6d"],
        size=state["item_size"],
        is_round=xp.zeros_like(item[:, 0]) > 0,  # false in all worlds: it is a box
        others_w=nothing,
        table_z_w=PACKING_TABLE.top_z,
    )


def _read_flap(xp: Any, agent: Readings, state: Readings) -> FlapFacts:
    """Returns the facts of the flap of the box that the display shows."""
    angle = state["asked_flap"][:, 0]
    hinge = state["asked_pos_w"] + xp.asarray(BOX.hinge)
    tip = fingertip_w(agent["tcp_pos_w"], agent["tcp_rot6d"], TIP_M)

    # The fingertips come to the point `behind`, off the flap's outer face. The outer face
    # of a flap that leans back looks down, but the point is never lower than where the
    # fingertips push, because lower down the palm would touch others.
    along, outwards = _flap_axes(xp, angle)
    push_at = hinge + PUSH_AT_M * along
    not_down = xp.maximum(outwards[:, 2], xp.zeros_like(angle))
    behind = push_at + BEHIND_M * with_z(xp, outwards, not_down)

    # The fingertips may push when they are near `push_at`, on the flap's outer side. The
    # flap's hinge runs along y.
    offset = tip - push_at
    off_face = dot(offset, outwards)
    is_near_along = xp.abs(dot(offset, along)) < TOUCH_M
    is_near_across = xp.abs(offset[:, 1]) < TOUCH_M
    is_outside = (off_face > 0) & (off_face < BEHIND_M + AT_FLAP_M)

    # the goal of fingertips that push: where the flap will be on its way to angle 0, shut
    next_angle = xp.maximum(angle - AHEAD_RAD, xp.zeros_like(angle))
    next_along, next_outwards = _flap_axes(xp, next_angle)
    return FlapFacts(
        behind=behind,
        pushed=hinge + PUSH_AT_M * next_along + FINGER_M * next_outwards,
        share_shut=xp.clip(1.0 - angle / OPEN_RAD, 0.0, 1.0),
        is_shut=angle < CLOSED_RAD / 2,
        is_hand_over=norm((tip - behind)[:, :2]) < AT_FLAP_M,
        is_hand_near=is_near_along & is_near_across & is_outside,
    )


def _flap_axes(xp: Any, angle: Array) -> tuple[Array, Array]:
    """Returns two directions (n, 3) of flaps at these angles (n,) rad; 0 is shut.

    Returns:
        The direction along each flap from its hinge, and the outward normal of the flap.
    """
    zero = xp.zeros_like(angle)
    along = xp.stack([xp.cos(angle), zero, xp.sin(angle)], axis=1)
    outwards = xp.stack([-xp.sin(angle), zero, xp.cos(angle)], axis=1)
    return along, outwards


def _choose(xp: Any, facts: ExpertFacts, flap: FlapFacts) -> tuple[Array, Array]:
    """Returns the skill (n,), an index into SKILLS, and the TCP's goal (n, 3) m."""
    tcp = facts.tcp
    item_to_hand = tcp - facts.item
    underside_to_hand = tcp[:, 2] - facts.underside_z
    up = xp.asarray([0.0, 0.0, 1.0])
    clear_z = xp.full_like(tcp[:, 2], CLEAR_Z_W)

    # goals of a hand with the item: up, over the item's place, down to the place
    travel_z = PACKING_TABLE.top_z + BOX.height + TRAVEL_M
    lifted = with_z(xp, tcp, travel_z + underside_to_hand)
    carried = _around(xp, tcp, facts.place + item_to_hand)
    carried = with_z(xp, carried, travel_z + underside_to_hand)
    lowered_z = facts.place[:, 2] - PRESS_M + underside_to_hand
    lowered = with_z(xp, facts.place + item_to_hand, lowered_z)

    # goals of an empty hand: over the item, up, over the point behind the flap, and down
    # to that point
    hover = facts.grip + up * HOVER_M
    over_item = with_z(xp, _around(xp, tcp, hover), clear_z)
    raised = with_z(xp, tcp, clear_z)
    behind = flap.behind + up * TIP_M
    over_flap = with_z(xp, _around(xp, tcp, behind), clear_z)

    # when the rows of the decision table apply
    is_held = facts.is_held
    is_low = facts.underside_z < travel_z - SAG_M
    may_place = is_held & facts.is_over_place
    is_weighing = ~is_held & facts.is_on_pan & ~facts.is_weighed
    must_shut = facts.is_packed & ~is_held  # what remains is the flap
    may_push = must_shut & flap.is_hand_near & ~flap.is_shut
    must_rise = ~facts.is_hand_high & ~flap.is_hand_over
    is_away = ~is_held & facts.is_hand_far
    rows = [  # the last row that applies wins
        Row("reach", when=~is_held, goal_w=hover),
        Row("reach", when=is_away, goal_w=over_item),
        Row("retreat", when=is_away & ~facts.is_hand_high, goal_w=raised),
        Row("grasp", when=~is_held & facts.is_hand_over_grip, goal_w=facts.grip),
        Row("look_at", when=is_weighing, goal_w=hover),
        Row("lift", when=is_held & is_low, goal_w=lifted),
        Row("carry", when=is_held & ~is_low, goal_w=carried),
        Row("place", when=may_place, goal_w=lowered),
        Row("release", when=is_held & facts.is_set_down, goal_w=tcp),
        Row("retreat", when=must_shut & must_rise, goal_w=raised),
        Row("reach", when=must_shut & ~must_rise, goal_w=over_flap),
        Row("reach", when=must_shut & flap.is_hand_over, goal_w=behind),
        Row("push", when=may_push, goal_w=flap.pushed + up * TIP_M),
        Row("retreat", when=must_shut & flap.is_shut, goal_w=raised),
    ]
    return last_row(xp, rows, otherwise_w=hover)


def _around(xp: Any, tcp: Array, goal: Array) -> Array:
    """Returns the next waypoint (n, 3) m to a goal, around the robot's column."""
    return around_column(xp, tcp, goal, radius_m=RADIUS_M, turn_rad=WAYPOINT_RAD)


def _completion(xp: Any, facts: ExpertFacts, flap: FlapFacts, skill: Array) -> Array:
    """Returns the completion (n,) of the task, from 0 to 1.

    Weighing counts 0.4, bringing the item to its box 0.45, and closing the flap 0.15.

    Args:
        xp: the array namespace.
        facts: what the expert knows of hand, item and boxes.
        flap: what the expert knows of the flap.
        skill: (n,) the present skills, as indices into SKILLS.
    """
    # how far the present pick-and-place is: to the scale, or from there to the box
    share = completion_of(xp, ORDER, skill)
    before_packed = xp.where(facts.is_weighed, 0.4 + 0.45 * share, 0.4 * share)
    return xp.where(facts.is_packed, 0.85 + 0.15 * flap.share_shut, before_packed)
