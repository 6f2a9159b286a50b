"""The scene of GaugeCheck: three gauge stations along the wall of a pump room."""

from __future__ import annotations

import mujoco

from embodied.envs.props.gauge import (
    FAULT,
    OK,
    add_gauge_names,
    add_gauge_station,
    button_name,
)
from embodied.envs.scenes.inspection_room import add_inspection_room
from embodied.envs.scenes.station import start_station
from embodied.envs.scenes.views import add_view
from embodied.envs.tasks.gauge_check.variation import NAMES
from embodied.robots.robot import Robot

STATIONS = ("gauge_0", "gauge_1", "gauge_2")
# x and y of each station in m. A robot that uses a station has its arm's mount at x = 0.
PLACES = ((0.52, -1.25), (0.52, 0.0), (0.52, 1.25))
BUTTONS = tuple(
    button_name(station, button) for station in STATIONS for button in (OK, FAULT)
)
CAMERA = "overview"
BEAUTY = "round"


def build_gauge_room(robot: Robot) -> mujoco.MjSpec:
    """Returns the room with a robot and three gauge stations.

    Policies look through the camera `overview`, which sees all stations; `round` is the
    camera of pictures for people.
    """
    spec = start_station("gauge_room", robot, fenced=False)
    add_gauge_names(spec, NAMES)
    for station, place in zip(STATIONS, PLACES, strict=True):
        add_gauge_station(spec, station, place, NAMES[0])
    add_inspection_room(spec)

    # the cameras, of policies first
    add_view(
        spec,
        CAMERA,
        pos_w=(-1.70, 0.12, 2.75),
        target_w=(0.28, 0.12, 0.55),
        fovy_deg=58,
    )
    add_view(
        spec, BEAUTY, pos_w=(-2.3, -1.7, 2.0), target_w=(0.25, 0.10, 0.80), fovy_deg=46
    )
    return spec
