"""The scripted planner of Patrol: drives from bay to bay while nobody is in its way.

The privileged state tells where everyone will walk in the next three seconds, unless they
halt. The robot can drive to its goal, to the place before any station (a bay), or stay.
Of the choices that keep it clear of people, it takes the one nearest to its goal.

It decides from the present state alone, so that it recovers from whatever happens.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.arrays import any_of, dot, smallest
from embodied.core import (
    Array,
    Controller,
    Layout,
    Observation,
    Payload,
    Planner,
    skill_index,
)
from embodied.envs.clearance import half_breadth_m
from embodied.envs.props.people import PERSON_RADIUS_M
from embodied.envs.scenes.machine_hall import FRONT_Y_M, ROBOT_Y_M
from embodied.envs.skills.driving import DrivingPlanner, stand_of_mount
from embodied.envs.skills.goal_servo import GoalServo
from embodied.envs.skills.other_hands import HomePoses
from embodied.envs.skills.scripted import Readings, ScriptedPlanner
from embodied.envs.tasks.patrol.facts import KEPT_M
from embodied.envs.tasks.patrol.scene import AHEAD_S, BAYS_X_M, PEOPLE, STATIONS
from embodied.robots.mount import MountPose
from embodied.robots.parts.arm import Arm
from embodied.robots.robot import Robot

# The distance from the mount to the station's front when the robot looks at a sign.
STAND_M = 0.90
# A camera that looks across the arm has the hand in the middle of its picture. So the sign
# is kept beside the middle: at this share of the camera's slope to the side.
KEPT_ASIDE = 0.2
# The least distance to a person's middle while the robot drives: that of a mount is larger
# by the distance from the mount to its farthest hand.
DRIVING_M = PERSON_RADIUS_M + KEPT_M + 0.20
# The least distance from a mount that stands to a person's middle. For a robot that
# reaches far to its sides it is larger: that reach and ASIDE_M.
STANDING_M = 0.88
ASIDE_M = PERSON_RADIUS_M
# The base's speed, and its delay after a plan, that are assumed for looking ahead.
SPEED_M_S = 0.9
REACTION_S = 0.15
# The robot stays rather than drive to a bay that is nearer to its goal by less than this.
WORTH_M = 0.4
# Larger than any distance in the hall.
FAR_M = 99.0
# A hand that is farther than this from its home is stretched out.
AT_HOME_M = 0.12
# The largest turn in one plan. A larger one could be executed the other way around.
TURN_RAD = 1.2
# x and y in m of the places before the stations, from which a robot looks at their signs.
BAYS_W = tuple((x, side * ROBOT_Y_M) for side in (1, -1) for x in BAYS_X_M)


def patrol_expert(
    agent_layout: Layout, state_layout: Layout, robot: Robot
) -> tuple[Planner, Controller]:
    """Returns planner and controller of the expert, which drives from bay to bay."""
    mount = MountPose(robot, agent_layout)
    planner = ScriptedPlanner(agent_layout, state_layout, _look, effectors=0)
    # the horizontal distance from the mount to the farthest hand, at home
    hands = [robot.tools_at_home[effector.name].pos for effector in robot.effectors]
    hand_m = max(float(np.hypot(x, y)) for x, y, _ in hands)
    driving_m = hand_m + DRIVING_M
    standing_m = max(STANDING_M, half_breadth_m(robot) + ASIDE_M)

    # where the hands are, and where they would be at home
    slices = agent_layout.slices()
    tools = [slices[f"{effector.name}_pos_w"] for effector in robot.effectors]
    homes = HomePoses(agent_layout, robot, robot.effectors)
    arm = robot.part(robot.effectors[0].arm)
    as_if_at = arm.as_if_at if isinstance(arm, Arm) else (0.0, 0.0, 0.0)

    def stand(observation: Observation, payload: Payload) -> Array:
        """Returns where an upright arm should stand (n, 4): x, y, z in m and yaw in rad."""
        xp, _, state = planner.read(observation)
        pose = mount.read(observation.agent_pos)
        goal = drive(xp, state, pose, driving_m, standing_m)

        # hands that are stretched out come home before the robot drives
        home_pos_w, _ = homes.read(observation.agent_pos)
        hands_w = xp.stack([observation.agent_pos[:, tool] for tool in tools], axis=1)
        from_home = hands_w - home_pos_w  # (n, E, 3)
        is_out = any_of(dot(from_home, from_home) > AT_HOME_M**2)
        goal = xp.where(is_out[:, None], pose, goal)

        # `DrivingPlanner` takes the pose of the arm, not that of the mount
        return stand_of_mount(xp, goal, as_if_at)

    return DrivingPlanner(planner, agent_layout, robot, stand), GoalServo(
        agent_layout, robot, homes_heads=True
    )


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
    xp: Any, state: Readings, pose: Array, driving_m: float, standing_m: float
) -> Array:
    """Returns the mounts' next goals (n, 4): x, y, z in m and yaw in rad.

    Args:
        xp: the array namespace.
        state: the privileged state.
        pose: (n, 4) the mounts' present poses.
        driving_m: the least distance from a mount that drives to a person's middle.
        standing_m: the same from a mount that stands.
    """
    goal = _stand_before_sign(xp, state, pose)
    num = pose.shape[0]

    # C candidates: the goal, the bays, and the present place
    bays = xp.broadcast_to(xp.asarray(BAYS_W), (num, len(BAYS_W), 2))
    here = pose[:, None, :2]
    candidates = xp.concat([goal[:, None, :2], bays, here], axis=1)  # (n, C, 2)
    people = _people_ahead(xp, state)
    least_m = (driving_m, standing_m)
    gap_m = _least_gaps(xp, candidates, pose[:, :2], people, least_m)  # (n, C)

    # The lowest cost wins. Where people stay clear, it is the distance from the candidate
    # to the goal, less a bonus for the goal itself and for staying. Other candidates cost
    # more than any of these, and less the larger their gap.
    to_goal = candidates - goal[:, None, :2]
    to_goal_m = xp.sqrt(dot(to_goal, to_goal))
    minus_bonus = xp.asarray([-2 * WORTH_M] + [0.0] * len(BAYS_W) + [-WORTH_M])
    cost = xp.where(gap_m > 0, to_goal_m + minus_bonus, FAR_M - gap_m)
    chosen = xp.argmin(cost, axis=1)
    xy = candidates[xp.arange(num), chosen]

    # a robot that stays keeps its yaw; the others turn by at most TURN_RAD per plan
    stays = chosen == candidates.shape[1] - 1
    turn = xp.clip(goal[:, 3] - pose[:, 3], -TURN_RAD, TURN_RAD)
    yaw = pose[:, 3] + xp.where(stays, 0.0, turn)
    return xp.concat([xy, pose[:, 2:3], yaw[:, None]], axis=1)


def _stand_before_sign(xp: Any, state: Readings, pose: Array) -> Array:
    """Returns the mounts' poses (n, 4) at which the camera looks at the next sign.

    The camera is assumed to stay where it is on the mount, and to look in the same
    direction from there.
    """
    # the next station of the round, or the last one at the end
    place = state["place"]
    count = xp.max(place, axis=1)
    next_place = xp.minimum(state["seen"][:, 0] + 1, count)
    is_next = (
        xp.abs(place - next_place[:, None]) < 0.5
    )  # whole numbers stored as floats
    target = xp.argmax(xp.astype(is_next, xp.int64), axis=1)
    worlds = xp.arange(pose.shape[0])
    # 1 for a station in the row at y > 0, to the left; -1 for one in the other row
    side = xp.asarray([np.sign(station.place[1]) for station in STATIONS])[target]
    sign_x = state["signs_x_w"][worlds, target]
    yaw = side * np.pi / 2

    # the camera's position and axis in the mount's frame, horizontally
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
    # the state has them every 0.5 s; the positions in between are their means
    known = xp.reshape(state["people_w"], (num, len(PEOPLE), len(AHEAD_S), 2))
    between = (known[:, :, 1:] + known[:, :, :-1]) / 2
    pairs = xp.stack([known[:, :, :-1], between], axis=3)  # (n, M, T, 2, 2)
    shape = (num, len(PEOPLE), 2 * (len(AHEAD_S) - 1), 2)
    return xp.concat([xp.reshape(pairs, shape), known[:, :, -1:]], axis=2)


def _least_gaps(
    xp: Any,
    places: Array,
    mount_w: Array,
    people: Array,
    least_m: tuple[float, float],
) -> Array:
    """Returns how clear of people the way to each place is, (n, C) m.

    It is the least distance to anyone at any time, minus the distance that must be kept
    then. A place with a negative gap would take the robot too near to someone.

    Args:
        xp: the array namespace.
        places: (n, C, 2) m, where the mount may go.
        mount_w: (n, 2) m, where it is.
        people: (n, M, T, 2) m, where people will be.
        least_m: the distances that must be kept while it drives, and while it stands.
    """
    steps = people.shape[2]
    time_s = xp.asarray(np.linspace(AHEAD_S[0], AHEAD_S[-1], steps))
    # the mount at each time, (n, C, T, 2) m: a share of the straight way to the place
    to_place = places - mount_w[:, None, :]
    length = xp.sqrt(dot(to_place, to_place))  # (n, C) m
    driven_m = SPEED_M_S * xp.maximum(time_s - REACTION_S, 0.0)  # (T,)
    share = xp.clip(driven_m / xp.maximum(length, 1e-6)[..., None], 0.0, 1.0)
    mount = mount_w[:, None, None, :] + share[..., None] * to_place[:, :, None, :]
    offset = mount[:, :, None] - people[:, None]  # (n, C, M, T, 2)
    distance = xp.sqrt(dot(offset, offset))

    # on a way of at most 0.1 m the robot only creeps, so it counts as standing
    drives = (share < 1.0) & (length[..., None] > 0.1)  # (n, C, T)
    driving_m, standing_m = least_m
    least = xp.where(drives, driving_m, standing_m)
    gaps = distance - least[:, :, None]  # (n, C, M, T)
    # the smallest over times, then over people
    return smallest(smallest(gaps))
