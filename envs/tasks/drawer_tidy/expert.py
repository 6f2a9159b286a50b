"""The scripted planner of DrawerTidy.

It decides from the present state alone, so that it recovers from whatever happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from embodied.arrays import dot
from embodied.core import SKILLS, Array, Controller, Layout, Payload, Planner
from embodied.envs.skills.scripted import (
    Readings,
    around_column,
    make_payload,
    pointing_down,
    scripted_expert,
    with_z,
)
from embodied.envs.skills.top_grasp import TopGrasp, top_grasp
from embodied.envs.tasks.drawer_tidy.expert_facts import OPEN_M, ExpertFacts
from embodied.envs.tasks.drawer_tidy.scene import DRAWERS_SIZE
from embodied.robots.parts.gripper import PALM_M
from embodied.robots.robot import Robot

TOP_Z = DRAWERS_SIZE.top_z
# The hand grips this far above the handle's middle, so that the palm clears the
# worktop.
HANDLE_UP_M = 0.007
# The handle's width between the pads.
HANDLE_SPAN_M = 0.050
# The largest error of the hand from the grip along x, y and z, to close on the handle.
AT_HANDLE_M = (0.012, 0.018, 0.014)
# A gripper holds the handle if its width is at most this much below or above the
# handle's.
NARROWER_M = 0.008
WIDER_M = 0.0025
# How far the drawer is pulled open: the goal, near enough to it to let go, and enough
# to put a thing in.
PULLED_M = 0.200
ALMOST_PULLED_M = PULLED_M - 0.004
ENOUGH_M = 0.155
# How far the drawer is still open when it need not be closed, and when pushing ends.
CLOSED_M = 0.006
SHUT_M = 0.002
# The hand aims this much farther, because the handle slips between the pads.
BEYOND_M = 0.010
# Where things are put in the drawer, from its front and aside. The first spot is taken
# that has this much room around it.
SPOT_X_M = 0.088
SPOTS_Y_M = (0.050, -0.050, 0.028, -0.028, 0.0)
SPOT_ROOM_M = 0.085
# Where things are put back on the counter, and the room that the fingers need there.
COUNTER_XY_W = (
    (-0.04, 0.54),
    (0.085, 0.54),
    (0.21, 0.54),
    (0.335, 0.54),
    (0.02, 0.66),
    (0.15, 0.66),
    (0.27, 0.63),
)
COUNTER_ROOM_M = 0.11
# The TCP's height at which empty fingers pass over all that stands.
CLEAR_Z_W = 0.885
# How high above the worktop the underside of a held thing travels.
CARRY_M = 0.105
# On the way: the largest turn about the robot's column between two goals, and the
# distances from the column.
TURN_RAD = 0.5
RADIUS_M = (0.46, 0.60)
# The largest error of the hand beside the goal to go down, at the goal to close, and of
# its yaw.
NEAR_M = 0.010
ON_M = 0.010
ALIGNED_COS = 0.995
# The hand is too low to travel if it is this far below the travel height. A thing has
# landed when the hand is this near to its goal's height.
LOW_M = 0.030
LANDED_M = 0.006
# How far above the floor a thing is let go, and the palm stays above its neighbours.
ABOVE_FLOOR_M = 0.003
ABOVE_NEIGHBOUR_M = 0.005
# The width of the open gripper, and by how much it opens to let go beside other things.
WIDTH_M = 0.08
EASE_M = 0.012


@dataclass(frozen=True)
class Step:
    """What the hand may do next in n worlds, and in which of them it is time for it."""

    when: Array  # (n,) bool
    skill: Array  # (n,) index into SKILLS
    pos: Array  # (n, 3) m, of the tool centre point
    yaw: Array  # (n,) rad, of the hand
    width: Array  # (n,) m, of the gripper


def drawer_tidy_expert(
    agent_layout: Layout, state_layout: Layout, robot: Robot
) -> tuple[Planner, Controller]:
    """Returns planner and controller of the expert, which knows the robot's palm."""
    palm_m = robot.gripper_of(robot.effectors[0]).palm_m
    return scripted_expert(
        partial(decide, palm_m=palm_m), agent_layout, state_layout, robot
    )


def decide(
    xp: Any, agent: Readings, state: Readings, palm_m: float = PALM_M
) -> Payload:
    """Returns the plans for n worlds."""
    facts = ExpertFacts.read(xp, agent, state)
    step = _choose(xp, facts, palm_m)
    return make_payload(
        skill=step.skill,
        pos_w=step.pos,
        quat_wxyz=pointing_down(xp, step.yaw),
        # from a width to a command: -1 closed, 1 open
        gripper=xp.clip(step.width / WIDTH_M, 0.0, 1.0) * 2 - 1,
        completion=_completion(xp, facts),
    )


def _completion(xp: Any, facts: ExpertFacts) -> Array:
    """Returns the completion (n,): opening and closing are 1/6 each, filling is 2/3."""
    share_open = xp.clip(facts.opening / OPEN_M, 0.0, 1.0)
    filling = share_open / 6 + facts.share_in * 2 / 3
    return xp.where(facts.is_all_in, 1.0 - share_open / 6, filling)


def _choose(xp: Any, facts: ExpertFacts, palm_m: float) -> Step:
    """Returns for each world the last of the possible steps that it is time for."""
    thing = facts.thing
    grasp = top_grasp(
        thing.pos, thing.rot6d, thing.size, thing.is_round, facts.others, TOP_Z, palm_m
    )
    pull_or_push, let_go = _work_drawer(xp, facts)
    steps = [
        _pick(xp, facts, grasp),
        pull_or_push,
        let_go,
        _bring(xp, facts, grasp, palm_m),
    ]
    # begin with the step that is always possible; later ones take its place
    chosen = _rest(xp, facts)
    for step in steps:
        rows = step.when[:, None]
        chosen = Step(
            when=chosen.when,  # everywhere
            skill=xp.where(step.when, step.skill, chosen.skill),
            pos=xp.where(rows, step.pos, chosen.pos),
            yaw=xp.where(step.when, step.yaw, chosen.yaw),
            width=xp.where(step.when, step.width, chosen.width),
        )
    return chosen


def _rest(xp: Any, facts: ExpertFacts) -> Step:
    """Returns the step for want of another, such as when all is done: the hand goes up.

    It is possible in all worlds.
    """
    opening = facts.opening
    return Step(
        when=xp.ones_like(facts.thing.is_held),  # bool
        skill=xp.full(opening.shape, SKILLS.index("retreat"), dtype=xp.int64),
        pos=with_z(xp, facts.hand.tcp, xp.full_like(opening, CLEAR_Z_W)),
        yaw=_hand_yaw(xp, facts),
        width=xp.full_like(opening, WIDTH_M),
    )


def _pick(xp: Any, facts: ExpertFacts, grasp: TopGrasp) -> Step:
    """Returns the step towards a grasp: over the thing, down, and close on it."""
    hand = facts.hand
    clear_z = xp.full_like(facts.opening, CLEAR_Z_W)
    pos, yaw, is_ready = _way(xp, facts, grasp.pos_w, grasp.yaw, clear_z)

    error = hand.tcp - grasp.pos_w
    is_over = dot(error[:, :2], error[:, :2]) < ON_M**2
    is_on = is_ready & is_over & (xp.abs(error[:, 2]) < ON_M)
    is_low = hand.tcp[:, 2] < CLEAR_Z_W - LOW_M

    skill = xp.where(is_low, SKILLS.index("retreat"), SKILLS.index("reach"))
    skill = xp.where(is_ready, SKILLS.index("grasp"), skill)
    # on its way up from between things it opens a little only
    width = xp.where(is_low & ~is_ready, hand.width + EASE_M, grasp.opening)
    return Step(
        when=~facts.thing.is_held & ~facts.is_all_in,
        skill=skill,
        pos=pos,
        yaw=yaw,
        width=xp.where(is_on, 0.0, width),
    )


def _work_drawer(xp: Any, facts: ExpertFacts) -> tuple[Step, Step]:
    """Returns two steps: to pull or push the drawer's handle, and to let go of it."""
    tcp = facts.hand.tcp
    width = facts.hand.width
    opening = facts.opening
    is_all_in = facts.is_all_in
    handle_x, handle_y, handle_z = DRAWERS_SIZE.handle
    grip_in_drawer = xp.asarray([handle_x, handle_y, handle_z + HANDLE_UP_M])
    handle = facts.drawer + grip_in_drawer

    away = xp.abs(tcp - handle)
    x_m, y_m, z_m = AT_HANDLE_M
    is_at_handle = (away[:, 0] < x_m) & (away[:, 1] < y_m) & (away[:, 2] < z_m)
    fingers_are_closed = width < HANDLE_SPAN_M + WIDER_M
    is_gripped = (
        is_at_handle & fingers_are_closed & (width > HANDLE_SPAN_M - NARROWER_M)
    )

    # a handle in the hand is pulled or pushed a little further than needed
    must_open = (opening < OPEN_M) | is_gripped & (opening < ALMOST_PULLED_M)
    must_close = (opening > CLOSED_M) | is_gripped & (opening > SHUT_M)
    must_work = xp.where(is_all_in, must_close, must_open) & ~facts.thing.is_held

    # the hand is not turned; the drawer opens towards -x
    no_turn = xp.zeros_like(opening)
    clear_z = xp.full_like(opening, CLEAR_Z_W)
    pos, yaw, _ = _way(xp, facts, handle, no_turn, clear_z)
    # how far along x the hand has to go from here with the handle: forward until the
    # drawer is shut, or back until it is pulled open
    along = opening + xp.where(is_all_in, BEYOND_M, -PULLED_M - BEYOND_M)
    moved = xp.stack([tcp[:, 0] + along, handle[:, 1], handle[:, 2]], axis=1)

    skill = xp.where(is_at_handle, SKILLS.index("grasp"), SKILLS.index("reach"))
    moving = xp.where(is_all_in, SKILLS.index("push"), SKILLS.index("open"))
    skill = xp.where(is_gripped, moving, skill)
    pull_or_push = Step(
        when=must_work,
        skill=skill,
        pos=xp.where(is_gripped[:, None], moved, pos),
        yaw=yaw,
        width=xp.where(is_at_handle, 0.0, WIDTH_M),
    )

    is_around = is_at_handle & (width < HANDLE_SPAN_M + EASE_M)
    let_go = Step(
        when=is_around & ~facts.thing.is_held & ~must_work,
        skill=xp.full_like(skill, SKILLS.index("release")),
        pos=tcp,
        yaw=no_turn,
        width=xp.full_like(no_turn, WIDTH_M),
    )
    return pull_or_push, let_go


def _bring(xp: Any, facts: ExpertFacts, grasp: TopGrasp, palm_m: float) -> Step:
    """Returns the step that brings what is held into the drawer and sets it down.

    Where the drawer is not open, it is brought back to the counter.
    """
    tcp = facts.hand.tcp
    in_hand = tcp - facts.thing.pos
    hanging = tcp[:, 2] - grasp.bottom_z  # height of the hand above what hangs in it
    is_open = facts.opening > ENOUGH_M
    spot = xp.where(
        is_open[:, None], _spot_in_drawer(xp, facts), _spot_on_counter(xp, facts)
    )

    # the palm is wider than a drawer, so it must stay above what is in it
    above_neighbour = facts.neighbour_top + ABOVE_NEIGHBOUR_M - palm_m
    above_neighbour = xp.where(is_open, above_neighbour, 0.0)
    down_z = xp.maximum(spot[:, 2] + hanging + ABOVE_FLOOR_M, above_neighbour)
    goal = with_z(xp, spot[:, :2] + in_hand[:, :2], down_z)
    yaw_there = xp.where(is_open, 0.0, _hand_yaw(xp, facts))
    carry_z = TOP_Z + CARRY_M + hanging
    pos, yaw, is_ready = _way(xp, facts, goal, yaw_there, carry_z)

    has_landed = is_ready & (tcp[:, 2] < down_z + LANDED_M)
    is_low = tcp[:, 2] < carry_z - LOW_M
    skill = xp.where(is_low, SKILLS.index("lift"), SKILLS.index("carry"))
    skill = xp.where(is_ready, SKILLS.index("place"), skill)
    skill = xp.where(has_landed, SKILLS.index("release"), skill)
    return Step(
        when=facts.thing.is_held,
        skill=skill,
        pos=xp.where(has_landed[:, None], tcp, pos),
        yaw=yaw,
        width=xp.where(has_landed, grasp.span + EASE_M, 0.0),
    )


def _spot_in_drawer(xp: Any, facts: ExpertFacts) -> Array:
    """Returns a place (n, 3) m on the drawer's floor with room for one more thing."""
    spots = [facts.drawer + xp.asarray([SPOT_X_M, y, 0.0]) for y in SPOTS_Y_M]
    return _roomiest(xp, xp.stack(spots, axis=1), facts.others, SPOT_ROOM_M)


def _spot_on_counter(xp: Any, facts: ExpertFacts) -> Array:
    """Returns a place (n, 3) m on the counter where nothing stands."""
    spots = xp.asarray([(x, y, TOP_Z) for x, y in COUNTER_XY_W])  # (S, 3)
    spots = xp.broadcast_to(spots, (facts.opening.shape[0], *spots.shape))
    return _roomiest(xp, spots, facts.others, COUNTER_ROOM_M)


def _roomiest(xp: Any, spots: Array, others: Array, enough_m: float) -> Array:
    """Returns the first spot (n, 3) with enough room, or the one with the most.

    Args:
        xp: The array namespace.
        spots: (n, S, 3) m, the places to choose from.
        others: (n, K, 3) m, what stands around.
        enough_m: The distance from all others that is enough.
    """
    gap = spots[:, :, None, :2] - others[:, None, :, :2]  # (n, S, K, 2)
    room = xp.min(xp.sqrt(dot(gap, gap)), axis=2)  # (n, S)
    # all that have enough are alike, and `argmax` takes the first of them
    room = xp.minimum(room, xp.full_like(room, enough_m))
    return spots[xp.arange(spots.shape[0]), xp.argmax(room, axis=1)]


def _hand_yaw(xp: Any, facts: ExpertFacts) -> Array:
    """Returns the hand's present yaw (n,), rad."""
    return xp.atan2(facts.hand.rot6d[:, 1], facts.hand.rot6d[:, 0])


def _way(
    xp: Any, facts: ExpertFacts, goal: Array, yaw: Array, clear_z: Array
) -> tuple[Array, Array, Array]:
    """Returns the next pose on the way to a goal, which leads up, over and down.

    Args:
        xp: The array namespace.
        facts: The facts.
        goal: (n, 3) m, where the TCP should arrive.
        yaw: (n,) rad, with which it should arrive.
        clear_z: (n,) m, the TCP's height for travelling.

    Returns:
        The TCP's next point (n, 3) m; its yaw there (n,) rad; and (n,) bool, whether the
        hand is above the goal, turned right, so that it may go down.
    """
    tcp = facts.hand.tcp
    present_yaw = _hand_yaw(xp, facts)
    gap = (goal - tcp)[:, :2]  # horizontal
    is_turned = xp.cos(present_yaw - yaw) > ALIGNED_COS
    is_ready = (dot(gap, gap) < NEAR_M**2) & is_turned
    is_low = tcp[:, 2] < clear_z - LOW_M

    up = with_z(xp, tcp, clear_z)
    aside = around_column(xp, tcp, goal, RADIUS_M, TURN_RAD)
    over = with_z(xp, aside, clear_z)
    pos = xp.where(is_low[:, None], up, over)
    pos = xp.where(is_ready[:, None], goal, pos)
    next_yaw = xp.where(is_low & ~is_ready, present_yaw, yaw)
    return pos, next_yaw, is_ready
