"""The scripted expert of DrawerTidy: open the drawer, fill it, close it.

Each plan follows from the present state alone, so the expert recovers from whatever
happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from embodied.arrays import dot
from embodied.core import SKILLS, Array, Layout
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
from embodied.envs.tasks.drawer_tidy.spots import spot_in_drawer, spot_on_counter
from embodied.plan import Controller, Payload, Planner
from embodied.robots.parts.gripper import PALM_M
from embodied.robots.robot import Robot

# The height in the world of the worktop and of the counter, m.
TOP_Z = DRAWERS_SIZE.top_z
# The hand grips this far above the handle's middle, so that the palm clears the
# worktop.
HANDLE_UP_M = 0.007
# The handle's width between the pads.
HANDLE_SPAN_M = 0.050
# The fingers close when the hand's error to the grip on the handle is below this along
# x, y and z.
AT_HANDLE_M = (0.012, 0.018, 0.014)
# The gripper holds the handle if it is at most this much narrower or wider than the
# handle.
NARROWER_M = 0.008
WIDER_M = 0.0025
# The goal for the drawer's opening when the hand pulls it.
PULLED_M = 0.200
# The hand lets go of the handle when the drawer is open at least this far.
ALMOST_PULLED_M = PULLED_M - 0.004
# A thing is put into the drawer only while the drawer is open at least this far.
ENOUGH_M = 0.155
# A drawer that is open less than this need not be closed.
CLOSED_M = 0.006
# Once the hand pushes a drawer, it goes on until the drawer is open less than this.
SHUT_M = 0.002
# The hand pulls and pushes this much farther than the drawer should go, because the
# handle slips between the pads.
BEYOND_M = 0.010
# The TCP height at which an empty hand passes over everything that stands there.
CLEAR_Z_W = 0.885
# The height of a held thing's underside above the worktop while it is carried.
CARRY_HEIGHT_M = 0.105
# Waypoints around the robot's column: the largest angle about the column from one waypoint
# to the next, and the range of their distances from the column.
WAYPOINT_RAD = 0.5
RADIUS_M = (0.46, 0.60)
# The hand goes down to its goal when its horizontal error is below this.
NEAR_M = 0.010
# The fingers close on a thing when the hand's error to the grasp is below this,
# horizontally and vertically.
AT_GRASP_M = 0.010
# The hand goes down only if the cosine of its yaw error is above this.
ALIGNED_COS = 0.995
# A hand more than this below its travel height rises before it travels.
LOW_M = 0.030
# A held thing has landed when the hand is at most this far above the height at which it
# lets go.
LANDED_M = 0.006
# A thing is let go this far above the drawer's floor or the worktop.
ABOVE_FLOOR_M = 0.003
# The palm stays this far above neighbouring things.
ABOVE_NEIGHBOUR_M = 0.005
# The width of the open gripper.
WIDTH_M = 0.08
# How much the gripper widens to let go of a thing: so little that its fingers do not push
# neighbouring things.
EASE_M = 0.012


@dataclass(frozen=True)
class Step:
    """A step that the hand could take next in n worlds."""

    when: Array  # (n,) bool, the worlds in which the step is due
    skill: Array  # (n,) index into SKILLS
    pos: Array  # (n, 3) m, goal of the tool centre point
    yaw: Array  # (n,) rad, goal of the hand's yaw
    width: Array  # (n,) m, goal of the gripper's width


@dataclass(frozen=True)
class Waypoint:
    """The next point on a route of the hand in n worlds."""

    pos: Array  # (n, 3) m, of the tool centre point
    yaw: Array  # (n,) rad, of the hand
    may_descend: Array  # (n,) bool, the hand is over its goal with the right yaw


def drawer_tidy_expert(
    agent_layout: Layout, state_layout: Layout, robot: Robot
) -> tuple[Planner, Controller]:
    """Returns planner and controller of the expert, adapted to the robot's palm."""
    # grasps must keep the palm off the things below it
    palm_m = robot.gripper_of(robot.effectors[0]).palm_m
    return scripted_expert(
        partial(decide, palm_m=palm_m), agent_layout, state_layout, robot
    )


def decide(
    xp: Any, agent: Readings, state: Readings, palm_m: float = PALM_M
) -> Payload:
    """Returns the plans for n worlds.

    Args:
        xp: the array namespace.
        agent: proprioception.
        state: privileged state.
        palm_m: height of the robot's palm above its TCP, which limits how low the hand
            may go over a thing.
    """
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
    """Returns the completion (n,) of the task, from 0 to 1.

    Opening the drawer counts 1/6, filling it 2/3, and closing it 1/6.
    """
    share_open = xp.clip(facts.opening / OPEN_M, 0.0, 1.0)
    before_closing = share_open / 6 + facts.share_in * 2 / 3
    # once the things are in, an open drawer counts 5/6 and a closed one 1
    while_closing = 1.0 - share_open / 6
    return xp.where(facts.is_all_in, while_closing, before_closing)


def _choose(xp: Any, facts: ExpertFacts, palm_m: float) -> Step:
    """Returns the step to take in each world: the last of the steps that are due."""
    thing = facts.thing
    grasp = top_grasp(
        pos_w=thing.pos,
        rot6d=thing.rot6d,
        size=thing.size,
        is_round=thing.is_round,
        others_w=facts.others,
        table_z_w=TOP_Z,
        palm_m=palm_m,
    )
    pull_or_push, release = _move_drawer(xp, facts)
    steps = [
        _pick(xp, facts, grasp),
        pull_or_push,
        release,
        _bring(xp, facts, grasp, palm_m),
    ]
    # begin with the step that is always due; each later step that is due replaces it
    chosen = _default_step(xp, facts)
    for step in steps:
        is_due = step.when[:, None]
        chosen = Step(
            when=chosen.when,  # true in all worlds
            skill=xp.where(step.when, step.skill, chosen.skill),
            pos=xp.where(is_due, step.pos, chosen.pos),
            yaw=xp.where(step.when, step.yaw, chosen.yaw),
            width=xp.where(step.when, step.width, chosen.width),
        )
    return chosen


def _default_step(xp: Any, facts: ExpertFacts) -> Step:
    """Returns the step for worlds where no other step is due: raise the open hand.

    At the end, for example, no other step is due. This step counts as due in all worlds.
    """
    opening = facts.opening
    return Step(
        when=xp.ones_like(facts.thing.is_held),  # all true: `is_held` is bool
        skill=xp.full(opening.shape, SKILLS.index("retreat"), dtype=xp.int64),
        pos=with_z(xp, facts.hand.tcp, xp.full_like(opening, CLEAR_Z_W)),
        yaw=_hand_yaw(xp, facts),
        width=xp.full_like(opening, WIDTH_M),
    )


def _pick(xp: Any, facts: ExpertFacts, grasp: TopGrasp) -> Step:
    """Returns the step that grasps the next thing: go over the thing, down, and close."""
    hand = facts.hand
    clear_z = xp.full_like(facts.opening, CLEAR_Z_W)
    route = _route(xp, facts, goal=grasp.pos_w, yaw=grasp.yaw, clear_z=clear_z)

    # where the hand is on its way: at the grasp, or still low beside other things
    error = hand.tcp - grasp.pos_w
    is_over = dot(error[:, :2], error[:, :2]) < AT_GRASP_M**2
    is_at_grasp = route.may_descend & is_over & (xp.abs(error[:, 2]) < AT_GRASP_M)
    is_low = hand.tcp[:, 2] < CLEAR_Z_W - LOW_M

    # a low hand first rises, then travels, and goes down over the thing
    skill = xp.where(is_low, SKILLS.index("retreat"), SKILLS.index("reach"))
    skill = xp.where(route.may_descend, SKILLS.index("grasp"), skill)
    # a hand that rises between other things widens only a little, so as not to push them
    is_rising = is_low & ~route.may_descend
    width = xp.where(is_rising, hand.width + EASE_M, grasp.opening)
    return Step(
        when=~facts.thing.is_held & ~facts.is_all_in,
        skill=skill,
        pos=route.pos,
        yaw=route.yaw,
        width=xp.where(is_at_grasp, 0.0, width),
    )


def _move_drawer(xp: Any, facts: ExpertFacts) -> tuple[Step, Step]:
    """Returns two steps: pulling or pushing the drawer's handle, and releasing the handle.

    The hand pulls the drawer open before the things are in, and pushes it shut afterwards.
    """
    tcp = facts.hand.tcp
    width = facts.hand.width
    opening = facts.opening
    is_all_in = facts.is_all_in

    # the grip on the handle, and whether the hand has it
    handle_x, handle_y, handle_z = DRAWERS_SIZE.handle
    grip_in_drawer = xp.asarray([handle_x, handle_y, handle_z + HANDLE_UP_M])
    grip = facts.drawer + grip_in_drawer
    error = xp.abs(tcp - grip)
    x_m, y_m, z_m = AT_HANDLE_M
    is_at_handle = (error[:, 0] < x_m) & (error[:, 1] < y_m) & (error[:, 2] < z_m)
    is_closed = (width > HANDLE_SPAN_M - NARROWER_M) & (width < HANDLE_SPAN_M + WIDER_M)
    is_gripped = is_at_handle & is_closed

    # once gripped, the handle is moved past the threshold that started the step, so
    # that the step is not due again as soon as the hand lets go
    must_open = (opening < OPEN_M) | (is_gripped & (opening < ALMOST_PULLED_M))
    must_close = (opening > CLOSED_M) | (is_gripped & (opening > SHUT_M))
    must_move = xp.where(is_all_in, must_close, must_open) & ~facts.thing.is_held

    # the way of an empty hand to the handle, with yaw 0
    handle_yaw = xp.zeros_like(opening)
    clear_z = xp.full_like(opening, CLEAR_Z_W)
    route = _route(xp, facts, goal=grip, yaw=handle_yaw, clear_z=clear_z)
    # The goal of a hand that grips the handle. The drawer opens towards -x: the hand moves
    # by `opening` along +x to shut it, and by `PULLED_M - opening` along -x to open it.
    travel = opening + xp.where(is_all_in, BEYOND_M, -PULLED_M - BEYOND_M)
    moved = xp.stack([tcp[:, 0] + travel, grip[:, 1], grip[:, 2]], axis=1)

    # to the handle, close the fingers, and push or pull
    skill = xp.where(is_at_handle, SKILLS.index("grasp"), SKILLS.index("reach"))
    moving_skill = xp.where(is_all_in, SKILLS.index("push"), SKILLS.index("open"))
    skill = xp.where(is_gripped, moving_skill, skill)
    pull_or_push = Step(
        when=must_move,
        skill=skill,
        pos=xp.where(is_gripped[:, None], moved, route.pos),
        yaw=route.yaw,
        width=xp.where(is_at_handle, 0.0, WIDTH_M),
    )

    # once the drawer is where it should be, fingers that are still around the handle open
    are_fingers_around = is_at_handle & (width < HANDLE_SPAN_M + EASE_M)
    release = Step(
        when=are_fingers_around & ~facts.thing.is_held & ~must_move,
        skill=xp.full_like(skill, SKILLS.index("release")),
        pos=tcp,
        yaw=handle_yaw,
        width=xp.full_like(handle_yaw, WIDTH_M),
    )
    return pull_or_push, release


def _bring(xp: Any, facts: ExpertFacts, grasp: TopGrasp, palm_m: float) -> Step:
    """Returns the step that carries the held thing into the drawer and sets it down.

    If the drawer is not open, the thing goes back to the counter.

    Args:
        xp: the array namespace.
        facts: what the expert knows.
        grasp: the grasp of the held thing.
        palm_m: height of the robot's palm above its TCP.
    """
    tcp = facts.hand.tcp
    thing_to_hand = tcp - facts.thing.pos
    tcp_above_bottom = tcp[:, 2] - grasp.bottom_z  # (n,) m, above the thing's underside
    is_open = facts.opening > ENOUGH_M
    spot = xp.where(
        is_open[:, None], spot_in_drawer(xp, facts), spot_on_counter(xp, facts)
    )

    # the TCP height at which the thing is let go: near the floor, but with the palm,
    # which is wider than a drawer, above the other thing in the drawer. On the counter no
    # thing is near, so the limit is 0, which is below the counter.
    above_neighbour = facts.neighbour_top + ABOVE_NEIGHBOUR_M - palm_m
    above_neighbour = xp.where(is_open, above_neighbour, 0.0)
    above_floor = spot[:, 2] + tcp_above_bottom + ABOVE_FLOOR_M
    release_z = xp.maximum(above_floor, above_neighbour)
    goal = with_z(xp, spot[:, :2] + thing_to_hand[:, :2], release_z)
    goal_yaw = xp.where(is_open, 0.0, _hand_yaw(xp, facts))
    carry_z = TOP_Z + CARRY_HEIGHT_M + tcp_above_bottom
    route = _route(xp, facts, goal=goal, yaw=goal_yaw, clear_z=carry_z)

    # up, across, down, and let go there
    has_landed = route.may_descend & (tcp[:, 2] < release_z + LANDED_M)
    is_low = tcp[:, 2] < carry_z - LOW_M
    skill = xp.where(is_low, SKILLS.index("lift"), SKILLS.index("carry"))
    skill = xp.where(route.may_descend, SKILLS.index("place"), skill)
    skill = xp.where(has_landed, SKILLS.index("release"), skill)
    return Step(
        when=facts.thing.is_held,
        skill=skill,
        pos=xp.where(has_landed[:, None], tcp, route.pos),
        yaw=route.yaw,
        width=xp.where(has_landed, grasp.span + EASE_M, 0.0),
    )


def _hand_yaw(xp: Any, facts: ExpertFacts) -> Array:
    """Returns the hand's present yaw (n,), rad."""
    return xp.atan2(facts.hand.rot6d[:, 1], facts.hand.rot6d[:, 0])


def _route(
    xp: Any, facts: ExpertFacts, goal: Array, yaw: Array, clear_z: Array
) -> Waypoint:
    """Returns the next waypoint on a route to a goal: up, across, then down.

    Args:
        xp: The array namespace.
        facts: What the expert knows.
        goal: (n, 3) m, TCP position at the end of the route.
        yaw: (n,) rad, yaw of the hand at the end of the route.
        clear_z: (n,) m, TCP height while the hand travels across.
    """
    tcp = facts.hand.tcp
    present_yaw = _hand_yaw(xp, facts)
    horizontal_error = (goal - tcp)[:, :2]
    is_over = dot(horizontal_error, horizontal_error) < NEAR_M**2
    is_aligned = xp.cos(present_yaw - yaw) > ALIGNED_COS
    may_descend = is_over & is_aligned
    is_low = tcp[:, 2] < clear_z - LOW_M

    up = with_z(xp, tcp, clear_z)
    across = around_column(xp, tcp, goal, radius_m=RADIUS_M, turn_rad=WAYPOINT_RAD)
    across = with_z(xp, across, clear_z)
    pos = xp.where(is_low[:, None], up, across)
    pos = xp.where(may_descend[:, None], goal, pos)
    # a rising hand keeps its yaw, so that it hits nothing beside it
    next_yaw = xp.where(is_low & ~may_descend, present_yaw, yaw)
    return Waypoint(pos=pos, yaw=next_yaw, may_descend=may_descend)
