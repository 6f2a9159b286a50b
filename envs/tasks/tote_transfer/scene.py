"""The station of ToteTransfer: a roller belt before the robot and a rack.

The rack is at the left of a fixed robot, and 3 m away for one that travels.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import mujoco
import numpy as np

from embodied.envs.props.belt import BeltSize, add_belt
from embodied.envs.props.paint import Paint
from embodied.envs.props.rack import RackSize, add_rack
from embodied.envs.props.tote import add_tote
from embodied.envs.scenes.station import start_station
from embodied.envs.scenes.views import add_view
from embodied.robots.robot import Robot

TOTES = ("tote_0", "tote_1", "tote_2")
CAMERA = "overview"
LINE_YELLOW = (0.93, 0.70, 0.13, 1.0)


@dataclass(frozen=True)
class Station:
    """The layout of belt and rack, and the robot's stand at the rack."""

    belt: BeltSize = field(default_factory=BeltSize)
    rack: RackSize = field(default_factory=RackSize)
    # x, y in m where the robot stands to fill the rack. Relative to this point, the rack
    # is placed as in the layout for a fixed robot, which stands at the origin.
    rack_stand_w: tuple[float, float] = (0.0, 0.0)
    # rad, yaw of a robot that travels at that stand
    facing: float = 0.0
    # delay of totes and events, which gives a robot that travels time to drive up
    later_s: float = 0.0
    # margins of the rewards for reaching the tote and for carrying it to its slot
    reach_m: float = 0.4
    carry_m: float = 0.5


FIXED = Station()
BELT = FIXED.belt
RACK = FIXED.rack
ROAMING_X = -0.6
ROAMING_Y = 2.2
ROAMING = Station(
    belt=BeltSize(y_start=-1.75),
    rack=RackSize(x=RACK.x + ROAMING_X, y_near=RACK.y_near + ROAMING_Y),
    rack_stand_w=(ROAMING_X, ROAMING_Y),
    facing=np.pi / 2,
    later_s=2.0,
    reach_m=1.5,
    carry_m=3.0,
)


def station_of(robot: Robot) -> Station:
    """Returns the layout for a robot; only a fixed one has belt and rack within reach."""
    return ROAMING if robot.travels else FIXED


def build_tote_station(robot: Robot) -> mujoco.MjSpec:
    """Returns the station with a robot and three totes (absent ones are parked).

    Camera `overview` sees belt, rack and hand, for policies; `hall` is the view for
    people.
    """
    station = station_of(robot)
    spec = start_station("tote_station", robot, fenced=not robot.travels)
    add_belt(spec, station.belt)
    add_rack(spec, station.rack)
    for name in TOTES:
        add_tote(spec, name, (0.2, 0.4, 0.7, 1.0))  # worlds give each its own colour
    if robot.travels:
        _paint_floor_marks(spec)
        add_view(
            spec, CAMERA, pos_w=(2.3, 0.4, 2.6), target_w=(-0.3, 0.76, 0.5), fovy_deg=72
        )
        add_view(
            spec,
            "hall",
            pos_w=(2.5, -2.4, 2.6),
            target_w=(-0.33, 0.9, 0.6),
            fovy_deg=44,
        )
    else:
        add_view(
            spec,
            CAMERA,
            pos_w=(1.28, 0.04, 2.05),
            target_w=(0.27, 0.06, 0.70),
            fovy_deg=50,
        )
        add_view(
            spec,
            "hall",
            pos_w=(2.3, -1.5, 2.1),
            target_w=(0.15, 0.12, 0.72),
            fovy_deg=38,
        )
    return spec


def _paint_floor_marks(spec: mujoco.MjSpec) -> None:
    """Paints lines on the floor around the robot's stand at the rack.

    They mark three sides; the side towards the rack stays open. Boxes are given by
    middle and half size, m.
    """
    marks = Paint(spec, spec.worldbody, "lane", decor=True)
    x, y = ROAMING.rack_stand_w
    line_z = 0.001

    # two lines along y, at both sides of the stand, and one line across behind it
    for side_x in (x - 0.5, x + 0.5):
        marks.box((side_x, y - 0.2, line_z), (0.03, 0.55, 0.001), LINE_YELLOW)
    marks.box((x, y - 0.75, line_z), (0.53, 0.03, 0.001), LINE_YELLOW)
    marks.add()
