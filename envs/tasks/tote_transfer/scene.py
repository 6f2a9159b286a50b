"""The station of ToteTransfer: a roller belt before the robot and a rack.

The rack is at the left of a fixed robot, and 3 m away for one that travels. A robot that
travels and has two hands gets wide totes, which need both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import mujoco
import numpy as np

from embodied.envs.props.belt import BeltSize, add_belt
from embodied.envs.props.paint import Paint
from embodied.envs.props.rack import RackSize, add_rack
from embodied.envs.props.tote import ToteSize, add_tote
from embodied.envs.scenes.station import start_station
from embodied.envs.scenes.views import add_view
from embodied.robots.robot import Robot
from embodied.robots.work import WorkPlace

TOTES = ("tote_0", "tote_1", "tote_2")
CAMERA = "overview"
# The least width to which a hand must open for a tote's wall.
OPENING_M = 0.04
LINE_YELLOW = (0.93, 0.70, 0.13, 1.0)
# What the expert reaches for at the edges of the scene, at L2.
WORK = (
    WorkPlace("the end of the belt", (0.52, -0.44, 0.8)),
    WorkPlace("above the end of the belt", (0.52, -0.44, 1.03)),
    WorkPlace("above the far end of the rack", (-0.21, 0.63, 1.03)),
    WorkPlace("the far end of the rack", (-0.21, 0.63, 0.89)),
    WorkPlace("above the near end of the rack", (0.13, 0.63, 1.03)),
    WorkPlace("the lower row of the rack", (-0.2, 0.39, 0.75)),
)


# A tote is in its slot if its middle is at least SLOT_MARGIN_M from the slot's ends along
# the tote's x, and within SLOT_Y_M of the slot's middle along the tote's y.
SLOT_MARGIN_M = 0.11
SLOT_Y_M = 0.03


class View(NamedTuple):
    """Where a camera is, what it looks at, and its vertical field of view."""

    pos_w: tuple[float, float, float]  # m
    target_w: tuple[float, float, float]  # m
    fovy_deg: float


# the views of a fixed robot's station
OVERVIEW = View((1.28, 0.04, 2.05), (0.27, 0.06, 0.70), 50)
HALL = View((2.3, -1.5, 2.1), (0.15, 0.12, 0.72), 38)


@dataclass(frozen=True)
class Station:
    """The layout of belt and rack, the robot's stand at the rack, and the cameras."""

    # size of the totes; their length and mass vary
    tote: ToteSize = field(default_factory=ToteSize)
    # whether a tote is held by two hands, at the walls on both sides of its y axis
    has_two_hands: bool = False
    belt: BeltSize = field(default_factory=BeltSize)  # position and size of the belt
    rack: RackSize = field(default_factory=RackSize)  # position and size of the rack
    # x, y in m where the robot stands to fill the rack. Relative to this point, the rack
    # is placed as in the layout for a fixed robot, which stands at the origin.
    rack_stand_w: tuple[float, float] = (0.0, 0.0)
    # rad, yaw of a robot that travels at that stand
    facing: float = 0.0
    # delay of totes and events, which gives a robot that travels time to drive up
    later_s: float = 0.0
    # the range of times of the event, to which `later_s` is added
    event_s: tuple[float, float] = (1.0, 4.0)
    # margins of the rewards for reaching the tote and for carrying it to its slot
    reach_m: float = 0.4
    carry_m: float = 0.5
    # the camera for policies, and the one for people
    overview: View = OVERVIEW
    hall: View = HALL

    @property
    def slot_room_m(self) -> tuple[float, float]:
        """The largest offsets of a tote from the middle of its slot, along x and y, m.

        A tote that two hands carry turns with the robot, so that its yaw in the rack is
        `facing`, and its y axis is along the world's x axis. A tote that one hand carries
        stays along the world's axes.
        """
        if self.has_two_hands:
            return SLOT_Y_M, self.rack.slot_y / 2 - SLOT_MARGIN_M
        return self.rack.slot_x / 2 - SLOT_MARGIN_M, SLOT_Y_M


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
    overview=View((2.3, 0.4, 2.6), (-0.3, 0.76, 0.5), 72),
    hall=View((2.5, -2.4, 2.6), (-0.33, 0.9, 0.6), 44),
)
# Wide totes lie along the belt, so that a robot before it has a short wall on each side.
TWO_HANDED = Station(
    tote=ToteSize(width=0.50),
    has_two_hands=True,
    belt=BeltSize(x=0.57, y_start=-2.3, y_end=1.35, width=0.44),
    rack=RackSize(x=-0.64, y_near=2.56, slot_x=0.545, slot_y=0.345),
    rack_stand_w=(-0.64, 2.15),
    facing=np.pi / 2,
    # two hands have lifted the tote after 2.5 s
    event_s=(0.5, 2.5),
    reach_m=1.5,
    carry_m=3.0,
    overview=View((1.6, 0.2, 3.6), (-0.1, 0.65, 0.3), 74),
    hall=View((2.75, 0.35, 2.5), (-0.2, 0.95, 0.55), 60),
)


def station_of(robot: Robot) -> Station:
    """Returns the layout for a robot; only a fixed one has belt and rack within reach."""
    if not robot.travels:
        return FIXED
    return TWO_HANDED if has_two_hands(robot) else ROAMING


def has_two_hands(robot: Robot) -> bool:
    """Returns whether a robot can take one tote with two hands.

    Its first two hands must be on one base, and open wide enough for a tote's wall.
    """
    if len(robot.bases) > 1 or len(robot.effectors) < 2:
        return False
    grippers = [robot.gripper_of(effector) for effector in robot.effectors[:2]]
    # the width of a suction cup is 0
    return all(gripper.width_m >= OPENING_M for gripper in grippers)


def sides_of(robot: Robot) -> tuple[float, ...]:
    """Returns the side of a tote that each hand holds: 1 for the wall at +y, -1 for -y.

    A single hand holds the wall at -y. Of two hands, the left hand holds the wall at +y.
    """
    if not station_of(robot).has_two_hands:
        return (-1.0,)
    first, second = robot.effectors[:2]
    home = robot.tools_at_home
    is_first_left = home[first.name].pos[1] > home[second.name].pos[1]
    return (1.0, -1.0) if is_first_left else (-1.0, 1.0)


def build_tote_station(robot: Robot) -> mujoco.MjSpec:
    """Returns the station with a robot and three totes.

    Totes that take no part in an episode are parked out of sight. Policies look through
    the camera `overview`, which sees belt, rack and hand; `hall` is the camera of
    pictures for people.
    """
    station = station_of(robot)
    spec = start_station("tote_station", robot, fenced=not robot.travels)
    add_belt(spec, station.belt)
    add_rack(spec, station.rack)
    for name in TOTES:
        # the colour is replaced by that of the episode
        add_tote(spec, name, (0.2, 0.4, 0.7, 1.0), station.tote)
    if robot.travels:
        _paint_floor_marks(spec, station)
    add_view(spec, CAMERA, *station.overview)
    add_view(spec, "hall", *station.hall)
    return spec


def _paint_floor_marks(spec: mujoco.MjSpec, station: Station) -> None:
    """Paints lines on the floor around the robot's stand at the rack.

    The lines mark three sides; the side towards the rack stays open. Boxes are given by
    middle and half size, m.
    """
    marks = Paint(spec, spec.worldbody, "lane", decor=True)
    x, y = station.rack_stand_w
    line_z = 0.001
    # half the width of the marked area, m: more for two hands, because the robot then
    # fills each column of slots from a stand before that column
    half_x = 0.5 + station.has_two_hands * station.rack.slot_x / 2

    # two lines along y, at both sides of the stand, and one line across behind it
    for side_x in (x - half_x, x + half_x):
        marks.box((side_x, y - 0.2, line_z), (0.03, 0.55, 0.001), LINE_YELLOW)
    marks.box((x, y - 0.75, line_z), (half_x + 0.03, 0.03, 0.001), LINE_YELLOW)
    marks.add()
