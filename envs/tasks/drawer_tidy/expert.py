"""The privileged planner of DrawerTidy: names the next skill from the present state
alone, so it recovers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embodied.arrays import dot
from embodied.core import SKILLS, Array, Controller, Layout, Payload, Planner
from embodied.envs.props.drawer import DrawersSize
from embodied.envs.skills.driving import Driving
from embodied.envs.skills.goal_servo import GoalServo
from embodied.envs.skills.scripted import (
    Readings,
    ScriptedPlanner,
    around_column,
    make_payload,
    pointing_down,
)
from embodied.envs.skills.top_grasp import PALM_M, TopGrasp, top_grasp
from embodied.robots.robot import Robot

SIZE = DrawersSize()
# of the grip above the handle's middle, so that the palm clears the worktop
HANDLE_UP_M = 0.007
HANDLE_SPAN_M = 0.050
# pulled to; open enough to go for a thing; to put one in
PULLED_M = 0.200
OPEN_M = 0.165
ENOUGH_M = 0.155
# closed enough to let be; pushed to
CLOSED_M = 0.006
SHUT_M = 0.002
# that the hand aims further, for what the handle slips between the pads
BEYOND_M = 0.010
SPOT_X_M = 0.088  # of things in the drawer, from its front
SPOTS_Y_M = (0.050, -0.050, 0.028, -0.028, 0.0)  # the first is taken that has room
SPOT_ROOM_M = 0.085
COUNTER_XY_W = (
    (-0.04, 0.54),
    (0.085, 0.54),
    (0.21, 0.54),
    (0.335, 0.54),
    (0.02, 0.66),
    (0.15, 0.66),
    (0.27, 0.63),
)
OVERHEAD_Z_W = 2.0  # what takes no part hangs there
CLEAR_Z_W = 0.885  # of the TCP: empty fingers pass over all that stands
CARRY_M = 0.105  # of what is held, above the worktop
TURN_RAD = 0.5  # about the robot's column, that one goal on the way covers
RADIUS_M = (0.46, 0.60)  # from the column on the way
# error over the goal to go down; at it to close; of the hand's turn
NEAR_M = 0.010
ON_M = 0.010
ALIGNED_COS = 0.995
# below the height to travel at; above where a thing is let go
LOW_M = 0.030
LANDED_M = 0.006
# of the open gripper; that it opens further to let go beside other things
WIDTH_M = 0.08
EASE_M = 0.012
PITCH_M = 0.11  # of things on the counter, for the fingers to go between


@dataclass(frozen=True)
class Scene:
    """What the planner reads from the state of n worlds."""

    tcp: Array  # (n, 3) m
    hand_rot6d: Array  # (n, 6)
    width: Array  # (n,) m between the pads
    drawer: Array  # (n, 3) m, its frame
    opening: Array  # (n,) m
    pos: Array  # (n, 3) of the thing in question
    rot6d: Array  # (n, 6)
    size: Array  # (n, 3)
    is_round: Array  # (n,) bool
    others: Array  # (n, K, 3) of the other things
    held: Array  # (n,) bool, the thing in question
    neighbour_top: Array  # (n,) m, of the other named thing where that is in the drawer
    done: Array  # (n,) share of the named things that are in the drawer

    @property
    def all_in(self) -> Array:
        """(n,) bool, nothing is left to be put in."""
        return self.done > 0.75


def decide(xp: Any, agent: Readings, state: Readings) -> Payload:
    """Where the hand should go next."""
    scene = _read(xp, agent, state)
    step = _choose(xp, scene)
    gripper = xp.clip(step.width / WIDTH_M, 0.0, 1.0) * 2 - 1
    return make_payload(
        step.skill,
        step.pos,
        pointing_down(xp, step.yaw),
        gripper,
        _completion(xp, scene),
    )


def _read(xp: Any, agent: Readings, state: Readings) -> Scene:
    """With the thing in question: the one in the hand, else that of those not yet in
    the drawer which is lower.
    """
    hand = {
        "tcp": agent["tcp_pos_w"],
        "hand_rot6d": agent["tcp_rot6d"],
        "width": agent["gripper_width"][:, 0],
    }
    parts = []
    inside = []
    held = []
    tops = []
    for k in range(2):
        pos = state["target_pos_w"][:, 3 * k : 3 * k + 3]
        rot6d = state["target_rot6d"][:, 6 * k : 6 * k + 6]
        size = state["target_size"][:, 3 * k : 3 * k + 3]
        parts.append((pos, rot6d, size, state["target_round"][:, k] > 0.5))
        held.append(_held(xp, hand, pos, rot6d, size))
        inside.append(_inside(pos - state["drawer_pos_w"]) & ~held[k])
        tops.append(pos[:, 2] + _half_height(xp, rot6d, size))
    lower = inside[0] | ~inside[1] & (
        state["target_size"][:, 5] < state["target_size"][:, 2]
    )
    second = held[1] | lower & ~held[0] & ~inside[1]
    pos, rot6d, size, is_round = (
        xp.where(second if one.ndim == 1 else second[:, None], other, one)
        for one, other in zip(*parts, strict=True)
    )
    things = xp.reshape(state["things_pos_w"], (pos.shape[0], -1, 3))
    gap = things - pos[:, None, :]
    # it is not in its own way
    nowhere = (dot(gap, gap) < 1e-12) | (things[:, :, 2] > OVERHEAD_Z_W)
    return Scene(
        **hand,
        drawer=state["drawer_pos_w"],
        opening=state["opening"][:, 0],
        pos=pos,
        rot6d=rot6d,
        size=size,
        is_round=is_round,
        others=things + xp.where(nowhere, 10.0, 0.0)[:, :, None],
        held=xp.where(second, held[1], held[0]),
        neighbour_top=xp.where(
            xp.where(second, inside[0], inside[1]),
            xp.where(second, tops[0], tops[1]),
            0.0,
        ),
        done=(1.0 * inside[0] + 1.0 * inside[1]) / 2,
    )


def _half_height(xp: Any, rot6d: Array, size: Array) -> Array:
    """(n,) m from the middle of a box of `size` (n, 3) to its highest corner."""
    third = rot6d[:, 0] * rot6d[:, 4] - rot6d[:, 1] * rot6d[:, 3]
    return dot(xp.abs(xp.stack([rot6d[:, 2], rot6d[:, 5], third], axis=1)), size) / 2


def _held(
    xp: Any, hand: dict[str, Array], pos: Array, rot6d: Array, size: Array
) -> Array:
    """(n,) bool, whether the fingers are around a thing and closed on it."""
    along = rot6d[:, :3]
    across = rot6d[:, 3:]
    opens = hand["hand_rot6d"][:, 3:]
    shares = xp.stack([xp.abs(dot(along, opens)), xp.abs(dot(across, opens))], axis=1)
    up = xp.sqrt(xp.maximum(1.0 - dot(shares, shares), xp.zeros_like(shares[:, 0])))
    axis = xp.argmax(xp.concat([shares, up[:, None]], axis=1), axis=1)
    span = size[xp.arange(size.shape[0]), axis]
    away = hand["tcp"] - pos
    around = xp.sqrt(dot(away[:, :2], away[:, :2])) < 0.022
    return (
        around
        & (xp.abs(away[:, 2]) < 0.05)
        & (hand["width"] < span + 0.0025)
        & (hand["width"] > span - 0.015)
    )


def _completion(xp: Any, scene: Scene) -> Array:
    """(n,) a sixth for opening, two thirds for what is put in, the rest for closing."""
    openness = xp.clip(scene.opening / OPEN_M, 0.0, 1.0)
    return xp.where(scene.all_in, 1.0 - openness / 6, openness / 6 + scene.done * 2 / 3)


def _inside(pos: Array) -> Array:
    """(n,) bool, of positions (n, 3) in the drawer's frame."""
    within = (pos > SIZE.inner[0]) & (pos < SIZE.inner[1])
    return within[:, 0] & within[:, 1] & within[:, 2]


@dataclass(frozen=True)
class Step:
    """What to do in those of n worlds `when` it is time for it."""

    when: Array  # (n,) bool
    skill: Array  # (n,) index into SKILLS
    pos: Array  # (n, 3) m, of the tool centre point
    yaw: Array  # (n,) rad, of the hand
    width: Array  # (n,) m, of the gripper


def _choose(xp: Any, scene: Scene) -> Step:
    """The last step whose time it is."""
    grasp = top_grasp(
        scene.pos, scene.rot6d, scene.size, scene.is_round, scene.others, SIZE.top_z
    )
    chosen = _rest(xp, scene)
    for step in (
        _pick(xp, scene, grasp),
        *_work_drawer(xp, scene),
        _bring(xp, scene, grasp),
    ):
        rows = step.when[:, None]
        chosen = Step(
            when=chosen.when | step.when,
            skill=xp.where(step.when, step.skill, chosen.skill),
            pos=xp.where(rows, step.pos, chosen.pos),
            yaw=xp.where(step.when, step.yaw, chosen.yaw),
            width=xp.where(step.when, step.width, chosen.width),
        )
    return chosen


def _rest(xp: Any, scene: Scene) -> Step:
    """All is done: the hand goes up."""
    pos = xp.stack(
        [scene.tcp[:, 0], scene.tcp[:, 1], xp.full_like(scene.opening, CLEAR_Z_W)],
        axis=1,
    )
    skill = xp.full(scene.opening.shape, SKILLS.index("retreat"), dtype=xp.int64)
    return Step(
        xp.ones_like(scene.held),
        skill,
        pos,
        _hand_yaw(xp, scene),
        xp.full_like(scene.opening, WIDTH_M),
    )


def _pick(xp: Any, scene: Scene, grasp: TopGrasp) -> Step:
    """Goes over the thing, down, and closes on it."""
    pos, yaw, ready = _way(
        xp, scene, grasp.pos_w, grasp.yaw, xp.full_like(scene.opening, CLEAR_Z_W)
    )
    error = scene.tcp - grasp.pos_w
    on = (
        ready
        & (dot(error[:, :2], error[:, :2]) < ON_M**2)
        & (xp.abs(error[:, 2]) < ON_M)
    )
    low = scene.tcp[:, 2] < CLEAR_Z_W - LOW_M
    # it may come up from between things
    wide = xp.where(low & ~ready, scene.width + EASE_M, grasp.opening)
    skill = xp.where(
        ready,
        SKILLS.index("grasp"),
        xp.where(low, SKILLS.index("retreat"), SKILLS.index("reach")),
    )
    return Step(~scene.held & ~scene.all_in, skill, pos, yaw, xp.where(on, 0.0, wide))


def _work_drawer(xp: Any, scene: Scene) -> tuple[Step, Step]:
    """Takes the handle, pulls or pushes; and lets go of it."""
    handle = scene.drawer + xp.asarray([*SIZE.handle[:2], SIZE.handle[2] + HANDLE_UP_M])
    away = xp.abs(scene.tcp - handle)
    at_handle = (away[:, 0] < 0.012) & (away[:, 1] < 0.018) & (away[:, 2] < 0.014)
    gripped = (
        at_handle
        & (scene.width < HANDLE_SPAN_M + 0.0025)
        & (scene.width > HANDLE_SPAN_M - 0.008)
    )
    opening = ~scene.all_in & (
        (scene.opening < OPEN_M) | gripped & (scene.opening < PULLED_M - 0.004)
    )
    closing = scene.all_in & (
        (scene.opening > CLOSED_M) | gripped & (scene.opening > SHUT_M)
    )
    level = xp.zeros_like(scene.opening)
    pos, yaw, _ = _way(xp, scene, handle, level, xp.full_like(level, CLEAR_Z_W))
    along = scene.opening + xp.where(scene.all_in, BEYOND_M, -PULLED_M - BEYOND_M)
    moved = xp.stack([scene.tcp[:, 0] + along, handle[:, 1], handle[:, 2]], axis=1)
    doing = xp.where(scene.all_in, SKILLS.index("push"), SKILLS.index("open"))
    skill = xp.where(
        gripped,
        doing,
        xp.where(at_handle, SKILLS.index("grasp"), SKILLS.index("reach")),
    )
    width = xp.where(at_handle, 0.0, WIDTH_M)
    work = (opening | closing) & ~scene.held
    step = Step(work, skill, xp.where(gripped[:, None], moved, pos), yaw, width)
    still = at_handle & (scene.width < HANDLE_SPAN_M + EASE_M) & ~scene.held & ~work
    let_go = xp.full_like(skill, SKILLS.index("release"))
    return step, Step(still, let_go, scene.tcp, level, xp.full_like(level, WIDTH_M))


def _bring(xp: Any, scene: Scene, grasp: TopGrasp) -> Step:
    """Carries what is held into the drawer and sets it down; back on the counter where
    the drawer is not open.
    """
    room = scene.opening > ENOUGH_M
    # of the hand above the thing's underside
    hanging = scene.tcp[:, 2] - grasp.bottom_z
    spot = xp.where(
        room[:, None], _spot_in_drawer(xp, scene), _spot_on_counter(xp, scene)
    )
    in_hand = scene.tcp - scene.pos
    # the palm is wider than a drawer
    over_neighbour = xp.where(room, scene.neighbour_top + 0.005 - PALM_M, 0.0)
    down_z = xp.maximum(spot[:, 2] + hanging + 0.003, over_neighbour)
    goal = xp.stack(
        [spot[:, 0] + in_hand[:, 0], spot[:, 1] + in_hand[:, 1], down_z], axis=1
    )
    turn = xp.where(room, 0.0, _hand_yaw(xp, scene))
    pos, yaw, ready = _way(xp, scene, goal, turn, SIZE.top_z + CARRY_M + hanging)
    landed = ready & (scene.tcp[:, 2] < down_z + LANDED_M)
    low = scene.tcp[:, 2] < SIZE.top_z + CARRY_M + hanging - LOW_M
    skill = xp.where(
        ready,
        SKILLS.index("place"),
        xp.where(low, SKILLS.index("lift"), SKILLS.index("carry")),
    )
    skill = xp.where(landed, SKILLS.index("release"), skill)
    pos = xp.where(landed[:, None], scene.tcp, pos)
    return Step(scene.held, skill, pos, yaw, xp.where(landed, grasp.span + EASE_M, 0.0))


def _spot_in_drawer(xp: Any, scene: Scene) -> Array:
    """(n, 3) of the inner floor where there is room for one more thing."""
    # (n, 5, 3)
    spots = xp.stack(
        [scene.drawer + xp.asarray([SPOT_X_M, y, 0.0]) for y in SPOTS_Y_M], axis=1
    )
    return _roomiest(xp, spots, scene.others, SPOT_ROOM_M)


def _spot_on_counter(xp: Any, scene: Scene) -> Array:
    """(n, 3) of the worktop where nothing stands."""
    spots = xp.asarray([(*xy, SIZE.top_z) for xy in COUNTER_XY_W])
    return _roomiest(
        xp,
        xp.broadcast_to(spots, (scene.tcp.shape[0], *spots.shape)),
        scene.others,
        PITCH_M,
    )


def _roomiest(xp: Any, spots: Array, others: Array, enough_m: float) -> Array:
    """(n, 3) the first of the spots (n, S, 3) that is `enough_m` from all the others
    (n, K, 3), else the freest.
    """
    gap = spots[:, :, None, :2] - others[:, None, :, :2]
    room = xp.minimum(
        xp.min(xp.sqrt(dot(gap, gap)), axis=2), xp.full_like(spots[:, :, 0], enough_m)
    )
    return spots[xp.arange(spots.shape[0]), xp.argmax(room, axis=1)]


def _hand_yaw(xp: Any, scene: Scene) -> Array:
    return xp.atan2(scene.hand_rot6d[:, 1], scene.hand_rot6d[:, 0])


def _way(
    xp: Any, scene: Scene, goal: Array, yaw: Array, clear_z: Array
) -> tuple[Array, Array, Array]:
    """Next point (n, 3) and yaw (n,) on the way to a goal: up, over, down; and whether
    the hand is above it (n,).
    """
    tcp = scene.tcp
    now = _hand_yaw(xp, scene)
    gap = (goal - tcp)[:, :2]
    ready = (dot(gap, gap) < NEAR_M**2) & (xp.cos(now - yaw) > ALIGNED_COS)
    low = tcp[:, 2] < clear_z - LOW_M
    up = xp.stack([tcp[:, 0], tcp[:, 1], clear_z], axis=1)
    aside = around_column(xp, tcp, goal, RADIUS_M, TURN_RAD)
    over = xp.stack([aside[:, 0], aside[:, 1], clear_z], axis=1)
    pos = xp.where(ready[:, None], goal, xp.where(low[:, None], up, over))
    return pos, xp.where(low & ~ready, now, yaw), ready


def drawer_tidy_expert(
    agent_layout: Layout, state_layout: Layout, robot: Robot
) -> tuple[Planner, Controller]:
    """The two halves of the expert: this planner, which drives up first where it can,
    and the goal servo.
    """
    planner = ScriptedPlanner(agent_layout, state_layout, decide)
    return Driving(planner, agent_layout, robot), GoalServo(agent_layout, robot)
