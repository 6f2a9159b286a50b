"""The scene of ValveTurn: a console with up to three valves, in a pump room."""

from __future__ import annotations

import mujoco

from embodied.envs.props.console import ConsoleSize, add_console
from embodied.envs.props.valve import add_dial, add_valve
from embodied.envs.scenes.inspection_room import add_inspection_room
from embodied.envs.scenes.station import start_station
from embodied.envs.scenes.views import add_view
from embodied.robots.robot import Robot
from embodied.robots.work import WorkPlace

CONSOLE = ConsoleSize(width=0.86, height=0.34)
VALVES = ("valve_0", "valve_1", "valve_2")
KIND_OF_VALVE = ("lever", "wheel", "lever")
CAMERA = "overview"
FACING = (0.0, 0.96, 0.0, 0.28)  # wxyz of a hand that points straight at the console
# What the expert reaches for at the edges of the scene, at L2.
WORK = (
    WorkPlace("the right valve", (0.69, -0.15, 0.96), FACING),
    WorkPlace("the left valve", (0.7, 0.31, 0.97), FACING),
)


def build_valve_station(robot: Robot) -> mujoco.MjSpec:
    """Returns the room with a robot and three valves on a console, each with its scale.

    Valves that take no part in an episode are parked out of sight. Policies look through
    the camera `overview`, which sees the console from above; `room` is the camera of
    pictures for people.
    """
    spec = start_station("valve_station", robot)
    console = add_console(spec, CONSOLE)
    add_dial(spec)
    for name, kind in zip(VALVES, KIND_OF_VALVE, strict=True):
        add_valve(spec, console, name, kind)
    add_inspection_room(spec)

    # the cameras, of policies first
    add_view(
        spec, CAMERA, pos_w=(0.30, 0.18, 2.02), target_w=(0.665, 0.0, 0.92), fovy_deg=37
    )
    return spec
