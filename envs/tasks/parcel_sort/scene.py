"""The scene of ParcelSort: a belt ahead, and a scanner and bins at the left."""

from __future__ import annotations

import mujoco
import numpy as np

from embodied.envs.props.belt import BeltSize, add_belt
from embodied.envs.props.bin import BinPlace, BinSize, add_bin
from embodied.envs.props.parcel import add_parcel
from embodied.envs.props.scanner import ScannerPlace, add_scanner
from embodied.envs.scenes.station import around_column, start_station
from embodied.envs.scenes.views import add_view
from embodied.robots.robot import Robot
from embodied.robots.work import WorkPlace, pointing_down

BELT = BeltSize(x=0.52, y_start=-3.85, y_end=0.85, width=0.26, rubber=True)
PARCELS = ("parcel_0", "parcel_1", "parcel_2")
BIN = BinSize()
CAMERA = "overview"
# What the expert reaches for at the edges of the scene, at L2.
WORK = (
    WorkPlace("the end of the belt", (0.52, -0.44, 0.73)),
    WorkPlace("the scanner", (0.29, 0.44, 0.83), pointing_down(57)),
    WorkPlace("the farthest bin", (-0.27, 0.54, 0.82), pointing_down(117)),
)

SCANNER_X, SCANNER_Y, _ = around_column(0.53, 57)
SCANNER = ScannerPlace(SCANNER_X, SCANNER_Y, yaw=float(np.deg2rad(78)))
BINS = tuple(
    BinPlace(f"bin_{k}", *around_column(0.60, angle))
    for k, angle in enumerate((81, 99, 117))
)


def build_parcel_station(robot: Robot) -> mujoco.MjSpec:
    """Returns the station with a robot and three parcels.

    Parcels that take no part in an episode are parked out of sight. Policies look through
    the camera `overview`, which sees belt, scanner, bins and hand; `line` is the camera
    of pictures for people.
    """
    spec = start_station("parcel_station", robot)
    add_belt(spec, BELT)
    add_scanner(spec, SCANNER)
    for place in BINS:
        add_bin(spec, place, BIN)
    for name in PARCELS:
        add_parcel(spec, name)

    # the cameras, of policies first
    add_view(
        spec,
        CAMERA,
        pos_w=(1.24, 0.40, 1.74),
        target_w=(0.24, 0.115, 0.69),
        fovy_deg=56,
    )
    add_view(
        spec, "line", pos_w=(2.25, 0.80, 1.80), target_w=(0.10, 0.14, 0.74), fovy_deg=38
    )
    return spec
