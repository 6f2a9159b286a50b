"""The scene of PanelReset: a console with a panel of twelve lamps, in a pump room."""

from __future__ import annotations

import mujoco

from embodied.envs.props.console import ConsoleSize, add_console
from embodied.envs.props.panel import add_panel
from embodied.envs.scenes.inspection_room import add_inspection_room
from embodied.envs.scenes.station import start_station
from embodied.envs.scenes.views import add_view
from embodied.robots.robot import Robot
from embodied.robots.work import WorkPlace

CONSOLE = ConsoleSize()
CAMERA = "overview"
FACING = (0.0, 0.96, 0.0, 0.28)  # wxyz of a hand that points straight at the console
# What the expert reaches for at the edges of the scene, at L2.
WORK = (
    WorkPlace("the lower right button", (0.58, -0.24, 0.87), FACING),
    WorkPlace("the upper right button", (0.77, -0.11, 0.99), FACING),
    WorkPlace("the upper left button", (0.77, 0.08, 0.99), FACING),
)


def build_panel_station(robot: Robot) -> mujoco.MjSpec:
    """Returns the room with a robot and a fault panel on a console.

    Policies look through the camera `overview`, which sees the panel from above; `room`
    is the camera of pictures for people.
    """
    spec = start_station("panel_station", robot)
    add_panel(spec, add_console(spec, CONSOLE))
    add_inspection_room(spec)

    # the cameras, of policies first
    add_view(
        spec,
        CAMERA,
        pos_w=(0.36, 0.16, 1.92),
        target_w=(0.68, 0.028, 0.925),
        fovy_deg=35,
    )
    return spec
