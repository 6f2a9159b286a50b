"""The scripted planner of Patrol: drives from bay to bay while nobody is in its way.

It knows where everyone will walk in the next three seconds, unless they halt. Of the
places to drive to, it takes the one nearest to its goal whose way stays clear of people;
otherwise it waits.

It decides from the present state alone, so that it recovers from whatever happens.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.arrays import dot, smallest
from embodied.core import (
    Array,
    Controller,
    Layout,
    Observation,
    Payload,
    Planner,
    skill_index,
)
from embodied.envs.props.people import PERSON_RADIUS_M
from embodied.envs.scenes.machine_hall import FRONT_Y_M, ROBOT_Y_M
from embodied.envs.skills.driving import DrivingPlanner
from embodied.envs.skills.goal_servo import GoalServo
from embodied.envs.skills.scripted import Readings, ScriptedPlanner, make_payload
from embodied.envs.tasks.patrol.facts import KEPT_M
from embodied.envs.tasks.patrol.scene import AHEAD_S, BAYS_X_M, PEOPLE, STATIONS
from embodied.robots.mount import MountPose
from embodied.robots.parts.arm import Arm
from embodied.robots.robot import Robot
from embodied.rotations import quat_from_rot6d

# From the mount to the sign of a station that it looks at.
STAND_M = 0.90
# A camera that looks across the arm has the hand in the middle of its picture. So the sign
# is beside it: of the angle at which the camera looks aside, this share is kept.
KEPT_ASIDE = 0.2
# The least distances to a person's middle: while it drives, from the farthest hand; and
# while it stands, from the mount.
DRIVING_M = PERSON_RADIUS_M + KEPT_M + 0.20
STANDING_M = 0.88
# How fast and how soon the base follows a plan, for looking ahead.
SPEED_M_S = 0.9
REACTION_S = 0.15
# The robot waits rather than drive to a bay that is nearer to its goal by less than this.
WORTH_M = 0.4
FAR_M = 99.0
# The largest turn in one plan. A larger one could be the other way around.
TURN_RAD = 1.2
BAYS_W = tuple((x, side * ROBOT_Y_M) for side in (1, -1) for x in BAYS_X_M)


def patrol_expert(
    agent_layout: Layout, state_layout: Layout, robot: Robot
) -> tuple[Planner, Controller]:
    """Returns planner and controller of the expert, which drives from bay to bay."""
    mount = MountPose(robot, agent_layout)
    planner = ScriptedPlanner(agent_layout, state_layout, _look)
    hands = [robot.tools_at_home[effector.name].pos for effector in robot.effectors]
    reach_m = max(float(np.hypot(x, y)) for x, y, _ in hands)
    arm = robot.part(robot.effectors[0].arm)
    as_if_at = arm.as_if_at if isinstance(arm, Arm) else (0.0, 0.0, 0.0)

    def stand(observation: Observation, payload: Payload) -> Array:
        """Returns where an upright arm should stand (n, 4): x, y, z in m and yaw in rad."""
        xp, _, state = planner.read(observation)
        pose = mount.read(observation.agent_pos)
        goal = drive(xp, state, pose, reach_m + DRIVING_M)
        # `DrivingPlanner` takes the pose of the arm, not that of the mount
        forwards, leftwards, upwards = as_if_at
        yaw = goal[:, 3]
        x = goal[:, 0] + forwards * xp.cos(yaw) - leftwards * xp.sin(yaw)
        y = goal[:, 1] + forwards * xp.sin(yaw) + leftwards * xp.cos(yaw)
        return xp.stack([x, y, goal[:, 2] + upwards, yaw], axis=1)

    return DrivingPlanner(planner, agent_layout, robot, stand), GoalServo(
        agent_layout, robot
    )


def _look(xp: Any, agent: Readings, state: Readings) -> Payload:
    """Returns the plans of n robots that stand: the hand keeps still."""
    num = agent["tcp_pos_w"].shape[0]
    asked = xp.max(state["place"], axis=1)
    return make_payload(
        skill=xp.full((num,), skill_index("look_at"), dtype=xp.int64),
        pos_w=agent["tcp_pos_w"],
        quat_wxyz=quat_from_rot6d(agent["tcp_rot6d"]),
        gripper=xp.ones(num),
        completion=state["seen"][:, 0] / asked,
    )


def drive(xp: Any, state: Readings, pose: Array, driving_m: float) -> Array:
    """Returns the mounts' next goals (n, 4): x, y, z in m and yaw in rad.

    Args:
        xp: the array namespace.
        state: the privileged state.
        pose: (n, 4) the mounts' present poses.
        driving_m: the least distance from a mount that drives to a person's middle.
    """
    goal = _stand_before_sign(xp, state, pose)
    num = pose.shape[0]

    # candidates: the goal, the bays, and the present place
    bays = xp.broadcast_to(xp.asarray(BAYS_W), (num, len(BAYS_W), 2))
    here = pose[:, None, :2]
    places = xp.concat([goal[:, None, :2], bays, here], axis=1)  # (n, C, 2)
    people = _people_ahead(xp, state)
    gap_m = _least_gaps(xp, places, pose[:, :2], people, driving_m)  # (n, C)

    # the clear one that is nearest to the goal, or the clearest if none is
    offset = places - goal[:, None, :2]
    left_m = xp.sqrt(dot(offset, offset))
    handicap = xp.asarray([-2 * WORTH_M] + [0.0] * len(BAYS_W) + [-WORTH_M])
    rank = xp.where(gap_m > 0, left_m + handicap, FAR_M - gap_m)
    chosen = xp.argmin(rank, axis=1)
    place = places[xp.arange(num), chosen]

    # who waits keeps its yaw; others turn by steps, since a base cannot turn on and on
    waits = chosen == places.shape[1] - 1
    turn = xp.clip(goal[:, 3] - pose[:, 3], -TURN_RAD, TURN_RAD)
    yaw = pose[:, 3] + xp.where(waits, 0.0, turn)
    return xp.concat([place, pose[:, 2:3], yaw[:, None]], axis=1)


def _stand_before_sign(xp: Any, state: Readings, pose: Array) -> Array:
    """Returns the mounts' poses (n, 4) at which the camera looks at the next sign.

    The camera's place and axis on the mount are those of the present state.
    """
    place = state["place"]
    asked = xp.max(place, axis=1)
    next_place = xp.minimum(state["seen"][:, 0] + 1, asked)
    is_next = xp.abs(place - next_place[:, None]) < 0.5
    target = xp.argmax(xp.astype(is_next, xp.int64), axis=1)
    worlds = xp.arange(pose.shape[0])
    side = xp.asarray([np.sign(station.place[1]) for station in STATIONS])[target]
    sign_x = state["signs_x_w"][worlds, target]
    yaw = side * np.pi / 2

    # the point beside the camera's axis at STAND_M ahead of the mount, in the mount's frame
    offset = state["camera_pos_w"] - pose[:, :3]
    axis = state["camera_axis_w"]
    cos = xp.cos(pose[:, 3])
    sin = xp.sin(pose[:, 3])
    camera_x = cos * offset[:, 0] + sin * offset[:, 1]
    camera_y = cos * offset[:, 1] - sin * offset[:, 0]
    axis_x = xp.maximum(cos * axis[:, 0] + sin * axis[:, 1], 0.2)
    axis_y = cos * axis[:, 1] - sin * axis[:, 0]
    aside = KEPT_ASIDE * axis_y / axis_x
    seen_y = camera_y + (STAND_M - camera_x) * aside

    # that point is to be at the sign: the robot looks along side * y
    x = sign_x + side * seen_y
    y = side * (FRONT_Y_M - STAND_M)
    return xp.stack([x, y, pose[:, 2], yaw], axis=1)


def _people_ahead(xp: Any, state: Readings) -> Array:
    """Returns where people will be (n, M, T, 2) m, every 0.25 s; T = 13."""
    num = state["people_w"].shape[0]
    known = xp.reshape(state["people_w"], (num, len(PEOPLE), len(AHEAD_S), 2))
    between = (known[:, :, 1:] + known[:, :, :-1]) / 2
    pairs = xp.stack([known[:, :, :-1], between], axis=3)  # (n, M, T, 2, 2)
    shape = (num, len(PEOPLE), 2 * (len(AHEAD_S) - 1), 2)
    return xp.concat([xp.reshape(pairs, shape), known[:, :, -1:]], axis=2)


def _least_gaps(
    xp: Any, places: Array, here: Array, people: Array, driving_m: float
) -> Array:
    """Returns how far people keep away on the way to each place, (n, C) m.

    It is the least distance to anyone at any time, beyond the one that is allowed then.

    Args:
        xp: the array namespace.
        places: (n, C, 2) m, where the mount may go.
        here: (n, 2) m, where it is.
        people: (n, M, T, 2) m, where people will be.
        driving_m: the distance that is allowed while it drives.
    """
    steps = people.shape[2]
    time_s = xp.asarray(np.linspace(AHEAD_S[0], AHEAD_S[-1], steps))
    way = places - here[:, None, :]
    length = xp.sqrt(dot(way, way))  # (n, C) m
    driven_m = SPEED_M_S * xp.maximum(time_s - REACTION_S, 0.0)  # (T,)
    share = xp.clip(driven_m / xp.maximum(length, 1e-6)[..., None], 0.0, 1.0)
    mount = here[:, None, None, :] + share[..., None] * way[:, :, None, :]

    # (n, C, M, T) m between the mount and each person
    offset = mount[:, :, None] - people[:, None]
    distance = xp.sqrt(dot(offset, offset))
    # a little way is one that it creeps
    drives = (share < 1.0) & (length[..., None] > 0.1)  # (n, C, T)
    allowed = xp.where(drives, driving_m, STANDING_M)
    gaps = distance - allowed[:, :, None]
    return smallest(smallest(gaps))
