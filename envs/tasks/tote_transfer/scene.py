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
LANE = (0.93, 0.70, 0.13, 1.0)


@dataclass(frozen=True)
class Station:
    """The layout of belt and rack, and the place from which the rack is filled."""

    belt: BeltSize = field(default_factory=BeltSize)
    rack: RackSize = field(default_factory=RackSize)
    # x, y in m: seen from here the rack is where a fixed robot has it
    rack_origin_w: tuple[float, float] = (0.0, 0.0)
    # rad, the yaw with which a robot that travels stands there
    facing: float = 0.0
    # totes and events come this much later, so that a robot that travels is there
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
    rack_origin_w=(ROAMING_X, ROAMING_Y),
    facing=np.pi / 2,
    later_s=2.0,
    reach_m=1.5,
    carry_m=3.0,
)


def station_of(robot: Robot) -> Station:
    """Returns the layout that suits a robot: a fixed one reaches both belt and rack."""
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
        _paint_lane(spec)
        add_view(spec, CAMERA, (2.3, 0.4, 2.6), (-0.3, 0.76, 0.5), 72)
        add_view(spec, "hall", (2.5, -2.4, 2.6), (-0.33, 0.9, 0.6), 44)
    else:
        add_view(spec, CAMERA, (1.28, 0.04, 2.05), (0.27, 0.06, 0.70), 50)
        add_view(spec, "hall", (2.3, -1.5, 2.1), (0.15, 0.12, 0.72), 38)
    return spec


def _paint_lane(spec: mujoco.MjSpec) -> None:
    """Marks the floor around the robot's place at the rack, on three sides."""
    lane = Paint(spec, spec.worldbody, "lane", decor=True)
    x, y = ROAMING.rack_origin_w
    for side in (-0.5, 0.5):
        lane.box((x + side, y - 0.2, 0.001), (0.03, 0.55, 0.001), LANE)
    lane.box((x, y - 0.75, 0.001), (0.53, 0.03, 0.001), LANE)
    lane.add()
