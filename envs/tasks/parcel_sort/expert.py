"""The privileged planner of ParcelSort: names the next skill from the present state
alone, so it recovers.
"""

from __future__ import annotations

from typing import Any

from embodied.arrays import dot
from embodied.core import Array, Controller, Layout, Payload, Planner
from embodied.envs.skills.driving import Driving
from embodied.envs.skills.goal_servo import GoalServo
from embodied.envs.skills.scripted import (
    Readings,
    ScriptedPlanner,
    around_column,
    last_row,
    make_payload,
)
from embodied.envs.tasks.parcel_sort.expert_facts import (
    REACH_Y_W,
    Scene,
    look,
    within_reach,
)
from embodied.envs.tasks.parcel_sort.expert_grip import (
    OFF_MIDDLE_M,
    Grip,
    Hand,
    Parcels,
    quat_of,
)
from embodied.envs.tasks.parcel_sort.scene import BIN, SCANNER
from embodied.robots.robot import Robot

HOVER_M = 0.09  # before the grip, against the approach
BACK_M = 0.12  # from a parcel that is to be read
# beside the approach to go in, and from the grip to close
NEAR_M = 0.016
ON_M = 0.009
ALIGNED_COS = 0.985
ON_COS = 0.994
LAG_S = 0.06  # by which the arm is behind a goal that moves
PRESS_M = 0.003  # goals of setting down lie below the plate by this much
OVER_M = 0.05  # a parcel's underside over the plate on the way
INTO_BIN_M = 0.07  # its underside over the bin's floor when it is let go
# horizontal errors: to go down to the plate; to stay high above things
PLACE_M = 0.010
FAR_M = 0.12
OPEN_M = 0.074
CLEAR_Z_W = 0.87  # of the TCP, empty, to go sideways
WAIT_Y_W = -0.36  # where it waits for them
REST_W = (0.46, -0.15, 0.95)
TURN_RAD = 0.9  # about the robot's column, that one goal covers
RADIUS_M = (0.42, 0.50)  # from the column on the way
# skill, where it applies (n,), its goal (n, 3), fingers closed; later wins
Rows = list[tuple[str, Array, Array, Any]]


def decide(xp: Any, agent: Readings, state: Readings) -> Payload:
    """Where the hand should go next."""
    plate_xy = state["scanner_xy_w"]
    plate_w = xp.concat(
        [plate_xy, xp.full_like(plate_xy[:, :1], SCANNER.top_z)], axis=1
    )
    scene = look(xp, Hand.of(agent), Parcels.of(state), plate_w)
    posture = scene.posture()
    rides = ~scene.held & ~scene.idle & ~scene.on_plate & within_reach(scene.parcel)
    rows = (
        _empty_handed(scene, posture, rides)
        + _to_the_plate(scene, posture)
        + _to_the_bin(scene, posture)
    )
    skill, pos = last_row(xp, [row[:3] for row in rows], scene.hand.pos_w)
    closed = xp.zeros_like(rides)
    for _, due, _, fingers_closed in rows:
        closed = xp.where(due, fingers_closed, closed)
    velocity = xp.where(
        rides[:, None], scene.parcel.vel_w * xp.asarray([1.0, 1.0, 0.0]), 0.0
    )
    gripper = xp.where(closed, -1.0, 1.0)
    return make_payload(
        skill, pos, quat_of(posture.x, posture.z), gripper, scene.done, velocity
    )


def _empty_handed(scene: Scene, posture: Grip, rides: Array) -> Rows:
    """To the next parcel, and back from one that is to be read."""
    xp = scene.xp
    hand = scene.hand
    parcel = scene.parcel
    free = ~scene.held & ~scene.idle
    grip = posture.pos_w + xp.where(rides[:, None], LAG_S * parcel.vel_w, 0.0)
    coming = free & ~scene.on_plate & (grip[:, 1] < REACH_Y_W[0])
    hover = grip - HOVER_M * posture.z
    hover = xp.where(coming[:, None], _with(xp, hover, 1, WAIT_Y_W), hover)
    hover = xp.where(scene.idle[:, None], xp.asarray(REST_W), hover)
    away = hover - hand.pos_w
    far = dot(away[:, :2], away[:, :2]) > FAR_M**2
    aside = around_column(xp, hand.pos_w, hover, RADIUS_M, TURN_RAD)
    over = _with(
        xp, aside, 2, xp.maximum(hover[:, 2], xp.full_like(hover[:, 2], CLEAR_Z_W))
    )
    error = hand.pos_w - posture.pos_w
    beside = error - posture.z * dot(error, posture.z)[:, None]
    aligned = posture.align(hand)
    near = (
        (dot(beside, beside) < NEAR_M**2)
        & (aligned > ALIGNED_COS)
        & (dot(error, posture.z) > -0.16)
    )
    on = (dot(error, error) < ON_M**2) & (aligned > ON_COS)
    read = free & scene.on_plate & parcel.label_up() & ~parcel.scanned
    back = grip - BACK_M * hand.z
    return [
        ("reach", ~scene.held, xp.where(far[:, None], over, hover), False),
        ("grasp", free & near & ~coming, grip, on),
        (
            "retreat",
            ~scene.held & far & (hand.pos_w[:, 2] < CLEAR_Z_W - 0.02),
            _with(xp, hand.pos_w, 2, CLEAR_Z_W + 0.03),
            False,
        ),
        ("retreat", read, back, False),
        ("release", read & (hand.width < OPEN_M), hand.pos_w, False),
    ]


def _to_the_plate(scene: Scene, posture: Grip) -> Rows:
    """With a parcel that is not yet read: lift, carry and turn, set down, let go."""
    xp = scene.xp
    hand = scene.hand
    parcel = scene.parcel
    turned = scene.turned()
    mine = scene.held & ~parcel.scanned
    bottom = parcel.bottom_z()
    offset = hand.pos_w - parcel.pos_w
    below = xp.where(
        turned, parcel.size[:, 0] / 2 + OFF_MIDDLE_M, hand.pos_w[:, 2] - bottom
    )
    carry_z = scene.plate_w[:, 2] + OVER_M + below
    over = _with(xp, scene.plate_w + offset, 2, carry_z)
    to_plate = parcel.pos_w - scene.plate_w
    distance = xp.sqrt(dot(to_plate[:, :2], to_plate[:, :2]))
    above = ((distance < PLACE_M) & (posture.align(hand) > ON_COS)) | (
        (distance < 0.03) & (bottom < scene.plate_w[:, 2] + 0.03)
    )
    down = _with(
        xp, over, 2, hand.pos_w[:, 2] - (bottom - scene.plate_w[:, 2]) - PRESS_M
    )
    lies = (distance < 0.06) & (xp.abs(bottom - scene.plate_w[:, 2]) < 0.004)
    return [
        ("carry", mine, around_column(xp, hand.pos_w, over, RADIUS_M, TURN_RAD), True),
        ("lift", mine & scene.low(), _with(xp, hand.pos_w, 2, carry_z), True),
        ("place", mine & above, down, True),
        ("release", mine & lies, hand.pos_w, False),
    ]


def _to_the_bin(scene: Scene, posture: Grip) -> Rows:
    """With a parcel that has been read: lift, carry, lower into the bin, let go."""
    xp = scene.xp
    hand = scene.hand
    parcel = scene.parcel
    mine = scene.held & parcel.scanned
    bottom = parcel.bottom_z()
    offset = hand.pos_w - parcel.pos_w
    below = hand.pos_w[:, 2] - bottom
    over = _with(xp, scene.slot_w + offset, 2, scene.plate_w[:, 2] + OVER_M + below)
    to_slot = parcel.pos_w - scene.slot_w
    distance = xp.sqrt(dot(to_slot[:, :2], to_slot[:, :2]))
    low = (bottom < scene.plate_w[:, 2] + 0.02) & (distance > 0.10)
    drop_z = xp.maximum(
        scene.slot_w[:, 2] + INTO_BIN_M + below, scene.slot_w[:, 2] + BIN.height + 0.01
    )
    above = (distance < 0.03) & (posture.align(hand) > 0.9)
    return [
        ("carry", mine, around_column(xp, hand.pos_w, over, RADIUS_M, TURN_RAD), True),
        # the arm first unwinds
        (
            "turn",
            mine & (hand.z[:, 2] > -0.7),
            _with(xp, hand.pos_w, 2, over[:, 2]),
            True,
        ),
        ("lift", mine & low, _with(xp, hand.pos_w, 2, over[:, 2]), True),
        ("place", mine & above, _with(xp, over, 2, drop_z), True),
        (
            "release",
            mine & above & (hand.pos_w[:, 2] < drop_z + 0.012),
            hand.pos_w,
            False,
        ),
    ]


def _with(xp: Any, points: Array, axis: int, value: Any) -> Array:
    """`points` (n, 3) with one coordinate replaced."""
    columns = [points[:, k] for k in range(3)]
    columns[axis] = value + xp.zeros_like(columns[axis])
    return xp.stack(columns, axis=1)


def parcel_sort_expert(
    agent_layout: Layout, state_layout: Layout, robot: Robot
) -> tuple[Planner, Controller]:
    """The two halves of the expert: this planner, which drives up first where the robot
    can, and the goal servo.
    """
    planner = ScriptedPlanner(agent_layout, state_layout, decide)
    return Driving(planner, agent_layout, robot), GoalServo(agent_layout, robot)
