"""The scene of Patrol: six stations on both sides of an aisle, and people."""

from __future__ import annotations

import mujoco
import numpy as np

from embodied.envs.props.checkpoint import Checkpoint, add_checkpoint, add_numbers
from embodied.envs.props.people import add_people
from embodied.envs.scenes.machine_hall import FRONT_Y_M, ROBOT_Y_M, add_machine_hall
from embodied.envs.scenes.station import start_scene
from embodied.envs.scenes.views import add_view
from embodied.envs.tasks.patrol.variation import NUMBERS
from embodied.robots.robot import Robot

BAYS_X_M = (-2.3, 0.0, 2.3)
LEFT = np.pi / 2  # yaw of a robot that looks at the row at y > 0
# The machines of each row of stations, in the order of BAYS_X_M: the row at y > 0 first.
KINDS = (("cabinet", "pump", "meter"), ("pump", "meter", "cabinet"))
STATIONS = tuple(
    Checkpoint(f"station_{k}", kind, (x, side * FRONT_Y_M), side * LEFT)
    for k, (side, x, kind) in enumerate(
        (side, x, kind)
        for side, kinds in zip((1, -1), KINDS, strict=True)
        for x, kind in zip(BAYS_X_M, kinds, strict=True)
    )
)
PEOPLE = ("person_0", "person_1", "person_2")
# The privileged state tells where everyone will be at these times from now, s.
AHEAD_S = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
# Where a robot starts: x, y in m and yaw in rad, at the near end of the right side, with
# its front to the wall.
DOCK = (-3.35, -ROBOT_Y_M, -LEFT)
CAMERA = "overview"
BEAUTY = "aisle"


def build_machine_hall(robot: Robot) -> mujoco.MjSpec:
    """Returns the hall with a robot, stations and people.

    Policies look through the camera `overview`, which sees the whole hall; `aisle` and
    `crossing` are cameras of pictures for people.
    """
    spec = start_scene("machine_hall", robot)
    add_machine_hall(spec)
    add_numbers(spec, NUMBERS)
    for station in STATIONS:
        add_checkpoint(spec, station, NUMBERS[0])
    add_people(spec, PEOPLE)

    # the cameras, each with its position, the point that it looks at, and its field of view
    add_view(spec, CAMERA, (-6.6, 0.0, 6.4), (-0.35, 0.0, 0.2), 52)
    add_view(spec, BEAUTY, (-5.6, -0.4, 3.1), (-0.4, 0.0, 0.5), 50)
    add_view(spec, "crossing", (-3.9, 1.9, 2.3), (0.6, -0.75, 0.75), 55)
    return spec
