"""The station of TeamSort: a belt, a stand between the hands, a scanner and two bins."""

from __future__ import annotations

import mujoco
import numpy as np

from embodied.envs.props.belt import BeltSize, add_belt
from embodied.envs.props.bin import BinPlace, BinSize, add_bin
from embodied.envs.props.parcel import add_parcel
from embodied.envs.props.parcel_stand import ParcelStandPlace, add_parcel_stand
from embodied.envs.props.scanner import ScannerPlace, add_scanner
from embodied.envs.scenes.station import around_column, start_station
from embodied.envs.scenes.views import add_view
from embodied.robots.robot import Robot

# The places of a team of two robots: x, y in m and yaw in rad. The first robot sorts, the
# second robot picks. They are as far apart as the shoulders of the robot `dual_arm`.
PLACES = ((0.0, 0.0, 0.0), (0.0, -0.595, 0.0))
# The belt ends in front of the hand that picks; the stand is between the two hands, so
# that both reach it.
BELT = BeltSize(x=0.56, y_start=-3.0, y_end=-0.31, width=0.24, rubber=True)
# The belt, which moves along +y, stands still while a parcel's y is larger than this: there
# the hand picks the parcel.
STOP_Y_W = -0.47
STAND = ParcelStandPlace(x=0.40, y=-0.24)
SCANNER = ScannerPlace(x=0.50, y=0.15, yaw=float(np.deg2rad(40)))
BIN = BinSize(width=0.17, depth=0.27)
PARCELS = ("parcel_0", "parcel_1", "parcel_2")
CAMERA = "overview"
BINS = tuple(
    BinPlace(f"bin_{k}", *around_column(0.60, angle))
    for k, angle in enumerate((50, 75))
)


def build_sorting_station(robot: Robot) -> mujoco.MjSpec:
    """Returns the station with a robot and three parcels.

    Parcels that take no part in an episode are parked out of sight. Policies look through
    the camera `overview`, which sees belt, stand, scanner, bins and hands; `line` is the
    camera of pictures for people.
    """
    spec = start_station("sorting_station", robot)
    add_belt(spec, BELT)
    add_parcel_stand(spec, STAND)
    add_scanner(spec, SCANNER)
    for place in BINS:
        add_bin(spec, place, BIN)
    for name in PARCELS:
        add_parcel(spec, name)

    # the cameras, of policies first
    add_view(
        spec,
        CAMERA,
        pos_w=(1.32, -0.08, 1.88),
        target_w=(0.34, -0.06, 0.74),
        fovy_deg=56,
    )
    add_view(
        spec, "line", pos_w=(2.4, 0.2, 1.8), target_w=(0.15, -0.08, 0.82), fovy_deg=40
    )
    return spec
