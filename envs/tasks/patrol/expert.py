"""The scripted planner of Patrol: drives from bay to bay while nobody is in its way.

The privileged state tells where everyone will walk in the next three seconds, unless they
halt. The robot can drive to its goal, to the place before any station (a bay), or stay.
Of the choices that keep the robot clear of people, the planner takes the one nearest to
the goal.

A robot with a broad chest looks at signs with its body turned aside and its head turned
back, so that its elbows are out of people's way.

The planner decides from the present state alone, so it recovers from whatever happens.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.arrays import any_of, dot, norm, smallest
from embodied.core import Array, Layout, Observation, skill_index
from embodied.envs.clearance import sides_m
from embodied.envs.props.people import PERSON_RADIUS_M
from embodied.envs.scenes.machine_hall import FRONT_Y_M, ROBOT_Y_M
from embodied.envs.skills.driving import DrivingPlanner, stand_of_mount
from embodied.envs.skills.goal_servo import GoalServo, HeadGoals
from embodied.envs.skills.other_hands import HomePoses
from embodied.envs.skills.scripted import Readings, ScriptedPlanner
from embodied.envs.tasks.patrol.facts import KEPT_M
from embodied.envs.tasks.patrol.scene import AHEAD_S, PEOPLE, STATIONS
from embodied.plan import Controller, Payload, Planner
from embodied.robots.mount import MountPose
from embodied.robots.parts.arm import Arm
from embodied.robots.parts.head import Head
from embodied.robots.robot import Robot

# The distance from the mount to the station's front when the robot looks at a sign.
STAND_M = 0.90
# A camera that looks across the arm has the hand in the middle of its picture, so the sign
# should be seen beside the middle. The line from the camera to the sign has this share of
# the sideways slope of the camera's axis.
KEPT_ASIDE = 0.2
# While the robot drives, its middle keeps at least this distance from a person's middle,
# plus the distance from the robot's middle to its farthest hand.
DRIVING_M = PERSON_RADIUS_M + KEPT_M + 0.20
# The least distance from the middle of a robot that stands to a person's middle. For a
# robot that extends far to its sides, it is that extent plus ASIDE_M, if this is more.
STANDING_M = 0.88
ASIDE_M = PERSON_RADIUS_M
# How far a robot whose head pans turns its body aside from the sign, to the right of a
# station at its left and to the left of one at its right. `dual_arm` is then nearly as
# narrow as it can be while its arms do not hide the sign: 1.21 m instead of 1.38 m.
ASIDE_RAD = float(np.deg2rad(45.0))
# The base's speed, and its delay after a plan, that are assumed for looking ahead.
SPEED_M_S = 0.9
REACTION_S = 0.15
# On a way of at most this length the robot only creeps, so it counts as standing.
STANDING_WAY_M = 0.1
# The way per plan on which a broad robot creeps to the nearest bay while people are near:
# at the servo's gain of 3 m/s per m, this is slower than the 0.3 m/s that are allowed then.
CREPT_M = 0.08
# The robot stays where it is rather than drive to a bay, unless the bay is nearer to the
# goal by at least this.
WORTH_M = 0.4
# Larger than any distance in the hall.
FAR_M = 99.0
# A hand that is farther than this from its home is stretched out.
AT_HOME_M = 0.12
# The largest turn in one plan. A larger one could be executed the other way around.
TURN_RAD = 1.2
# For each station, 1 if it is in the row at y > 0, to the left; -1 in the other row.
SIDES = tuple(float(np.sign(station.place[1])) for station in STATIONS)
# A robot that is nearer to a row of stations than its bays by more than this backs off
# before it does anything else.
BACK_OFF_M = 0.1
# x and y in m of the places before the stations, from which a robot looks at their signs.
BAYS_W = tuple(
    (station.place[0], side * ROBOT_Y_M)
    for station, side in zip(STATIONS, SIDES, strict=True)
)


def patrol_expert(
    agent_layout: Layout, state_layout: Layout, robot: Robot
) -> tuple[Planner, Controller]:
    """Returns planner and controller of the expert, which drives from bay to bay."""
    mount = MountPose(robot, agent_layout)
    planner = ScriptedPlanner(agent_layout, state_layout, _look, effectors=0)
    # a robot whose head turns looks at signs with its body turned aside
    head = _turning_head(robot)
    aside_rad = 0.0 if head is None else ASIDE_RAD
    least_m, middle_m = room_of(robot, aside_rad)
    # a broad robot has room to stand only in the middle of a bay
    creep_m = CREPT_M if aside_rad else 0.0

    # the columns of the hands' positions in proprioception, and the hands' home poses
    slices = agent_layout.slices()
    tools = [slices[f"{effector.name}_pos_w"] for effector in robot.effectors]
    homes = HomePoses(agent_layout, robot, robot.effectors)
    arm = robot.part(robot.effectors[0].arm)
    as_if_at = arm.as_if_at if isinstance(arm, Arm) else (0.0, 0.0, 0.0)

    def stand(observation: Observation, payload: Payload) -> Array:
        """Returns where an upright arm should stand (n, 4): x, y, z in m and yaw in rad.

        The pose depends on the observation only; DrivingPlanner passes the plan, too.
        """
        xp, _, state = planner.read(observation)
        pose = mount.read(observation.agent_pos)
        # `drive` works with the poses of the robots' middles, not of their mounts
        middle = stand_of_mount(xp, pose, (middle_m, 0.0, 0.0))
        sign_goal = (
            _bay_before_sign(xp, state, pose, aside_rad)
            if aside_rad
            else _stand_before_sign(xp, state, pose)
        )
        goal = drive(xp, state, sign_goal, middle, least_m, creep_m)
        goal = stand_of_mount(xp, goal, (-middle_m, 0.0, 0.0))

        # hands that are stretched out come home before the robot drives
        home_pos_w, _ = homes.read(observation.agent_pos)
        hands_w = xp.stack([observation.agent_pos[:, tool] for tool in tools], axis=1)
        from_home = hands_w - home_pos_w  # (n, E, 3)
        is_out = any_of(dot(from_home, from_home) > AT_HOME_M**2)
        goal = xp.where(is_out[:, None], pose, goal)

        # `DrivingPlanner` takes the pose of the arm, not that of the mount
        return stand_of_mount(xp, goal, as_if_at)

    head_goals = None if head is None else _gaze(planner, mount, head)
    return DrivingPlanner(planner, agent_layout, robot, stand), GoalServo(
        agent_layout, robot, head_goals=head_goals
    )


def room_of(robot: Robot, aside_rad: float) -> tuple[tuple[float, float], float]:
    """Returns the room that a robot takes, with its body turned aside from a sign.

    Args:
        robot: the robot, whose left and right sides are alike.
        aside_rad: how far the robot is turned aside.

    Returns:
        The least distances in m from a person's middle to the robot's while it drives, and
        while it stands; and how far its middle is in front of its mount, m.
    """
    # the robot's middle is on its x axis, as far from people at the left as at the right
    left_m, right_m = sides_m(robot, aside_rad)
    middle_m = 0.0
    if aside_rad:
        middle_m = (right_m - left_m) / 2 / float(np.sin(aside_rad))
        left_m = right_m = (left_m + right_m) / 2
    half_m = max(left_m, right_m)
    standing_m = max(STANDING_M, half_m + ASIDE_M)

    # the horizontal distance from the middle to the farthest hand at home, or to a side
    hands = [robot.tools_at_home[effector.name].pos for effector in robot.effectors]
    hand_m = max(float(np.hypot(x - middle_m, y)) for x, y, _ in hands)
    return (max(hand_m, half_m) + DRIVING_M, standing_m), middle_m


def _turning_head(robot: Robot) -> Head | None:
    """Returns the robot's head with joints; None if it has none."""
    for part in robot.parts:
        if isinstance(part, Head) and len(part.joints):
            return part
    return None


def _gaze(planner: ScriptedPlanner, mount: MountPose, head: Head) -> HeadGoals:
    """Returns the function that turns a head with pan and tilt to the next sign."""
    # the first joint pans the head; the goals of its other joints are those at home
    _, *other_goals = head.joints.home
    lowest_rad, highest_rad = head.joints.ranges[0]

    def head_goals(observation: Observation) -> Array:
        """Returns pan and tilt (N, 2) rad."""
        xp, _, state = planner.read(observation)
        yaw = mount.read(observation.agent_pos)[:, 3]
        target = _next_station(xp, state)
        side = xp.asarray(SIDES)[target]
        sign_x = state["signs_x_w"][xp.arange(yaw.shape[0]), target]
        # from the camera to the sign, in the world
        to_x = sign_x - state["camera_pos_w"][:, 0]
        to_y = side * FRONT_Y_M - state["camera_pos_w"][:, 1]

        # the sign's direction from the robot's front, to the left, from -pi to pi
        direction = xp.atan2(to_y, to_x) - yaw
        direction = xp.atan2(xp.sin(direction), xp.cos(direction))
        pan = xp.clip(direction, lowest_rad, highest_rad)
        return xp.stack([pan, *(0 * pan + goal for goal in other_goals)], axis=1)

    return head_goals


def _look(xp: Any, agent: Readings, state: Readings) -> Payload:
    """Returns the plans of n robots that stand and look, without goals for hands.

    `DrivingPlanner` brings all hands home, and turns these plans into plans to drive
    while a robot must go elsewhere.
    """
    num = state["place"].shape[0]
    # `place` counts the round's stations from 1, so its largest value is their number
    count = xp.max(state["place"], axis=1)
    return Payload(
        subtask=xp.full((num,), skill_index("look_at"), dtype=xp.int64),
        goal_pos_w=xp.zeros((num, 0, 3)),
        goal_quat_wxyz=xp.zeros((num, 0, 4)),
        goal_vel_w=xp.zeros((num, 0, 3)),
        gripper=xp.zeros((num, 0)),
        completion=state["seen"][:, 0] / count,
        latent=xp.zeros((num, 0)),
        base_goal_w=xp.zeros((num, 0, 4)),
    )


def drive(
    xp: Any,
    state: Readings,
    goal: Array,
    pose: Array,
    least_m: tuple[float, float],
    creep_m: float,
) -> Array:
    """Returns where the robots should be next (n, 4): x, y, z in m and yaw in rad.

    Args:
        xp: the array namespace.
        state: the privileged state.
        goal: (n, 4) the poses of the robots' middles at which they look at the next sign.
        pose: (n, 4) the present poses of the robots' middles.
        least_m: the least distances from a robot's middle to a person's, while it drives
            and while it stands.
        creep_m: how far a robot that stays may go towards the nearest bay.
    """
    num = pose.shape[0]

    # C candidates: the goal, the bays, and the present place
    bays = xp.broadcast_to(xp.asarray(BAYS_W), (num, len(BAYS_W), 2))
    here = _crept(xp, pose[:, :2], bays, creep_m)[:, None]
    candidates = xp.concat([goal[:, None, :2], bays, here], axis=1)  # (n, C, 2)
    people = _people_ahead(xp, state)
    gap_m = _least_gaps(xp, candidates, pose[:, :2], people, least_m)  # (n, C)

    # The lowest cost wins. Where people stay clear, it is the distance from the candidate
    # to the goal, less a bonus for the goal itself and for staying. Other candidates cost
    # more than any of these, and less the larger their gap.
    to_goal = candidates - goal[:, None, :2]
    to_goal_m = norm(to_goal)
    minus_bonus = xp.asarray([-2 * WORTH_M] + [0.0] * len(BAYS_W) + [-WORTH_M])
    cost = xp.where(gap_m > 0, to_goal_m + minus_bonus, FAR_M - gap_m)
    chosen = xp.argmin(cost, axis=1)
    xy = candidates[xp.arange(num), chosen]

    # a robot that stays keeps its yaw; the others turn by at most TURN_RAD per plan
    stays = chosen == candidates.shape[1] - 1
    turn = xp.clip(goal[:, 3] - pose[:, 3], -TURN_RAD, TURN_RAD)
    yaw = pose[:, 3] + xp.where(stays, 0.0, turn)
    goal = xp.concat([xy, pose[:, 2:3], yaw[:, None]], axis=1)

    # a robot that is too near to a row backs off first, so that its hands keep clear of the
    # stations when it drives along their row
    side = xp.sign(pose[:, 1])
    back = xp.stack([pose[:, 0], side * ROBOT_Y_M, pose[:, 2], pose[:, 3]], axis=1)
    is_near_row = xp.abs(pose[:, 1]) > ROBOT_Y_M + BACK_OFF_M
    return xp.where(is_near_row[:, None], back, goal)


def _crept(xp: Any, places: Array, bays: Array, creep_m: float) -> Array:
    """Returns places (n, 2) that are nearer to the nearest bays by up to `creep_m`.

    Args:
        xp: the array namespace.
        places: (n, 2) m.
        bays: (n, B, 2) m.
        creep_m: the largest distance.
    """
    to_bays = bays - places[:, None]
    bays_m = norm(to_bays)  # (n, B)
    nearest = xp.argmin(bays_m, axis=1)
    rows = xp.arange(places.shape[0])
    share = xp.minimum(creep_m / xp.maximum(bays_m[rows, nearest], 1e-6), 1.0)
    return places + share[:, None] * to_bays[rows, nearest]


def _next_station(xp: Any, state: Readings) -> Array:
    """Returns (n,) int, the next station of the round, or the last one at the end."""
    place = state["place"]
    count = xp.max(place, axis=1)
    next_place = xp.minimum(state["seen"][:, 0] + 1, count)
    # these are whole numbers stored as floats, so they are equal if less than 0.5 apart
    is_next = xp.abs(place - next_place[:, None]) < 0.5
    return xp.argmax(xp.astype(is_next, xp.int64), axis=1)


def _bay_before_sign(xp: Any, state: Readings, pose: Array, aside_rad: float) -> Array:
    """Returns poses (n, 4) in the bays before the next signs, turned aside by `aside_rad`.

    Both rows are to the same side of the robot's way along the aisle.

    Args:
        xp: the array namespace.
        state: the privileged state.
        pose: (n, 4) the present poses, whose heights are kept.
        aside_rad: how far the robots are turned from the direction to the signs.
    """
    target = _next_station(xp, state)
    yaw = xp.asarray(SIDES)[target] * (np.pi / 2 - aside_rad)
    bay = xp.asarray(BAYS_W)[target]
    return xp.concat([bay, pose[:, 2:3], yaw[:, None]], axis=1)


def _stand_before_sign(xp: Any, state: Readings, pose: Array) -> Array:
    """Returns the mounts' poses (n, 4) at which the camera looks at the next sign.

    The camera is assumed to stay where it is on the mount, and to look in the same
    direction from there.
    """
    target = _next_station(xp, state)
    side = xp.asarray(SIDES)[target]
    sign_x = state["signs_x_w"][xp.arange(pose.shape[0]), target]
    yaw = side * np.pi / 2

    # the camera's position and axis in the mount's frame, horizontally; `axis_x` is at
    # least 0.2, because the slope below is divided by it
    offset = state["camera_pos_w"] - pose[:, :3]
    axis = state["camera_axis_w"]
    cos = xp.cos(pose[:, 3])
    sin = xp.sin(pose[:, 3])
    camera_x = cos * offset[:, 0] + sin * offset[:, 1]
    camera_y = cos * offset[:, 1] - sin * offset[:, 0]
    axis_x = xp.maximum(cos * axis[:, 0] + sin * axis[:, 1], 0.2)
    axis_y = cos * axis[:, 1] - sin * axis[:, 0]

    # the point STAND_M ahead of the mount that should be at the sign: on a line from the
    # camera with a share of the slope of its axis
    slope = KEPT_ASIDE * axis_y / axis_x
    sign_y_in_mount = camera_y + (STAND_M - camera_x) * slope
    # the robot faces the row, so the mount's y axis points along -side * x in the world
    x = sign_x + side * sign_y_in_mount
    y = side * (FRONT_Y_M - STAND_M)
    return xp.stack([x, y, pose[:, 2], yaw], axis=1)


def _people_ahead(xp: Any, state: Readings) -> Array:
    """Returns the positions (n, M, T, 2) m of M people every 0.25 s from now; T = 13."""
    num = state["people_w"].shape[0]
    # the state has the positions every 0.5 s; those in between are means of neighbours
    known = xp.reshape(state["people_w"], (num, len(PEOPLE), len(AHEAD_S), 2))
    between = (known[:, :, 1:] + known[:, :, :-1]) / 2
    pairs = xp.stack([known[:, :, :-1], between], axis=3)  # (n, M, T, 2, 2)
    shape = (num, len(PEOPLE), 2 * (len(AHEAD_S) - 1), 2)
    return xp.concat([xp.reshape(pairs, shape), known[:, :, -1:]], axis=2)


def _least_gaps(
    xp: Any,
    places: Array,
    middle_w: Array,
    people: Array,
    least_m: tuple[float, float],
) -> Array:
    """Returns how clear of people the way to each place is, (n, C) m.

    The result is the least distance to anyone at any time, minus the distance that must be
    kept at that time. The way to a place with a negative gap leads too near to someone.

    Args:
        xp: the array namespace.
        places: (n, C, 2) m, where the robot's middle may go.
        middle_w: (n, 2) m, where the robot's middle is.
        people: (n, M, T, 2) m, where people will be at each time.
        least_m: the distances that must be kept while the robot drives, and while it
            stands.
    """
    steps = people.shape[2]
    time_s = xp.asarray(np.linspace(AHEAD_S[0], AHEAD_S[-1], steps))
    # the robot's middle at each time, (n, C, T, 2) m: a share of the straight way to the place
    to_place = places - middle_w[:, None, :]
    length = norm(to_place)  # (n, C) m
    driven_m = SPEED_M_S * xp.maximum(time_s - REACTION_S, 0.0)  # (T,)
    share = xp.clip(driven_m / xp.maximum(length, 1e-6)[..., None], 0.0, 1.0)
    middle = middle_w[:, None, None, :] + share[..., None] * to_place[:, :, None, :]
    offset = middle[:, :, None] - people[:, None]  # (n, C, M, T, 2)
    distance = norm(offset)

    drives = (share < 1.0) & (length[..., None] > STANDING_WAY_M)  # (n, C, T)
    driving_m, standing_m = least_m
    least = xp.where(drives, driving_m, standing_m)
    gaps = distance - least[:, :, None]  # (n, C, M, T)
    # the smallest gap over all times, then over all people
    return smallest(smallest(gaps))
